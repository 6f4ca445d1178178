// Invalid arguments: rejected with their name and value before any system call.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import type { EventList } from "../../../src/io/event-list.ts";
import type { FdLike } from "../../../src/kernel/fd.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";
import { EventFd, everyFdIsClosed, interestOf } from "../../support/descriptors.ts";
import { openFds } from "../../support/fds.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

/** Creates an Epoll that counts its calls of epoll_ctl. */
function counted(): { epoll: Epoll; calls: () => number } {
  let calls = 0;
  const host = syscalls();
  const epoll = new Epoll(undefined, {
    ...host,
    epoll_ctl(...args) {
      calls++;
      return host.epoll_ctl(...args);
    },
  });
  return { epoll, calls: () => calls };
}

const withFd: [name: string, call: (epoll: Epoll, fd: FdLike) => unknown][] = [
  ["register", (epoll, fd) => epoll.register(fd)],
  ["modify", (epoll, fd) => epoll.modify(fd, EPOLLIN)],
  ["unregister", (epoll, fd) => epoll.unregister(fd)],
];

describe.each(withFd)("%s", (_, call) => {
  test.each([
    ["nothing", undefined],
    ["null", null],
    ["a numeric string", "5"],
    ["text", "spam"],
    ["a boolean", true],
    ["a bigint", 5n],
    ["a symbol", Symbol("5")],
    ["an object", {}],
    ["an array", [5]],
    ["a function", () => 5],
    ["a fileno that is not a method", { fileno: 5 }],
    ["a fileno() that returns text", { fileno: () => "5" }],
    ["a fileno() that returns nothing", { fileno: () => undefined }],
    ["a fileno() that returns an object", { fileno: () => ({ fileno: () => 5 }) }],
  ])("rejects %s with a TypeError", (_, fd) => {
    const { epoll, calls } = counted();
    using __ = epoll;
    const message = "fd must be an integer or an object with a fileno() method; received ";
    expect(() => call(epoll, fd as number)).toThrow(TypeError);
    expect(() => call(epoll, fd as number)).toThrow(message);
    expect(calls()).toBe(0);
  });

  test.each([-1, -2147483648, 1.5, NaN, Infinity, 2147483648])("rejects %p with a RangeError", (fd) => {
    const { epoll, calls } = counted();
    using _ = epoll;
    const message = `fd must be an integer from 0 to 2147483647; received ${fd}`;
    expect(() => call(epoll, fd)).toThrow(new RangeError(message));
    expect(() => call(epoll, { fileno: () => fd })).toThrow(new RangeError(message));
    expect(calls()).toBe(0);
  });

  test("rethrows an exception of fileno()", () => {
    using epoll = new Epoll();
    const fd = {
      fileno(): number {
        throw new SyntaxError("mine");
      },
    };
    expect(() => call(epoll, fd)).toThrow(new SyntaxError("mine"));
  });
});

test.each([undefined, null, "5", true, 5n, {}, { fileno: (): number => 5 }])(
  "fromfd rejects %p: it takes over a number, not what another object owns",
  (fd) => {
    expect(() => Epoll.fromfd(fd as number)).toThrow(TypeError);
    expect(() => Epoll.fromfd(fd as number)).toThrow("fd must be an integer from 0 to 2147483647; received ");
  },
);

test.each([-1, -2147483648, 1.5, NaN, Infinity, 2147483648])("fromfd rejects %p with a RangeError", (fd) => {
  expect(() => Epoll.fromfd(fd)).toThrow(new RangeError(`fd must be an integer from 0 to 2147483647; received ${fd}`));
});

test.each([16, -1, 0, "foo", true, null, 5n, () => {}])(
  "new Epoll(%p) is rejected, as an Epoll has no size",
  (size) => {
    const before = openFds();
    const message = "options must be { trace } or omitted: an Epoll has no size (to own an open fd, use Epoll.fromfd)";
    expect(() => new Epoll(size as never)).toThrow(TypeError);
    expect(() => new Epoll(size as never)).toThrow(message);
    expect(openFds()).toEqual(before);
  },
);

const with32Bits: [name: string, call: (epoll: Epoll, fd: FdLike, n: number) => void][] = [
  ["register's mask", (epoll, fd, n) => epoll.register(fd, n)],
  ["register's token", (epoll, fd, n) => epoll.register(fd, EPOLLIN, n)],
  ["modify's mask", (epoll, fd, n) => epoll.modify(fd, n)],
  ["modify's token", (epoll, fd, n) => epoll.modify(fd, EPOLLIN, n)],
];

describe.each(with32Bits)("%s", (name, call) => {
  const argument = name.split(" ")[1];

  test.each([
    [null, "null"],
    ["1", '"1"'],
    [true, "true"],
    [1n, "1n"],
    [{}, "an instance of Object"],
  ])("rejects %p with a TypeError", (n, received) => {
    const { epoll, calls } = counted();
    using _ = epoll;
    using eventfd = new EventFd();
    const message = `${argument} must be a 32-bit integer; received ${received}`;
    expect(() => call(epoll, eventfd, n as unknown as number)).toThrow(new TypeError(message));
    expect(calls()).toBe(0);
  });

  test.each([0.5, NaN, Infinity, -Infinity, 2 ** 32, -(2 ** 31) - 1])("rejects %p with a RangeError", (n) => {
    const { epoll, calls } = counted();
    using _ = epoll;
    using eventfd = new EventFd();
    expect(() => call(epoll, eventfd, n)).toThrow(
      new RangeError(`${argument} must be a 32-bit integer; received ${n}`),
    );
    expect(calls()).toBe(0);
  });

  test.each([0, 1, 2 ** 31 - 1, -(2 ** 31)])("accepts %p", (n) => {
    using epoll = new Epoll();
    using eventfd = new EventFd();
    if (name.startsWith("modify")) epoll.register(eventfd, EPOLLIN);
    call(epoll, eventfd, n & ~0x10000000); // without EPOLLEXCLUSIVE, which has its own rules
    expect(interestOf(epoll)).toHaveLength(1);
  });
});

test("modify requires a mask", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN);
  const modify = epoll.modify.bind(epoll) as (fd: FdLike) => void;
  expect(() => modify(eventfd)).toThrow(new TypeError("mask must be a 32-bit integer; received undefined"));
});

test.each([
  ["nothing", undefined],
  ["null", null],
  ["a number", 5],
  ["text", "list"],
  ["an object", {}],
  ["an array", []],
  ["a typed array", new Int32Array(16)],
])("pollInto rejects %s with a TypeError", (_, list) => {
  using epoll = new Epoll();
  expect(() => epoll.pollInto(list as unknown as EventList, 0)).toThrow(TypeError);
  expect(epoll.poll(0)).toEqual([]);
});
