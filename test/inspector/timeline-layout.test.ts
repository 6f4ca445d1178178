// The layout of the timeline: a lane for each file descriptor, and a mark for each event.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { TraceEvent } from "../../src/index.ts";
import type { HistoryEntry } from "../../src/tools/inspector/client/event-history.ts";
import {
  LANES_X,
  type Layout,
  layoutTimeline,
  MAX_MARKS,
  WIDTH,
} from "../../src/tools/inspector/client/timeline-layout.ts";

setDefaultTimeout(60_000);

function entry(position: number, us: number, event: object): HistoryEntry {
  const moment = { seq: position + 1, us, iteration: 1 };
  return { position, event: { ...moment, ...event } as TraceEvent, omitted: 0 };
}

const wait = (...fds: number[]): object => ({
  type: "wait",
  epfd: 4,
  timeoutMs: -1,
  maxEvents: 1023,
  result: fds.length,
  events: fds.map((fd) => [fd, 1]),
  blockedUs: 0,
});
const recv = (fd: number): object => ({ type: "recv", fd, wanted: 10, result: 10 });

const fdsOf = ({ lanes }: Layout): number[] => lanes.map(({ fd }) => fd);

test("is empty without events", () => {
  expect(layoutTimeline([], false)).toMatchObject({ lanes: [], marks: [] });
});

test("has a lane for each file descriptor, in ascending order below the loop's lane", () => {
  const layout = layoutTimeline([entry(0, 0, wait(9, 7)), entry(1, 1, recv(7)), entry(2, 2, recv(12))], false);
  expect(fdsOf(layout)).toEqual([7, 9, 12]);
  const ys = [layout.loopY, ...layout.lanes.map(({ y }) => y), layout.lanesBottom, layout.height];
  expect(ys).toEqual(ys.toSorted((a, b) => a - b));
  expect(new Set(ys).size).toBe(ys.length);
});

test("puts an event in the lane of its file descriptor, and a wait in the loop's lane", () => {
  const { loopY, lanes, marks } = layoutTimeline([entry(0, 0, wait(7)), entry(1, 1, recv(7))], false);
  expect(marks.map(({ y }) => y)).toEqual([loopY, lanes[0]?.y as number]);
});

test("puts an accepted connection in its own lane, and a failed accept in the loop's", () => {
  const accept = (result: number): object => ({ type: "accept", fd: 5, result, peer: null });
  const { loopY, lanes, marks } = layoutTimeline([entry(0, 0, accept(8)), entry(1, 1, accept(-11))], false);
  expect(lanes.map(({ fd }) => fd)).toEqual([8]);
  expect(marks.map(({ y }) => y)).toEqual([lanes[0]?.y as number, loopY]);
});

test("connects a wait with the lanes of the file descriptors that it reports", () => {
  const { lanes, marks } = layoutTimeline([entry(0, 0, wait(9, 7)), entry(1, 1, recv(7))], false);
  expect(marks[0]?.readyLanes.map(({ fd }) => fd)).toEqual([9, 7]);
  expect(lanes).toContainEqual(marks[0]?.readyLanes[0] as (typeof lanes)[number]);
  expect(marks[1]?.readyLanes).toEqual([]);
});

test("in event order, all distances between marks are equal, and all marks fit", () => {
  const entries = Array.from({ length: MAX_MARKS }, (_, i) => entry(i, i ** 3, recv(7)));
  const xs = layoutTimeline(entries, false).marks.map(({ x }) => x);
  const distances = xs.slice(1).map((x, i) => x - (xs[i] as number));
  for (const distance of distances) expect(distance).toBeCloseTo(distances[0] as number);
  expect(xs[0]).toBeGreaterThanOrEqual(LANES_X);
  expect(xs.at(-1)).toBeLessThanOrEqual(WIDTH);
});

test("on the time scale, distances are proportional to time", () => {
  const [first, second, third] = layoutTimeline(
    [0, 100, 400].map((us, i) => entry(i, 5_000 + us, recv(7))),
    true,
  ).marks;
  const distance = (from = { x: 0 }, to = { x: 0 }): number => to.x - from.x;
  expect(distance(first, third)).toBeCloseTo(4 * distance(first, second));
  expect(third?.x).toBeLessThanOrEqual(WIDTH);
});

test("on the time scale, events at the same moment do not divide by zero", () => {
  const marks = layoutTimeline([entry(0, 5, recv(7)), entry(1, 5, recv(7))], true).marks;
  expect(marks.every(({ x }) => Number.isFinite(x))).toBe(true);
});

test("with too many file descriptors, those of the latest events get lanes", () => {
  const entries = Array.from({ length: 30 }, (_, i) => entry(i, i, recv(i)));
  const layout = layoutTimeline(entries, false);
  expect(fdsOf(layout)).toEqual(Array.from({ length: 14 }, (_, i) => 16 + i));
  expect(layout.marks[0]?.y).toBe(layout.loopY); // it has no lane
});

test("keeps the position and the number of skipped events of each entry", () => {
  const skipped = { ...entry(41, 0, recv(7)), omitted: 300 };
  expect(layoutTimeline([skipped], false).marks[0]).toMatchObject({ position: 41, omitted: 300 });
});
