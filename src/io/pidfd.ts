// class PidFd: a process as a file descriptor, pidfd_open(2), which stays valid even if the PID is reused.

import { constants as os } from "node:os";
import { EAGAIN } from "../kernel/errno.ts";
import { check, checkInteger, invalidType } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { checkInt, MAX_INT } from "../kernel/integers.ts";
import { adoptFd, type FileKind, type OpenFd, openOr, OwnedFd } from "./owned-fd.ts";
import type { SignalName } from "./signals.ts";

/** Since Linux 6.9, pidfds are files of a file system of their own, with the process as the inode. */
const PIDFD: FileKind = ["a pidfd", /^(anon_inode:\[pidfd\]|pidfd:\[\d+\])$/];
const PIDFD_NONBLOCK = 0x800;
// waitid(2)
const WNOHANG = 1;
const WEXITED = 4;
const CLD_EXITED = 1;

/** How a process terminated. Either `code` or `signal` is null. */
export interface ProcessEnd {
  /** The process ID. */
  pid: number;
  /** The exit code; null if a signal terminated the process. */
  code: number | null;
  /** The signal that terminated the process; null if it exited. */
  signal: SignalName | null;
}

/**
 * A reference to a process. It is readable once the process has terminated, and stays valid if the PID is reused.
 *
 * @see pidfd_open(2)
 * @example
 * ```ts
 * using worker = new PidFd(pid);
 * watch(worker, EPOLLIN | EPOLLONESHOT, () => console.log("terminated"));
 * worker.kill("SIGTERM");
 * ```
 */
export class PidFd extends OwnedFd {
  /**
   * Opens a process.
   *
   * @param pid the process ID of any process in this PID namespace
   * @throws {ErrnoError} ESRCH if the process does not exist; EINVAL if the kernel has no PID that large
   * @throws {ErrnoError} EMFILE, ENFILE or ENOMEM if no file descriptor can be created
   * @throws {TypeError | RangeError} if `pid` is not an integer from 1 to 2147483647
   */
  constructor(pid: number);
  /** @internal takes ownership of an open file descriptor */
  constructor(pid: number, open: OpenFd);
  constructor(pid: number, open?: OpenFd) {
    checkInteger("pid", pid, 1, MAX_INT);
    // A pidfd is always close-on-exec.
    const create = (): number => check(syscalls().pidfd_open(pid, PIDFD_NONBLOCK), "pidfd_open");
    super("PidFd", openOr(open, "second", create));
  }

  /**
   * Takes ownership of a pidfd that was opened elsewhere.
   *
   * @param fd an open pidfd
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is not a valid file descriptor, or not a pidfd
   */
  static fromfd(fd: number): PidFd {
    return new PidFd(1, adoptFd(fd, PIDFD));
  }

  /**
   * Sends a signal. It never reaches another process that has reused the PID.
   *
   * @param signal a name or number; 0 only checks whether the process exists
   * @throws {ErrnoError} ESRCH if the process has terminated; EPERM without permission; EINVAL if the number is invalid
   * @throws {TypeError | RangeError} if the name is not the name of a signal, or the number is out of range
   * @throws {ClosedError} if this object is closed
   * @see pidfd_send_signal(2)
   */
  kill(signal: SignalName | number = "SIGTERM"): void {
    const number = toSignalNumber(signal);
    const fd = this.open("kill");
    check(this.sys.pidfd_send_signal(fd, number), "pidfd_send_signal", fd);
  }

  /**
   * Waits for a child process without blocking, and removes it from the process table.
   *
   * @returns how it terminated; `null` if it is still running
   * @throws {ErrnoError} ECHILD if the process is not a child of this one, or has already been waited for, as Bun does
   *   for the processes that it spawns
   * @throws {ClosedError} if this object is closed
   * @see waitid(2), P_PIDFD
   */
  wait(): ProcessEnd | null {
    const fd = this.open("wait");
    const info = new DataView(new ArrayBuffer(128));
    const n = this.sys.waitid(fd, new Uint8Array(info.buffer), WEXITED | WNOHANG);
    if (n === -EAGAIN) return null;
    check(n, "waitid", fd);
    // Offsets in siginfo_t on LP64: si_code 8, si_pid 16, si_status 24.
    const pid = info.getInt32(16, true);
    const status = info.getInt32(24, true);
    if (pid === 0) return null;
    if (info.getInt32(8, true) === CLD_EXITED) return { pid, code: status, signal: null };
    const signal = Object.entries(os.signals).find(([, number]) => number === status)?.[0];
    return { pid, code: null, signal: (signal ?? `SIG${status}`) as SignalName };
  }
}

function toSignalNumber(signal: SignalName | number): number {
  if (typeof signal === "number") return checkInt("signal", signal);
  const number =
    typeof signal === "string" && Object.hasOwn(os.signals, signal)
      ? (os.signals as Record<string, number>)[signal]
      : undefined;
  if (number === undefined) throw invalidType("signal", 'the name or number of a signal, such as "SIGTERM"', signal);
  return number;
}
