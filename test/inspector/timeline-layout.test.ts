// The layout of the inspector's timeline: lanes, the places of marks, clusters, and the periods between events.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { TraceEvent } from "../../src/index.ts";
import { EventHistory } from "../../src/tools/inspector/client/event-history.ts";
import { EventRows } from "../../src/tools/inspector/client/event-rows.ts";
import { LANES_X, type Layout, layoutTimeline } from "../../src/tools/inspector/client/timeline-layout.ts";
import { eventAt, iteration, recv, wait } from "../support/trace-events.ts";

setDefaultTimeout(60_000);

const WIDTH = 900;
const SPACING = 16;

function rowsOf(events: readonly TraceEvent[]): EventRows {
  const history = new EventHistory();
  history.load(events);
  const rows = new EventRows(history, () => true);
  rows.update();
  return rows;
}

/** Lays out all events. */
function layout(events: readonly TraceEvent[], unit: "order" | "time" = "order"): Layout {
  const rows = rowsOf(events);
  const extent =
    unit === "order"
      ? { from: rows.start - 0.5, to: rows.end - 0.5 }
      : { from: events[0]?.us ?? 0, to: events.at(-1)?.us ?? 0 };
  return layoutTimeline({ rows, unit, extent, width: WIDTH, spacing: SPACING });
}

const labelsOf = ({ lanes }: Layout): string[] => lanes.map(({ label }) => label);
const laneY = ({ lanes }: Layout, label: string): number | undefined => lanes.find((lane) => lane.label === label)?.y;

test("has only the loop's lane without events", () => {
  const empty = layout([]);
  expect(labelsOf(empty)).toEqual(["loop"]);
  expect(empty.marks).toEqual([]);
});

test("has a lane for each file descriptor, in ascending order below the loop's lane", () => {
  const result = layout([eventAt(0, wait(9, 7)), eventAt(1, recv(7)), eventAt(2, recv(12))]);
  expect(labelsOf(result)).toEqual(["loop", "fd 7", "fd 9", "fd 12"]);
  const ys = [...result.lanes.map(({ y }) => y), result.lanesBottom, result.height];
  expect(ys).toEqual(ys.toSorted((a, b) => a - b));
  expect(new Set(ys).size).toBe(ys.length);
});

test("puts an event in the lane of its file descriptor, and a wait in the loop's lane", () => {
  const result = layout([eventAt(0, wait(7)), eventAt(1, recv(7))]);
  expect(result.marks.map(({ y }) => y)).toEqual([laneY(result, "loop") as number, laneY(result, "fd 7") as number]);
});

test("puts an accepted connection in its own lane, and a failed accept in the listener's", () => {
  const accept = (result: number): object => ({ type: "accept", fd: 5, result, peer: null });
  const result = layout([eventAt(0, accept(8)), eventAt(1, accept(-24))]);
  expect(labelsOf(result)).toEqual(["loop", "fd 5", "fd 8"]);
  expect(result.marks.map(({ y }) => y)).toEqual([laneY(result, "fd 8") as number, laneY(result, "fd 5") as number]);
});

test("with too many file descriptors, those of the latest events get lanes, and the others share one that is not the loop's", () => {
  const events = Array.from({ length: 30 }, (_, i) => eventAt(i, recv(i)));
  const result = layout(events);
  expect(labelsOf(result)).toEqual(["loop", ...Array.from({ length: 14 }, (_, i) => `fd ${16 + i}`), "other"]);
  expect(result.marks[0]?.y).toBe(laneY(result, "other") as number);
  expect(result.marks.filter(({ y }) => y === laneY(result, "loop"))).toEqual([]);
});

test("connects a wait with the lanes of the file descriptors that it reports", () => {
  const { lanes, marks } = layout([eventAt(0, wait(9, 7)), eventAt(1, recv(7))]);
  expect(marks[0]?.readyLanes.map(({ key }) => key)).toEqual([9, 7]);
  expect(lanes).toContainEqual(marks[0]?.readyLanes[0] as (typeof lanes)[number]);
  expect(marks[1]?.readyLanes).toEqual([]);
});

test("in event order, all distances between marks are equal, and all marks are within the width", () => {
  const events = Array.from({ length: 40 }, (_, i) => eventAt(i ** 3, recv(7)));
  const xs = layout(events).marks.map(({ x }) => x);
  expect(xs.length).toBe(40);
  const distances = xs.slice(1).map((x, i) => x - (xs[i] as number));
  for (const distance of distances) expect(distance).toBeCloseTo(distances[0] as number);
  expect(xs[0]).toBeGreaterThanOrEqual(LANES_X);
  expect(xs.at(-1)).toBeLessThanOrEqual(WIDTH);
});

