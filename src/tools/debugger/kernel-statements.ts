// Statements about the present: why epoll_wait reports an fd or not, and how the registered masks differ from the kernel's.

import { explainReadiness } from "../../trace/explain-readiness.ts";
import { inspectFdIn } from "../../trace/fd-info.ts";
import { type FdKey, fdOfKey, pidOfKey } from "../../trace/fd-key.ts";
import { compareMaskLists } from "../../trace/interest-list.ts";
import { type KernelView, ownKernel } from "../../trace/kernel-view.ts";
import { type EntryRegistration, type FdEntry, keyOfEntry } from "./fd-table.ts";

/** Returns the kernel's view of a process; of this one if `pid` is undefined. */
export type KernelOf = (pid: number | undefined) => KernelView;

/**
 * Explains why each epoll instance reports an fd, or does not.
 *
 * @throws {ErrnoError} EBADF if the fd is not open
 */
export function explainFd(
  fd: number,
  registrations: readonly EntryRegistration[],
  kernel: KernelView = ownKernel(),
): string {
  const withKernelMasks = registrations.map(({ epfd, mask }) => {
    return { epfd, mask, kernelMask: kernelMaskOf(kernel, epfd, fd) };
  });
  return explainReadiness(inspectFdIn(kernel, fd), withKernelMasks);
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
export function compareInstances(entries: readonly FdEntry[], kernelOf: KernelOf = () => ownKernel()): Comparison {
  const masks = new Map<FdKey, Map<number, number>>();
  for (const entry of entries) if (entry.kind === "epoll") masks.set(keyOfEntry(entry), new Map());
  for (const { fd, pid, registrations } of entries) {
    for (const { epfd, mask } of registrations) masks.get(keyOfEntry({ fd: epfd, ...pidField(pid) }))?.set(fd, mask);
  }
  const hasSeveral = new Set(entries.map(({ pid }) => pid)).size > 1;
  const messages = [...masks].flatMap(([key, registered]) => differencesOf(kernelOf, key, registered, hasSeveral));
  const registered = [...masks.values()].reduce((sum, { size }) => sum + size, 0);
  return { messages, registered, instances: masks.size };
}

function pidField(pid: number | undefined): { pid?: number } {
  return pid === undefined ? {} : { pid };
}

function differencesOf(
  kernelOf: KernelOf,
  key: FdKey,
  registered: ReadonlyMap<number, number>,
  hasSeveral: boolean,
): string[] {
  const [epfd, pid] = [fdOfKey(key), pidOfKey(key)];
  const instance = `${hasSeveral ? `process ${pid}, ` : ""}epoll fd ${epfd}`;
  try {
    const kernel = kernelOf(pid);
    const isOpen = (fd: number): boolean => isOpenIn(kernel, fd);
    return compareMaskLists(registered, kernel.interestList(epfd), isOpen).map(
      ({ message }) => `${instance}, fd ${message}`,
    );
  } catch {
    return [`${instance}: closed by code that is not traced`];
  }
}

function isOpenIn(kernel: KernelView, fd: number): boolean {
  try {
    kernel.openFileName(fd);
    return true;
  } catch {
    return false;
  }
}

/** Returns `null` if the kernel does not watch the fd, and undefined if the instance is not open. */
function kernelMaskOf(kernel: KernelView, epfd: number, fd: number): number | null | undefined {
  try {
    return kernel.interestList(epfd).find((interest) => interest.fd === fd)?.mask ?? null;
  } catch {
    return undefined;
  }
}
