// Timeouts of poll: exact to the nanosecond, indefinite if negative or omitted, and never shorter than requested.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN } from "../../../src/kernel/constants.ts";
import { ENOSYS, EPERM } from "../../../src/kernel/errno.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { EventFd, everyFdIsClosed, Fifo, reportOf, withWait } from "../../support/descriptors.ts";
import { Waiter } from "../../support/waiting.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

/** Returns the timeouts in milliseconds that poll and pollInto pass to epoll_wait or epoll_pwait2. */
function passedTimeouts(timeoutMs: number | null | undefined, pwait2Error?: number): number[] {
  const { epoll, timeouts } = withWait(() => 0, pwait2Error);
  using _ = epoll;
  epoll.poll(timeoutMs as number);
  epoll.pollInto(new EventList(1), timeoutMs as number);
  return timeouts;
}

describe("passes to epoll_wait", () => {
  test.each([
    [0, 0],
    [-0, 0],
    [1, 1],
    [1000, 1000],
    [0x7fffffff, 0x7fffffff],
  ])("an integer unchanged: %p", (timeoutMs, passed) => {
    expect(passedTimeouts(timeoutMs).map((n) => n + 0)).toEqual([passed, passed]);
  });

  test.each([
    [Number.MIN_VALUE, 0.000001, 1],
    [0.1, 0.1, 1],
    [0.25, 0.25, 1],
    [0.9999, 0.9999, 1],
    [1.000001, 1.000001, 2],
    [1.5, 1.5, 2],
    [999.9999999, 999.999999, 1000],
    [0x7ffffffe + 0.5, 0x7ffffffe + 0.5, 0x7fffffff],
  ])("a fraction in nanoseconds, or rounded up if the kernel lacks epoll_pwait2: %p", (timeoutMs, passed, rounded) => {
    expect(passedTimeouts(timeoutMs)).toEqual([passed, passed]);
    for (const errno of [ENOSYS, EPERM]) expect(passedTimeouts(timeoutMs, errno)).toEqual([rounded, rounded]);
  });

  test.each([[-1], [-2], [-0.5], [-1e300], [-Infinity], [Infinity], [null], [undefined]])(
    "-1, to block indefinitely: %p",
    (timeoutMs) => {
      expect(passedTimeouts(timeoutMs)).toEqual([-1, -1]);
    },
  );
});

describe("rejects", () => {
  test.each([[0x7fffffff + 0.5], [2 ** 31], [2 ** 32], [1e300]])("a timeout that is too long: %p", (timeoutMs) => {
    const message = `timeoutMs must be at most 2147483647 (or -1 to block indefinitely); received ${timeoutMs}`;
    expect(() => passedTimeouts(timeoutMs)).toThrow(new RangeError(message));
  });

  test.each([
    ["NaN", NaN],
    ['"10"', "10"],
    ['"-5"', "-5"],
    ["true", true],
    ["5n", 5n],
    ["-5n", -5n],
    ["an instance of Object", {}],
    ["an array", [-1]],
    ["an instance of Date", new Date(-1)],
    ["a function", () => -1],
  ])("a value that is not a number: %s", (received, timeoutMs) => {
    const message = `timeoutMs must be a number of milliseconds; received ${received}`;
    expect(() => passedTimeouts(timeoutMs as number)).toThrow(new TypeError(message));
  });
});

test("poll(0) returns immediately", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN);
  expect(epoll.poll(0)).toEqual([]);
  eventfd.add();
  expect(epoll.poll(0)).toEqual([[eventfd.fileno(), EPOLLIN]]);
});

test.each([[0.1], [1], [20], [30.5]])("poll(%p) waits at least that long if there are no events", (timeoutMs) => {
  using epoll = new Epoll();
  const start = Bun.nanoseconds();
  expect(epoll.poll(timeoutMs)).toEqual([]);
  expect(Bun.nanoseconds() - start).toBeGreaterThanOrEqual(timeoutMs * 1e6);
});

test.each([[-1], [null], [undefined], [Infinity], [0x7fffffff]])("poll(%p) returns pending events", (timeoutMs) => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN);
  expect(epoll.poll(timeoutMs as number)).toEqual([[eventfd.fileno(), EPOLLIN]]);
});

test("a fraction of a millisecond ends with a timeout, or with an event", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN);
  expect(epoll.poll(0.25)).toEqual([]);
  eventfd.add();
  expect(epoll.poll(0.25)).toEqual([[eventfd.fileno(), EPOLLIN]]);
  const events = new EventList(1);
  expect([epoll.pollInto(events, 10_000.5), events.fd(0), events.token(0)]).toEqual([1, eventfd.fileno(), 0]);
});

test("poll() without arguments blocks indefinitely", () => {
  const { epoll, timeouts } = withWait(() => 0);
  using _ = epoll;
  epoll.poll();
  epoll.pollInto(new EventList(1));
  expect(timeouts).toEqual([-1, -1]);
});

test("an event ends an indefinite wait", async () => {
  using fifo = new Fifo();
  const waiter = await Waiter.start({ fifo: fifo.path, mask: EPOLLIN, timeoutMs: -1 });
  fifo.writer.write(new Uint8Array(1));
  const { masks, waits } = await waiter.report();
  expect(masks).toEqual([EPOLLIN]);
  expect(waits).toEqual([{ timeoutMs: -1, n: 1 }]);
});

test("an epoll instance without registrations reports no events", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  expect(reportOf(epoll, eventfd, 1)).toBe("nothing");
});
