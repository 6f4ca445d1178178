// FdPool: each of the three calls finds the active fd, select only up to FD_SETSIZE, and no fd is left open.

import { expect, setDefaultTimeout, test } from "bun:test";
import { syscalls } from "../../src/kernel/ffi.ts";
import { calls, FD_SETSIZE, FdPool } from "../../src/tools/comparison/fd-pool.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

test("each call finds the readable fd, with subsets of any size in any order", async () => {
  await leavesNoFd(() => {
    using pool = new FdPool(500);
    for (const size of [10, 499, 1, 2, 500, 3, 10]) {
      pool.useFirst(size);
      expect(pool.exceedsFdSetSize).toBe(false);
      for (const call of calls) pool.wait(call, 3); // throws if it finds another fd, and blocks if there is none
    }
  });
});

test("select rejects an fd beyond FD_SETSIZE, poll and epoll_wait do not", async () => {
  await leavesNoFd(() => {
    using pool = new FdPool(FD_SETSIZE);
    pool.useFirst(FD_SETSIZE); // the standard streams also have numbers, so at least one fd is too high
    expect(pool.exceedsFdSetSize).toBe(true);
    expect(() => pool.wait("select", 1)).toThrow("EINVAL");
    pool.wait("poll", 1);
    pool.wait("epoll", 1);
    pool.useFirst(100);
    expect(pool.exceedsFdSetSize).toBe(false);
    pool.wait("select", 1);
  });
});

test("wait() throws without a subset, after close(), and for zero calls; a subset must fit into the pool", () => {
  using pool = new FdPool(10);
  expect(() => pool.wait("poll", 1)).toThrow("no subset is in use");
  expect(() => pool.useFirst(11)).toThrow(RangeError);
  expect(() => pool.useFirst(0)).toThrow(RangeError);
  pool.useFirst(10);
  for (const call of calls) expect(() => pool.wait(call, 0)).toThrow("EINVAL");
  pool.close();
  expect(() => pool.wait("poll", 1)).toThrow("this FdPool is closed");
  pool.close();
});

test("closes the fds that it has opened if the limit is reached", async () => {
  await leavesNoFd(() => {
    const sys = syscalls();
    const { socketpair } = sys;
    let pairs = 0;
    try {
      sys.socketpair = (...args) => (++pairs > 5 ? -24 /* EMFILE */ : socketpair(...args));
      expect(() => new FdPool(100)).toThrow("EMFILE: too many open files, socketpair");
    } finally {
      sys.socketpair = socketpair;
    }
  });
});
