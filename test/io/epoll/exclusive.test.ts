// EPOLLEXCLUSIVE: wakes one of several epoll instances, and cannot be combined with certain events.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  EPOLLERR,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDBAND,
  EPOLLRDHUP,
  EPOLLRDNORM,
  EPOLLWAKEUP,
  EPOLLWRNORM,
} from "../../../src/kernel/constants.ts";
import { formatMask } from "../../../src/kernel/format-mask.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { EventFd, everyFdIsClosed, Fifo, interestOf, reportOf } from "../../support/descriptors.ts";
import { failure } from "../../support/sockets.ts";
import { Waiter } from "../../support/waiting.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const named = (...masks: number[]): [name: string, mask: number][] => masks.map((mask) => [formatMask(mask), mask]);
const EINVAL: [string, string] = ["EINVAL", "epoll_ctl"];

/** Writes to a FIFO that a waiting process and a second epoll instance watch. Returns the event of the latter. */
async function secondOfTwo(extra: number): Promise<string> {
  using fifo = new Fifo();
  using epoll = new Epoll();
  const waiter = await Waiter.start({ fifo: fifo.path, mask: EPOLLIN | extra, timeoutMs: -1 });
  epoll.register(fifo.reader, EPOLLIN | extra);
  fifo.writer.write(new Uint8Array(1));
  const seen = reportOf(epoll, fifo.reader);
  expect((await waiter.report()).masks).toEqual([EPOLLIN]);
  return seen;
}

test("wakes only the first waiting instance", async () => {
  expect(await secondOfTwo(EPOLLEXCLUSIVE)).toBe("nothing");
});

test("without EPOLLEXCLUSIVE, both instances are woken", async () => {
  expect(await secondOfTwo(0)).toBe("EPOLLIN");
});

test("if no instance is waiting, every instance reports the event", () => {
  using first = new Epoll();
  using second = new Epoll();
  using eventfd = new EventFd();
  for (const epoll of [first, second]) epoll.register(eventfd, EPOLLIN | EPOLLEXCLUSIVE);
  eventfd.add();
  expect(reportOf(first, eventfd)).toBe("EPOLLIN");
  expect(reportOf(second, eventfd)).toBe("EPOLLIN");
});

test("is never part of a reported mask", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLOUT | EPOLLEXCLUSIVE);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN|EPOLLOUT");
});

describe.each(named(EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLWAKEUP, EPOLLET))("combined with %s", (_, mask) => {
  test("is accepted", () => {
    using epoll = new Epoll();
    using eventfd = new EventFd();
    epoll.register(eventfd, mask | EPOLLEXCLUSIVE);
    expect(interestOf(epoll)).toHaveLength(1);
  });
});

describe.each(named(EPOLLPRI, EPOLLRDHUP, EPOLLONESHOT, EPOLLRDNORM, EPOLLRDBAND, EPOLLWRNORM))(
  "combined with %s",
  (_, mask) => {
    test("register fails with EINVAL", () => {
      using epoll = new Epoll();
      using eventfd = new EventFd();
      expect(failure(() => epoll.register(eventfd, EPOLLIN | mask | EPOLLEXCLUSIVE))).toEqual(EINVAL);
      expect(interestOf(epoll)).toEqual([]);
    });
  },
);

test("modify fails with EINVAL if the mask contains EPOLLEXCLUSIVE", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN);
  expect(failure(() => epoll.modify(eventfd, EPOLLIN | EPOLLEXCLUSIVE))).toEqual(EINVAL);
  expect(interestOf(epoll)[0]?.mask).toBe(EPOLLIN | EPOLLERR | EPOLLHUP);
});

test("modify fails with EINVAL for a registration with EPOLLEXCLUSIVE", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN | EPOLLEXCLUSIVE);
  expect(failure(() => epoll.modify(eventfd, EPOLLOUT))).toEqual(EINVAL);
});

test("unregister removes a registration with EPOLLEXCLUSIVE", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLEXCLUSIVE);
  epoll.unregister(eventfd);
  expect(interestOf(epoll)).toEqual([]);
});

test("registering an epoll instance with EPOLLEXCLUSIVE fails with EINVAL", () => {
  using outer = new Epoll();
  using inner = new Epoll();
  expect(failure(() => outer.register(inner, EPOLLIN | EPOLLEXCLUSIVE))).toEqual(EINVAL);
});
