// class IterationHistory: the most recent iterations of a loop: all their events, and snapshots from which the open fds are derived.

import type { TraceEvent } from "../../trace/events.ts";
import type { ExpressionScope } from "./evaluate.ts";
import { type FdEntry, FdTable } from "./fd-table.ts";

/** The maximum size of the history, as estimated by `sizeOf` and ENTRY_BYTES. */
const MAX_BYTES = 32 * 1024 * 1024;
/** The minimum number of events between two snapshots. With more open fds, snapshots are further apart. */
const MIN_SEGMENT_EVENTS = 500;
/** A segment is closed when its events reach this fraction of the maximum size, so that dropping one keeps most of the history. */
const MIN_SEGMENTS = 8;
/** The estimated size of an event without its strings, and of an entry of a snapshot. */
const EVENT_BYTES = 256;
const ENTRY_BYTES = 192;
/** The estimated size of an element of an array, such as an event of a ready list. */
const ELEMENT_BYTES = 48;

export interface Iteration {
  /** The number of the iteration. */
  iteration: number;
  events: TraceEvent[];
  /** The open fds at the end of the iteration. */
  entries: readonly FdEntry[];
  ready: readonly [fd: number, mask: number][];
  /** The fd of the epoll instance. */
  epfd: number;
  /** The process that made the wait; undefined: this one. */
  pid: number | undefined;
}

/** Consecutive events, and the state before the first of them. */
interface Segment {
  before: { entries: FdEntry[]; epfd: number; pid: number | undefined; iteration: number; ready: FdTable["ready"] };
  events: TraceEvent[];
  bytes: number;
  /** The lowest and the highest iteration of an event. Those of several threads overlap. */
  first: number;
  last: number;
}

export class IterationHistory {
  /** The fds that are open after the last event. */
  readonly table: FdTable = new FdTable();
  readonly #maxBytes: number;
  #segments: Segment[] = [];
  /** The estimated size of everything stored. */
  bytes: number = 0;
  /** The oldest events have been dropped. */
  isTruncated: boolean = false;
  /** The number of entries in the snapshots. */
  get storedEntries(): number {
    return this.#segments.reduce((sum, { before }) => sum + before.entries.length, 0);
  }

  /** @param maxBytes the size from which on the oldest events are dropped */
  constructor(maxBytes: number = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  add(events: readonly TraceEvent[]): void {
    for (const event of events) {
      const segment = this.#segmentForNext();
      this.table.apply(event);
      segment.events.push(event);
      segment.first = Math.min(segment.first, event.iteration);
      segment.last = Math.max(segment.last, event.iteration);
      this.#grow(segment, sizeOf(event));
    }
    while (this.bytes > this.#maxBytes && this.#segments.length > 1) {
      this.bytes -= this.#segments.shift()?.bytes ?? 0;
      this.isTruncated = true;
    }
  }

  /** The current iteration; undefined before the first event. */
  get last(): Iteration | undefined {
    const iteration = this.#segments.at(-1)?.events.at(-1)?.iteration;
    if (iteration === undefined) return undefined;
    const { entries, ready, epfd, pid } = this.table;
    return { iteration, events: this.#eventsOf(iteration), entries, ready, epfd, pid };
  }

  get lastEvent(): TraceEvent | undefined {
    return this.#segments.at(-1)?.events.at(-1);
  }

  /** All events that are stored. */
  get events(): TraceEvent[] {
    return this.#segments.flatMap(({ events }) => events);
  }

  /** The numbers of the iterations that are stored, in order. */
  get iterations(): number[] {
    return [...new Set(this.events.map(({ iteration }) => iteration))].sort((a, b) => a - b);
  }

  /** Returns a stored iteration, with the fds that were open at its end. */
  at(iteration: number): Iteration | undefined {
    const events = this.#eventsOf(iteration);
    const last = events.at(-1);
    const segment =
      last && this.#segments.findLast(({ events: [first] }) => first !== undefined && first.seq <= last.seq);
    if (last === undefined || segment === undefined) return undefined;
    const table = new FdTable();
    table.restore(segment.before.entries, segment.before);
    for (const event of segment.events) {
      table.apply(event);
      if (event === last) break;
    }
    const { entries, ready, epfd, pid } = table;
    return { iteration, events, entries, ready, epfd, pid };
  }

  /** Returns the scope of expressions that are evaluated while this iteration is viewed. */
  scopeOf({ iteration, events, entries, ready, epfd }: Iteration): ExpressionScope {
    return { event: events.at(-1), ready, iteration, epfd, entries };
  }

  #segmentForNext(): Segment {
    const last = this.#segments.at(-1);
    const isOpen = last !== undefined && last.events.length < Math.max(MIN_SEGMENT_EVENTS, this.table.size);
    const eventBytes = last === undefined ? 0 : last.bytes - ENTRY_BYTES * last.before.entries.length;
    if (isOpen && eventBytes < this.#maxBytes / MIN_SEGMENTS) return last;
    const { entries, epfd, pid, iteration, ready } = this.table;
    const before = { entries: entries.map((entry) => ({ ...entry })), epfd, pid, iteration, ready };
    const segment = { before, events: [], bytes: 0, first: Infinity, last: -Infinity };
    this.#segments.push(segment);
    this.#grow(segment, ENTRY_BYTES * entries.length);
    return segment;
  }

  #grow(segment: Segment, bytes: number): void {
    segment.bytes += bytes;
    this.bytes += bytes;
  }

  #eventsOf(iteration: number): TraceEvent[] {
    const found = this.#segments.filter(({ first, last }) => first <= iteration && last >= iteration);
    return found.flatMap(({ events }) => events.filter((event) => event.iteration === iteration));
  }
}

function sizeOf(event: TraceEvent): number {
  let bytes = EVENT_BYTES;
  if ("bytes" in event) bytes += event.bytes?.length ?? 0;
  if ("line" in event) bytes += event.line?.length ?? 0;
  if (event.type === "wait") bytes += ELEMENT_BYTES * event.events.length;
  if (event.type === "iteration") bytes += ELEMENT_BYTES * event.dispatches.length;
  return bytes;
}
