// epoll-hello --port 8800: serve, a line for each request, until a signal comes.

import {
  EpollServer,
  type EpollServerOptions,
  ErrnoError,
  LookupError,
  notify,
  type ServerStats,
  type ServiceState,
  watchdogIntervalMs,
} from "../../../index.ts";
import { describeThrown, loadApp } from "../../../server/load-app.ts";
import { startUntilStopped } from "../../../server/run-until-stopped.ts";
import { type App, type ServeRequest, UsageError } from "../command-line.ts";
import { describeAll, describeRequest, describeStats } from "../format.ts";
import { flushLines, printAside, printLine } from "../stdout.ts";
import { explain, showWarning } from "../logger.ts";

/** 128 + SIGINT: what a shell expects of a program that Ctrl-C ended. SIGTERM is how servers are asked to stop: 0. */
export const EXIT_CODES = { SIGINT: 130, SIGTERM: 0 };

/** Serve until stopped; returns the exit code. */
export async function serve({ options, app, isQuiet, isService, trace }: ServeRequest): Promise<number> {
  const traced = trace === undefined ? undefined : (await import("./trace.ts")).tracing(trace);
  const isPure = trace?.format === "json"; // what reads it shall find nothing else there
  const served = await loaded(app);
  const server: EpollServer = listen(options, () => {
    return new EpollServer({
      ...saying(isQuiet || trace?.format !== undefined),
      ...served,
      ...options,
      ...(isService ? tellSystemd(() => server.stats) : {}),
      ...(traced === undefined ? {} : { trace: traced.options }),
    });
  });
  const serves = (): void => {
    if (isService) tell({ ready: true, status: `listening on ${server.url}` });
    // Not before: whoever reads this line may send a signal at once.
    const where = `listening on ${server.url} (${describeAll(server.addresses)}); stop with Ctrl-C`;
    if (isPure) printAside(where);
    else if (!isQuiet) printLine(where);
  };
  // An application may wait for timers, or for others: they need Bun's event loop, which run() blocks.
  const signal = app === undefined ? server.run(serves) : await startUntilStopped(server, serves);
  traced?.end();
  if (!isQuiet && !isPure) printLine(describeStats(server.stats));
  flushLines();
  return endOf(app, signal === undefined ? 0 : EXIT_CODES[signal]);
}

/** The exit code; where there was an application, at once: timers and connections of its own would keep the process alive. */
export function endOf(app: App, exitCode: number): number {
  if (app !== undefined) process.exit(exitCode);
  return exitCode;
}

/** What the application serves. */
export async function loaded(app: App): Promise<EpollServerOptions> {
  return app === undefined ? {} : await loadApp(app);
}

/** A line for each request, and one for each trouble. */
export function saying(isQuiet: boolean): EpollServerOptions {
  return {
    ...(isQuiet ? {} : { onRequest: (request) => printLine(describeRequest(request)) }),
    onWarning: ({ message }) => showWarning(message),
    onError: (error) => showWarning(describeThrown(error)),
  };
}

/** What cannot be told is no reason to end: the service manager draws its own conclusions. */
export function tell(state: ServiceState): void {
  try {
    notify(state);
  } catch (error) {
    showWarning(`systemd is not told: ${explain(error)}`);
  }
}

/** That it is alive, which the loop itself says; and that it is about to end. */
function tellSystemd(stats: () => ServerStats): EpollServerOptions {
  const intervalMs = watchdogIntervalMs();
  return {
    onStopping: () => tell({ stopping: true }),
    ...(intervalMs === undefined
      ? {}
      : {
          heartbeat: {
            everyMs: intervalMs / 2,
            beat: () => tell({ watchdog: true, status: describeStats(stats()) }),
          },
        }),
  };
}

/** @throws {UsageError} if there is no such host, or no such path could be */
export function listen<T>(options: EpollServerOptions, open: () => T): T {
  try {
    return open();
  } catch (error) {
    const host = JSON.stringify(options.hostname);
    if (error instanceof LookupError) {
      throw new UsageError(`--host ${host} has no address (${error.message}): give a name or address of this machine`);
    }
    if (error instanceof ErrnoError && error.code === "EADDRNOTAVAIL") {
      throw new UsageError(`--host ${host} is not an address of this machine: try localhost, or 0.0.0.0 for all`);
    }
    if (options.fd !== undefined && error instanceof ErrnoError && error.fd !== undefined) {
      throw new UsageError(`descriptor ${error.fd} is no socket that was passed to this program (${error.code})`);
    }
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}
