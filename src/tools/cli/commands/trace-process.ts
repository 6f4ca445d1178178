// epoll-hello --trace -- COMMAND and --trace --pid PID: traces any program, and passes its exit code and its signals on.

import { constants } from "node:os";
import { isatty } from "node:tty";
import { Signals } from "../../../index.ts";
import { ProcessEngine, type TraceeEnd } from "../../../trace/processes/engine.ts";
import { kernelOf } from "../../../trace/processes/kernel-of.ts";
import { ProcessTracer } from "../../../trace/processes/process-tracer.ts";
import type { TraceeError } from "../../../trace/processes/tracee-error.ts";
import { scriptOf } from "../../debugger/script-of.ts";
import type { ProcessSelection } from "../../debugger/thread-messages.ts";
import type { TraceOutput } from "../command-line.ts";
import { exitCodeOfSignal } from "../exit-codes.ts";
import { logWarning } from "../logger.ts";
import { finishOutput } from "../stdout.ts";
import { openTraceWriter } from "./trace.ts";

/** Signals that end this command: a program that was started gets them, and one that was attached to is left alone. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;
/** How this process ends if the program was ended by one of these signals. Others would make Bun report a crash. */
const RAISED: ReadonlySet<string> = new Set([
  "SIGINT",
  "SIGTERM",
  "SIGHUP",
  "SIGKILL",
  "SIGPIPE",
  "SIGALRM",
  "SIGUSR1",
  "SIGUSR2",
]);
const STDIN = 0;
/** What is buffered is written at least this often. */
const FLUSH_MS = 200;

/** Sends a signal to the program, which may have ended. */
function sendSignal(engine: ProcessEngine, signal: number): void {
  try {
    engine.kill(signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Runs or attaches to the program until it ends. Returns its exit code. */
export function traceProcess(selection: ProcessSelection, output: TraceOutput): number {
  const { target, follows } = selection;
  const isStarted = "command" in target;
  const writer = openTraceWriter(output, isStarted); // standard output is that of the command
  let end: TraceeEnd | undefined;
  let error: TraceeError | undefined;
  let tracer: ProcessTracer | undefined;
  /** Threads that are stopped for a moment, to find out where they are. */
  const wanted = new Map<number, ((at: string | undefined) => void)[]>();
  const engine = new ProcessEngine(
    {
      onCall: (call) => {
        tracer ??= createTracer(call.pid);
        tracer.onCall(call);
      },
      onWaitEntry: (call) => {
        tracer?.onWaitEntry(call);
        writer.flush();
      },
      onHeld: ({ tid, locate }) => {
        const at = locate?.();
        for (const done of wanted.get(tid) ?? []) done(at);
        wanted.delete(tid);
        engine.resume(tid);
      },
      onNotice: logWarning,
      onError: (failure) => {
        error = failure;
      },
      onEnd: (ended) => {
        end = ended;
      },
    },
    { follow: follows, bytes: output.showsBytes },
  );
  const findThread = (tid: number, done: (at: string | undefined) => void): void => {
    const waiting = wanted.get(tid);
    if (waiting !== undefined) return void waiting.push(done);
    wanted.set(tid, [done]);
    engine.interrupt(tid);
  };
  const createTracer = (pid: number): ProcessTracer =>
    new ProcessTracer({ ...writer.options, pid, program: scriptOf(selection), kernelOf, findThread });
  const signals = new Signals([...SIGNALS]);
  let isDetached = false;
  try {
    if (isStarted) engine.start([...target.command], {});
    else engine.attach(target.pid);
    while (end === undefined && error === undefined) {
      const dueMs = Math.ceil(tracer?.msUntilCheck() ?? Infinity);
      if (engine.wait(signals.fileno(), Math.min(dueMs, FLUSH_MS))) {
        for (const { signal, code } of signals.read()) {
          if (isStarted) {
            // A terminal sends the signal to the program as well.
            if (code !== "SI_KERNEL" || !isatty(STDIN))
              sendSignal(engine, constants.signals[signal as (typeof SIGNALS)[number]]);
          } else if (!isDetached) {
            isDetached = true;
            engine.detach();
          }
        }
      }
      if (tracer !== undefined && tracer.msUntilCheck() <= 1) tracer.check();
      writer.flush();
    }
    if (error !== undefined) throw error;
    for (const done of [...wanted.values()].flat()) done(undefined); // the program has ended first
    tracer?.finish();
    writer.close();
  } finally {
    engine.close();
    signals.close();
  }
  const { exitCode = 0, signal }: TraceeEnd = end ?? {};
  if (signal === undefined || isDetached) return exitCode;
  const code = exitCodeOfSignal(signal);
  process.exitCode = finishOutput(code);
  if (RAISED.has(signal)) process.kill(process.pid, signal as NodeJS.Signals); // as strace does, so that a shell sees the signal
  return code;
}
