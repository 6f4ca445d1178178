// epoll-hello --step, replay --step: the debugger at this terminal, or at the end of a pipe.

import { createInterface } from "node:readline";
import { IterationHistory } from "../../debugger/iteration-history.ts";
import { PROMPT, Session } from "../../debugger/session.ts";
import { RecordedTrace, type TraceSource } from "../../debugger/event-source.ts";
import { Target } from "../../debugger/target.ts";
import { LiveView } from "../../inspector/live-view.ts";
import { type EpollServerOptions, readTrace } from "../../../index.ts";
import { openPage, startTarget, tellOf, where } from "./inspect.ts";
import { flushLines, printLine } from "../stdout.ts";
import type { App, Program } from "../command-line.ts";
import { showWarning } from "../logger.ts";
import { EXIT_CODES } from "./serve.ts";

export interface StepRequest {
  app: App;
  program: Program | undefined;
  isNumeric: boolean;
  hasBytes: boolean;
  /** The port of a page that shows the same; undefined: none. */
  page?: number | undefined;
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
export async function step(
  options: EpollServerOptions,
  { app, program, isNumeric, hasBytes, page: port }: StepRequest,
): Promise<number> {
  const history = new IterationHistory();
  using inspector = await LiveView.open((tell) =>
    startTarget({
      server: { ...patient, ...options },
      app,
      program,
      onHandlerError: showWarning,
      bytes: hasBytes,
      isStopped: true,
      onEvents: (events) => {
        history.add(events);
        if (port !== undefined) tell.onEvents(events);
      },
      onState: tell.onState,
    }),
  );
  const { target } = inspector;
  try {
    await using page = port === undefined ? undefined : await openPage(port, { view: inspector });
    const what = program === undefined ? `listening on ${where(target)}` : `${target.location.url} is about to run`;
    printLine(`${what}; h helps, q quits`);
    if (page !== undefined) tellOf(page);
    return await converse(target, history, isNumeric);
  } finally {
    await target.end();
  }
}

/** Step through a trace that was saved; returns the exit code. */
export async function stepThrough(file: string, isNumeric: boolean): Promise<number> {
  const history = new IterationHistory();
  const recording = new RecordedTrace(readTrace(file), (events) => history.add(events));
  return await converse(recording, history, isNumeric);
}

async function converse(source: TraceSource, history: IterationHistory, isNumeric: boolean): Promise<number> {
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
