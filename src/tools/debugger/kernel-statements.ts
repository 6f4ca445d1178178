// Statements about the present: why epoll_wait reports an fd or not, and how the registered masks differ from the kernel's.

import { explainReadiness } from "../../trace/explain-readiness.ts";
import { inspectFd } from "../../trace/fd-info.ts";
import { compareInterest, interestList } from "../../trace/interest-list.ts";
import type { EntryRegistration, FdEntry } from "./fd-table.ts";

/**
 * Explains why each epoll instance reports an fd, or does not.
 *
 * @throws {ErrnoError} EBADF if the fd is not open
 */
export function explainFd(fd: number, registrations: readonly EntryRegistration[]): string {
  const withKernelMasks = registrations.map(({ epfd, mask }) => ({ epfd, mask, kernelMask: kernelMaskOf(epfd, fd) }));
  return explainReadiness(inspectFd(fd), withKernelMasks);
}

/** The differences between the registered masks and the kernel's interest lists. */
export interface Comparison {
  /** One sentence for each difference. */
  messages: string[];
  /** The number of registrations. */
  registered: number;
  /** The number of epoll instances. */
  instances: number;
}

/** Compares the registered masks of each epoll instance with the kernel's interest list. */
export function compareInstances(entries: readonly FdEntry[]): Comparison {
  const masks = new Map<number, Map<number, number>>();
  for (const { fd, kind } of entries) if (kind === "epoll") masks.set(fd, new Map());
  for (const { fd, registrations } of entries) {
    for (const { epfd, mask } of registrations) masks.get(epfd)?.set(fd, mask);
  }
  const messages = [...masks].flatMap(([epfd, registered]) => differencesOf(epfd, registered));
  const registered = [...masks.values()].reduce((sum, { size }) => sum + size, 0);
  return { messages, registered, instances: masks.size };
}

function differencesOf(epfd: number, registered: ReadonlyMap<number, number>): string[] {
  try {
    return compareInterest(registered, epfd).map(({ message }) => `epoll fd ${epfd}, fd ${message}`);
  } catch {
    return [`epoll fd ${epfd}: closed by code that is not traced`];
  }
}

/** Returns `null` if the kernel does not watch the fd, and undefined if the instance is not open. */
function kernelMaskOf(epfd: number, fd: number): number | null | undefined {
  try {
    return interestList(epfd).find((interest) => interest.fd === fd)?.mask ?? null;
  } catch {
    return undefined;
  }
}
