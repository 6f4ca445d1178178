// epoll-hello [APP]: serves until a signal arrives, and prints a line for each request.

import { EpollServer, type EpollServerOptions } from "../../../index.ts";
import { describeHandlerError } from "../../../server/describe-error.ts";
import { displayedUrl } from "../../../server/listeners.ts";
import { mergeOptions } from "../../../server/merge-options.ts";
import { startUntilStopped } from "../../../server/run-until-stopped.ts";
import { openBunxParent } from "../bunx.ts";
import type { ServeCommand } from "../command-line.ts";
import { SIGNAL_EXIT_CODES } from "../exit-codes.ts";
import { DEFAULT_ADDRESS } from "../flags.ts";
import { formatAddresses, formatRequest, formatStats } from "../format.ts";
import { listen } from "../listen.ts";
import { logWarning } from "../logger.ts";
import { extraSignals } from "../signals.ts";
import { finishOutput, printLine, writeError } from "../stdout.ts";
import { inheritedFds, reportState, serviceOptions } from "../systemd.ts";

/** Serves until stopped. Returns the exit code. */
export async function serve({
  options,
  app,
  isQuiet,
  showsSecrets,
  usesSystemd,
  trace,
}: ServeCommand): Promise<number> {
  const traceWriter = trace === undefined ? undefined : (await import("./trace.ts")).openTraceWriter(trace);
  const isJson = trace?.format === "json"; // then standard output contains only the trace
  const flags = usesSystemd ? { ...options, fd: inheritedFds() } : options;
  const merged = mergeOptions(await appOptions(app), flags, DEFAULT_ADDRESS);
  const server: EpollServer = listen(merged, () => {
    return new EpollServer({
      ...loggingOptions(isQuiet || trace?.format !== undefined, showsSecrets),
      ...merged,
      ...(usesSystemd ? serviceOptions(() => server.stats) : {}),
      ...(traceWriter === undefined ? {} : { trace: traceWriter.options }),
    });
  });
  const parent = openBunxParent();
  if (parent !== undefined) {
    const unwatch = server.onReadable(parent, () => {
      unwatch();
      void server.stop();
    });
  }
  const url = displayedUrl(server.url, merged);
  const onRunning = (): void => {
    if (usesSystemd) reportState({ ready: true, status: `listening on ${url}` });
    // Printed once signals are handled: a script may send one as soon as it reads this line.
    const line = `listening on ${url} (${formatAddresses(server.addresses)}); stop with Ctrl-C`;
    if (isJson) writeError(line);
    else if (!isQuiet) printLine(line);
  };
  // An app may wait for timers or I/O, which need Bun's event loop, as TLS does. run() blocks it.
  const signals = extraSignals(() => server.stats);
  const signal = needsBunLoop(app, merged)
    ? await startUntilStopped(server, onRunning, signals)
    : server.run(onRunning, signals);
  traceWriter?.close();
  if (!isQuiet && !isJson) printLine(formatStats(server.stats));
  return exitIfApp(app, signal === undefined ? 0 : SIGNAL_EXIT_CODES[signal]);
}

/** Returns whether the server has to run on Bun's event loop. */
export function needsBunLoop(app: string | undefined, { tls }: EpollServerOptions): boolean {
  return app !== undefined || (tls !== undefined && tls !== false);
}

/** Returns the exit code. If there is an app, exits instead, because its timers and connections would keep the process alive. */
export function exitIfApp(app: string | undefined, exitCode: number): number {
  if (app !== undefined) process.exit(finishOutput(exitCode));
  return exitCode;
}

export async function appOptions(app: string | undefined): Promise<EpollServerOptions> {
  return app === undefined ? {} : await (await import("../../../serve/load-app.ts")).loadApp(app, logHandlerError);
}

/** Returns server options that print requests, unless `isQuiet`, and log warnings and the errors of handlers. */
export function loggingOptions(isQuiet: boolean, showsSecrets: boolean): EpollServerOptions {
  return {
    ...(isQuiet ? {} : { onRequest: (request) => printLine(formatRequest(request, showsSecrets)) }),
    onWarning: ({ message }) => logWarning(message),
    onError: logHandlerError,
  };
}

function logHandlerError(error: unknown, request: Request | undefined): void {
  logWarning(describeHandlerError(error, request));
}
