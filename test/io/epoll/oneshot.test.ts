// EPOLLONESHOT: one event, then none until modify.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, EPOLLONESHOT, EPOLLOUT } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { Ends, EventFd, everyFdIsClosed, interestOf, reportOf } from "../../support/descriptors.ts";
import { failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

test("reports one event, even if the fd stays ready and more data arrives", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLONESHOT);
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
  ends.there.send("y");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});

test("a wait without events does not disarm the registration", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLONESHOT);
  expect(reportOf(epoll, ends.here)).toBe("nothing");
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
});

test("modify re-arms the registration", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLONESHOT);
  for (let i = 0; i < 3; i++) {
    expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
    expect(reportOf(epoll, eventfd)).toBe("nothing");
    epoll.modify(eventfd, EPOLLIN | EPOLLONESHOT);
  }
});

test("modify without EPOLLONESHOT makes the registration permanent", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLONESHOT);
  epoll.poll(0);
  epoll.modify(eventfd, EPOLLIN);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
});

test("remains registered when disarmed: register fails, unregister succeeds", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLONESHOT, 5);
  epoll.poll(0);
  expect(failure(() => epoll.register(eventfd, EPOLLIN))).toEqual(["EEXIST", "epoll_ctl"]);
  expect(interestOf(epoll)).toEqual([{ fd: eventfd.fileno(), mask: EPOLLONESHOT, token: 5 }]);
  epoll.unregister(eventfd);
  expect(interestOf(epoll)).toEqual([]);
});

test("does not report even EPOLLHUP when disarmed", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLOUT | EPOLLONESHOT);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLOUT");
  ends.there.close();
  expect(reportOf(epoll, ends.here)).toBe("nothing");
  epoll.modify(ends.here, EPOLLONESHOT);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLHUP");
});

test("each registration is disarmed separately", () => {
  using epoll = new Epoll();
  using first = new EventFd(1);
  using second = new EventFd();
  epoll.register(first, EPOLLIN | EPOLLONESHOT);
  epoll.register(second, EPOLLIN | EPOLLONESHOT);
  expect(reportOf(epoll, first)).toBe("EPOLLIN");
  second.add();
  expect(reportOf(epoll, second)).toBe("EPOLLIN");
  expect(epoll.poll(0)).toEqual([]);
});

test("an event that does not fit into one poll does not disarm its registration", () => {
  using epoll = new Epoll();
  using first = new EventFd(1);
  using second = new EventFd(1);
  for (const eventfd of [first, second]) epoll.register(eventfd, EPOLLIN | EPOLLONESHOT);
  const [[fd] = []] = epoll.poll(0, 1);
  expect(reportOf(epoll, fd === first.fileno() ? second : first)).toBe("EPOLLIN");
});
