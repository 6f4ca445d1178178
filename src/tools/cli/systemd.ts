// What --systemd does: takes the sockets passed by systemd, and reports the state of the service.

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

/** @throws {Error} if no sockets were passed to this process */
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

/** Reports to the service manager. If that fails, the server goes on, and the service manager acts on the missing report. */
export function reportState(state: ServiceState): void {
  try {
    notify(state);
  } catch (error) {
    logWarning(`cannot notify systemd: ${describeError(error)}`);
  }
}

/** Returns server options that report stopping, and the watchdog from the loop itself. */
export function serviceOptions(stats: () => ServerStats): EpollServerOptions {
  const intervalMs = watchdogIntervalMs();
  const beat = (): void => reportState({ watchdog: true, status: formatStats(stats()) });
  return {
    onStopping: () => reportState({ stopping: true }),
    ...(intervalMs === undefined ? {} : { heartbeat: { everyMs: intervalMs / 2, beat } }),
  };
}
