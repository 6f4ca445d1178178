// The kernel's interest list of an epoll instance, read from /proc and compared with the masks that a program has registered.

import { F_GETFD } from "../kernel/constants.ts";
import { formatMask } from "../kernel/format-mask.ts";
import { EBADF } from "../kernel/errno.ts";
import { ErrnoError, invalidType } from "../kernel/errors.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import { untracedSyscalls } from "../kernel/ffi.ts";
import { check32Bit } from "../kernel/integers.ts";
import { nodeFs } from "../kernel/node-fs.ts";
import { compareMasks } from "./compare-masks.ts";

/** The data of the registration that makes a bridge thread exit; see native/bridge-thread.c. */
const BRIDGE_DATA = "62726467ffffffff";
/** The token with which the debugger registers the eventfd that interrupts a wait. */
export const DEBUGGER_TOKEN = 0x64656267;
const DEBUGGER_DATA: RegExp = /^64656267[\da-f]{8}$/;

/** An entry of the kernel's interest list. */
export interface Interest {
  /** The registered fd. */
  fd: number;
  /**
   * The kernel mask: the registered mask with EPOLLERR and EPOLLHUP, which the kernel always adds. If EPOLLONESHOT has disarmed the
   * fd, only flags such as EPOLLONESHOT are left.
   */
  mask: number;
}

/**
 * Returns the kernel's interest list of an epoll instance, ordered by fd, without the registration of this package's own
 * bridge to Bun's event loop and of the debugger.
 *
 * @throws {ErrnoError} EBADF if the fd is not open
 * @throws {TypeError} if the fd is not an epoll instance
 * @see proc_pid_fdinfo(5)
 */
export function interestList(epoll: FdLike): Interest[] {
  const epfd = toFd(epoll);
  return interestListOf("self", epfd);
}

/**
 * Returns the interest list of an epoll instance of a process.
 *
 * @param pid its process; `self`: this one
 * @throws {ErrnoError} EBADF if the fd is not open
 * @throws {TypeError} if the fd is not an epoll instance
 */
export function interestListOf(pid: number | "self", epfd: number): Interest[] {
  const text = readProc(pid, epfd, "fdinfo", (path) => nodeFs().readFileSync(path, "utf8"));
  if (openFileNameOf(pid, epfd) !== "anon_inode:[eventpoll]")
    throw invalidType("epoll", "the fd of an epoll instance", epfd);
  return [...text.matchAll(/^tfd:\s*(\d+) events:\s*([\da-f]+) data:\s*([\da-f]+)/gm)]
    .filter(([, , , data = ""]) => data !== BRIDGE_DATA && !DEBUGGER_DATA.test(data))
    .map(([, fd, mask]) => ({ fd: Number(fd), mask: Number.parseInt(mask as string, 16) }))
    .sort((a, b) => a.fd - b.fd);
}

/** A difference between the registered mask and the kernel mask of an fd. */
export interface InterestDifference {
  fd: number;
  /** The registered mask; undefined if the program has not registered the fd. */
  registeredMask: number | undefined;
  /** The kernel mask; undefined if the kernel does not watch the fd. */
  kernelMask: number | undefined;
  /** The difference in a sentence. */
  message: string;
}

/**
 * Compares the masks that a program has registered with the kernel's interest list.
 *
 * @param registered the registered masks, by fd
 * @returns the differences, ordered by fd; empty if there are none
 * @throws {ErrnoError} EBADF if the fd is not open
 * @throws {TypeError} if the fd is not an epoll instance, or `registered` is not a Map of masks
 */
export function compareInterest(registered: ReadonlyMap<number, number>, epoll: FdLike): InterestDifference[] {
  if (typeof registered?.get !== "function" || typeof registered.keys !== "function") {
    throw invalidType("registered", "a Map of masks by fd", registered);
  }
  return compareMaskLists(registered, interestList(epoll), isOpen);
}

/**
 * Compares the masks that a program has registered with the kernel's interest list.
 *
 * @param registered the registered masks, by fd
 * @param isOpen returns whether an fd of the program is open
 */
export function compareMaskLists(
  registered: ReadonlyMap<number, number>,
  kernel: readonly Interest[],
  isOpen: (fd: number) => boolean,
): InterestDifference[] {
  const kernelMasks = new Map(kernel.map(({ fd, mask }) => [fd, mask]));
  const fds = [...new Set([...registered.keys(), ...kernelMasks.keys()])].sort((a, b) => a - b);
  return fds.flatMap((fd) => {
    const registeredMask = registered.get(fd);
    if (registeredMask !== undefined) check32Bit("a mask of registered", registeredMask);
    const kernelMask = kernelMasks.get(fd);
    const message = describeDifference(registeredMask, kernelMask, () => isOpen(fd));
    return message === undefined ? [] : [{ fd, registeredMask, kernelMask, message: `${fd}: ${message}` }];
  });
}

function describeDifference(
  registeredMask: number | undefined,
  kernelMask: number | undefined,
  isOpen: () => boolean,
): string | undefined {
  if (registeredMask === undefined) {
    const reason = isOpen()
      ? "code that is not traced has registered it, or a duplicate of a closed fd with the same number keeps its file open"
      : "it was closed, and a duplicate keeps its file open";
    return `watched by the kernel, but not registered by the program: ${reason}`;
  }
  if (kernelMask === undefined) {
    const reason = isOpen()
      ? "the file that was registered was closed, and another one has its number now; or code that is not traced has unregistered it"
      : "the fd was closed";
    return `registered by the program, but not watched by the kernel: ${reason}`;
  }
  switch (compareMasks(registeredMask, kernelMask)) {
    case "same":
      return undefined;
    case "disarmed":
      return "EPOLLONESHOT has reported its event: nothing more is reported until the fd is re-armed (EPOLL_CTL_MOD)";
    case "different":
      return `the registered mask is ${formatMask(registeredMask)}, the kernel mask is ${formatMask(kernelMask)}`;
  }
}

/**
 * Returns the kernel's name for the open file: `socket:[4711]`, `anon_inode:[eventpoll]`, a path.
 *
 * @throws {ErrnoError} EBADF if the fd is not open
 */
export function openFileName(fd: number): string {
  return openFileNameOf("self", fd);
}

/**
 * Returns the kernel's name for an open file of a process.
 *
 * @param pid its process; `self`: this one
 * @throws {ErrnoError} EBADF if the fd is not open
 */
export function openFileNameOf(pid: number | "self", fd: number): string {
  return readProc(pid, fd, "fd", (path) => nodeFs().readlinkSync(path));
}

function isOpen(fd: number): boolean {
  return untracedSyscalls().fcntl(fd, F_GETFD, 0) >= 0;
}

function readProc<T>(pid: number | "self", fd: number, directory: "fd" | "fdinfo", read: (path: string) => T): T {
  try {
    return read(`/proc/${pid}/${directory}/${fd}`);
  } catch {
    throw new ErrnoError(EBADF, directory === "fd" ? "readlink" : "open", { fd });
  }
}
