// The kernel's view of a loop's fds: their masks in the interest list, and the sizes of their queues.

import { queueSizes } from "../../trace/fd-info.ts";
import { interestList } from "../../trace/interest-list.ts";
import type { FdEntry } from "./fd-table.ts";
import type { KernelEntry } from "./sampler.ts";

/** Returns the kernel's view of the fds of an epoll instance; undefined if there is no open epoll instance. */
export function kernelEntries(epfd: number, entries: readonly FdEntry[]): KernelEntry[] | undefined {
  if (epfd < 0) return undefined;
  try {
    const masks = new Map(interestList(epfd).map(({ fd, mask }) => [fd, mask]));
    const noQueues = { receiveQueueBytes: undefined, sendQueueBytes: undefined };
    return entries
      .filter(({ kind }) => kind !== "epoll")
      .map(({ fd, kind }) => ({ fd, mask: masks.get(fd), ...(kind === "connection" ? queueSizes(fd) : noQueues) }));
  } catch {
    return undefined; // the epoll instance has been closed in the meantime
  }
}
