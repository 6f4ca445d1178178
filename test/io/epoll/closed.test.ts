// Closing an Epoll: methods fail afterwards, closing twice has no effect, and a reused fd is not closed.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EPOLL_CLOEXEC, EPOLLIN } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { ClosedError } from "../../../src/kernel/errors.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";
import { OpenFd, OwnedFd } from "../../../src/io/owned-fd.ts";
import { Socket } from "../../../src/io/socket.ts";
import { duplicate, EventFd, everyFdIsClosed, interestOf, reportOf } from "../../support/descriptors.ts";
import { fdFlags, openFds } from "../../support/fds.ts";
import { failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const calls: Record<string, (epoll: Epoll) => unknown> = {
  fileno: (epoll) => epoll.fileno(),
  register: (epoll) => epoll.register(0),
  modify: (epoll) => epoll.modify(0, EPOLLIN),
  unregister: (epoll) => epoll.unregister(0),
  poll: (epoll) => epoll.poll(0),
  pollInto: (epoll) => epoll.pollInto(new EventList(1), 0),
  dup: (epoll) => epoll.dup(),
  detach: (epoll) => epoll.detach(),
  waitInto: (epoll) => epoll.waitInto(new EventList(1), 0),
  receiveInto: (epoll) => epoll.receiveInto(new EventList(1), 0),
};

function closed(): Epoll {
  const epoll = new Epoll();
  epoll.close();
  return epoll;
}

test("the table of calls contains all methods", () => {
  const tested = new Set([
    ...Object.keys(calls),
    "constructor",
    "closed",
    "close",
    "isTraced",
    "sys",
    "open",
    "transfer",
  ]);
  const methods = [Epoll.prototype, OwnedFd.prototype].flatMap((prototype) => Object.getOwnPropertyNames(prototype));
  expect(methods.filter((name) => !tested.has(name))).toEqual([]);
});

describe.each(Object.entries(calls))("%s", (name, call) => {
  test("throws a ClosedError after close", () => {
    const error = thrownBy(() => call(closed()));
    expect(error).toBeInstanceOf(ClosedError);
    expect(error).toMatchObject({
      name: "ClosedError",
      code: "ERR_CLOSED",
      message: `Epoll.${name}: this Epoll is closed`,
    });
  });
});

function thrownBy(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

test("a ClosedError takes precedence over argument errors", () => {
  expect(() => closed().register("spam" as unknown as number)).toThrow(ClosedError);
  expect(() => closed().poll(NaN, 0)).toThrow(ClosedError);
  expect(() => closed().pollInto(null as unknown as EventList)).toThrow(ClosedError);
});

test("`closed` is true after close, and never throws", () => {
  const epoll = new Epoll();
  expect(epoll.closed).toBe(false);
  epoll.close();
  expect(epoll.closed).toBe(true);
});

test("close closes the fd", () => {
  const epoll = new Epoll();
  const fd = epoll.fileno();
  expect(openFds().get(fd)).toBe("anon_inode:[eventpoll]");
  epoll.close();
  expect(openFds().get(fd)).not.toBe("anon_inode:[eventpoll]");
});

test("closing twice does not close a reused fd", () => {
  const epoll = new Epoll();
  using eventfd = new EventFd();
  const fd = epoll.fileno();
  epoll.close();
  using next = duplicate(eventfd, fd);
  expect(next.fileno()).toBe(fd);
  epoll.close();
  epoll[Symbol.dispose]();
  expect(openFds().get(fd)).toBe("anon_inode:[eventfd]");
});

test("the Epoll is closed even if close throws", () => {
  const epoll = new Epoll(new OpenFd(0x3fffffff));
  expect(failure(() => epoll.close())).toEqual(["EBADF", "close"]);
  expect(epoll.closed).toBe(true);
  expect(() => epoll.close()).not.toThrow();
});

test("`using` closes the Epoll, even if the block throws", () => {
  let kept: Epoll | undefined;
  expect(() => {
    using epoll = new Epoll();
    kept = epoll;
    throw new Error("out");
  }).toThrow("out");
  expect(kept?.closed).toBe(true);
});

test("`using` after close has no effect", () => {
  expect(() => {
    using epoll = new Epoll();
    epoll.close();
  }).not.toThrow();
});

test("registering a closed object throws the ClosedError of that object", () => {
  using epoll = new Epoll();
  const socket = new Socket();
  socket.close();
  expect(() => epoll.register(socket)).toThrow("Socket.fileno: this Socket is closed");
  expect(() => epoll.register(closed())).toThrow("Epoll.fileno: this Epoll is closed");
});

test("returned events remain valid after close", () => {
  using eventfd = new EventFd(1);
  const list = new EventList(2);
  const pairs = (() => {
    using epoll = new Epoll();
    epoll.register(eventfd, EPOLLIN, 3);
    epoll.pollInto(list, 0);
    return epoll.poll(0);
  })();
  expect(pairs).toEqual([[eventfd.fileno(), EPOLLIN]]);
  expect([list.fd(0), list.mask(0), list.token(0)]).toEqual([eventfd.fileno(), EPOLLIN, 3]);
});

describe("fromfd", () => {
  test("takes ownership of an epoll instance with its registrations", () => {
    using eventfd = new EventFd(1);
    const fd = syscalls().epoll_create1(EPOLL_CLOEXEC);
    syscalls().epoll_ctl(fd, 1, eventfd.fileno(), EPOLLIN, 0);
    using epoll = Epoll.fromfd(fd);
    expect(epoll).toBeInstanceOf(Epoll);
    expect(epoll.fileno()).toBe(fd);
    expect(epoll.closed).toBe(false);
    expect(reportOf(epoll, eventfd)).toBe("EPOLLIN");
    epoll.unregister(eventfd);
    expect(interestOf(epoll)).toEqual([]);
  });

  test("closes the fd on close", () => {
    const fd = syscalls().epoll_create1(EPOLL_CLOEXEC);
    const epoll = Epoll.fromfd(fd);
    epoll.close();
    expect(openFds().get(fd)).not.toBe("anon_inode:[eventpoll]");
  });

  test("of a duplicate shares registrations, and closing one leaves the other open", () => {
    using eventfd = new EventFd(1);
    using first = new Epoll();
    using second = Epoll.fromfd(duplicate(first).fileno());
    first.register(eventfd, EPOLLIN);
    expect(reportOf(second, eventfd)).toBe("EPOLLIN");
    first.close();
    expect(reportOf(second, eventfd)).toBe("EPOLLIN");
  });

  test("makes it close-on-exec", () => {
    using epoll = Epoll.fromfd(syscalls().epoll_create1(0));
    expect(fdFlags(epoll.fileno()) & EPOLL_CLOEXEC).toBe(EPOLL_CLOEXEC);
  });

  test("rejects other kinds of fd, and leaves them open", () => {
    using eventfd = new EventFd();
    const fd = eventfd.fileno();
    expect(() => Epoll.fromfd(fd)).toThrow(`fd ${fd} is not an epoll instance: it is anon_inode:[eventfd]`);
    expect(openFds().get(fd)).toBe("anon_inode:[eventfd]");
    expect(failure(() => Epoll.fromfd(0x3fffffff))).toEqual(["EBADF", "fcntl"]);
  });
});

test("a new epoll instance is close-on-exec", () => {
  using epoll = new Epoll();
  expect(fdFlags(epoll.fileno()) & EPOLL_CLOEXEC).toBe(EPOLL_CLOEXEC);
});
