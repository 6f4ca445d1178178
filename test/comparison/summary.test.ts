// The sentences of the summary, derived from measured times.

import { expect, setDefaultTimeout, test } from "bun:test";
import { crossover, summarize } from "../../src/tools/comparison/summary.ts";
import type { Step } from "../../src/tools/comparison/measure.ts";

setDefaultTimeout(60_000);

function steps(...rows: [fds: number, select: number | null, poll: number, epoll: number][]): Step[] {
  return rows.map(([fds, select, poll, epoll]) => ({ fds, select, poll, epoll }));
}

test("names the fastest call at both ends, the crossover with each call, the growth, and the limit of select", () => {
  const measured = steps([10, 300, 310, 400], [20, 380, 420, 410], [50, 900, 950, 405], [2000, null, 40_000, 410]);
  expect(crossover(measured)).toEqual({ select: 50, poll: 20 });
  expect(summarize(measured)).toEqual([
    "With 10 file descriptors, select is the fastest (300 ns): poll takes 1.03 times as long, epoll_wait 1.3 times.",
    "epoll_wait is faster than select from 50 file descriptors on, and faster than poll from 20 file descriptors on.",
    "With 2,000 file descriptors, epoll_wait is the fastest (410 ns): poll takes 97.6 times as long.",
    "With 200 times as many file descriptors, a call of poll takes 129 times as long as before, a call of epoll_wait about as long.",
    "select stops after 50 file descriptors: one numbered 1024 or higher does not fit into an fd_set (FD_SETSIZE).",
  ]);
});

test("a crossover counts only if epoll_wait stays faster", () => {
  expect(crossover(steps([10, 5, 5, 4], [20, 5, 5, 6], [50, 5, 5, 4]))).toEqual({ select: 50, poll: 50 });
  expect(crossover(steps([10, 5, 5, 4], [20, 5, 5, 5]))).toEqual({ select: null, poll: null });
  expect(crossover([])).toEqual({ select: null, poll: null });
});

test("describes a crossover at the first step, and one that is never reached", () => {
  const second = (measured: Step[]): string | undefined => summarize(measured)[1];
  expect(second(steps([10, 9, 9, 5], [20, 9, 9, 5]))).toBe(
    "epoll_wait is faster than both at every step: there is no crossover.",
  );
  expect(second(steps([10, 9, 4, 5], [20, 9, 9, 5]))).toBe(
    "epoll_wait is faster than select at every step, and faster than poll from 20 file descriptors on.",
  );
  expect(second(steps([10, 4, 4, 5], [20, 4, 9, 5]))).toBe(
    "epoll_wait is not faster than select at the last step that both have, and faster than poll from 20 file descriptors on.",
  );
});

test("summarizes one step in one sentence, and no steps in none", () => {
  expect(summarize(steps([10, 300, 310, 290]))).toEqual([
    "With 10 file descriptors, epoll_wait is the fastest (290 ns): select takes 1.03 times as long, poll 1.07 times.",
  ]);
  expect(summarize([])).toEqual([]);
});

test("reports that select could not be measured at all", () => {
  expect(summarize(steps([10, null, 9, 5])).at(-1)).toStartWith("select cannot be measured: ");
});
