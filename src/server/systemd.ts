// What systemd and its services say to each other: sockets handed over, readiness, the watchdog.

import { AF_UNIX, SOCK_DGRAM } from "../kernel/constants.ts";
import { setCloexec } from "../kernel/fd.ts";
import { syscalls } from "../kernel/ffi.ts";
import { checkRequirements } from "../kernel/requirements.ts";
import { Socket } from "../io/socket.ts";
import { WOULD_BLOCK } from "../io/transfer.ts";

const FIRST_FD = 3; // SD_LISTEN_FDS_START

/** A descriptor that was handed over at the start. */
export interface ListenFd {
  fd: number;
  /** From `FileDescriptorName=` or `--fdname`; `"unknown"` if it was given none. */
  name: string;
}

/**
 * Take the descriptors that the process was started with: LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.
 *
 * They become close-on-exec, and are the caller's: `new EpollServer({ fd: listenFds().map(({ fd }) => fd) })`. The variables
 * are removed, so that children do not take them for theirs, and a second call returns none.
 *
 * @returns in the order of the units' sockets; `[]` if there are none for this process
 * @throws {Error} if the variables are malformed
 * @throws {ErrnoError} EBADF if one of them is not open
 * @see sd_listen_fds_with_names(3)
 */
export function listenFds(): ListenFd[] {
  checkRequirements();
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } = process.env;
  if (LISTEN_FDS === undefined || LISTEN_PID === undefined) return [];
  if (wholeNumber("LISTEN_PID", LISTEN_PID) !== process.pid) return [];
  const count = wholeNumber("LISTEN_FDS", LISTEN_FDS);
  const names = LISTEN_FDNAMES === undefined || LISTEN_FDNAMES === "" ? [] : LISTEN_FDNAMES.split(":");
  if (names.length > 0 && names.length !== count) {
    throw new Error(`LISTEN_FDNAMES names ${names.length} descriptors, and LISTEN_FDS says ${count}`);
  }
  for (const name of ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]) delete process.env[name];
  return Array.from({ length: count }, (_, i) => {
    const fd = FIRST_FD + i;
    const sys = syscalls();
    setCloexec(sys, fd);
    return { fd, name: names[i] ?? "unknown" };
  });
}

/** What a service says of itself; sd_notify(3). */
export interface ServiceState {
  /** It serves. */
  ready?: true | undefined;
  /** It is about to end. */
  stopping?: true | undefined;
  /** It reads its configuration anew; say `ready` afterwards. */
  reloading?: true | undefined;
  /** It is alive. */
  watchdog?: true | undefined;
  /** A line for people. */
  status?: string | undefined;
  /** Its main process, if that is another. */
  mainPid?: number | undefined;
}

/**
 * Tell the service manager.
 *
 * @returns whether there is one that wants to hear: NOTIFY_SOCKET is set, and has room
 * @throws {ErrnoError} ECONNREFUSED, ENOENT, EACCES, … if nobody hears at NOTIFY_SOCKET
 * @throws {RangeError} if the status has more than one line
 * @see sd_notify(3)
 * @example
 * ```ts
 * await server.start();
 * notify({ ready: true, status: `listening on ${server.url}` });
 * ```
 */
export function notify(state: ServiceState): boolean {
  checkRequirements();
  const lines = linesOf(state);
  const path = process.env["NOTIFY_SOCKET"];
  if (path === undefined || path === "") return false;
  if (!/^[/@]/.test(path)) throw new Error(`NOTIFY_SOCKET is ${path}: only a path or an @abstract name is understood`);
  const socket = new Socket(AF_UNIX, SOCK_DGRAM);
  try {
    return socket.sendto(lines.join("\n"), { path: path.replace(/^@/, "\0") }) !== WOULD_BLOCK;
  } finally {
    socket.close();
  }
}

/**
 * How often the service manager wants to hear `watchdog`; say it twice as often.
 *
 * @returns milliseconds; undefined if it does not want to
 * @throws {Error} if the variables are malformed
 * @see sd_watchdog_enabled(3)
 */
export function watchdogIntervalMs(): number | undefined {
  const { WATCHDOG_USEC, WATCHDOG_PID } = process.env;
  if (WATCHDOG_USEC === undefined) return undefined;
  if (WATCHDOG_PID !== undefined && wholeNumber("WATCHDOG_PID", WATCHDOG_PID) !== process.pid) return undefined;
  const us = wholeNumber("WATCHDOG_USEC", WATCHDOG_USEC);
  if (us === 0) throw new Error("WATCHDOG_USEC is 0");
  return us / 1000;
}

function linesOf({ ready, stopping, reloading, watchdog, status, mainPid }: ServiceState): string[] {
  if (status?.includes("\n")) throw new RangeError("a status is one line");
  const lines: string[] = [];
  // Both of CLOCK_MONOTONIC; Bun's own clock starts with the process.
  if (reloading) lines.push("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  if (ready) lines.push("READY=1");
  if (stopping) lines.push("STOPPING=1");
  if (status !== undefined) lines.push(`STATUS=${status}`);
  if (mainPid !== undefined) lines.push(`MAINPID=${mainPid}`);
  if (watchdog) lines.push("WATCHDOG=1");
  return lines;
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error(`${name} is no number: ${JSON.stringify(text)}`);
  return Number(text);
}
