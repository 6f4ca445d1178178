// The kernel's view of a loop's fds: their masks in the interest list, and how full their queues are.

import { queueSizes } from "../../trace/fd-info.ts";
import { interestList } from "../../trace/interest-list.ts";
import type { FdEntry } from "./fd-table.ts";

/** What the kernel knows about an fd. */
export interface KernelEntry {
  fd: number;
  /** The kernel mask; undefined if the kernel does not watch the fd. */
  mask: number | undefined;
  /** The number of bytes in the receive queue; undefined for anything but a connection. */
  receiveQueueBytes: number | undefined;
  /** The number of bytes in the send queue; undefined for anything but a connection. */
  sendQueueBytes: number | undefined;
}

/** Asks the kernel about fds that an epoll instance watches. Returns undefined if there is no open epoll instance. */
export function kernelEntries(epfd: number, entries: readonly FdEntry[]): KernelEntry[] | undefined {
  if (epfd < 0) return undefined;
  try {
    const masks = new Map(interestList(epfd).map(({ fd, mask }) => [fd, mask]));
    const noQueues = { receiveQueueBytes: undefined, sendQueueBytes: undefined };
    return entries
      .filter(({ kind }) => kind !== "epoll")
      .map(({ fd, kind }) => ({ fd, mask: masks.get(fd), ...(kind === "connection" ? queueSizes(fd) : noQueues) }));
  } catch {
    return undefined; // the epoll instance has been closed meanwhile
  }
}
