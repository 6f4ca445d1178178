// Signals that interrupt poll, which then continues to wait until its deadline.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN } from "../../../src/kernel/constants.ts";
import { everyFdIsClosed, Fifo, withWait } from "../../support/descriptors.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";
import { failure } from "../../support/sockets.ts";
import { Waiter, type WaiterReport } from "../../support/waiting.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const EINTR = 4;
const EBADF = 9;

/** Interrupts poll(timeoutMs) in another process and returns its report. Retries if a signal arrived too late. */
async function interruptedBySignals(times: number, timeoutMs: number): Promise<WaiterReport> {
  for (;;) {
    const waiter = await Waiter.start({ timeoutMs });
    for (let i = 0; i < times; i++) await waiter.interrupt();
    const report = await waiter.report();
    if (report.waits.length > times || report.elapsedMs < timeoutMs) return report;
  }
}

describe("a signal", () => {
  test("does not end poll before the timeout", async () => {
    const { masks, elapsedMs, waits, signals } = await interruptedBySignals(1, 300);
    expect(signals).toBe(1);
    expect(masks).toEqual([]);
    expect(elapsedMs).toBeGreaterThanOrEqual(300);
    expect(waits.map(({ n }) => n)).toEqual([-EINTR, 0]);
  });

  test("reduces the remaining timeout each time", async () => {
    const { masks, elapsedMs, waits, signals } = await interruptedBySignals(5, 500);
    expect(signals).toBe(5);
    expect(masks).toEqual([]);
    expect(elapsedMs).toBeGreaterThanOrEqual(500);
    expect(waits.map(({ n }) => n)).toEqual([-EINTR, -EINTR, -EINTR, -EINTR, -EINTR, 0]);
    const times = waits.map(({ timeoutMs }) => timeoutMs);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    expect(times[0]).toBe(500);
  });

  test("does not end an indefinite wait, but an event does", async () => {
    using fifo = new Fifo();
    const waiter = await Waiter.start({ fifo: fifo.path, mask: EPOLLIN, timeoutMs: -1 });
    await waiter.interrupt();
    fifo.writer.write(new Uint8Array(1));
    const { masks, waits, signals } = await waiter.report();
    expect(signals).toBe(1);
    expect(masks).toEqual([EPOLLIN]);
    expect(waits).toEqual([
      { timeoutMs: -1, n: -EINTR },
      { timeoutMs: -1, n: 1 },
    ]);
  });
});

/** Creates an Epoll whose first `times` waits are interrupted after `afterMs`; later ones return `then`. */
function interrupted(times: number, afterMs: number, then = 0): ReturnType<typeof withWait> {
  let left = times;
  return withWait((epfd, out, max) => {
    if (left-- <= 0) return then;
    syscalls().epoll_wait(epfd, out, max, afterMs); // nothing is registered, so it waits for afterMs
    return -EINTR;
  });
}

describe("an interrupted wait", () => {
  test("is continued with the remaining time, measured from the start", () => {
    const { epoll, timeouts } = interrupted(3, 20);
    using _ = epoll;
    expect(epoll.poll(10_000)).toEqual([]);
    expect(timeouts).toHaveLength(4);
    for (const [i, timeout] of timeouts.entries()) {
      expect(timeout).toBeLessThanOrEqual(10_000 - 20 * i);
      expect(Number.isInteger(timeout)).toBe(true);
    }
  });

  test("is followed by a call with timeout 0 after the deadline", () => {
    const { epoll, timeouts } = interrupted(1, 20);
    using _ = epoll;
    expect(epoll.poll(10)).toEqual([]);
    expect(timeouts).toEqual([10, 0]);
  });

  test("is continued indefinitely if it has no timeout", () => {
    const { epoll, timeouts } = interrupted(2, 1);
    using _ = epoll;
    epoll.poll(-1);
    expect(timeouts).toEqual([-1, -1, -1]);
  });

  test("is repeated with timeout 0 if its timeout was 0", () => {
    const { epoll, timeouts } = interrupted(2, 1);
    using _ = epoll;
    epoll.poll(0);
    expect(timeouts).toEqual([0, 0, 0]);
  });

  test("throws the error of the next call", () => {
    const { epoll } = interrupted(1, 1, -EBADF);
    using _ = epoll;
    expect(failure(() => epoll.poll(1000))).toEqual(["EBADF", "epoll_wait"]);
  });

  test("is continued in the same way by pollInto", () => {
    const { epoll, timeouts } = interrupted(1, 20);
    using _ = epoll;
    expect(epoll.pollInto(new EventList(1), 10_000)).toBe(0);
    expect(timeouts[0]).toBe(10_000);
    expect(timeouts[1]).toBeLessThanOrEqual(10_000 - 20);
  });
});
