// pollInto and EventList: events in a reusable list.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, EPOLLOUT } from "../../../src/kernel/constants.ts";
import { formatEvents } from "../../../src/kernel/format-mask.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { EventFd, everyFdIsClosed, numbersOf, Several, withWait } from "../../support/descriptors.ts";
import { failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

test("returns the number of events in the list", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  const events = new EventList(4);
  epoll.register(eventfd, EPOLLIN | EPOLLOUT, 99);
  expect(epoll.pollInto(events, 0)).toBe(1);
  expect(events.length).toBe(1);
  expect([events.fd(0), events.mask(0), events.token(0)]).toEqual([eventfd.fileno(), EPOLLIN | EPOLLOUT, 99]);
});

test.each([1, 2, 3, 7, 64])("stores %p events at separate indexes", (count) => {
  using epoll = new Epoll();
  using eventfds = new Several(count, () => new EventFd(1));
  const events = new EventList(count);
  for (const [i, eventfd] of eventfds.all.entries()) epoll.register(eventfd, EPOLLIN | EPOLLOUT, 0xf0000000 + i);
  expect(epoll.pollInto(events, 0)).toBe(count);
  const seen = Array.from({ length: count }, (_, i) => i).map((i) => [events.fd(i), events.token(i)]);
  expect(new Map(seen as [number, number][])).toEqual(
    new Map(eventfds.all.map((eventfd, i) => [eventfd.fileno(), 0xf0000000 + i])),
  );
  for (let i = 0; i < count; i++) expect(events.mask(i)).toBe(EPOLLIN | EPOLLOUT);
});

test("stores at most as many events as the capacity", () => {
  using epoll = new Epoll();
  using eventfds = new Several(5, () => new EventFd(1));
  for (const eventfd of eventfds.all) epoll.register(eventfd, EPOLLIN);
  const events = new EventList(2);
  expect(events.capacity).toBe(2);
  expect(epoll.pollInto(events, 0)).toBe(2);
  expect(events.toArray()).toHaveLength(2);
});

test("poll and pollInto report the same events", () => {
  using epoll = new Epoll();
  using eventfds = new Several(3, () => new EventFd(1));
  for (const eventfd of eventfds.all) epoll.register(eventfd, EPOLLIN);
  const events = new EventList(8);
  epoll.pollInto(events, 0);
  expect(new Map(events)).toEqual(new Map(epoll.poll(0)));
  expect([...new Map(events).keys()].sort((a, b) => a - b)).toEqual(numbersOf(eventfds.all));
});

test("empties the list after a timeout", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  const events = new EventList(1);
  epoll.register(eventfd, EPOLLIN);
  expect(epoll.pollInto(events, 0)).toBe(1);
  eventfd.take();
  expect(epoll.pollInto(events, 0)).toBe(0);
  expect(events.length).toBe(0);
  expect(events.toArray()).toEqual([]);
  expect(`${events}`).toBe("[]");
});

test("empties the list after an error", () => {
  let result = 1;
  const { epoll } = withWait(() => result);
  using _ = epoll;
  const events = new EventList(1);
  expect(epoll.pollInto(events)).toBe(1);
  expect(events.length).toBe(1);
  result = -9;
  expect(failure(() => epoll.pollInto(events))).toEqual(["EBADF", "epoll_wait"]);
  expect(events.length).toBe(0);
});

test("several epoll instances can fill the same list", () => {
  using first = new Epoll();
  using second = new Epoll();
  using left = new EventFd(1);
  using right = new EventFd(1);
  const events = new EventList(1);
  first.register(left, EPOLLIN);
  second.register(right, EPOLLIN);
  first.pollInto(events, 0);
  expect(events.fd(0)).toBe(left.fileno());
  second.pollInto(events, 0);
  expect(events.fd(0)).toBe(right.fileno());
});

test("one epoll instance can fill several lists", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  const lists = [new EventList(1), new EventList(2)];
  epoll.register(eventfd, EPOLLIN, 1);
  epoll.pollInto(lists[0] as EventList, 0);
  epoll.modify(eventfd, EPOLLIN, 2);
  epoll.pollInto(lists[1] as EventList, 0);
  expect(lists.map((list) => list.token(0))).toEqual([1, 2]);
});

test("does not change events that poll returned", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN);
  const before = epoll.poll(0);
  epoll.modify(eventfd, EPOLLOUT);
  expect(epoll.poll(0)).toEqual([[eventfd.fileno(), EPOLLOUT]]);
  expect(before).toEqual([[eventfd.fileno(), EPOLLIN]]);
});

describe("an EventList", () => {
  test("holds 1023 events by default, like CPython's", () => {
    expect(new EventList().capacity).toBe(1023);
    expect(new EventList(undefined).capacity).toBe(1023);
  });

  test.each([1, 2, 1023, 1 << 20])("can hold %p events", (capacity) => {
    expect(new EventList(capacity).capacity).toBe(capacity);
  });

  test("is empty initially", () => {
    const events = new EventList(3);
    expect(events.length).toBe(0);
    expect([...events]).toEqual([]);
    expect(events.toArray()).toEqual([]);
    expect(events.toString()).toBe("[]");
  });

  test("iterates over the events of the last call as pairs, repeatedly", () => {
    using epoll = new Epoll();
    using eventfd = new EventFd(1);
    const events = new EventList(10);
    epoll.register(eventfd, EPOLLIN);
    epoll.pollInto(events, 0);
    const pairs: [number, number][] = [[eventfd.fileno(), EPOLLIN]];
    expect([...events]).toEqual(pairs);
    expect([...events]).toEqual(pairs);
    expect(events.toArray()).toEqual(pairs);
  });

  test("formats like Python, with masks by name", () => {
    using epoll = new Epoll();
    using eventfd = new EventFd(1);
    const events = new EventList(10);
    epoll.register(eventfd, EPOLLIN | EPOLLOUT);
    epoll.pollInto(events, 0);
    expect(`${events}`).toBe(`[(${eventfd.fileno()}, EPOLLIN|EPOLLOUT)]`);
    expect(formatEvents(events)).toBe(`${events}`);
  });
});
