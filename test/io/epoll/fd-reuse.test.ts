// Closed file descriptors: when their registrations are removed, and how tokens identify stale events of a reused fd.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, EPOLLOUT } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { duplicate, EventFd, everyFdIsClosed, interestOf, reportOf } from "../../support/descriptors.ts";
import { failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const NUMBER = 500; // high, so that nothing else uses it

test("closing an fd removes its registration", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  using other = new EventFd();
  epoll.register(eventfd, EPOLLIN);
  epoll.register(other, EPOLLIN);
  eventfd.close();
  expect(epoll.poll(0)).toEqual([]);
  expect(interestOf(epoll).map(({ fd }) => fd)).toEqual([other.fileno()]);
});

test("a reused fd is not registered", () => {
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

test("if a duplicate is open, the registration outlives its fd and cannot be unregistered", () => {
  using epoll = new Epoll();
  using duplicated = new EventFd();
  using registered = duplicate(duplicated, NUMBER);
  epoll.register(registered, EPOLLIN);
  registered.close();
  expect(epoll.poll(0)).toEqual([]);
  duplicated.add();
  expect(epoll.poll(0)).toEqual([[NUMBER, EPOLLIN]]); // the closed fd
  expect(failure(() => epoll.unregister(NUMBER))).toEqual(["EBADF", "epoll_ctl"]);
  expect(failure(() => epoll.unregister(duplicated))).toEqual(["ENOENT", "epoll_ctl"]);
  duplicated.close(); // the last duplicate
  expect(epoll.poll(0)).toEqual([]);
});

test("closing an unregistered duplicate changes nothing", () => {
  using epoll = new Epoll();
  using registered = new EventFd();
  using other = duplicate(registered);
  epoll.register(registered, EPOLLIN);
  other.close();
  registered.add();
  expect(reportOf(epoll, registered)).toBe("EPOLLIN");
  epoll.unregister(registered);
});

test("unregistering before closing leaves no registration, even if a duplicate is open", () => {
  using epoll = new Epoll();
  using duplicated = new EventFd(1);
  using registered = duplicate(duplicated);
  epoll.register(registered, EPOLLIN);
  epoll.unregister(registered);
  registered.close();
  expect(epoll.poll(0)).toEqual([]);
});

test("tokens distinguish a stale registration from a new one of the same fd", () => {
  using epoll = new Epoll();
  using old = new EventFd(1);
  using registered = duplicate(old, NUMBER);
  epoll.register(registered, EPOLLIN, 1);
  registered.close();

  using young = new EventFd(1);
  using next = duplicate(young, NUMBER);
  expect(next.fileno()).toBe(NUMBER);
  epoll.register(next, EPOLLIN | EPOLLOUT, 2); // no EEXIST, because it refers to another open file description
  const events = new EventList(4);
  expect(epoll.pollInto(events, 0)).toBe(2);
  const seen = [0, 1].map((i) => ({ fd: events.fd(i), mask: events.mask(i), token: events.token(i) }));
  expect(seen.sort((a, b) => a.token - b.token)).toEqual([
    { fd: NUMBER, mask: EPOLLIN, token: 1 },
    { fd: NUMBER, mask: EPOLLIN | EPOLLOUT, token: 2 },
  ]);

  epoll.unregister(NUMBER); // removes the new registration
  expect(epoll.pollInto(events, 0)).toBe(1);
  expect(events.token(0)).toBe(1);
});

test("the token identifies a stale event of an fd that was closed and reused within one batch", () => {
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
  epoll.unregister(second); // as a handler of the first event may do
  second.close();
  using taken = duplicate(third, NUMBER);
  expect(taken.fileno()).toBe(NUMBER);
  epoll.register(taken, EPOLLIN, 3);
  const stale = [0, 1].find((i) => events.fd(i) === NUMBER) as number;
  expect(events.token(stale)).toBe(2); // not 3: an event of the previous registration
  expect(reportOf(epoll, first)).toBe("EPOLLIN");
});
