// Trace events for tests of code that reads them.

import type { TraceEvent } from "../../src/index.ts";

/** Completes an event. Its sequence number is `seq`, or 0 if that does not matter. */
export function eventAt(us: number, event: object, seq: number = 0): TraceEvent {
  return { seq, us, iteration: 1, ...event } as TraceEvent;
}

/** A wait that reports EPOLLIN for these fds. */
export function wait(...fds: number[]): object {
  const events = fds.map((fd) => [fd, 1]);
  return { type: "wait", epfd: 4, timeoutMs: -1, maxEvents: 1023, result: fds.length, events, blockedUs: 0 };
}

export function recv(fd: number): object {
  return { type: "recv", fd, wanted: 10, result: 10 };
}

export function iteration(workedUs: number, dispatches: [fd: number, us: number][] = []): object {
  return { type: "iteration", workedUs, dispatches };
}
