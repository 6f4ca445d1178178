// A poll for the events of two file descriptors that become ready at almost the same time.

import type { Epoll } from "../../io/epoll.ts";
import { ARRIVAL_TIMEOUT_MS } from "./lesson-runner.ts";

const MAX_POLLS = 100;

/** Polls until two file descriptors were reported: the data of one may arrive after that of the other. */
export function pollBoth(epoll: Epoll): [fd: number, mask: number][] {
  const maskByFd = new Map<number, number>();
  for (let polls = 0; maskByFd.size < 2 && polls < MAX_POLLS; polls++) {
    for (const [fd, mask] of epoll.poll(ARRIVAL_TIMEOUT_MS)) maskByFd.set(fd, mask);
  }
  return [...maskByFd].sort(([a], [b]) => a - b);
}
