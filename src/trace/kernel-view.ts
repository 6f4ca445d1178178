// The kernel's view of the fds of a process: of this one, or of another one.

import { untracedSyscalls } from "../kernel/ffi.ts";
import { type Interest, interestList, openFileName } from "./interest-list.ts";
import type { FdSyscalls } from "./kernel-queries.ts";

/** What can be asked about the fds of a process. */
export interface KernelView {
  /** The process; undefined: this one. */
  readonly pid: number | undefined;
  /** System calls whose fds are those of the process. They fail with EPERM if asking is not permitted. */
  readonly sys: FdSyscalls;
  /**
   * Returns the kernel's interest list of an epoll instance.
   *
   * @throws {ErrnoError} EBADF if the fd is not open
   * @throws {TypeError} if the fd is not an epoll instance
   */
  interestList(epfd: number): Interest[];
  /**
   * Returns the kernel's name for an open file: `socket:[4711]`, `anon_inode:[eventpoll]`, a path.
   *
   * @throws {ErrnoError} EBADF if the fd is not open
   */
  openFileName(fd: number): string;
}

/** Returns the kernel's view of this process's fds. */
export function ownKernel(sys: () => FdSyscalls = untracedSyscalls): KernelView {
  return {
    pid: undefined,
    get sys() {
      return sys();
    },
    interestList,
    openFileName,
  };
}
