// Checks whether file descriptors are free, before code that does not handle their absence.

import { EFD_CLOEXEC } from "./constants.ts";
import { check } from "./errors.ts";
import type { Syscalls } from "./ffi.ts";

/** @throws {ErrnoError} EMFILE, ENFILE or ENOMEM if the process cannot open `count` file descriptors */
export function checkFreeFds(sys: Syscalls, count: number): void {
  const fds: number[] = [];
  try {
    while (fds.length < count) fds.push(check(sys.eventfd(0, EFD_CLOEXEC), "eventfd"));
  } finally {
    for (const fd of fds) sys.close(fd);
  }
}
