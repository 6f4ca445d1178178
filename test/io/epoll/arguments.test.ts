// Arguments that are none are refused by name, before any system call.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import type { EventList } from "../../../src/io/event-list.ts";
import type { FdLike } from "../../../src/kernel/fd.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";
import { EventFd, everyFdIsClosed, interestOf } from "../../support/descriptors.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

/** An Epoll that counts the system calls that are made through it. */
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
  ["fromfd", (_, fd) => Epoll.fromfd(fd as number)],
];

describe.each(withFd)("%s", (_, call) => {
  test.each([
    ["nothing", undefined],
    ["null", null],
    ["digits", "5"],
    ["text", "spam"],
    ["a boolean", true],
    ["a bigint", 5n],
    ["a symbol", Symbol("5")],
    ["an object", {}],
    ["an array", [5]],
    ["a function", () => 5],
    ["a fileno that is no method", { fileno: 5 }],
    ["a fileno() that gives text", { fileno: () => "5" }],
    ["a fileno() that gives nothing", { fileno: () => undefined }],
    ["a fileno() that gives another", { fileno: () => ({ fileno: () => 5 }) }],
  ])("of %s: TypeError", (_, fd) => {
    const { epoll, calls } = counted();
    using __ = epoll;
    expect(() => call(epoll, fd as number)).toThrow(TypeError);
    expect(() => call(epoll, fd as number)).toThrow("a file descriptor is a number or has a fileno() method, not ");
    expect(calls()).toBe(0);
  });

  test.each([-1, -2147483648, 1.5, NaN, Infinity, 2147483648])("of %p: RangeError", (fd) => {
    const { epoll, calls } = counted();
    using _ = epoll;
    const message = `a file descriptor is a whole number from 0 to 2147483647, not ${fd}`;
    expect(() => call(epoll, fd)).toThrow(new RangeError(message));
    expect(() => call(epoll, { fileno: () => fd })).toThrow(new RangeError(message));
    expect(calls()).toBe(0);
  });

  test("what fileno() throws is thrown", () => {
    using epoll = new Epoll();
    const fd = {
      fileno(): number {
        throw new SyntaxError("mine");
      },
    };
    expect(() => call(epoll, fd)).toThrow(new SyntaxError("mine"));
  });
});

const with32Bits: [name: string, call: (epoll: Epoll, fd: FdLike, n: number) => void][] = [
  ["register's mask", (epoll, fd, n) => epoll.register(fd, n)],
  ["register's token", (epoll, fd, n) => epoll.register(fd, EPOLLIN, n)],
  ["modify's mask", (epoll, fd, n) => epoll.modify(fd, n)],
  ["modify's token", (epoll, fd, n) => epoll.modify(fd, EPOLLIN, n)],
];

describe.each(with32Bits)("%s", (name, call) => {
  const what = name.split(" ")[1];

  test.each([null, "1", true, 1n, {}])("as %p: TypeError", (n) => {
    const { epoll, calls } = counted();
    using _ = epoll;
    using eventfd = new EventFd();
    const message = `a ${what} is a number, not ${typeof n}`;
    expect(() => call(epoll, eventfd, n as unknown as number)).toThrow(new TypeError(message));
    expect(calls()).toBe(0);
  });

  test.each([0.5, NaN, Infinity, -Infinity, 2 ** 32, -(2 ** 31) - 1])("as %p: RangeError", (n) => {
    const { epoll, calls } = counted();
    using _ = epoll;
    using eventfd = new EventFd();
    expect(() => call(epoll, eventfd, n)).toThrow(new RangeError(`a ${what} is a whole number of 32 bits, not ${n}`));
    expect(calls()).toBe(0);
  });

  test.each([0, 1, 2 ** 31 - 1, -(2 ** 31)])("as %p is accepted", (n) => {
    using epoll = new Epoll();
    using eventfd = new EventFd();
    if (name.startsWith("modify")) epoll.register(eventfd, EPOLLIN);
    call(epoll, eventfd, n & ~0x10000000); // EPOLLEXCLUSIVE has rules of its own
    expect(interestOf(epoll)).toHaveLength(1);
  });
});

test("modify has no default mask: TypeError", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  epoll.register(eventfd, EPOLLIN);
  const modify = epoll.modify.bind(epoll) as (fd: FdLike) => void;
  expect(() => modify(eventfd)).toThrow(new TypeError("a mask is a number, not undefined"));
});

test.each([
  ["nothing", undefined],
  ["null", null],
  ["a number", 5],
  ["text", "list"],
  ["an object", {}],
  ["an array", []],
  ["a typed array", new Int32Array(16)],
])("pollInto into %s: TypeError", (_, list) => {
  using epoll = new Epoll();
  expect(() => epoll.pollInto(list as unknown as EventList, 0)).toThrow(TypeError);
  expect(epoll.poll(0)).toEqual([]);
});
