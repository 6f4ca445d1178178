// epoll-hello --step and replay --step: the debugger's prompt, on a terminal or on a pipe.

import { createInterface } from "node:readline";
import type { EpollServerOptions } from "../../../index.ts";
import { RecordedTrace, type TraceSource } from "../../debugger/event-source.ts";
import { IterationHistory } from "../../debugger/iteration-history.ts";
import { PROMPT, Session } from "../../debugger/session.ts";
import { Target } from "../../debugger/target.ts";
import { LiveView } from "../../inspector/live-view.ts";
import { onBunxExit } from "../bunx.ts";
import type { StepCommand } from "../command-line.ts";
import { SIGNAL_EXIT_CODES } from "../exit-codes.ts";
import { logWarning } from "../logger.ts";
import { flushLines, printLine } from "../stdout.ts";
import { formatTarget, openInspector, printInspectorUrls, startTarget, withIdleConnections } from "./inspect.ts";
import { loadEvents } from "../trace-input.ts";
import { openTraceWriter } from "./trace.ts";

/** No connection times out while the loop is paused. */
const NO_TIMEOUTS: EpollServerOptions = {
  headerTimeoutMs: Infinity,
  bodyTimeoutMs: Infinity,
  idleTimeoutMs: Infinity,
  writeTimeoutMs: Infinity,
};

/** Serves under the debugger. Returns the exit code. */
export async function step(command: StepCommand): Promise<number> {
  const { options, app, program, isNumeric, showsBytes, showsSecrets, trace, inspectorPort } = command;
  const history = new IterationHistory();
  const writer = trace === undefined ? undefined : openTraceWriter(trace, true); // the prompt is on standard output
  using inspector = await LiveView.open((live) =>
    startTarget({
      server: withIdleConnections({ ...NO_TIMEOUTS, ...options }),
      app,
      program,
      onHandlerError: logWarning,
      bytes: showsBytes,
      secrets: showsSecrets,
      isPaused: true,
      onEvents: (events) => {
        history.add(events);
        for (const event of events) writer?.options.listener(event);
        if (inspectorPort !== undefined) live.onEvents(events);
      },
      onState: live.onState,
    }),
  );
  const { target } = inspector;
  try {
    await using page =
      inspectorPort === undefined ? undefined : await openInspector(inspectorPort, { view: inspector });
    const what =
      program === undefined ? `listening on ${formatTarget(target)}` : `${target.location.url} is ready to run`;
    printLine(`${what}; h for help, q to quit`);
    if (page !== undefined) printInspectorUrls(page);
    return await runPrompt(target, history, isNumeric);
  } finally {
    await target.end();
    writer?.close();
  }
}

/** Steps through a saved trace. Returns the exit code. */
export async function stepThroughTrace(file: string, isNumeric: boolean): Promise<number> {
  const history = new IterationHistory();
  const recording = new RecordedTrace(loadEvents(file), (events) => history.add(events));
  return await runPrompt(recording, history, isNumeric);
}

async function runPrompt(source: TraceSource, history: IterationHistory, isNumeric: boolean): Promise<number> {
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    terminal: isTerminal,
    prompt: PROMPT,
    ...(isTerminal ? { output: process.stdout } : {}),
  });
  const input = lines[Symbol.asyncIterator](); // created now: the lines of a pipe are emitted once, immediately
  let exitCode = 0;
  let interrupts = 0;
  const onInterrupt = (): void => {
    if (++interrupts > 1) {
      exitCode = SIGNAL_EXIT_CODES.SIGINT;
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
  process.on("SIGINT", onInterrupt);
  lines.on("SIGINT", onInterrupt);
  const unwatchBunx = onBunxExit(() => {
    session.isOver = true;
    lines.close();
    source.pause();
  });
  try {
    await session.run({ [Symbol.asyncIterator]: () => input });
  } finally {
    unwatchBunx();
    process.off("SIGINT", onInterrupt);
    lines.close();
    flushLines();
  }
  if (source instanceof Target && source.error !== undefined) throw new Error(source.error);
  return exitCode;
}
