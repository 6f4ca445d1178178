// measure(): its steps, a time for each call, and the limit of select. It leaves no fd open.

import { expect, setDefaultTimeout, test } from "bun:test";
import { measure, stepsUpTo } from "../../src/tools/comparison/measure.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

test("steps are 1, 2 and 5 of each decade, and the maximum", () => {
  expect(stepsUpTo(20_000)).toEqual([10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]);
  expect(stepsUpTo(19_900)).toEqual([10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 19_900]);
  expect(stepsUpTo(100)).toEqual([10, 20, 50, 100]);
  expect(stepsUpTo(30)).toEqual([10, 20, 30]);
  expect(stepsUpTo(10)).toEqual([10]);
  expect(stepsUpTo(9)).toEqual([]);
});

test("omits a step that is nearly the maximum", () => {
  expect(stepsUpTo(105)).toEqual([10, 20, 50, 105]);
  expect(stepsUpTo(11)).toEqual([11]);
});

test("measures every step, and select up to FD_SETSIZE", async () => {
  await leavesNoFd(() => {
    const fractions: number[] = [];
    const { steps, requestedFds, openFilesLimit } = measure(2000, (fraction) => fractions.push(fraction));
    expect(steps.map(({ fds }) => fds)).toEqual([10, 20, 50, 100, 200, 500, 1000, 2000]);
    for (const { fds, select, poll, epoll } of steps) {
      for (const ns of [poll, epoll, ...(select === null ? [] : [select])]) {
        expect(Number.isFinite(ns)).toBe(true);
        expect(ns).toBeGreaterThan(0);
      }
      if (fds <= 500) expect(select).not.toBeNull();
      if (fds >= 1024) expect(select).toBeNull();
    }
    expect(requestedFds).toBe(2000);
    expect(openFilesLimit).toBeGreaterThan(2000);
    expect(fractions[0]).toBe(0);
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
    expect(fractions.every((fraction) => fraction < 1)).toBe(true);
  });
});
