// The layout of the timeline: one lane per file descriptor, one mark per event or cluster of events, and a ruler.

import type { TraceEvent } from "../../../trace/events.ts";
import { type FdKey, fdKey } from "../../../trace/fd-key.ts";
import { hasLine } from "../../../trace/format.ts";
import { type Extent, niceStep } from "./axis-extent.ts";
import type { AxisUnit } from "./event-browser.ts";
import type { EventRows } from "./event-rows.ts";
import { formatFd, formatTick } from "./format.ts";
import { isFailure } from "./range-totals.ts";

/** The x coordinate at which the lanes start, to the right of their labels. */
export const LANES_X = 52;
/** Space above the lanes, for the ruler. */
export const TOP = 34;
export const LANE_HEIGHT = 22;

const BOTTOM = 6;
const MARGIN = 10;
const MAX_LANES = 14;
/** The distance between the labels of the ruler. */
const TICK_SPACING = 96;
/** The space that the number of skipped events takes. */
const GAP_LABEL_WIDTH = 90;

export interface Lane {
  /** The fd and its process. Undefined: the loop itself, or the lane for the fds that have none of their own. */
  key: FdKey | undefined;
  label: string;
  y: number;
}

/** An event, a run of empty waits, or a cluster of events that are too close to each other. */
export interface Mark {
  /** The positions of the first and the last event. */
  first: number;
  last: number;
  /** The number of events. */
  count: number;
  /** The most important of the events. */
  event: TraceEvent;
  position: number;
  /** Whether the events are of different types. */
  isMixed: boolean;
  x: number;
  y: number;
  /** The lanes of the file descriptors that a wait reports. */
  readyLanes: Lane[];
}

/** A period of time, on the time axis: the loop is blocked, or works on an fd. */
export interface Slice {
  kind: "idle" | "busy";
  x: number;
  width: number;
  y: number;
}

/** Events that the history lacks. */
export interface Gap {
  x: number;
  omitted: number;
  hasLabel: boolean;
}

export interface Tick {
  x: number;
  label: string;
}

export interface Layout {
  width: number;
  height: number;
  /** Where the lanes end. */
  lanesBottom: number;
  lanes: Lane[];
  marks: Mark[];
  slices: Slice[];
  gaps: Gap[];
  ticks: Tick[];
  /** Returns the x coordinate of a value of the axis. */
  toX(value: number): number;
  /** Returns the value of the axis at an x coordinate. */
  toValue(x: number): number;
}

export interface LayoutOptions {
  rows: EventRows;
  unit: AxisUnit;
  extent: Extent;
  width: number;
  /** The distance below which marks in a lane become a cluster, in pixels. */
  spacing: number;
}

/** An event in the extent, or a run of empty waits. */
interface Placed {
  event: TraceEvent;
  first: number;
  last: number;
  count: number;
  omitted: number;
  value: number;
}

/** Returns the width of the axis in a timeline of this width. */
export function axisWidth(width: number): number {
  return width - LANES_X - 2 * MARGIN;
}

export function layoutTimeline({ rows, unit, extent, width, spacing }: LayoutOptions): Layout {
  const span = Math.max(extent.to - extent.from, Number.MIN_VALUE);
  const inner = axisWidth(width);
  const toX = (value: number): number => LANES_X + MARGIN + ((value - extent.from) / span) * inner;
  const toValue = (x: number): number => extent.from + ((x - LANES_X - MARGIN) / inner) * span;

  const placed = unit === "order" ? placeRows(rows, extent) : placeEvents(rows, extent);
  const fds = fdsOf(placed);
  const hasSeveral = rows.history.hasSeveralProcesses;
  const labelOf = (key: FdKey): string => (hasSeveral ? formatFd(key, true) : `fd ${formatFd(key, false)}`);
  const loop: Lane = { key: undefined, label: "loop", y: TOP + LANE_HEIGHT / 2 };
  const byFd = new Map(fds.map((key, i) => [key, { key, label: labelOf(key), y: loop.y + (i + 1) * LANE_HEIGHT }]));
  const others: Lane = { key: undefined, label: "other", y: loop.y + (fds.length + 1) * LANE_HEIGHT };
  const laneOf = (event: TraceEvent): Lane => {
    const key = fdOf(event);
    return key === undefined ? loop : (byFd.get(key) ?? others);
  };
  const hasOthers = placed.some(({ event }) => laneOf(event) === others);
  const lanes = [loop, ...byFd.values(), ...(hasOthers ? [others] : [])];
  const lanesBottom = TOP + lanes.length * LANE_HEIGHT;

  const marks: Mark[] = [];
  const gaps: Gap[] = [];
  const lastInLane = new Map<Lane, Mark>();
  for (const { event, first, last, count, omitted, value } of placed) {
    const x = toX(value);
    if (omitted > 0) {
      const hasLabel = x - (gaps.findLast((gap) => gap.hasLabel)?.x ?? -GAP_LABEL_WIDTH) >= GAP_LABEL_WIDTH;
      gaps.push({ x: x - spacing / 2, omitted, hasLabel });
    }
    const lane = laneOf(event);
    const previous = lastInLane.get(lane);
    if (previous !== undefined && x - previous.x < spacing - 0.01) {
      addToCluster(previous, event, first, last, count);
      continue;
    }
    const readyLanes = reportedFds(event).flatMap((key) => byFd.get(key) ?? []);
    const mark: Mark = { first, last, count, event, position: first, isMixed: false, x, y: lane.y, readyLanes };
    marks.push(mark);
    lastInLane.set(lane, mark);
  }
  return {
    width,
    height: lanesBottom + BOTTOM,
    lanesBottom,
    lanes,
    marks,
    slices: unit === "time" ? slicesOf(rows, extent, loop, byFd, toX) : [],
    gaps,
    ticks: unit === "time" ? timeTicks(extent, inner, toX) : orderTicks(placed, toX),
    toX,
    toValue,
  };
}

