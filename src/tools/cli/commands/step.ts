// epoll-hello --step and replay --step: the debugger's prompt, on a terminal or on a pipe.

import type { EpollServerOptions } from "../../../index.ts";
import { RecordedTrace } from "../../debugger/event-source.ts";
import { IterationHistory } from "../../debugger/iteration-history.ts";
import { readHistory, writeHistory } from "../../debugger/prompt-history.ts";
import { MAX_HISTORY_LINES, StandardInput } from "../../debugger/prompt-input.ts";
import { type Debuggee, Session } from "../../debugger/session.ts";
import { Target } from "../../debugger/target.ts";
import { LiveView } from "../../inspector/live-view.ts";
import { onBunxExit } from "../bunx.ts";
import type { StepCommand } from "../command-line.ts";
import { exitCodeOfSignal } from "../exit-codes.ts";
import { logWarning } from "../logger.ts";
import { flushLines, printLine } from "../stdout.ts";
import {
  describeProcess,
  formatTarget,
  openInspector,
  printInspectorUrls,
  printNotice,
  startTarget,
  withIdleConnections,
} from "./inspect.ts";
import { loadEvents } from "../trace-input.ts";
import { openTraceWriter } from "./trace.ts";

/** No connection times out while the loop is paused. */
const NO_TIMEOUTS: EpollServerOptions = {
  headerTimeoutMs: Infinity,
  bodyTimeoutMs: Infinity,
  idleTimeoutMs: Infinity,
  writeTimeoutMs: Infinity,
};
/** The original program waits for at most one second in each iteration. */
const CLASSIC_POLL_MS = 1_000;

/** Reports of a debuggee to the session, which is created after it. */
interface SessionListeners {
  onState(): void;
  onSettled(text: string): void;
}

/** Serves under the debugger. Returns the exit code. */
export async function step(command: StepCommand): Promise<number> {
  const opened: AsyncDisposableStack[] = [];
  let last: Debuggee | undefined;
  try {
    return await runPrompt(command.isNumeric, async (listeners) => {
      await opened.pop()?.disposeAsync();
      const resources = new AsyncDisposableStack();
      opened.push(resources);
      return (last = await openTarget(command, listeners, resources));
    });
  } finally {
    await opened.pop()?.disposeAsync();
    // Otherwise the process would exit only when the program has returned from its system call. main.ts sets the code before.
    if (last?.source instanceof Target && !last.source.hasThreadEnded) setImmediate(() => process.exit());
  }
}

/** Starts the server or the program, and prints where it is. */
async function openTarget(
  { options, app, program, process: selection, showsBytes, showsSecrets, trace, inspectorPort }: StepCommand,
  listeners: SessionListeners,
  resources: AsyncDisposableStack,
): Promise<Debuggee> {
  const history = new IterationHistory();
  const writer = trace === undefined ? undefined : openTraceWriter(trace, true); // the prompt is on standard output
  resources.defer(() => writer?.close());
  const inspector = resources.use(
    await LiveView.open(
      (live) =>
        startTarget({
          server: withIdleConnections({ ...NO_TIMEOUTS, ...options }),
          app,
          program,
          process: selection === undefined ? undefined : { ...selection, hasPrompt: true },
          onHandlerError: logWarning,
          onNotice: logWarning,
          bytes: showsBytes,
          secrets: showsSecrets,
          isPaused: true,
          pollMs: options.eager === false && app === undefined ? CLASSIC_POLL_MS : undefined,
          onEvents: (events) => {
            history.add(events);
            for (const event of events) writer?.options.listener(event);
            if (inspectorPort !== undefined) live.onEvents(events);
          },
          onState: () => {
            live.onState();
            listeners.onState();
          },
          onSettled: listeners.onSettled,
        }),
      { hasPrompt: true, onRelease: printNotice },
    ),
  );
  const { target } = inspector;
  resources.defer(() => target.end());
  const page =
    inspectorPort === undefined ? undefined : resources.use(await openInspector(inspectorPort, { view: inspector }));
  const what =
    selection !== undefined
      ? describeProcess(target, selection)
      : program === undefined
        ? `listening on ${formatTarget(target)}`
        : `${target.location.url} is ready to run`;
  printLine(`${what}; h for help, q to quit`);
  if (page !== undefined) printInspectorUrls(page);
  return { source: target, history, program: selection === undefined ? (program?.[0] ?? app) : target.program };
}

/** Steps through a saved trace. Returns the exit code. */
export async function stepThroughTrace(file: string, isNumeric: boolean): Promise<number> {
  const events = loadEvents(file);
  const [first] = events;
  const program = first?.type === "begin" ? first.program : undefined;
  return await runPrompt(isNumeric, ({ onSettled }) => {
    const history = new IterationHistory();
    const source = new RecordedTrace(events, (played) => history.add(played), onSettled);
    return Promise.resolve({ source, history, program });
  });
}

async function runPrompt(
  isNumeric: boolean,
  start: (listeners: SessionListeners) => Promise<Debuggee>,
): Promise<number> {
  let session: Session | undefined;
  const listeners: SessionListeners = {
    onState: () => session?.onSourceState(),
    onSettled: (text) => session?.onSettled(text),
  };
  const onInterruptSignal = (): void => session?.onInterruptSignal();
  session = new Session({
    debuggee: await start(listeners),
    restart: () => start(listeners),
    isNumeric,
    print: (text) => printLine(text),
    flush: flushLines,
  });
  const input = new StandardInput({
    history: readHistory(MAX_HISTORY_LINES),
    onHistory: (lines) => writeHistory(lines, MAX_HISTORY_LINES),
    onInterrupt: () => session.interrupt(),
    complete: (line) => session.complete(line),
  });
  process.on("SIGINT", onInterruptSignal);
  const unwatchBunx = onBunxExit(() => {
    session.isOver = true;
    input.close();
    session.source.pause("prompt");
  });
  try {
    await session.run(input);
  } finally {
    unwatchBunx();
    process.off("SIGINT", onInterruptSignal);
    input.close();
    flushLines();
  }
  const { source, exitCode } = session;
  if (exitCode !== undefined) return exitCode;
  if (source instanceof Target && source.error !== undefined) throw new Error(source.error);
  if (source.pid !== undefined && !session.hasEnded) return 0; // q has ended the program
  if (source.signal !== undefined) return exitCodeOfSignal(source.signal);
  return source.exitCode ?? 0;
}