test("a run of empty waits has one mark", () => {
  const events = [
    eventAt(0, recv(7)),
    ...Array.from({ length: 55 }, (_, i) => eventAt(i, wait())),
    eventAt(99, recv(7)),
  ];
  expect(layout(events).marks.map(({ count }) => count)).toEqual([1, 55, 1]);
});

test("on the time scale, distances are proportional to time", () => {
  const [first, second, third] = layout(
    [0, 100, 400].map((us) => eventAt(5_000 + us, recv(7))),
    "time",
  ).marks;
  const distance = (from = { x: 0 }, to = { x: 0 }): number => to.x - from.x;
  expect(distance(first, third)).toBeCloseTo(4 * distance(first, second));
  expect(third?.x).toBeLessThanOrEqual(WIDTH);
});

test("on the time scale, events at the same moment are one cluster, and do not divide by zero", () => {
  const { marks } = layout([eventAt(5, recv(7)), eventAt(5, recv(7))], "time");
  expect(marks.map(({ x, count }) => [Number.isFinite(x), count])).toEqual([[true, 2]]);
});

test("a cluster shows its most important event: a warning, then a failed call", () => {
  const failed = { type: "recv", fd: 7, wanted: 10, result: -104 };
  const again = { type: "recv", fd: 7, wanted: 10, result: -11 };
  const warning = { type: "warning", code: "undrained", fd: 7, message: "" };
  const events = [eventAt(5, recv(7)), eventAt(5, failed), eventAt(5, again)];
  expect(layout(events, "time").marks[0]).toMatchObject({ event: failed, position: 1, count: 3, isMixed: false });
  const withWarning = [...events, eventAt(5, warning), eventAt(900, recv(7))];
  expect(layout(withWarning, "time").marks[0]).toMatchObject({ event: warning, position: 3, count: 4, isMixed: true });
});

test("on the time scale, bars show how long the loop was blocked, and how long it worked on each fd", () => {
  const result = layout(
    [
      eventAt(0, recv(7)),
      eventAt(600, { ...wait(7, 9), blockedUs: 400 }),
      eventAt(700, recv(7)),
      eventAt(
        1_000,
        iteration(400, [
          [7, 300],
          [9, 100],
        ]),
      ),
    ],
    "time",
  );
  const usOf = (x: number): number => Math.round(result.toValue(x));
  expect(
    result.slices.map(({ kind, x, width, y }) => [
      kind,
      result.lanes.find((lane) => lane.y === y)?.label,
      usOf(x),
      usOf(x + width),
    ]),
  ).toEqual([
    ["idle", "loop", 200, 600],
    ["busy", "fd 7", 600, 900],
    ["busy", "fd 9", 900, 1_000],
  ]);
});

test("the ruler's labels do not overlap, and differ", () => {
  for (const unit of ["order", "time"] as const) {
    const { ticks } = layout(
      Array.from({ length: 50 }, (_, i) => eventAt(i * 997, recv(7))),
      unit,
    );
    expect(ticks.length).toBeGreaterThan(3);
    for (const [i, { x }] of ticks.entries()) if (i > 0) expect(x - (ticks[i - 1]?.x ?? 0)).toBeGreaterThanOrEqual(60);
    expect(new Set(ticks.map(({ label }) => label)).size).toBe(ticks.length);
  }
});

test("marks where events were skipped", () => {
  const history = new EventHistory();
  const counts = {
    iterations: 0,
    events: {},
    accepted: 0,
    bytesIn: 0,
    bytesOut: 0,
    blockedUs: 0,
    awayUs: 0,
    workedUs: 0,
    overheadUs: 0,
  };
  const state = {
    warnings: [],
    omittedWarnings: 0,
    entries: [],
    open: 0,
    registered: 0,
    epfd: 4,
    iteration: 1,
    ready: [],
    counts,
  };
  history.add({ ...state, events: [eventAt(1, recv(7), 1)], omitted: 0 });
  history.add({ ...state, events: [eventAt(9, recv(7), 302)], omitted: 300 });
  const rows = new EventRows(history, () => true);
  rows.update();
  const { gaps, marks } = layoutTimeline({
    rows,
    unit: "order",
    extent: { from: -0.5, to: 19.5 },
    width: WIDTH,
    spacing: SPACING,
  });
  expect(gaps).toMatchObject([{ omitted: 300, hasLabel: true }]);
  expect(gaps[0]?.x).toBeGreaterThan(marks[0]?.x as number);
  expect(gaps[0]?.x).toBeLessThan(marks[1]?.x as number);
});
