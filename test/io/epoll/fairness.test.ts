// maxEvents: limits the events of one poll; the kernel reports the others round-robin.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { EventFd, everyFdIsClosed, numbersOf, readyFds, Several, withWait } from "../../support/descriptors.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

/** Creates eventfds that are ready and registered. */
function ready(epoll: Epoll, count: number): Several<EventFd> {
  const eventfds = new Several(count, () => new EventFd(1));
  for (const eventfd of eventfds.all) epoll.register(eventfd, EPOLLIN);
  return eventfds;
}

test("returns at most maxEvents, each for a different fd", () => {
  using epoll = new Epoll();
  using eventfds = ready(epoll, 5);
  for (const maxEvents of [1, 2, 3, 4, 5, 6, 100]) {
    const fds = readyFds(epoll, maxEvents);
    expect(fds).toHaveLength(Math.min(maxEvents, 5));
    expect(new Set(fds).size).toBe(fds.length);
    expect(numbersOf(eventfds.all)).toEqual(expect.arrayContaining(fds));
  }
});

test("reports 5 ready fds equally often with maxEvents 2", () => {
  using epoll = new Epoll();
  using eventfds = ready(epoll, 5);
  const times = new Map(numbersOf(eventfds.all).map((fd) => [fd, 0]));
  for (let i = 0; i < 10; i++) {
    for (const fd of readyFds(epoll, 2)) times.set(fd, (times.get(fd) ?? 0) + 1);
    if (i === 2) expect(Math.min(...times.values())).toBeGreaterThan(0);
  }
  expect([...times.values()]).toEqual([4, 4, 4, 4, 4]);
});

test("a busy fd does not starve another", () => {
  using epoll = new Epoll();
  using busy = new EventFd(1);
  using quiet = new EventFd();
  epoll.register(busy, EPOLLIN);
  epoll.register(quiet, EPOLLIN);
  expect(readyFds(epoll, 1)).toEqual([busy.fileno()]);
  quiet.add();
  busy.add();
  expect([...readyFds(epoll, 1), ...readyFds(epoll, 1)].sort((a, b) => a - b)).toEqual(numbersOf([busy, quiet]));
});

test("pollInto is as fair as poll", () => {
  using epoll = new Epoll();
  using eventfds = ready(epoll, 5);
  const events = new EventList(2);
  const seen = new Set<number>();
  for (let i = 0; i < 3; i++) {
    const n = epoll.pollInto(events, 0);
    for (let j = 0; j < n; j++) seen.add(events.fd(j));
  }
  expect([...seen].sort((a, b) => a - b)).toEqual(numbersOf(eventfds.all));
});

test("maxEvents defaults to 1023, and -1 means the default", () => {
  const { epoll, counts } = withWait(() => 0);
  using _ = epoll;
  epoll.poll(0);
  epoll.poll(0, undefined);
  epoll.poll(0, -1);
  epoll.poll(0, 7);
  epoll.poll(0);
  epoll.poll(0, 1 << 20);
  expect(counts).toEqual([1023, 1023, 1023, 7, 1023, 1 << 20]);
});

test("pollInto requests as many events as the list can hold", () => {
  const { epoll, counts } = withWait(() => 0);
  using _ = epoll;
  for (const list of [new EventList(), new EventList(1), new EventList(1 << 20)]) epoll.pollInto(list, 0);
  expect(counts).toEqual([1023, 1, 1 << 20]);
});

test.each([
  [0, "0"],
  [-2, "-2"],
  [1.5, "1.5"],
  [NaN, "NaN"],
  [Infinity, "Infinity"],
  [(1 << 20) + 1, "1048577"],
  [2 ** 31, "2147483648"],
  ["5", '"5"'],
  [null, "null"],
  [5n, "5n"],
  [{}, "an instance of Object"],
])("rejects %p as maxEvents and as a capacity", (count, received) => {
  using epoll = new Epoll();
  const Kind = typeof count === "number" ? RangeError : TypeError;
  const message = `must be an integer from 1 to 1048576; received ${received}`;
  expect(() => epoll.poll(0, count as number)).toThrow(new Kind(`maxEvents ${message}`));
  expect(() => new EventList(count as number)).toThrow(new Kind(`capacity ${message}`));
  expect(epoll.poll(0)).toEqual([]); // still works
});

test("rejects a capacity of -1", () => {
  expect(() => new EventList(-1)).toThrow(RangeError);
});
