// register, modify and unregister: their effect on the interest list and on reported events.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import {
  Ends,
  EventFd,
  everyFdIsClosed,
  interestOf,
  numbersOf,
  readyFds,
  reportOf,
} from "../../support/descriptors.ts";
import { failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const ALWAYS = EPOLLERR | EPOLLHUP; // added by the kernel to every mask

test("reports a registered fd when it is ready", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here, EPOLLIN);
  expect(reportOf(epoll, ends.here)).toBe("nothing");
  ends.there.send("x");
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN");
});

test("accepts a number or any object with fileno()", () => {
  using epoll = new Epoll();
  using number = new EventFd(1);
  using other = new EventFd(1);
  epoll.register(number.fileno(), EPOLLIN);
  epoll.register({ fileno: () => other.fileno() }, EPOLLIN);
  expect(readyFds(epoll)).toEqual(numbersOf([number, other]));
});

test("calls fileno() with its object as `this`", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  const holder = {
    held: eventfd,
    fileno(): number {
      return this.held.fileno();
    },
  };
  epoll.register(holder, EPOLLIN);
  expect(interestOf(epoll).map(({ fd }) => fd)).toEqual([eventfd.fileno()]);
});

test("registers EPOLLIN, EPOLLOUT and EPOLLPRI by default", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  epoll.register(ends.here);
  expect(interestOf(epoll)).toEqual([
    { fd: ends.here.fileno(), mask: EPOLLIN | EPOLLOUT | EPOLLPRI | ALWAYS, token: 0 },
  ]);
});

test("passes all 32 bits of the mask to the kernel", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN | EPOLLRDHUP | EPOLLET);
  expect(interestOf(epoll)[0]?.mask).toBe((EPOLLIN | EPOLLRDHUP | EPOLLET | ALWAYS) >>> 0);
});

test("accepts a negative mask, such as EPOLLIN | EPOLLET", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  const mask = EPOLLIN | EPOLLET;
  expect(mask).toBeLessThan(0);
  epoll.register(eventfd, mask);
  expect(interestOf(epoll)[0]?.mask).toBe((mask | ALWAYS) >>> 0);
});

test("modify replaces the mask", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  ends.there.send("x");
  epoll.register(ends.here, EPOLLIN);
  epoll.modify(ends.here, EPOLLOUT);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLOUT");
  epoll.modify(ends.here, EPOLLIN | EPOLLOUT);
  expect(reportOf(epoll, ends.here)).toBe("EPOLLIN|EPOLLOUT");
});

test("modify to 0 keeps the registration without reporting events", () => {
  using epoll = new Epoll();
  using ends = new Ends();
  ends.there.send("x");
  epoll.register(ends.here, EPOLLIN | EPOLLOUT);
  epoll.modify(ends.here, 0);
  expect(reportOf(epoll, ends.here)).toBe("nothing");
  expect(failure(() => epoll.register(ends.here))).toEqual(["EEXIST", "epoll_ctl"]);
});

test("unregister removes the registration, and the fd can be registered again", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN);
  epoll.unregister(eventfd);
  expect(reportOf(epoll, eventfd)).toBe("nothing");
  expect(interestOf(epoll)).toEqual([]);
  epoll.register(eventfd, EPOLLIN);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
});

test("two epoll instances watch one fd with separate masks", () => {
  using first = new Epoll();
  using second = new Epoll();
  using ends = new Ends();
  first.register(ends.here, EPOLLIN);
  second.register(ends.here, EPOLLOUT);
  ends.there.send("x");
  expect(reportOf(first, ends.here)).toBe("EPOLLIN");
  expect(reportOf(second, ends.here)).toBe("EPOLLOUT");
});

test("a failed register leaves the existing registration unchanged", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN, 7);
  expect(failure(() => epoll.register(eventfd, EPOLLOUT, 8))).toEqual(["EEXIST", "epoll_ctl"]);
  expect(interestOf(epoll)).toEqual([{ fd: eventfd.fileno(), mask: EPOLLIN | ALWAYS, token: 7 }]);
});

test("closing an Epoll leaves registered fds open", () => {
  using eventfd = new EventFd(1);
  const epoll = new Epoll();
  epoll.register(eventfd, EPOLLIN);
  epoll.close();
  eventfd.add();
  using next = new Epoll();
  next.register(eventfd, EPOLLIN);
  expect(reportOf(next, eventfd)).toBe("EPOLLIN");
});
