// Tokens: numbers that are returned with each event of a registration.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, EPOLLONESHOT } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { type FdLike, toFd } from "../../../src/kernel/fd.ts";
import { EventFd, everyFdIsClosed, interestOf, Several } from "../../support/descriptors.ts";
import { failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

/** Returns the token of the only event. */
function tokenOf(epoll: Epoll, fd: FdLike): number {
  const events = new EventList(2);
  expect(epoll.pollInto(events, 0)).toBe(1);
  expect(events.fd(0)).toBe(toFd(fd));
  return events.token(0);
}

test("the default token is 0", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN);
  expect(tokenOf(epoll, eventfd)).toBe(0);
});

describe.each([0, 1, 12345, 0x7fffffff, 0x80000000, 0xffffffff])("the token %p", (token) => {
  test("is returned after register", () => {
    using epoll = new Epoll();
    using eventfd = new EventFd(1);
    epoll.register(eventfd, EPOLLIN, token);
    expect(tokenOf(epoll, eventfd)).toBe(token);
  });

  test("is returned after modify", () => {
    using epoll = new Epoll();
    using eventfd = new EventFd(1);
    epoll.register(eventfd, EPOLLIN, 7);
    epoll.modify(eventfd, EPOLLIN, token);
    expect(tokenOf(epoll, eventfd)).toBe(token);
  });
});

test.each([
  [-1, 0xffffffff],
  [-0x80000000, 0x80000000],
])("the token %p is returned as the unsigned number %p", (token, back) => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN, token);
  expect(tokenOf(epoll, eventfd)).toBe(back);
});

test("the token is returned with every event", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN, 42);
  for (let i = 0; i < 3; i++) expect(tokenOf(epoll, eventfd)).toBe(42);
});

test("modify without a token sets it to 0", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN, 42);
  epoll.modify(eventfd, EPOLLIN);
  expect(tokenOf(epoll, eventfd)).toBe(0);
});

test("a call that fails does not change the token", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN, 42);
  expect(failure(() => epoll.register(eventfd, EPOLLIN, 43))).toEqual(["EEXIST", "epoll_ctl"]);
  expect(tokenOf(epoll, eventfd)).toBe(42);
});

test("each registration has its own token, even for one fd in two instances", () => {
  using first = new Epoll();
  using second = new Epoll();
  using eventfd = new EventFd(1);
  first.register(eventfd, EPOLLIN, 1);
  second.register(eventfd, EPOLLIN, 2);
  expect(tokenOf(first, eventfd)).toBe(1);
  expect(tokenOf(second, eventfd)).toBe(2);
});

test("each of many fds has its own token", () => {
  using epoll = new Epoll();
  using eventfds = new Several(50, () => new EventFd(1));
  const tokens = new Map(eventfds.all.map((eventfd, i) => [eventfd.fileno(), (i * 0x9e3779b1) >>> 0]));
  for (const [fd, token] of tokens) epoll.register(fd, EPOLLIN, token);
  const events = new EventList(50);
  expect(epoll.pollInto(events, 0)).toBe(50);
  for (let i = 0; i < 50; i++) expect(events.token(i)).toBe(tokens.get(events.fd(i)) as number);
});

test("the kernel stores the fd and the token separately", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN, 0xfedcba98);
  expect(interestOf(epoll)).toMatchObject([{ fd: eventfd.fileno(), token: 0xfedcba98 }]);
});

test("a changing token identifies the re-arming of an EPOLLONESHOT registration", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLONESHOT, 0);
  for (let token = 0; token < 3; token++) {
    expect(tokenOf(epoll, eventfd)).toBe(token);
    epoll.modify(eventfd, EPOLLIN | EPOLLONESHOT, token + 1);
  }
});
