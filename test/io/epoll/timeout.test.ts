// How long poll waits: rounded up, for ever if negative or not given, and never less than asked.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { EventFd, everyFdIsClosed, Fifo, reportOf, withWait } from "../../support/descriptors.ts";
import { Waiter } from "../../support/waiting.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

/** What the kernel is told, for what poll and pollInto are told. */
function given(timeoutMs: number | null | undefined): number[] {
  const { epoll, timeouts } = withWait(() => 0);
  using _ = epoll;
  epoll.poll(timeoutMs as number);
  epoll.pollInto(new EventList(1), timeoutMs as number);
  return timeouts;
}

describe("the kernel is told", () => {
  test.each([
    [0, 0],
    [-0, 0],
    [1, 1],
    [1000, 1000],
    [0x7fffffff, 0x7fffffff],
  ])("whole milliseconds as they are: %p", (timeoutMs, told) => {
    expect(given(timeoutMs).map((n) => n + 0)).toEqual([told, told]);
  });

  test.each([
    [Number.MIN_VALUE, 1],
    [0.1, 1],
    [0.9999, 1],
    [1.000001, 2],
    [1.5, 2],
    [0x7ffffffe + 0.5, 0x7fffffff],
  ])("the next whole millisecond for a fraction: %p", (timeoutMs, told) => {
    expect(given(timeoutMs)).toEqual([told, told]);
  });

  test.each([[-1], [-2], [-0.5], [-1e300], [-Infinity], [Infinity], [null], [undefined]])(
    "-1, for ever: %p",
    (timeoutMs) => {
      expect(given(timeoutMs)).toEqual([-1, -1]);
    },
  );
});

describe("refused", () => {
  test.each([[0x7fffffff + 0.5], [2 ** 31], [2 ** 32], [1e300]])("a time that is too long: %p", (timeoutMs) => {
    const message = `a timeout is at most 2147483647 ms, not ${timeoutMs}: pass -1 to wait for ever`;
    expect(() => given(timeoutMs)).toThrow(new RangeError(message));
  });

  test.each([
    ["NaN", NaN],
    ["text", "5"],
    ["negative text", "-5"],
    ["a boolean", true],
    ["a bigint", 5n],
    ["a negative bigint", -5n],
    ["an object", {}],
    ["an array", [-1]],
    ["a date", new Date(-1)],
    ["a function", () => -1],
  ])("no number: %s", (_, timeoutMs) => {
    const message = `a timeout is a number of milliseconds, not ${String(timeoutMs)}`;
    expect(() => given(timeoutMs as number)).toThrow(new TypeError(message));
  });
});

test("poll(0) looks, and returns at once", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN);
  expect(epoll.poll(0)).toEqual([]);
  eventfd.add();
  expect(epoll.poll(0)).toEqual([[eventfd.fileno(), EPOLLIN]]);
});

test.each([[0.1], [1], [20], [30.5]])("poll(%p) with nothing to report waits at least that long", (timeoutMs) => {
  using epoll = new Epoll();
  const start = Bun.nanoseconds();
  expect(epoll.poll(timeoutMs)).toEqual([]);
  expect(Bun.nanoseconds() - start).toBeGreaterThanOrEqual(timeoutMs * 1e6);
});

test.each([[-1], [null], [undefined], [Infinity], [0x7fffffff]])("poll(%p) returns what is ready", (timeoutMs) => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN);
  expect(epoll.poll(timeoutMs as number)).toEqual([[eventfd.fileno(), EPOLLIN]]);
});

test("poll() without arguments waits for ever", () => {
  const { epoll, timeouts } = withWait(() => 0);
  using _ = epoll;
  epoll.poll();
  epoll.pollInto(new EventList(1));
  expect(timeouts).toEqual([-1, -1]);
});

test("an event ends a wait for ever", async () => {
  using fifo = new Fifo();
  const waiter = await Waiter.start({ fifo: fifo.path, mask: EPOLLIN, timeoutMs: -1 });
  fifo.writer.write(new Uint8Array(1));
  const { masks, waits } = await waiter.report();
  expect(masks).toEqual([EPOLLIN]);
  expect(waits).toEqual([{ timeoutMs: -1, n: 1 }]);
});

test("an epoll that watches nothing reports nothing", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  expect(reportOf(epoll, eventfd, 1)).toBe("nothing");
});