function placeRows(rows: EventRows, { from, to }: Extent): Placed[] {
  const first = Math.max(rows.start, Math.ceil(from));
  return rows.slice(first, Math.floor(to) + 1).flatMap((row, i) => {
    const event = rows.history.event(row.last); // the end of a run of empty waits
    return event === undefined ? [] : [{ ...row, event, value: first + i }];
  });
}

function placeEvents({ history }: EventRows, { from, to }: Extent): Placed[] {
  const placed: Placed[] = [];
  let skipped = 0;
  history.forEach(history.positionAt(from), history.positionAt(to + 0.05), (event, position, omitted) => {
    skipped += omitted;
    if (!hasLine(event)) return;
    placed.push({ event, first: position, last: position, count: 1, omitted: skipped, value: event.us });
    skipped = 0;
  });
  return placed;
}

function addToCluster(mark: Mark, event: TraceEvent, first: number, last: number, count: number): void {
  mark.isMixed ||= event.type !== mark.event.type;
  mark.last = last;
  mark.count += count;
  mark.readyLanes = [];
  if (importance(event) <= importance(mark.event)) return;
  mark.event = event;
  mark.position = first;
}

function importance(event: TraceEvent): number {
  return event.type === "warning" ? 2 : isFailure(event) ? 1 : 0;
}

/** Returns the periods in which the loop was blocked, and those in which it worked on an fd. Neighbors closer than a pixel are joined. */
function slicesOf(
  { history }: EventRows,
  { from, to }: Extent,
  loop: Lane,
  byFd: ReadonlyMap<FdKey, Lane>,
  toX: (value: number) => number,
): Slice[] {
  const slices: Slice[] = [];
  const lastInLane = new Map<Lane, Slice>();
  const add = (kind: Slice["kind"], lane: Lane, startUs: number, endUs: number): void => {
    if (endUs < from || startUs > to) return;
    const x = toX(Math.max(startUs, from));
    const end = toX(Math.min(endUs, to));
    const previous = lastInLane.get(lane);
    if (previous !== undefined && x - (previous.x + previous.width) < 1) {
      previous.width = Math.max(previous.width, end - previous.x);
      return;
    }
    const slice = { kind, x, width: Math.max(0.5, end - x), y: lane.y };
    slices.push(slice);
    lastInLane.set(lane, slice);
  };
  // The call or the iteration in progress at the end of the extent is reported by an event after it.
  const start = history.positionAt(from);
  const end = history.positionAt(to);
  const nextWait = history.find(end - 1, 1, ({ type }) => type === "wait") ?? end;
  history.forEach(start, nextWait + 1, (event) => {
    if (event.type === "wait") {
      add("idle", loop, event.us - event.blockedUs, event.us);
    } else if (event.type === "iteration") {
      let us = event.us - event.workedUs;
      for (const [fd, workedUs] of event.dispatches) {
        const lane = byFd.get(fdKey(fd, event.pid));
        if (lane !== undefined) add("busy", lane, us, us + workedUs);
        us += workedUs;
      }
    }
  });
  return slices;
}

function timeTicks({ from, to }: Extent, inner: number, toX: (value: number) => number): Tick[] {
  const step = niceStep(((to - from) * TICK_SPACING) / Math.max(1, inner));
  const ticks: Tick[] = [];
  for (let us = Math.ceil(from / step) * step; us <= to; us += step)
    ticks.push({ x: toX(us), label: formatTick(us, step) });
  return ticks;
}

/** Returns the times of some of the events. */
function orderTicks(placed: readonly Placed[], toX: (value: number) => number): Tick[] {
  const ticks: Tick[] = [];
  for (const { event, value } of placed) {
    const x = toX(value);
    const isFree = x - (ticks.at(-1)?.x ?? -TICK_SPACING) >= TICK_SPACING;
    if (isFree) ticks.push({ x, label: formatTick(event.us, 100) });
  }
  return ticks;
}

/** Returns the file descriptors that get a lane, in ascending order. If there are too many, the latest events decide. */
function fdsOf(placed: readonly Placed[]): FdKey[] {
  const fds = new Set<FdKey>();
  for (let i = placed.length - 1; i >= 0 && fds.size < MAX_LANES; i--) {
    const { event } = placed[i] as Placed;
    const own = fdOf(event);
    for (const key of own === undefined ? reportedFds(event) : [own]) {
      if (fds.size < MAX_LANES) fds.add(key);
    }
  }
  return [...fds].sort((a, b) => a - b);
}

/** Returns the file descriptor in whose lane the event belongs; undefined: the lane of the loop. */
function fdOf(event: TraceEvent): FdKey | undefined {
  const fd = numberOf(event);
  return fd === undefined ? undefined : fdKey(fd, event.pid);
}

function numberOf(event: TraceEvent): number | undefined {
  if (event.type === "create" || event.type === "open") return event.result >= 0 ? event.result : undefined;
  if (event.type === "accept") return event.result >= 0 ? event.result : event.fd;
  return "fd" in event && event.fd !== null ? event.fd : undefined;
}

function reportedFds(event: TraceEvent): FdKey[] {
  return event.type === "wait" ? event.events.map(([fd]) => fdKey(fd, event.pid)) : [];
}
