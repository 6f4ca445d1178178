// EPOLLEXCLUSIVE: of several epolls that watch one descriptor, not all are woken; and what it cannot stand beside.

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

/** A process waits, then this one watches the same FIFO; something is written. What does this one learn of it? */
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

test("one that waits is woken, and the next is not", async () => {
  expect(await secondOfTwo(EPOLLEXCLUSIVE)).toBe("nothing");
});

test("without it both are woken", async () => {
  expect(await secondOfTwo(0)).toBe("EPOLLIN");
});

test("where nobody waits each epoll reports it", () => {
  using first = new Epoll();
  using second = new Epoll();
  using eventfd = new EventFd();
  for (const epoll of [first, second]) epoll.register(eventfd, EPOLLIN | EPOLLEXCLUSIVE);
  eventfd.add();
  expect(reportOf(first, eventfd)).toBe("EPOLLIN");
  expect(reportOf(second, eventfd)).toBe("EPOLLIN");
});

test("it is never part of an event's mask", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLOUT | EPOLLEXCLUSIVE);
  expect(reportOf(epoll, eventfd)).toBe("EPOLLIN|EPOLLOUT");
});

describe.each(named(EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLWAKEUP, EPOLLET))("beside %s", (_, mask) => {
  test("it is accepted", () => {
    using epoll = new Epoll();
    using eventfd = new EventFd();
    epoll.register(eventfd, mask | EPOLLEXCLUSIVE);
    expect(interestOf(epoll)).toHaveLength(1);
  });
});

describe.each(named(EPOLLPRI, EPOLLRDHUP, EPOLLONESHOT, EPOLLRDNORM, EPOLLRDBAND, EPOLLWRNORM))(
  "beside %s",
  (_, mask) => {
    test("register fails: EINVAL", () => {
      using epoll = new Epoll();
      using eventfd = new EventFd();
      expect(failure(() => epoll.register(eventfd, EPOLLIN | mask | EPOLLEXCLUSIVE))).toEqual(EINVAL);
      expect(interestOf(epoll)).toEqual([]);
    });
  },
);

test("modify with it fails: EINVAL", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN);
  expect(failure(() => epoll.modify(eventfd, EPOLLIN | EPOLLEXCLUSIVE))).toEqual(EINVAL);
  expect(interestOf(epoll)[0]?.mask).toBe(EPOLLIN | EPOLLERR | EPOLLHUP);
});

test("modify of a registration that has it fails: EINVAL", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN | EPOLLEXCLUSIVE);
  expect(failure(() => epoll.modify(eventfd, EPOLLOUT))).toEqual(EINVAL);
});

test("unregister of a registration that has it works", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN | EPOLLEXCLUSIVE);
  epoll.unregister(eventfd);
  expect(interestOf(epoll)).toEqual([]);
});

test("an epoll cannot be watched with it: EINVAL", () => {
  using outer = new Epoll();
  using inner = new Epoll();
  expect(failure(() => outer.register(inner, EPOLLIN | EPOLLEXCLUSIVE))).toEqual(EINVAL);
});
