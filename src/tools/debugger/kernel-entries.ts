// What the descriptors of a loop are to the kernel: watched for what, and how full their queues are.

import { interestList, queuesOf } from "../../trace/kernel-state.ts";
import type { KernelEntry } from "./sampler.ts";
import type { FdEntry } from "./fd-table.ts";

/** undefined: the epoll instance is closed, or none yet. */
export function kernelEntries(epfd: number, entries: readonly FdEntry[]): KernelEntry[] | undefined {
  if (epfd < 0) return undefined;
  try {
    const masks = new Map(interestList(epfd).map(({ fd, mask }) => [fd, mask]));
    return entries
      .filter(({ kind }) => kind !== "epoll")
      .map(({ fd, kind }) => ({
        fd,
        mask: masks.get(fd),
        ...(kind === "connection" ? queuesOf(fd) : { unread: undefined, unsent: undefined }),
      }));
  } catch {
    return undefined;
  }
}
