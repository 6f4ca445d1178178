// File descriptor arguments, and the fcntl(2) flags that every adopted fd gets.

import { F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, O_NONBLOCK } from "./constants.ts";
import { check, invalidType } from "./errors.ts";
import type { Syscalls } from "./ffi.ts";
import { checkInt } from "./integers.ts";

/** A file descriptor, or an object with `fileno()`, such as a Socket or an Epoll. */
export type FdLike = number | { fileno(): number };

/**
 * Returns the file descriptor of an argument.
 *
 * @throws {TypeError} if `fd` is neither a number nor has `fileno()`
 * @throws {RangeError} if the number is not a valid file descriptor
 */
export function toFd(fd: FdLike): number {
  const number = typeof fd === "number" ? fd : typeof fd?.fileno === "function" ? fd.fileno() : undefined;
  if (typeof number !== "number") throw invalidType("fd", "an integer or an object with a fileno() method", fd);
  return checkInt("fd", number);
}

/**
 * Returns a file descriptor to take over. Objects that own one are not accepted, because two owners would close it.
 *
 * @throws {TypeError | RangeError} if `fd` is not a valid file descriptor
 */
export function checkFd(fd: number): number {
  return checkInt("fd", fd);
}

/** Sets O_NONBLOCK. @throws {ErrnoError} EBADF if the fd is not open */
export function setNonblocking(sys: Syscalls, fd: number): void {
  const flags = check(sys.fcntl(fd, F_GETFL, 0), "fcntl", fd);
  check(sys.fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl", fd);
}

/** Sets FD_CLOEXEC. @throws {ErrnoError} EBADF if the fd is not open */
export function setCloexec(sys: Syscalls, fd: number): void {
  const flags = check(sys.fcntl(fd, F_GETFD, 0), "fcntl", fd);
  check(sys.fcntl(fd, F_SETFD, flags | FD_CLOEXEC), "fcntl", fd);
}
