// Level-triggered registrations, the default: a state is reported while it lasts.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, EPOLLOUT, EPOLLRDNORM, EPOLLWRNORM } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { Ends, EventFd, everyFdIsClosed, Fifo, reportOf } from "../../support/descriptors.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

test("reports EPOLLIN in every poll until all data is read", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN);
  ends.there.send("abc");
  for (let i = 0; i < 3; i++) {
    expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
    expect(ends.here.recv(1)).toHaveLength(1);
  }
  expect(reportOf(epoll, ends.here)).toBe("nothing");
});

test("reports data that arrived before registration", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  ends.there.send("x");
  epoll.register(ends.here, EPOLLIN);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
});

test("reports EPOLLOUT while the send buffer has space, and again when it has space again", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLOUT);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLOUT");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLOUT");
  ends.fill();
  expect(reportOf(epoll, ends.here)).toBe("nothing");
  ends.drain();
  expect(reportOf(epoll, ends.here)).toBe("EPOLLOUT");
});

test("combines everything that is ready on one fd into one event", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLOUT);
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN|EPOLLOUT");
});

test("reports only what was requested", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN);
  expect(reportOf(epoll, ends.here)).toBe("nothing"); // although it is writable
});

test("EPOLLRDNORM and EPOLLWRNORM mean the same as EPOLLIN and EPOLLOUT", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLOUT|EPOLLWRNORM");
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN|EPOLLOUT|EPOLLRDNORM|EPOLLWRNORM");
});

test("an eventfd is readable while its count is greater than 0", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN | EPOLLOUT);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLOUT");
  eventfd.add();
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN|EPOLLOUT");
  eventfd.take();
  expect(reportOf(epoll, eventfd)).toBe("EPOLLOUT");
});

test("a FIFO is readable when it is not empty, and writable when it is not full", () => {
  using epoll = new Epoll();
  using fifo = new Fifo();
  epoll.register(fifo.reader, EPOLLIN);
  expect(reportOf(epoll, fifo.reader)).toBe("nothing");
  fifo.fill();
  expect(reportOf(epoll, fifo.reader)).toBe("EPOLLIN");
  epoll.unregister(fifo.reader);
  epoll.register(fifo.writer, EPOLLOUT);
  expect(reportOf(epoll, fifo.writer)).toBe("nothing");
  while (fifo.reader.read(65_536) > 0);
  expect(reportOf(epoll, fifo.writer)).toBe("EPOLLOUT");
});
