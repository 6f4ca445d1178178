// class OwnedFd: the base class of all objects that own a file descriptor and close it.

import { F_DUPFD_CLOEXEC, F_GETFD } from "../kernel/constants.ts";
import { EAGAIN, EINTR } from "../kernel/errno.ts";
import { check, ClosedError, invalidType, invalidValue } from "../kernel/errors.ts";
import { checkFd, setCloexec, setNonblocking } from "../kernel/fd.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import { nodeFs } from "../kernel/node-fs.ts";
import { retryInterrupted, transferLength, WOULD_BLOCK } from "./transfer.ts";

/**
 * An open file descriptor for a constructor to own, instead of opening one. The package does not export this class: a
 * number passed by mistake, such as the size hint of Python's `select.epoll(16)`, must never be taken over and closed.
 */
export class OpenFd {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }
}

/**
 * Returns the file descriptor for a constructor to own: one that is open already, or the result of `open`.
 *
 * @param argument which argument of the constructor `given` is, for the message
 * @throws {TypeError} if `given` is anything else, such as a number
 */
export function openOr(given: OpenFd | undefined, argument: string, open: () => number): number {
  if (given === undefined) return open();
  if (given instanceof OpenFd) return given.fd;
  throw invalidType(`the ${argument} argument`, "omitted (to own an open file descriptor, use fromfd)", given);
}

/** Returns the system calls that a constructor was given. @throws {TypeError} if they are anything else */
export function checkSyscalls(sys: Syscalls, argument: string): Syscalls {
  if (typeof sys?.close === "function" && typeof sys.epoll_ctl === "function") return sys;
  throw invalidType(`the ${argument} argument`, "omitted", sys);
}

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

  /**
   * @internal Reads into or writes from `bytes` and returns the number of bytes, or WOULD_BLOCK.
   *
   * @param attempt makes the system call, if it is another one
   */
  protected transfer(
    call: "read" | "write",
    bytes: Uint8Array,
    method: string = call,
    attempt: (fd: number, length: number) => number = (fd, length) => this.sys[call](fd, bytes, 0, length),
  ): number {
    let fd = -1;
    let length = 0;
    const name = call === "read" ? "buffer" : "data";
    // Looked up before each attempt: the listener of a trace, which runs between them, may change both.
    const n = retryInterrupted(() => {
      fd = this.open(method);
      length = transferLength(bytes, name);
      return attempt(fd, length);
    });
    return n === -EAGAIN ? WOULD_BLOCK : Math.min(check(n, call, fd), length);
  }
}

/** A kind of file, for messages, and the pattern of its names in /proc/self/fd. */
export type FileKind = readonly [name: string, pattern: RegExp];

/**
 * Makes a file descriptor that was opened elsewhere non-blocking and close-on-exec, and returns it.
 *
 * @param kind the kind of file that it must be. Without /proc, it is not checked
 * @throws {ErrnoError} EBADF if it is not open
 * @throws {TypeError | RangeError} if it is not a valid file descriptor, or another kind of file
 */
export function adoptFd(fd: number, kind?: FileKind): OpenFd {
  const number = checkFd(fd);
  const sys = syscalls();
  if (kind !== undefined) checkKind(sys, number, kind);
  setNonblocking(sys, number);
  setCloexec(sys, number);
  return new OpenFd(number);
}

/**
 * Checks what kind of file a file descriptor refers to.
 *
 * @throws {ErrnoError} EBADF if it is not open
 * @throws {RangeError} if it is another kind of file
 */
export function checkKind(sys: Syscalls, fd: number, [name, pattern]: FileKind): void {
  check(sys.fcntl(fd, F_GETFD, 0), "fcntl", fd);
  const file = openFileName(fd);
  if (file !== undefined && !pattern.test(file)) throw invalidValue(`fd ${fd} is not ${name}: it is ${file}`);
}

/** Returns the kernel's name of an open file, such as `pipe:[4711]`; undefined without /proc. */
export function openFileName(fd: number): string | undefined {
  try {
    return nodeFs().readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
