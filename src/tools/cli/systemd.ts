// The flag --systemd: takes over the sockets passed by systemd, and reports the state of the service.

import {
  type EpollServerOptions,
  listenFds,
  notify,
  type ServerStats,
  type ServiceState,
  watchdogIntervalMs,
} from "../../index.ts";
import { formatStats } from "./format.ts";
import { describeError, logWarning } from "./logger.ts";

/** Returns the sockets passed by systemd. @throws {Error} if none were passed to this process */
export function inheritedFds(): number[] {
  const { LISTEN_PID } = process.env;
  const fds = listenFds().map(({ fd }) => fd);
  if (fds.length > 0) return fds;
  if (LISTEN_PID === String(process.ppid)) {
    throw new Error(
      "--systemd: the sockets were passed to the parent process, which did not pass them on (as bunx does not)\n" +
        "Run the command itself: systemd-socket-activate -l 8800 node_modules/.bin/epoll-hello --systemd",
    );
  }
  throw new Error(
    "--systemd: no sockets were passed to this process\n" +
      "Start it from a systemd socket unit, or: systemd-socket-activate -l 8800 node_modules/.bin/epoll-hello --systemd",
  );
}

/** Notifies the service manager. A failure is only a warning: the service manager itself handles a missing notification. */
export function reportState(state: ServiceState): void {
  try {
    notify(state);
  } catch (error) {
    logWarning(`cannot notify systemd: ${describeError(error)}`);
  }
}

/** Returns server options that notify the service manager when the server stops, and keep its watchdog from expiring. */
export function serviceOptions(stats: () => ServerStats): EpollServerOptions {
  const intervalMs = watchdogIntervalMs();
  const beat = (): void => reportState({ watchdog: true, status: formatStats(stats()) });
  return {
    onStopping: () => reportState({ stopping: true }),
    ...(intervalMs === undefined ? {} : { heartbeat: { everyMs: intervalMs / 2, beat } }),
  };
}
