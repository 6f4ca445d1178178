// The event history: a bounded number of recent events, and the state of the loop after each of them.

import type { Sample } from "../../debugger/sampler.ts";
import { type FdEntry, FdTable } from "../../debugger/fd-table.ts";
import type { TraceEvent } from "../../../trace/events.ts";
import { countEvent, emptyCounts } from "./event-counts.ts";
import { OverheadMeter } from "./overhead-meter.ts";

const MAX_EVENTS = 20_000;
const MAX_CHUNKS = 1_000;
/** Events per chunk of a saved trace, and so the most events replayed to compute the state after one of them. */
const CHUNK_EVENTS = 500;

interface Snapshot {
  entries: readonly FdEntry[];
  epfd: number;
  /** The process that made the last wait; undefined: this one. */
  pid: number | undefined;
  iteration: number;
  ready: readonly (readonly [fd: number, mask: number])[];
  /** The number of open file descriptors, of which `entries` may be a part. */
  open: number;
  /** The number of registered file descriptors. */
  registered: number;
}

/** Consecutive events, with the state before and after them. */
interface Chunk {
  /** The position of the first event. Positions count from 0 and include dropped chunks. */
  start: number;
  events: readonly TraceEvent[];
  /** Events skipped before the first one. */
  omitted: number;
  /** Undefined if events were skipped, so that the state is unknown. */
  before: Snapshot | undefined;
  after: Snapshot;
  /** Totals after the last event. */
  counts: Sample["counts"];
}

/** An event, and where it is in the history. */
export interface HistoryEntry {
  position: number;
  event: TraceEvent;
  /** Events skipped before this one. */
  omitted: number;
}

/** The state of the loop after an event. */
export interface View extends Snapshot {
  position: number;
  event: TraceEvent | undefined;
  /** The exact state is unknown, because events were skipped: `entries` are those after a later event. */
  isApproximate: boolean;
}

const EMPTY: Snapshot = { entries: [], epfd: -1, pid: undefined, iteration: 0, ready: [], open: 0, registered: 0 };

export class EventHistory {
  #chunks: Chunk[] = [];
  #eventCount = 0;
  /** The position after the last event. */
  end: number = 0;
  /** The `begin` event of the trace, if it was seen. */
  begin: TraceEvent | undefined;
  readonly overhead: OverheadMeter = new OverheadMeter();
  readonly #pids = new Set<number>();
  readonly #tids = new Set<number>();

  /** The events are those of several processes. */
  get hasSeveralProcesses(): boolean {
    return this.#pids.size > 1;
  }

  /** The events are those of several threads, or processes. */
  get hasSeveralThreads(): boolean {
    return this.#tids.size > 1;
  }

  /** The position of the first event. */
  get start(): number {
    return this.#chunks[0]?.start ?? this.end;
  }

  /** The open file descriptors before the first event; none if they are unknown. */
  get entriesBefore(): readonly FdEntry[] {
    return this.#chunks[0]?.before?.entries ?? [];
  }

  /** Appends the events of a sample. */
  add(sample: Sample): void {
    const { events, omitted, entries, epfd, pid, iteration, ready, open, registered } = sample;
    this.#noteThreads(events);
    this.overhead.add(sample.counts);
    if (events[0]?.type === "begin") this.begin = events[0];
    const after: Snapshot = { entries, epfd, pid, iteration, ready, open, registered };
    const last = this.#chunks.at(-1);
    if (events.length > 0) {
      const isStartOfTrace = last === undefined && events[0]?.seq === 1;
      const before = isStartOfTrace ? EMPTY : omitted === 0 ? last?.after : undefined;
      this.#push({ start: this.end, events, omitted, before, after, counts: sample.counts });
    } else if (last !== undefined) {
      last.after = after;
      last.counts = sample.counts;
    }
  }

