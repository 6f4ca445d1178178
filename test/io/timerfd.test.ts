// TimerFd: the kernel's timers, in nanoseconds.

import { expect, setDefaultTimeout, test } from "bun:test";
import { CLOCK_BOOTTIME, CLOCK_REALTIME, Epoll, EPOLLIN, TimerFd } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

test("it is readable when it has expired, and tells how often", () =>
  leavesNoFd(() => {
    for (const timer of [new TimerFd(), new TimerFd(CLOCK_REALTIME), new TimerFd(CLOCK_BOOTTIME)]) {
      using epoll = new Epoll();
      epoll.register(timer, EPOLLIN);
      expect([timer.read(), timer.get()]).toEqual([null, { value: 0n, interval: 0n }]);
      expect(timer.set({ value: 1n })).toEqual({ value: 0n, interval: 0n });
      expect(epoll.poll(5000)).toEqual([[timer.fileno(), EPOLLIN]]);
      expect([timer.read(), timer.read()]).toEqual([1n, null]);
      timer.set({ value: 1000, interval: 1_000_000n });
      let count = 0n;
      while (count < 5n) {
        epoll.poll(5000);
        count += timer.read() ?? 0n;
      }
      timer.set({ value: 0 });
      expect([timer.read(), timer.get()]).toEqual([null, { value: 0n, interval: 0n }]);
      timer.close();
    }
  }));

test("what was set can be read, to the nanosecond; an absolute time may be long ago", () =>
  leavesNoFd(() => {
    using timer = new TimerFd(CLOCK_REALTIME);
    timer.set({ value: 2n ** 40n, interval: 3_600_000_000_001n });
    const { value, interval } = timer.get();
    expect(interval).toBe(3_600_000_000_001n);
    expect(value > 2n ** 40n - 60_000_000_000n && value <= 2n ** 40n).toBe(true);
    expect(timer.set({ value: 1n, isAbsolute: true, isCanceledOnSet: true }).interval).toBe(3_600_000_000_001n);
    expect(timer.read()).toBe(1n);
    for (const wrong of [-1, -1n, 0.5]) expect(() => timer.set({ value: wrong })).toThrow(RangeError);
    expect(() => new TimerFd(99)).toThrow("EINVAL: invalid argument, timerfd_create");
    timer.close();
    expect(() => timer.set({ value: 1 })).toThrow("TimerFd.set: this TimerFd is closed");
  }));
