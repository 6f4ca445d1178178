// Closed descriptors: what epoll forgets, what it does not, and numbers that are given out again.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, EPOLLOUT } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { duplicate, EventFd, everyFdIsClosed, interestOf, reportOf } from "../../support/descriptors.ts";
import { failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const NUMBER = 500; // high, so that only the test takes it

test("a descriptor that is closed is dropped", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  using other = new EventFd();
  epoll.register(eventfd, EPOLLIN);
  epoll.register(other, EPOLLIN);
  eventfd.close();
  expect(epoll.poll(0)).toEqual([]);
  expect(interestOf(epoll).map(({ fd }) => fd)).toEqual([other.fileno()]);
});

test("its number, given out again, is not registered", () => {
  using epoll = new Epoll();
  using source = new EventFd(1);
  using first = duplicate(source, NUMBER);
  epoll.register(first, EPOLLIN);
  source.close();
  first.close();
  using next = new EventFd(1);
  using second = duplicate(next, NUMBER);
  expect(second.fileno()).toBe(NUMBER);
  expect(epoll.poll(0)).toEqual([]);
  expect(failure(() => epoll.modify(second, EPOLLIN))).toEqual(["ENOENT", "epoll_ctl"]);
  epoll.register(second, EPOLLIN);
  expect(reportOf(epoll, second)).toBe("EPOLLIN");
});

test("closing one of two duplicates leaves the registration alive, and it can no longer be ended", () => {
  using epoll = new Epoll();
  using duplicated = new EventFd();
  using registered = duplicate(duplicated, NUMBER);
  epoll.register(registered, EPOLLIN);
  registered.close();
  expect(epoll.poll(0)).toEqual([]);
  duplicated.add();
  expect(epoll.poll(0)).toEqual([[NUMBER, EPOLLIN]]); // the number that was closed
  expect(failure(() => epoll.unregister(NUMBER))).toEqual(["EBADF", "epoll_ctl"]);
  expect(failure(() => epoll.unregister(duplicated))).toEqual(["ENOENT", "epoll_ctl"]);
  duplicated.close(); // the last one
  expect(epoll.poll(0)).toEqual([]);
});

test("closing the duplicate that was not registered changes nothing", () => {
  using epoll = new Epoll();
  using registered = new EventFd();
  using other = duplicate(registered);
  epoll.register(registered, EPOLLIN);
  other.close();
  registered.add();
  expect(reportOf(epoll, registered)).toBe("EPOLLIN");
  epoll.unregister(registered);
});

test("unregistered before it is closed it leaves nothing, though a duplicate lives", () => {
  using epoll = new Epoll();
  using duplicated = new EventFd(1);
  using registered = duplicate(duplicated);
  epoll.register(registered, EPOLLIN);
  epoll.unregister(registered);
  registered.close();
  expect(epoll.poll(0)).toEqual([]);
});

test("two registrations under one number: tokens tell the old from the new", () => {
  using epoll = new Epoll();
  using old = new EventFd(1);
  using registered = duplicate(old, NUMBER);
  epoll.register(registered, EPOLLIN, 1);
  registered.close();

  using young = new EventFd(1);
  using next = duplicate(young, NUMBER);
  expect(next.fileno()).toBe(NUMBER);
  epoll.register(next, EPOLLIN | EPOLLOUT, 2); // no EEXIST: another file
  const events = new EventList(4);
  expect(epoll.pollInto(events, 0)).toBe(2);
  const seen = [0, 1].map((i) => ({ fd: events.fd(i), mask: events.mask(i), token: events.token(i) }));
  expect(seen.sort((a, b) => a.token - b.token)).toEqual([
    { fd: NUMBER, mask: EPOLLIN, token: 1 },
    { fd: NUMBER, mask: EPOLLIN | EPOLLOUT, token: 2 },
  ]);

  epoll.unregister(NUMBER); // ends the new one
  expect(epoll.pollInto(events, 0)).toBe(1);
  expect(events.token(0)).toBe(1);
});

test("an event of an iteration whose descriptor an earlier event closed: the token says that it is stale", () => {
  using epoll = new Epoll();
  using first = new EventFd(1);
  using other = new EventFd(1);
  using second = duplicate(other, NUMBER);
  other.close();
  epoll.register(first, EPOLLIN, 1);
  epoll.register(second, EPOLLIN, 2);
  using third = new EventFd();
  const events = new EventList(4);
  expect(epoll.pollInto(events, 0)).toBe(2);
  epoll.unregister(second); // what the first event's handler does
  second.close();
  using taken = duplicate(third, NUMBER);
  expect(taken.fileno()).toBe(NUMBER);
  epoll.register(taken, EPOLLIN, 3);
  const stale = [0, 1].find((i) => events.fd(i) === NUMBER) as number;
  expect(events.token(stale)).toBe(2); // not 3: an event of the one before
  expect(reportOf(epoll, first)).toBe("EPOLLIN");
});
