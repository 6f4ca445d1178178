// epoll-hello --trace program.ts: a program of one's own, that uses Epoll and Socket, and each system call that it makes.

import { wrapSyscalls } from "../../../kernel/ffi.ts";
import type { TraceListener } from "../../../trace/events.ts";
import { Tracer } from "../../../trace/tracer.ts";
import { describeThrown } from "../../../server/load-app.ts";
import type { Program, TraceRequest } from "../command-line.ts";
import { tracing } from "./trace.ts";

/** Run it, to its end; returns the exit code that it has left. */
export async function traceProgram([file, ...rest]: Program, trace: TraceRequest): Promise<number> {
  const traced = tracing(trace);
  const listener: TraceListener = (event) => {
    traced.options.listener(event);
    traced.flush(); // what the program prints comes in between
  };
  const tracer = new Tracer({ ...traced.options, listener });
  wrapSyscalls((sys) => tracer.wrapProgram(sys));
  process.on("exit", () => traced.end());
  process.argv.splice(1, Infinity, file, ...rest);
  try {
    await import(file);
  } catch (error) {
    throw new Error(`${file} has ended by an error: ${describeThrown(error)}`, { cause: error });
  }
  return Number(process.exitCode ?? 0);
}
