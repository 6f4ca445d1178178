// A Crowd: each of the three calls finds the one active descriptor; select does so up to its wall; nothing is left open.

import { expect, setDefaultTimeout, test } from "bun:test";
import { syscalls } from "../../src/kernel/ffi.ts";
import { calls, FdSet, FD_SETSIZE } from "../../src/tools/comparison/fd-set.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

test("each call finds the one that can be read, among however many are looked at, in any order", async () => {
  await leavesNoFd(() => {
    using crowd = new FdSet(500);
    for (const size of [10, 499, 1, 2, 500, 3, 10]) {
      crowd.gather(size);
      expect(crowd.isBeyondSelect).toBe(false);
      for (const call of calls) crowd.wait(call, 3); // throws if it is another, and waits for ever if it is none
    }
  });
});

test("select cannot be told of a descriptor beyond FD_SETSIZE, the others can", async () => {
  await leavesNoFd(() => {
    using crowd = new FdSet(FD_SETSIZE);
    crowd.gather(FD_SETSIZE); // the standard streams have numbers too: one is too high
    expect(crowd.isBeyondSelect).toBe(true);
    expect(() => crowd.wait("select", 1)).toThrow("EINVAL");
    crowd.wait("poll", 1);
    crowd.wait("epoll", 1);
    crowd.gather(100);
    expect(crowd.isBeyondSelect).toBe(false);
    crowd.wait("select", 1);
  });
});

test("nobody waits where nobody is gathered, and nobody is gathered who is not there", () => {
  using crowd = new FdSet(10);
  expect(() => crowd.wait("poll", 1)).toThrow("nobody is gathered");
  expect(() => crowd.gather(11)).toThrow(RangeError);
  expect(() => crowd.gather(0)).toThrow(RangeError);
  crowd.gather(10);
  for (const call of calls) expect(() => crowd.wait(call, 0)).toThrow("EINVAL");
  crowd.close();
  expect(() => crowd.wait("poll", 1)).toThrow("nobody is gathered");
  crowd.close();
});

test("a Crowd that finds no descriptors closes those that it has", async () => {
  await leavesNoFd(() => {
    const sys = syscalls();
    const { socketpair } = sys;
    let pairs = 0;
    try {
      sys.socketpair = (...args) => (++pairs > 5 ? -24 /* EMFILE */ : socketpair(...args));
      expect(() => new FdSet(100)).toThrow("EMFILE: too many open files, socketpair");
    } finally {
      sys.socketpair = socketpair;
    }
  });
});
