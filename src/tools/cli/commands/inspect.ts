// epoll-hello --inspect and replay --inspect: the inspector's page, for a running loop or a saved trace.

import { basename } from "node:path";
import { type EpollServerOptions, ErrnoError } from "../../../index.ts";
import { Target, TargetError, type TargetOptions } from "../../debugger/target.ts";
import type { ProcessSelection } from "../../debugger/thread-messages.ts";
import { InspectorServer, type InspectorOptions } from "../../inspector/inspector-server.ts";
import { LiveView } from "../../inspector/live-view.ts";
import { onBunxExit } from "../bunx.ts";
import { type InspectCommand, UsageError } from "../command-line.ts";
import { SIGNAL_EXIT_CODES } from "../exit-codes.ts";
import { DEFAULT_ADDRESS } from "../flags.ts";
import { formatAddresses, formatStats } from "../format.ts";
import { logWarning } from "../logger.ts";
import { selfExec } from "../self-exec.ts";
import { extraStopSignals } from "../signals.ts";
import { flushLines, printLine, writeError } from "../stdout.ts";
import { loadText } from "../trace-input.ts";
import { openTraceWriter } from "./trace.ts";

/** Serves, and shows the loop in the inspector. Returns the exit code. */
export async function inspect(command: InspectCommand): Promise<number> {
  const {
    options,
    app,
    program,
    process: selection,
    showsBytes,
    showsSecrets,
    trace,
    inspectorPort,
    waitsForPage,
  } = command;
  // The output of a command is on standard output.
  const writer = trace === undefined ? undefined : openTraceWriter(trace, selection !== undefined);
  const print = trace?.format === "json" ? writeError : printLine; // standard output then contains only the trace
  const signal = stopSignal();
  using inspector = await LiveView.open(
    (live) =>
      startTarget({
        server: withIdleConnections(options),
        app,
        program,
        process: selection,
        isPaused: waitsForPage,
        onHandlerError: logWarning,
        onNotice: logWarning,
        bytes: showsBytes,
        secrets: showsSecrets,
        // A trace needs every event. The page samples them itself then.
        ...(writer === undefined
          ? { onSample: live.onSample }
          : {
              onEvents: (events) => {
                for (const event of events) writer.options.listener(event);
                live.onEvents(events);
              },
            }),
        onState: live.onState,
      }),
    {
      onRelease: (message) => {
        print(message);
        flushLines();
      },
    },
  );
  const { target } = inspector;
  try {
    await using page = await openInspector(inspectorPort, { view: inspector });
    const what =
      selection !== undefined
        ? describeProcess(target, selection)
        : program === undefined
          ? `listening on ${formatTarget(target)}`
          : `${target.location.url} ${waitsForPage ? "is paused at its start" : "runs"}`;
    print(`${what}; stop with Ctrl-C`);
    if (waitsForPage) print("paused: continue on the page");
    printInspectorUrls(page, print);
    // The page stays available after a program has ended.
    const isServer = program === undefined && selection === undefined;
    const exitCode = await (isServer ? Promise.race([signal, target.ended.then(() => 0)]) : signal);
    await target.end();
    if (target.error !== undefined) throw new Error(target.error);
    if (target.stats !== undefined) print(formatStats(target.stats));
    flushLines();
    return exitCode;
  } finally {
    await target.end();
    writer?.close();
  }
}

/** Shows a saved trace in the inspector. Returns the exit code. */
export async function inspectTrace(file: string, port: number): Promise<number> {
  const { text: trace, name } = loadText(file); // an invalid trace is reported here, not on the page
  await using page = await openInspector(port, { name: basename(name), trace });
  const signal = stopSignal();
  printLine(`${name} is at ${page.viewUrl}; stop with Ctrl-C`);
  printLine(`with lessons: ${page.controlUrl}`);
  flushLines();
  return await signal;
}

/** Returns the options with TCP_DEFER_ACCEPT off by default, so that connections are shown before they have sent anything. */
export function withIdleConnections(options: EpollServerOptions): EpollServerOptions {
  return { deferAccept: false, ...options };
}

/** Describes a process that is debugged, with its id. */
export function describeProcess({ location, pid }: Target, { target }: ProcessSelection): string {
  return "pid" in target ? `attached to process ${pid}` : `${location.url} was started as process ${pid}`;
}

export function formatTarget({ location: { url, addresses } }: Target): string {
  return `${url} (${formatAddresses(addresses)})`;
}

/** @throws {UsageError} if an option is wrong */
export async function startTarget(options: TargetOptions): Promise<Target> {
  try {
    return await Target.start({ ...options, defaultAddress: DEFAULT_ADDRESS });
  } catch (error) {
    if (error instanceof TargetError && options.app === undefined && error.code?.startsWith("ERR_") === true)
      throw new UsageError(error.message);
    throw error;
  }
}

export async function openInspector(port: number, source: InspectorOptions["source"]): Promise<InspectorServer> {
  try {
    return await InspectorServer.open({ port, source, command: selfExec() });
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    throw new Error(`cannot serve the inspector: ${error.message}\n--inspect without a port takes any free one.`, {
      cause: error,
    });
  }
}

/** Prints a sentence at once. */
export function printNotice(message: string): void {
  printLine(message);
  flushLines();
}

/** Prints both addresses, each with a token: the first one is for viewing only. */
export function printInspectorUrls(page: InspectorServer, print: (line: string) => void = printLine): void {
  print(`view it at ${page.viewUrl}`);
  print(`and control it at ${page.controlUrl}`);
  flushLines();
}

/** Resolves to the exit code when a signal arrives, or when bunx has exited. */
function stopSignal(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  for (const signal of ["SIGINT", "SIGTERM", ...extraStopSignals()] as const) {
    process.once(signal, () => resolve(SIGNAL_EXIT_CODES[signal]));
  }
  onBunxExit(() => resolve(SIGNAL_EXIT_CODES.SIGTERM));
  return promise;
}
