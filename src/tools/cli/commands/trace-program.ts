// epoll-hello PROGRAM --trace: runs a program that uses Epoll and Socket, and traces its system calls.

import { wrapSyscalls } from "../../../kernel/ffi.ts";
import { describeThrown } from "../../../server/describe-error.ts";
import type { TraceListener } from "../../../trace/events.ts";
import { Tracer } from "../../../trace/tracer.ts";
import type { Program, TraceOutput } from "../command-line.ts";
import { finishOutput } from "../stdout.ts";
import { openTraceWriter } from "./trace.ts";

/** Runs the program. Returns its exit code. */
export async function traceProgram([file, ...rest]: Program, trace: TraceOutput): Promise<number> {
  const writer = openTraceWriter(trace);
  const listener: TraceListener = (event) => {
    writer.options.listener(event);
    writer.flush(); // before the program prints something itself
  };
  const tracer = new Tracer({ ...writer.options, listener });
  wrapSyscalls((sys) => tracer.wrapProgram(sys));
  process.on("exit", (code) => {
    tracer.finish();
    writer.close();
    process.exitCode = finishOutput(code);
  });
  process.argv.splice(1, Infinity, file, ...rest);
  try {
    await import("../../../libuv/index.ts"); // the program, or a Worker of it, may load native addons that need libuv
    await import(file);
  } catch (error) {
    throw new Error(`${file} threw an error: ${describeThrown(error)}`, { cause: error });
  }
  return Number(process.exitCode ?? 0);
}
