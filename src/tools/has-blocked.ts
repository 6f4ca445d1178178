// Whether a wait has blocked, so that its time is idle.

import type { WaitEvent } from "../trace/events.ts";

/** epoll_wait returns within a few microseconds if an fd is ready. */
const MIN_BLOCKED_US = 20;
/** In another process, a tracer stops it at the beginning and at the end of the call. */
const MIN_TRACED_BLOCKED_US = 500;

/** Returns whether a wait has blocked: it took longer than a system call that returns immediately. */
export function hasBlocked({ timeoutMs, blockedUs, pid }: WaitEvent & { pid?: number }): boolean {
  return timeoutMs !== 0 && blockedUs >= (pid === undefined ? MIN_BLOCKED_US : MIN_TRACED_BLOCKED_US);
}
