// Statements about the present: why epoll_wait reports an fd or not, and how the registered masks differ from the kernel's.

import { explainReadiness } from "../../trace/explain-readiness.ts";
import { inspectFd } from "../../trace/fd-info.ts";
import { compareInterest, interestList } from "../../trace/interest-list.ts";
import { ErrnoError } from "../../kernel/errors.ts";
import type { EntryRegistration, FdEntry } from "./fd-table.ts";
import { withSpareFd } from "../spare-fds.ts";

/**
 * Explains why each epoll instance reports an fd, or does not.
 *
 * @param isRunning the loop may have unregistered the fd since `registrations` were recorded, so the kernel's interest lists alone count
 * @throws {ErrnoError} EBADF if the fd is not open
 */
export function explainFd(fd: number, registrations: readonly EntryRegistration[], isRunning: boolean = false): string {
  const withKernelMasks = registrations.map(({ epfd, mask }) => ({ epfd, mask, kernelMask: kernelMaskOf(epfd, fd) }));
  const current = isRunning
    ? withKernelMasks.filter(({ kernelMask }) => typeof kernelMask === "number")
    : withKernelMasks;
  return explainReadiness(
    withSpareFd(() => inspectFd(fd)),
    current,
  );
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
    return withSpareFd(() => compareInterest(registered, epfd)).map(({ message }) => `epoll fd ${epfd}, fd ${message}`);
  } catch (error) {
    return [
      `epoll fd ${epfd}: ${isClosed(error) ? "closed by code that is not traced" : `unknown (${String(error)})`}`,
    ];
  }
}

/** Whether an error says that an epoll instance has been closed, or that its fd belongs to another file. */
export function isClosed(error: unknown): boolean {
  return error instanceof ErrnoError ? error.code === "EBADF" : error instanceof TypeError;
}

/** Returns `null` if the kernel does not watch the fd, and undefined if the instance is not open. */
function kernelMaskOf(epfd: number, fd: number): number | null | undefined {
  try {
    return withSpareFd(() => interestList(epfd)).find((interest) => interest.fd === fd)?.mask ?? null;
  } catch {
    return undefined;
  }
}
