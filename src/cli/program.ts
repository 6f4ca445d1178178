// epoll-hello --trace program.ts: a program of one's own, that uses Epoll and Socket, and each system call that it makes.

import { interpose } from "../ffi.ts";
import type { TraceListener } from "../trace/event.ts";
import { Tracer } from "../trace/tracer.ts";
import { describeThrown } from "../server/app.ts";
import type { Program, TraceRequest } from "./requests.ts";
import { tracing } from "./trace.ts";

/** Run it, to its end; returns the exit code that it has left. */
export async function traceProgram([file, ...rest]: Program, trace: TraceRequest): Promise<number> {
  const traced = tracing(trace);
  const listener: TraceListener = (event) => {
    traced.options.listener(event);
    traced.flush(); // what the program prints comes in between
  };
  const tracer = new Tracer({ ...traced.options, listener });
  interpose((sys) => tracer.tracedProgram(sys));
  process.on("exit", () => traced.end());
  process.argv.splice(1, Infinity, file, ...rest);
  try {
    await import(file);
  } catch (error) {
    throw new Error(`${file} has ended by an error: ${describeThrown(error)}`, { cause: error });
  }
  return Number(process.exitCode ?? 0);
}
