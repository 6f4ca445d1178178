// epoll-hello --step, replay --step: the debugger at this terminal, or at the end of a pipe.

import { createInterface } from "node:readline";
import { History } from "../debug/history.ts";
import { PROMPT, Session } from "../debug/session.ts";
import { Recording, type Source } from "../debug/source.ts";
import { Target, TargetError } from "../debug/target.ts";
import { type EpollServerOptions, readTrace } from "../index.ts";
import { UsageError } from "./arguments.ts";
import { describeAll } from "./describe.ts";
import { flushLines, printLine } from "./print.ts";
import { EXIT_CODES } from "./serve.ts";

export interface StepRequest {
  isNumeric: boolean;
  hasBytes: boolean;
}

/** Nobody is sent away while the loop stands still. */
const patient: EpollServerOptions = {
  deferAccept: false,
  headerTimeoutMs: Infinity,
  bodyTimeoutMs: Infinity,
  idleTimeoutMs: Infinity,
  writeTimeoutMs: Infinity,
};

/** Serve under the debugger; returns the exit code. */
export async function step(options: EpollServerOptions, { isNumeric, hasBytes }: StepRequest): Promise<number> {
  const history = new History();
  let target: Target;
  try {
    target = await Target.start({
      server: { ...patient, ...options },
      bytes: hasBytes,
      isStopped: true,
      onEvents: (events) => history.see(events),
    });
  } catch (error) {
    if (error instanceof TargetError && error.code === undefined) throw new UsageError(error.message);
    throw error;
  }
  printLine(`listening on ${target.place.url} (${describeAll(target.place.addresses)}); h helps, q quits`);
  return await converse(target, history, isNumeric);
}

/** Step through a trace that was saved; returns the exit code. */
export async function stepThrough(file: string, isNumeric: boolean): Promise<number> {
  const history = new History();
  const recording = new Recording(readTrace(file), (events) => history.see(events));
  return await converse(recording, history, isNumeric);
}

async function converse(source: Source, history: History, isNumeric: boolean): Promise<number> {
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    terminal: isTerminal,
    prompt: PROMPT,
    ...(isTerminal ? { output: process.stdout } : {}),
  });
  const typed = lines[Symbol.asyncIterator](); // from now on: a pipe's lines come at once, and only once
  let exitCode = 0;
  let interrupts = 0;
  const interrupt = (): void => {
    if (++interrupts > 1) {
      exitCode = EXIT_CODES.SIGINT;
      session.isOver = true;
      lines.close();
    }
    source.pause();
  };
  const session = new Session({
    source,
    history,
    isNumeric,
    echoes: !isTerminal,
    print: (text) => printLine(text),
    prompt: () => {
      interrupts = 0;
      flushLines();
      if (isTerminal) lines.prompt();
    },
  });
  process.on("SIGINT", interrupt);
  lines.on("SIGINT", interrupt);
  try {
    await session.run({ [Symbol.asyncIterator]: () => typed });
  } finally {
    process.off("SIGINT", interrupt);
    lines.close();
    flushLines();
  }
  if (source instanceof Target && source.error !== undefined) throw new Error(source.error);
  return exitCode;
}
