// Edge-triggered, EPOLLET: a change is reported once.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP, SHUT_WR } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { Ends, EventFd, everyFdIsClosed, numbersOf, reportOf, Several } from "../../support/descriptors.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

test("data is reported once, and what stays unread is not reported again", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLET);
  ends.there.send("abc");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
  expect(ends.here.recv(1)).toHaveLength(1);
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});

test("more data is reported, read or unread as the first is", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLET);
  for (let i = 0; i < 3; i++) {
    ends.there.send("x");
    expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
    expect(reportOf(epoll, ends.here)).toBe("nothing");
  }
});

test("several arrivals between two polls are one event", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLET);
  for (const data of ["a", "b", "c"]) ends.there.send(data);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});

test("what was there before it was registered is reported", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  ends.there.send("x");
  epoll.register(ends.here, EPOLLIN | EPOLLET);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
});

test("an edge reports all that is ready, not only what changed", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLOUT | EPOLLET);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLOUT");
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN|EPOLLOUT");
});

test("room to write is reported when it comes back, once", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLOUT | EPOLLET);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLOUT");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
  ends.fill();
  ends.drain();
  expect(reportOf(epoll, ends.here)).toBe("EPOLLOUT");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});

test("the peer's end of writing is an edge", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLRDHUP | EPOLLET);
  ends.there.shutdown(SHUT_WR);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN|EPOLLRDHUP");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});

test("modify reports the present state once more", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLET);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
  expect(reportOf(epoll, eventfd)).toBe("nothing");
  epoll.modify(eventfd, EPOLLIN | EPOLLET);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
  expect(reportOf(epoll, eventfd)).toBe("nothing");
});

test("modify to level-triggered reports until it is read", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLET);
  epoll.poll(0);
  epoll.modify(eventfd, EPOLLIN);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
});

test("an edge that did not fit into a poll comes with the next", () => {
  using epoll = new Epoll();
  using eventfds = new Several(3, () => new EventFd(1));
  for (const eventfd of eventfds.all) epoll.register(eventfd, EPOLLIN | EPOLLET);
  const seen = eventfds.all.flatMap(() => epoll.poll(0, 1).map(([fd]) => fd));
  expect(seen.sort((a, b) => a - b)).toEqual(numbersOf(eventfds.all));
  expect(epoll.poll(0)).toEqual([]);
});

test("each of two epolls gets the edge", () => {
  using first = new Epoll();
  using second = new Epoll();
  using ends = new Ends();
  for (const epoll of [first, second]) epoll.register(ends.here, EPOLLIN | EPOLLET);
  ends.there.send("x");
  expect(reportOf(first, ends.here)).toBe("EPOLLIN");
  expect(reportOf(second, ends.here)).toBe("EPOLLIN");
});

test("EPOLLET with EPOLLONESHOT reports one edge only", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLET | EPOLLONESHOT);
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});
