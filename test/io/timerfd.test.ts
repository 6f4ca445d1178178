// TimerFd: kernel timers with nanosecond resolution.

import { expect, setDefaultTimeout, test } from "bun:test";
import { CLOCK_BOOTTIME, CLOCK_REALTIME, Epoll, EPOLLIN, TimerFd } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

test("is readable when it has expired, and counts expirations", () =>
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

test("get returns times in nanoseconds, and an absolute time in the past expires immediately", () =>
  leavesNoFd(() => {
    using timer = new TimerFd(CLOCK_REALTIME);
    timer.set({ value: 2n ** 40n, interval: 3_600_000_000_001n });
    const { value, interval } = timer.get();
    expect(interval).toBe(3_600_000_000_001n);
    expect(value > 2n ** 40n - 60_000_000_000n && value <= 2n ** 40n).toBe(true);
    expect(timer.set({ value: 1n, isAbsolute: true, isCanceledOnSet: true }).interval).toBe(3_600_000_000_001n);
    expect(timer.read()).toBe(1n);
    timer.close();
    expect(() => timer.set({ value: 1 })).toThrow("TimerFd.set: this TimerFd is closed");
  }));

test("rejects a clock that does not exist, a setting that is not an object, and times that are not nanoseconds", () =>
  leavesNoFd(() => {
    using timer = new TimerFd();
    expect(() => new TimerFd(99)).toThrow("EINVAL: invalid argument, timerfd_create");
    expect(() => new TimerFd("0" as never)).toThrow(
      "clock must be an integer from 0 to 2147483647: CLOCK_MONOTONIC, CLOCK_REALTIME or CLOCK_BOOTTIME",
    );
    for (const [setting, received] of [
      [500, "500"],
      [undefined, "undefined"],
      [null, "null"],
    ] as const) {
      expect(() => timer.set(setting as never)).toThrow(
        new TypeError(`setting must be { value, interval? } with times in nanoseconds; received ${received}`),
      );
    }
    expect(() => timer.set({} as never)).toThrow(TypeError);
    for (const wrong of [-1, -1n, 0.5, 2n ** 100n]) {
      expect(() => timer.set({ value: wrong })).toThrow(
        "value must be a number of nanoseconds (an integer or bigint, 0 or greater); received ",
      );
      expect(() => timer.set({ value: 1, interval: wrong })).toThrow(RangeError);
    }
  }));
