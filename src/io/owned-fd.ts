// class OwnedFd: the base class of all objects that own a file descriptor and close it.

import { F_DUPFD_CLOEXEC } from "../kernel/constants.ts";
import { EAGAIN, EINTR } from "../kernel/errno.ts";
import { check, ClosedError, invalidType } from "../kernel/errors.ts";
import { setCloexec, setNonblocking, toFd } from "../kernel/fd.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import { retryInterrupted, transferLength, WOULD_BLOCK } from "./transfer.ts";

/**
 * An owned file descriptor. Only `close` closes it; the garbage collector never does. Every method except
 * `close` throws a ClosedError after `close` or `detach`.
 */
export class OwnedFd implements Disposable {
  readonly #className: string;
  // Private, with a getter for subclasses, so that `console.log(socket)` does not print all system calls.
  readonly #sys: Syscalls;
  #fd: number;

  /**
   * @internal
   * @param className for messages; `constructor.name` is changed by minifiers
   * @param fd the file descriptor to own
   * @param sys replaces the kernel's system calls
   */
  constructor(className: string, fd: number, sys: Syscalls = syscalls()) {
    this.#className = className;
    this.#fd = fd;
    this.#sys = sys;
    sys.own(fd);
  }

  /**
   * Returns the file descriptor.
   *
   * @throws {ClosedError} if this object is closed
   */
  fileno(): number {
    return this.open("fileno");
  }

  /** Whether the file descriptor has been closed or detached. */
  get closed(): boolean {
    return this.#fd < 0;
  }

  /**
   * Duplicates the file descriptor: the new one refers to the same open file description and is close-on-exec.
   *
   * @returns a file descriptor that the caller owns and can pass to a Worker or a child process
   * @throws {ErrnoError} EMFILE if the process has too many open file descriptors
   * @throws {ClosedError} if this object is closed
   * @see fcntl(2), F_DUPFD_CLOEXEC
   */
  dup(): number {
    const fd = this.open("dup");
    return check(this.sys.fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl", fd);
  }

  /**
   * Gives up ownership: this object is closed, and the caller must close the file descriptor.
   *
   * @returns the file descriptor
   * @throws {ClosedError} if this object is closed
   */
  detach(): number {
    const fd = this.open("detach");
    this.sys.disown(fd);
    this.#fd = -1;
    return fd;
  }

  /**
   * Closes the file descriptor. Closing twice has no effect.
   *
   * @throws {ErrnoError} EBADF if the file descriptor was closed elsewhere
   * @see close(2)
   */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    const n = this.sys.close(fd);
    if (n !== -EINTR) check(n, "close", fd); // on Linux the fd is closed even after EINTR
  }

  /** Closes the file descriptor. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  protected get sys(): Syscalls {
    return this.#sys;
  }

  /** @internal Returns the file descriptor, or throws a ClosedError that names the method. */
  protected open(method: string): number {
    if (this.#fd < 0) throw new ClosedError(`${this.#className}.${method}`);
    return this.#fd;
  }

  /** @internal Reads into or writes from `bytes` and returns the number of bytes, or WOULD_BLOCK. */
  protected transfer(call: "read" | "write", bytes: Uint8Array, method: string = call): number {
    const fd = this.open(method);
    const n = retryInterrupted(() => this.sys[call](fd, bytes, 0, transferLength(bytes)));
    return n === -EAGAIN ? WOULD_BLOCK : check(n, call, fd);
  }
}

/**
 * Makes a file descriptor that was opened elsewhere non-blocking and close-on-exec, and returns it.
 *
 * @throws {ErrnoError} EBADF if it is not open
 * @throws {TypeError | RangeError} if it is not a valid file descriptor
 */
export function adoptFd(fd: number): number {
  if (typeof fd !== "number") throw invalidType("fd", "an integer from 0 to 2147483647", fd);
  const sys = syscalls();
  const number = toFd(fd);
  setNonblocking(sys, number);
  setCloexec(sys, number);
  return number;
}
