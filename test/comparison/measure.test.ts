// The measuring: its steps, figures for each, select's end, and no descriptor left.

import { expect, setDefaultTimeout, test } from "bun:test";
import { measure, stepsUpTo } from "../../src/tools/comparison/measure.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

test("the steps are 1, 2, 5 of each decade, and end with what was asked for", () => {
  expect(stepsUpTo(20_000)).toEqual([10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]);
  expect(stepsUpTo(19_900)).toEqual([10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 19_900]);
  expect(stepsUpTo(100)).toEqual([10, 20, 50, 100]);
  expect(stepsUpTo(30)).toEqual([10, 20, 30]);
  expect(stepsUpTo(10)).toEqual([10]);
  expect(stepsUpTo(9)).toEqual([]);
});

test("a step that would all but repeat the last is left out", () => {
  expect(stepsUpTo(105)).toEqual([10, 20, 50, 105]);
  expect(stepsUpTo(11)).toEqual([11]);
});

test("every step has its figures, and select ends at its wall", async () => {
  await leavesNoFd(() => {
    const shares: number[] = [];
    const { steps, asked, openFiles } = measure(2000, (share) => shares.push(share));
    expect(steps.map(({ descriptors }) => descriptors)).toEqual([10, 20, 50, 100, 200, 500, 1000, 2000]);
    for (const { descriptors, select, poll, epoll } of steps) {
      for (const ns of [poll, epoll, ...(select === null ? [] : [select])]) {
        expect(Number.isFinite(ns)).toBe(true);
        expect(ns).toBeGreaterThan(0);
      }
      if (descriptors <= 500) expect(select).not.toBeNull();
      if (descriptors >= 1024) expect(select).toBeNull();
    }
    expect(asked).toBe(2000);
    expect(openFiles).toBeGreaterThan(2000);
    expect(shares[0]).toBe(0);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.every((share) => share < 1)).toBe(true);
  });
});
