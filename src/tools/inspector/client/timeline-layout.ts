// The layout of the timeline: one lane per file descriptor, and one mark per event.

import type { TraceEvent } from "../../../trace/events.ts";
import type { HistoryEntry } from "./event-history.ts";

export const WIDTH = 760;
/** The x coordinate at which the lanes start, to the right of their labels. */
export const LANES_X = 44;
/** Space above the lanes, for the number of skipped events. */
export const TOP = 16;
export const MAX_MARKS = 48;

const BOTTOM = 14;
const LANE_HEIGHT = 22;
const MARGIN = 10;
const MAX_LANES = 14;

export interface Lane {
  fd: number;
  y: number;
}

export interface Mark extends HistoryEntry {
  x: number;
  y: number;
  /** The lanes of the file descriptors that a wait reports. */
  readyLanes: Lane[];
}

export interface Layout {
  height: number;
  /** Where the lanes end. */
  lanesBottom: number;
  /** The lane of the loop itself. */
  loopY: number;
  lanes: Lane[];
  marks: Mark[];
}

/**
 * Places events in the order they happened, the last at the right.
 *
 * @param entries at most MAX_MARKS
 * @param isToScale the distance between marks is proportional to the time between events; default: all distances are equal
 */
export function layoutTimeline(entries: readonly HistoryEntry[], isToScale: boolean): Layout {
  const loopY = TOP + LANE_HEIGHT / 2;
  const lanes = fdsOf(entries).map((fd, i) => ({ fd, y: loopY + (i + 1) * LANE_HEIGHT }));
  const byFd = new Map(lanes.map((lane) => [lane.fd, lane]));
  const laneY = (fd: number | undefined): number => (fd === undefined ? undefined : byFd.get(fd)?.y) ?? loopY;
  const lanesBottom = TOP + (lanes.length + 1) * LANE_HEIGHT;
  const marks = entries.map((entry, i) => ({
    ...entry,
    x: LANES_X + MARGIN + fraction(entries, i, isToScale) * (WIDTH - LANES_X - 2 * MARGIN),
    y: laneY(fdOf(entry.event)),
    readyLanes: reportedFds(entry.event).flatMap((fd) => byFd.get(fd) ?? []),
  }));
  return { height: lanesBottom + BOTTOM, lanesBottom, loopY, lanes, marks };
}

/** Returns where a mark is between the left (0) and the right (1). */
function fraction(entries: readonly HistoryEntry[], index: number, isToScale: boolean): number {
  if (!isToScale) return index / (MAX_MARKS - 1);
  const us = (i: number): number => entries.at(i)?.event.us ?? 0;
  return (us(index) - us(0)) / Math.max(1, us(-1) - us(0));
}

/** Returns the file descriptors that get a lane, in ascending order. If there are too many, the latest events decide. */
function fdsOf(entries: readonly HistoryEntry[]): number[] {
  const fds = new Set<number>();
  for (const { event } of entries.toReversed()) {
    const own = fdOf(event);
    for (const fd of own === undefined ? reportedFds(event) : [own]) {
      if (fds.size < MAX_LANES) fds.add(fd);
    }
  }
  return [...fds].sort((a, b) => a - b);
}

/** Returns the file descriptor in whose lane the event belongs; undefined: the lane of the loop. */
function fdOf(event: TraceEvent): number | undefined {
  if (event.type === "accept" || event.type === "create") return event.result >= 0 ? event.result : undefined;
  return "fd" in event && event.fd !== null ? event.fd : undefined;
}

function reportedFds(event: TraceEvent): number[] {
  return event.type === "wait" ? event.events.map(([fd]) => fd) : [];
}
