// The interface to systemd: inherited sockets, readiness and status notifications, and the watchdog.

import { AF_UNIX, SOCK_DGRAM } from "../kernel/constants.ts";
import { checkInteger, ErrnoError, invalidType, invalidValue } from "../kernel/errors.ts";
import { setCloexec } from "../kernel/fd.ts";
import { syscalls } from "../kernel/ffi.ts";
import { MAX_INT } from "../kernel/integers.ts";
import { checkRequirements } from "../kernel/requirements.ts";
import { Socket } from "../io/socket.ts";
import { WOULD_BLOCK } from "../io/transfer.ts";

const FIRST_FD = 3; // SD_LISTEN_FDS_START
const MAX_INT32 = 0x7fffffff;

/** A file descriptor passed by the service manager. */
export interface ListenFd {
  /** The file descriptor. */
  fd: number;
  /** The name from `FileDescriptorName=` or `--fdname`; `"unknown"` if there is none. */
  name: string;
}

/**
 * Returns the file descriptors that systemd, or another service manager, passed to this process (LISTEN_FDS, LISTEN_PID,
 * LISTEN_FDNAMES).
 *
 * The caller owns them: `new EpollServer({ fd: listenFds().map(({ fd }) => fd) })`. They are made close-on-exec, and the
 * variables are removed so that child processes do not use them. A second call therefore returns `[]`.
 *
 * @returns the fds in the order of the socket unit; `[]` if none were passed to this process
 * @throws {RangeError} if the variables are malformed
 * @throws {ErrnoError} EBADF if one of the fds is not open; the message names it
 * @see sd_listen_fds_with_names(3)
 */
export function listenFds(): ListenFd[] {
  checkRequirements();
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } = process.env;
  if (LISTEN_FDS === undefined || LISTEN_PID === undefined) return [];
  if (parseInteger("LISTEN_PID", LISTEN_PID, MAX_INT32) !== process.pid) return [];
  const count = parseInteger("LISTEN_FDS", LISTEN_FDS, MAX_INT32);
  const names = LISTEN_FDNAMES === undefined || LISTEN_FDNAMES === "" ? [] : LISTEN_FDNAMES.split(":");
  if (names.length > 0 && names.length !== count) {
    throw invalidValue(`LISTEN_FDNAMES has ${names.length} names, but LISTEN_FDS is ${count}`);
  }
  for (const name of ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]) delete process.env[name];
  const fds: ListenFd[] = [];
  for (let i = 0; i < count; i++) {
    const fd = FIRST_FD + i;
    closeOnExec(fd, count);
    fds.push({ fd, name: names[i] ?? "unknown" });
  }
  return fds;
}

function closeOnExec(fd: number, count: number): void {
  try {
    setCloexec(syscalls(), fd);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    const hint = `LISTEN_FDS is ${count}, but the file descriptor ${fd} is not open`;
    throw new ErrnoError(-error.errno, error.syscall, { fd, hint });
  }
}

/** The state of a service, as `notify` reports it; see sd_notify(3). */
export interface ServiceState {
  /** The service has started, or has reloaded its configuration: READY=1. */
  ready?: true | undefined;
  /** The service begins to stop: STOPPING=1. */
  stopping?: true | undefined;
  /** The service reloads its configuration: RELOADING=1. Send `ready` afterwards. */
  reloading?: true | undefined;
  /** The service is alive: WATCHDOG=1. Send it at least every `watchdogIntervalMs()`. */
  watchdog?: true | undefined;
  /** One line for the operator, which `systemctl status` shows: STATUS=…. */
  status?: string | undefined;
  /** The pid of the main process, if it is another process: MAINPID=…. */
  mainPid?: number | undefined;
}

/**
 * Reports the state of the service to the service manager.
 *
 * @returns true if the message was sent; false if NOTIFY_SOCKET is not set, or its receive queue is full
 * @throws {ErrnoError} ECONNREFUSED, ENOENT, EACCES, … if nothing receives at NOTIFY_SOCKET
 * @throws {TypeError | RangeError} if a field has the wrong type, the status has more than one line, or NOTIFY_SOCKET is not a path or an @abstract name
 * @see sd_notify(3)
 * @example
 * ```ts
 * await server.start();
 * notify({ ready: true, status: `listening on ${server.url}` });
 * ```
 */
export function notify(state: ServiceState): boolean {
  checkRequirements();
  if (typeof state !== "object" || state === null) throw invalidType("state", "{ ready, status, … }", state);
  const lines = messageLines(state);
  const path = process.env["NOTIFY_SOCKET"];
  if (path === undefined || path === "") return false;
  if (!/^[/@]/.test(path)) {
    throw invalidValue(`NOTIFY_SOCKET must be an absolute path or an @abstract name; it is ${JSON.stringify(path)}`);
  }
  const socket = new Socket(AF_UNIX, SOCK_DGRAM);
  try {
    return socket.sendto(lines.join("\n"), { path: path.replace(/^@/, "\0") }) !== WOULD_BLOCK;
  } finally {
    socket.close();
  }
}

/**
 * Returns the watchdog interval of the service manager (`WatchdogSec=`). Send `watchdog` twice as often.
 *
 * @returns milliseconds; undefined if there is no watchdog for this process
 * @throws {RangeError} if WATCHDOG_USEC or WATCHDOG_PID is malformed
 * @see sd_watchdog_enabled(3)
 */
export function watchdogIntervalMs(): number | undefined {
  const { WATCHDOG_USEC, WATCHDOG_PID } = process.env;
  if (WATCHDOG_USEC === undefined) return undefined;
  if (WATCHDOG_PID !== undefined && parseInteger("WATCHDOG_PID", WATCHDOG_PID, MAX_INT32) !== process.pid)
    return undefined;
  const us = parseInteger("WATCHDOG_USEC", WATCHDOG_USEC, Number.MAX_SAFE_INTEGER);
  if (us === 0) throw invalidValue("WATCHDOG_USEC must be greater than 0; it is 0");
  return us / 1000;
}

function messageLines({ ready, stopping, reloading, watchdog, status, mainPid }: ServiceState): string[] {
  if (status !== undefined && typeof status !== "string") throw invalidType("status", "a string", status);
  if (mainPid !== undefined) checkInteger("mainPid", mainPid, 1, MAX_INT);
  if (status?.includes("\n")) throw invalidValue("status must be one line; it contains a line break");
  const lines: string[] = [];
  // systemd wants CLOCK_MONOTONIC. process.hrtime is that; performance.now() starts with the process.
  if (reloading) lines.push("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  if (ready) lines.push("READY=1");
  if (stopping) lines.push("STOPPING=1");
  if (status !== undefined) lines.push(`STATUS=${status}`);
  if (mainPid !== undefined) lines.push(`MAINPID=${mainPid}`);
  if (watchdog) lines.push("WATCHDOG=1");
  return lines;
}

function parseInteger(name: string, text: string, max: number): number {
  if (/^\d+$/.test(text) && Number(text) <= max) return Number(text);
  const shown = JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
  throw invalidValue(`${name} must be an integer from 0 to ${max}; it is ${shown}`);
}
