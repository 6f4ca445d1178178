// Edge-triggered registrations, EPOLLET: each change is reported once.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP, SHUT_WR } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { Ends, EventFd, everyFdIsClosed, numbersOf, reportOf, Several } from "../../support/descriptors.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

test("reports data once, even if it is not read", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLET);
  ends.there.send("abc");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
  expect(ends.here.recv(1)).toHaveLength(1);
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});

test("reports more data, whether or not the first was read", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLET);
  for (let i = 0; i < 3; i++) {
    ends.there.send("x");
    expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
    expect(reportOf(epoll, ends.here)).toBe("nothing");
  }
});

test("combines several arrivals between two polls into one event", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLET);
  for (const data of ["a", "b", "c"]) ends.there.send(data);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});

test("reports data that arrived before registration", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  ends.there.send("x");
  epoll.register(ends.here, EPOLLIN | EPOLLET);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
});

test("reports all ready events, not only those that changed", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLOUT | EPOLLET);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLOUT");
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN|EPOLLOUT");
});

test("reports once when the fd becomes writable again", () => {
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

test("reports once when the peer shuts down writing", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLRDHUP | EPOLLET);
  ends.there.shutdown(SHUT_WR);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN|EPOLLRDHUP");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});

test("reports the current state once more after modify", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLET);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
  expect(reportOf(epoll, eventfd)).toBe("nothing");
  epoll.modify(eventfd, EPOLLIN | EPOLLET);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
  expect(reportOf(epoll, eventfd)).toBe("nothing");
});

test("after modify to level-triggered, reports until the data is read", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLET);
  epoll.poll(0);
  epoll.modify(eventfd, EPOLLIN);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
});

test("the next poll reports events that did not fit into one poll", () => {
  using epoll = new Epoll();
  using eventfds = new Several(3, () => new EventFd(1));
  for (const eventfd of eventfds.all) epoll.register(eventfd, EPOLLIN | EPOLLET);
  const seen = eventfds.all.flatMap(() => epoll.poll(0, 1).map(([fd]) => fd));
  expect(seen.sort((a, b) => a - b)).toEqual(numbersOf(eventfds.all));
  expect(epoll.poll(0)).toEqual([]);
});

test("reports an edge to each of two epoll instances", () => {
  using first = new Epoll();
  using second = new Epoll();
  using ends = new Ends();
  for (const epoll of [first, second]) epoll.register(ends.here, EPOLLIN | EPOLLET);
  ends.there.send("x");
  expect(reportOf(first, ends.here)).toBe("EPOLLIN");
  expect(reportOf(second, ends.here)).toBe("EPOLLIN");
});

test("reports only one edge with EPOLLONESHOT", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLET | EPOLLONESHOT);
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});
