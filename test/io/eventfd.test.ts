// EventFd: counting, semaphores, overflow, and waking another thread.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Epoll, EPOLLIN, EventFd, watch } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { leavesNothing } from "../support/threads.ts";

setDefaultTimeout(60_000);

test("is readable while the count is above 0; read resets it, or decrements a semaphore by 1", () =>
  leavesNoFd(() => {
    using epoll = new Epoll();
    using counter = new EventFd();
    using semaphore = new EventFd(2, { semaphore: true });
    epoll.register(counter, EPOLLIN);
    expect([counter.read(), epoll.poll(0)]).toEqual([null, []]);
    expect([counter.write(), counter.write(41), counter.write(0n)]).toEqual([true, true, true]);
    expect(epoll.poll(1000)).toEqual([[counter.fileno(), EPOLLIN]]);
    expect([counter.read(), counter.read()]).toEqual([42n, null]);
    expect([semaphore.read(), semaphore.read(), semaphore.read()]).toEqual([1n, 1n, null]);
    using large = new EventFd(0xffffffff);
    expect(large.read()).toBe(0xffffffffn);
  }));

test("write returns false if the count would overflow", () =>
  leavesNoFd(() => {
    using counter = new EventFd();
    expect(counter.write(2n ** 64n - 2n)).toBe(true);
    expect(counter.write()).toBe(false);
    expect(counter.read()).toBe(2n ** 64n - 2n);
    for (const wrong of [-1, -1n, 2n ** 64n - 1n, 1.5]) expect(() => counter.write(wrong)).toThrow(RangeError);
    for (const wrong of [-1, 2 ** 32, 1.5]) expect(() => new EventFd(wrong)).toThrow(RangeError);
    expect(() => new EventFd("5" as never)).toThrow(
      new TypeError('initial must be an integer from 0 to 4294967295; received "5"'),
    );
    counter.close();
    expect(() => counter.read()).toThrow("EventFd.read: this EventFd is closed");
  }));

test("a Worker wakes the thread that watches the eventfd", () =>
  leavesNothing(async () => {
    const wake = new EventFd();
    const received = Promise.withResolvers<bigint | null>();
    const watcher = watch(wake, EPOLLIN, () => received.resolve(wake.read()));
    const worker = new Worker(new URL("../support/waking-worker.ts", import.meta.url));
    worker.postMessage(wake.dup()); // oxlint-disable-line unicorn/require-post-message-target-origin -- not a window
    expect(await received.promise).toBeGreaterThanOrEqual(3n);
    watcher.close();
    wake.close();
    await new Promise((resolve) => worker.addEventListener("close", resolve)); // by then, it has closed its duplicate
  }));
