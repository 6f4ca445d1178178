// The kernel's view of a loop's fds: their masks in the interest lists, and the sizes of their queues.

import { untracedSyscalls } from "../../kernel/ffi.ts";
import { queueSizes } from "../../trace/fd-info.ts";
import { interestList } from "../../trace/interest-list.ts";
import { acceptQueue } from "../../trace/kernel-queries.ts";
import type { FdEntry } from "./fd-table.ts";
import type { KernelEntry } from "./sampler.ts";

/**
 * Returns the kernel's view of the fds of a loop; undefined if no epoll instance is open.
 *
 * @param epfd the epoll instance in which to look for fds that the program has not registered
 */
export function kernelEntries(epfd: number, entries: readonly FdEntry[]): KernelEntry[] | undefined {
  const lists = new Map<number, ReadonlyMap<number, number> | undefined>();
  const masksOf = (instance: number): ReadonlyMap<number, number> | undefined => {
    if (!lists.has(instance)) lists.set(instance, readMasks(instance));
    return lists.get(instance);
  };
  if (masksOf(epfd) === undefined && !entries.some(({ registrations: [one] }) => one && masksOf(one.epfd)))
    return undefined;
  return entries
    .filter(({ kind }) => kind !== "epoll")
    .map((entry) => {
      const registered = entry.registrations.map((one) => ({ epfd: one.epfd, mask: masksOf(one.epfd)?.get(entry.fd) }));
      const mask = registered.length === 0 ? masksOf(epfd)?.get(entry.fd) : registered[0]?.mask;
      return { fd: entry.fd, mask, masks: registered, ...queuesOf(entry) };
    });
}

/** Returns the masks of an interest list by fd; undefined if the instance is not open. */
function readMasks(epfd: number): ReadonlyMap<number, number> | undefined {
  if (epfd < 0) return undefined;
  try {
    return new Map(interestList(epfd).map(({ fd, mask }) => [fd, mask]));
  } catch {
    return undefined;
  }
}

function queuesOf({ fd, kind }: FdEntry): Pick<KernelEntry, "receiveQueueBytes" | "sendQueueBytes"> {
  if (kind === "connection") return queueSizes(fd);
  const queue = kind === "listener" ? acceptQueue(untracedSyscalls(), fd) : undefined;
  return { receiveQueueBytes: queue?.length, sendQueueBytes: queue?.limit };
}
