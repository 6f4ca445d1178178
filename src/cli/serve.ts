// epoll-hello --port 8800: serve, a line for each request, until a signal comes.

import { createConsola } from "consola";
import {
  EpollServer,
  type EpollServerOptions,
  ErrnoError,
  LookupError,
  notify,
  type ServerStats,
  type ServiceState,
  watchdogIntervalMs,
} from "../index.ts";
import { type ServeRequest, UsageError } from "./requests.ts";
import { describeAll, describeRequest, describeStats } from "./describe.ts";
import { flushLines, printAside, printLine } from "./print.ts";
import { tracing } from "./trace.ts";

/** 128 + SIGINT: what a shell expects of a program that Ctrl-C ended. SIGTERM is how servers are asked to stop: 0. */
export const EXIT_CODES = { SIGINT: 130, SIGTERM: 0 };

const log = createConsola({ level: 3, throttle: 0 }); // its defaults fall silent under NODE_ENV=test, and skip repeated lines

/** Serve until stopped; returns the exit code. */
export function serve({ options, isQuiet, isService, trace }: ServeRequest): number {
  const traced = trace === undefined ? undefined : tracing(trace);
  const isPure = trace?.format === "json"; // what reads it shall find nothing else there
  const server: EpollServer = listen(options, () => {
    return new EpollServer({
      ...options,
      ...(isService ? tellSystemd(() => server.stats) : {}),
      ...saying(isQuiet || trace?.format !== undefined),
      ...(traced === undefined ? {} : { trace: traced.options }),
    });
  });
  const signal = server.run(() => {
    if (isService) tell({ ready: true, status: `listening on ${server.url}` });
    // Not before: whoever reads this line may send a signal at once.
    const where = `listening on ${server.url} (${describeAll(server.addresses)}); stop with Ctrl-C`;
    if (isPure) printAside(where);
    else if (!isQuiet) printLine(where);
  });
  traced?.end();
  if (!isQuiet && !isPure) printLine(describeStats(server.stats));
  flushLines();
  return signal === undefined ? 0 : EXIT_CODES[signal];
}

/** A line for each request, and one for each trouble. */
export function saying(isQuiet: boolean): EpollServerOptions {
  return {
    ...(isQuiet ? {} : { onRequest: (request) => printLine(describeRequest(request)) }),
    onWarning: ({ message }) => showWarning(message),
  };
}

/** What cannot be told is no reason to end: the service manager draws its own conclusions. */
export function tell(state: ServiceState): void {
  try {
    notify(state);
  } catch (error) {
    log.warn(`systemd is not told: ${explain(error)}`);
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

/** The sentence to show for an error that ends the program, with a hint where one is known. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof ErrnoError)) return error.message;
  const hint = error.address === undefined ? undefined : hints[error.code];
  return hint === undefined ? error.message : `${error.message}\n${hint}`;
}

const hints: Record<string, string> = {
  EADDRINUSE: "Something is there already: stop it, or choose another place (--port 0 takes any free port).",
  EACCES: "It is forbidden here: ports below 1024 need root, a socket's path needs a directory you may write to.",
  EPERM: "It is forbidden here.",
  ENOENT: "The directory for the socket does not exist: create it first.",
  ENOTDIR: "A part of the path is no directory.",
};

export function showError(message: string): void {
  log.error(message);
}

export function showWarning(message: string): void {
  log.warn(message);
}