  /** Adds all events of a saved trace, which is kept whole. */
  load(events: readonly TraceEvent[]): void {
    const table = new FdTable();
    const counts = emptyCounts();
    this.#noteThreads(events);
    if (events[0]?.type === "begin") this.begin = events[0];
    let before = EMPTY;
    for (let i = 0; i < events.length; i += CHUNK_EVENTS) {
      const chunk = events.slice(i, i + CHUNK_EVENTS);
      for (const event of chunk) {
        table.apply(event);
        countEvent(counts, event, 1);
      }
      const after = takeSnapshot(table);
      this.#chunks.push({
        start: this.end,
        events: chunk,
        omitted: 0,
        before,
        after,
        counts: { ...counts, events: { ...counts.events } },
      });
      this.end += chunk.length;
      before = after;
    }
  }

  event(position: number): TraceEvent | undefined {
    const chunk = this.#chunkAt(position);
    return chunk?.events[position - chunk.start];
  }

  /** Returns the state after the event at `position`. */
  view(position: number): View {
    const chunk = this.#chunkAt(position);
    if (chunk === undefined) return { ...EMPTY, position, event: undefined, isApproximate: false };
    const index = position - chunk.start;
    const event = chunk.events[index];
    if (index === chunk.events.length - 1) return { ...chunk.after, position, event, isApproximate: false };
    if (chunk.before === undefined) {
      const iteration = event?.iteration ?? chunk.after.iteration;
      return { ...chunk.after, iteration, ready: this.#readyAt(position), position, event, isApproximate: true };
    }
    const table = new FdTable();
    table.restore(chunk.before.entries, {
      epfd: chunk.before.epfd,
      pid: chunk.before.pid,
      iteration: chunk.before.iteration,
      ready: chunk.before.ready as [number, number][],
    });
    for (const replayed of chunk.events.slice(0, index + 1)) table.apply(replayed);
    return { ...takeSnapshot(table), position, event, isApproximate: false };
  }

  /** Returns the totals after the event at `position`; undefined if there is none. */
  countsAt(position: number): Sample["counts"] | undefined {
    const chunk = this.#chunkAt(position);
    if (chunk === undefined) return undefined;
    const counts = { ...chunk.counts, events: { ...chunk.counts.events } };
    for (const event of chunk.events.slice(position - chunk.start + 1)) countEvent(counts, event, -1);
    return counts;
  }

  /** Returns at most `max` events, the last of them at `position`. */
  eventsUpTo(position: number, max: number): HistoryEntry[] {
    const entries: HistoryEntry[] = [];
    for (let at = Math.min(position, this.end - 1); at >= this.start && entries.length < max; at--) {
      const chunk = this.#chunkAt(at);
      const event = chunk?.events[at - chunk.start];
      if (chunk === undefined || event === undefined) break;
      entries.push({ position: at, event, omitted: at === chunk.start ? chunk.omitted : 0 });
    }
    return entries.toReversed();
  }

  /** Calls `visit` with the events at positions from `from` to before `to`, in order. */
  forEach(from: number, to: number, visit: (event: TraceEvent, position: number, omitted: number) => void): void {
    for (let at = Math.max(from, this.start); at < Math.min(to, this.end);) {
      const chunk = this.#chunkAt(at);
      if (chunk === undefined) return;
      const until = Math.min(to, chunk.start + chunk.events.length);
      for (; at < until; at++) {
        visit(chunk.events[at - chunk.start] as TraceEvent, at, at === chunk.start ? chunk.omitted : 0);
      }
    }
  }

  /** Returns the position of the event with this sequence number; undefined if the history does not have it. */
  positionOf(seq: number): number | undefined {
    const position = this.#search((event) => event.seq >= seq);
    return this.event(position)?.seq === seq ? position : undefined;
  }

  /** Returns the position of the first event at or after `us`, or the end of the history. */
  positionAt(us: number): number {
    return this.#search((event) => event.us >= us);
  }

  /** Returns the position of the first event that satisfies the predicate, which must hold for all events after it, too. */
  #search(isAtOrAfter: (event: TraceEvent) => boolean): number {
    let [low, high] = [this.start, this.end];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (isAtOrAfter(this.event(middle) as TraceEvent)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Returns the position of the next (1) or previous (-1) event that satisfies the predicate. */
  find(from: number, direction: 1 | -1, predicate: (event: TraceEvent) => boolean): number | undefined {
    for (let at = from + direction; at >= this.start && at < this.end; at += direction) {
      const event = this.event(at);
      if (event !== undefined && predicate(event)) return at;
    }
    return undefined;
  }

  #readyAt(position: number): Snapshot["ready"] {
    const at = this.find(position + 1, -1, ({ type }) => type === "wait");
    const event = at === undefined ? undefined : this.event(at);
    return event?.type === "wait" ? event.events : [];
  }

  #noteThreads(events: readonly TraceEvent[]): void {
    for (const { pid, tid } of events) {
      if (pid !== undefined) this.#pids.add(pid);
      if (tid !== undefined) this.#tids.add(tid);
    }
  }

  #push(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.end += chunk.events.length;
    this.#eventCount += chunk.events.length;
    while (this.#eventCount > MAX_EVENTS || this.#chunks.length > MAX_CHUNKS) {
      this.#eventCount -= this.#chunks.shift()?.events.length ?? 0;
    }
  }

  #chunkAt(position: number): Chunk | undefined {
    let [low, high] = [0, this.#chunks.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const chunk = this.#chunks[middle] as Chunk;
      if (position < chunk.start) high = middle - 1;
      else if (position >= chunk.start + chunk.events.length) low = middle + 1;
      else return chunk;
    }
    return undefined;
  }
}

function takeSnapshot(table: FdTable): Snapshot {
  return {
    entries: table.entries.map((entry) => ({ ...entry })),
    epfd: table.epfd,
    pid: table.pid,
    iteration: table.iteration,
    ready: table.ready,
    open: table.size,
    registered: table.registered,
  };
}
