// class PidFd: a process, by a descriptor that never means another one.

import { constants as os } from "node:os";
import { EAGAIN } from "../kernel/errno.ts";
import { check } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { OwnedFd, takeOver } from "./owned-fd.ts";
import type { SignalName } from "./signals.ts";

const PIDFD_NONBLOCK = 0x800;
const [WNOHANG, WEXITED] = [1, 4];
const CLD_EXITED = 1;

/** How a process has ended: one of both. */
export interface ProcessEnd {
  pid: number;
  /** Its exit code; null if a signal ended it. */
  code: number | null;
  signal: SignalName | null;
}

/**
 * A process: readable when it has ended.
 *
 * @see pidfd_open(2)
 */
export class PidFd extends OwnedFd {
  /**
   * @param pid of any process of this machine
   * @throws {ErrnoError} ESRCH if there is none; EINVAL; EMFILE, ENFILE
   */
  constructor(pid: number);
  /** @internal `fd` is taken over */
  constructor(pid: number, fd?: number);
  constructor(pid: number, fd?: number) {
    if (!Number.isInteger(pid)) throw new TypeError(`a process has a number, not ${String(pid)}`);
    super(fd ?? check(syscalls().pidfd_open(pid, PIDFD_NONBLOCK), "pidfd_open")); // close-on-exec as it is
  }

  /** Take over a pidfd that was opened elsewhere. */
  static fromfd(fd: number): PidFd {
    return new PidFd(0, takeOver(fd));
  }

  /**
   * Send a signal; never to another process that has got the number since.
   *
   * @param signal by name or number; 0 only asks whether it is there
   * @throws {ErrnoError} ESRCH if it has ended; EPERM; EINVAL if there is no such signal
   * @see pidfd_send_signal(2)
   */
  kill(signal: SignalName | number = "SIGTERM"): void {
    const fd = this.open("kill");
    const number = typeof signal === "number" ? signal : (os.signals as Record<string, number>)[signal];
    if (number === undefined) throw new TypeError(`there is no signal ${String(signal)}`);
    check(syscalls().pidfd_send_signal(fd, number), "pidfd_send_signal", fd);
  }

  /**
   * Take how a child of this process has ended.
   *
   * @returns `null` if it has not
   * @throws {ErrnoError} ECHILD if it is no child, or somebody else has taken that, as Bun does of what it has spawned
   * @see waitid(2), P_PIDFD
   */
  wait(): ProcessEnd | null {
    const fd = this.open("wait");
    const info = new DataView(new ArrayBuffer(128));
    const n = syscalls().waitid(fd, new Uint8Array(info.buffer), WEXITED | WNOHANG);
    if (n === -EAGAIN) return null;
    check(n, "waitid", fd);
    // siginfo_t on LP64: si_code at 8, si_pid at 16, si_status at 24.
    const pid = info.getInt32(16, true);
    const status = info.getInt32(24, true);
    if (pid === 0) return null;
    if (info.getInt32(8, true) === CLD_EXITED) return { pid, code: status, signal: null };
    const signal = Object.entries(os.signals).find(([, number]) => number === status)?.[0];
    return { pid, code: null, signal: (signal ?? `SIG${status}`) as SignalName };
  }
}
