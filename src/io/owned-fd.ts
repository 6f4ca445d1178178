// class OwnedFd: what all the descriptors here have in common: a number that is theirs to close.

import { F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, O_NONBLOCK } from "../kernel/constants.ts";
import { EAGAIN, EINTR } from "../kernel/errno.ts";
import { check, ClosedError } from "../kernel/errors.ts";
import { toFd } from "../kernel/fd.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import { WOULD_BLOCK } from "./socket.ts";

/** What read(2) takes at once. */
export const MAX_BYTES: number = 0x7ffff000;

/** A descriptor that this object owns: `close` closes it, and nothing else does. What is asked of it never blocks. */
export class OwnedFd implements Disposable {
  #fd: number;

  /** @internal `fd` is taken over */
  constructor(fd: number) {
    this.#fd = fd;
  }

  fileno(): number {
    return this.open("fileno");
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  /**
   * Duplicate the descriptor: another number for the same open file, close-on-exec.
   *
   * @returns a number that the caller owns, to hand to a Worker or a child
   * @throws {ErrnoError} EMFILE
   * @see fcntl(2), F_DUPFD_CLOEXEC
   */
  dup(): number {
    const fd = this.open("dup");
    return check(syscalls().fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl", fd);
  }

  /** Give the descriptor away: the caller owns it from now on, and this object is closed. */
  detach(): number {
    const fd = this.open("detach");
    syscalls().disown(fd);
    this.#fd = -1;
    return fd;
  }

  /** Close it. Closing twice is fine. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    const n = syscalls().close(fd);
    if (n !== -EINTR) check(n, "close", fd); // after EINTR it is closed on Linux
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal The number, unless it is closed. */
  protected open(method: string): number {
    if (this.#fd < 0) throw new ClosedError(`${this.constructor.name}.${method}`);
    return this.#fd;
  }

  /** @internal */
  protected transfer(method: string, bytes: Uint8Array): number {
    const fd = this.open(method);
    const sys: Syscalls = syscalls();
    const call = method === "write" ? "write" : "read";
    const length = Math.min(bytes.byteLength, MAX_BYTES);
    for (;;) {
      const n = sys[call](fd, bytes, 0, length);
      if (n === -EAGAIN) return WOULD_BLOCK;
      if (n !== -EINTR) return check(n, call, fd);
    }
  }
}

/** Make a descriptor that was opened elsewhere one of ours. */
export function takeOver(fd: number): number {
  if (typeof fd !== "number") throw new TypeError("fromfd takes a descriptor's number");
  const sys = syscalls();
  const number = toFd(fd);
  const flags = check(sys.fcntl(number, F_GETFL, 0), "fcntl", number);
  check(sys.fcntl(number, F_SETFL, flags | O_NONBLOCK), "fcntl", number);
  check(
    sys.fcntl(number, F_SETFD, check(sys.fcntl(number, F_GETFD, 0), "fcntl", number) | FD_CLOEXEC),
    "fcntl",
    number,
  );
  return number;
}
