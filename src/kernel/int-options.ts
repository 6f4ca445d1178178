// Socket options whose value is an int, read with getsockopt(2).

import { check } from "./errors.ts";
import type { Syscalls } from "./ffi.ts";

/**
 * Returns the value of an int option.
 *
 * @throws {ErrnoError} ENOTSOCK, EBADF, ENOPROTOOPT, …; see getsockopt(2)
 */
export function getIntOption(sys: Pick<Syscalls, "getsockopt">, fd: number, level: number, option: number): number {
  const value = new Int32Array(new ArrayBuffer(4)); // not shared: the kernel writes a single byte for some options
  check(sys.getsockopt(fd, level, option, value, 4), "getsockopt", fd);
  return value[0] as number;
}

/** Returns the value of an int option, or undefined if it cannot be read. */
export function tryGetIntOption(
  sys: Pick<Syscalls, "getsockopt">,
  fd: number,
  level: number,
  option: number,
): number | undefined {
  const value = new Int32Array(new ArrayBuffer(4));
  return sys.getsockopt(fd, level, option, value, 4) < 0 ? undefined : value[0];
}
