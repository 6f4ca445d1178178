// class Tape: what has been told of a loop, within a bound, and how its descriptors were at any point of it.

import type { KernelEntry, Sample } from "../../debugger/sampler.ts";
import { type FdEntry, FdTable } from "../../debugger/fd-table.ts";
import type { TraceEvent } from "../../../trace/events.ts";

const MOST_EVENTS = 20_000;
const MOST_CHUNKS = 1_000;
/** A saved trace is cut into pieces of this size: as many events are replayed at most to look at one of them. */
const PIECE = 500;

interface Snapshot {
  entries: readonly FdEntry[];
  epfd: number;
  iteration: number;
  ready: readonly (readonly [number, number])[];
}

interface Chunk {
  /** The position of its first event, counted from the beginning of all. */
  start: number;
  events: readonly TraceEvent[];
  /** So many events before its first one are not there. */
  omitted: number;
  /** undefined: behind a gap nobody knows. */
  before: Snapshot | undefined;
  after: Snapshot;
}

/** The loop behind one event. */
export interface View extends Snapshot {
  position: number;
  event: TraceEvent | undefined;
  /** The table is how it was at the end of this stretch: its beginning is behind a gap. */
  isApproximate: boolean;
}

export class EventHistory {
  #chunks: Chunk[] = [];
  #events = 0;
  /** One behind the last position. */
  end: number = 0;
  open: number = 0;
  kernel: readonly KernelEntry[] = [];
  kernelAt: number = -1;
  counts: Sample["counts"] | undefined;

  get start(): number {
    return this.#chunks[0]?.start ?? this.end;
  }

  add(sample: Sample): void {
    const { events, omitted, entries, epfd, iteration, ready } = sample;
    this.counts = sample.counts;
    this.open = sample.open;
    const after: Snapshot = { entries, epfd, iteration, ready };
    const last = this.#chunks.at(-1);
    if (events.length > 0) {
      const isFirst = last === undefined && events[0]?.seq === 1;
      const before = isFirst ? empty : omitted === 0 ? last?.after : undefined;
      this.#push({ start: this.end, events, omitted, before, after });
    } else if (last !== undefined) {
      last.after = after;
    }
    if (sample.kernel !== undefined) {
      this.kernel = sample.kernel;
      this.kernelAt = this.end;
    }
  }

  /** All of a saved trace. */
  load(events: readonly TraceEvent[]): void {
    const table = new FdTable();
    let before = empty;
    for (let i = 0; i < events.length; i += PIECE) {
      const piece = events.slice(i, i + PIECE);
      for (const event of piece) table.apply(event);
      const after = snapshot(table);
      this.#chunks.push({ start: this.end, events: piece, omitted: 0, before, after });
      this.end += piece.length;
      before = after;
    }
    this.open = table.size;
  }

  event(position: number): TraceEvent | undefined {
    const chunk = this.#chunkOf(position);
    return chunk?.events[position - chunk.start];
  }

  view(position: number): View {
    const chunk = this.#chunkOf(position);
    if (chunk === undefined) return { ...empty, position, event: undefined, isApproximate: false };
    const event = chunk.events[position - chunk.start];
    const isLast = position === chunk.start + chunk.events.length - 1;
    if (isLast) return { ...chunk.after, position, event, isApproximate: false };
    if (chunk.before === undefined) {
      const iteration = event?.iteration ?? chunk.after.iteration;
      return { ...chunk.after, iteration, ready: this.#readyAt(position), position, event, isApproximate: true };
    }
    const table = new FdTable();
    table.restore(chunk.before.entries, {
      epfd: chunk.before.epfd,
      iteration: chunk.before.iteration,
      ready: chunk.before.ready as [number, number][],
    });
    for (let i = 0; i <= position - chunk.start; i++) table.apply(chunk.events[i] as TraceEvent);
    return { ...snapshot(table), position, event, isApproximate: false };
  }

  /** So many up to a position, with the gaps between them. */
  upTo(position: number, most: number): { position: number; event: TraceEvent; omitted: number }[] {
    const found: { position: number; event: TraceEvent; omitted: number }[] = [];
    for (let at = Math.min(position, this.end - 1); at >= this.start && found.length < most; at--) {
      const chunk = this.#chunkOf(at);
      const event = chunk?.events[at - chunk.start];
      if (chunk === undefined || event === undefined) break;
      found.push({ position: at, event, omitted: at === chunk.start ? chunk.omitted : 0 });
    }
    return found.toReversed();
  }

  /** The next event behind (or before) a position for which that holds; undefined: there is none. */
  find(from: number, by: 1 | -1, holds: (event: TraceEvent) => boolean): number | undefined {
    for (let at = from + by; at >= this.start && at < this.end; at += by) {
      const event = this.event(at);
      if (event !== undefined && holds(event)) return at;
    }
    return undefined;
  }

  #readyAt(position: number): Snapshot["ready"] {
    const at = this.find(position + 1, -1, ({ type }) => type === "wait");
    const event = at === undefined ? undefined : this.event(at);
    return event?.type === "wait" ? event.events : [];
  }

  #push(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.end += chunk.events.length;
    this.#events += chunk.events.length;
    while (this.#events > MOST_EVENTS || this.#chunks.length > MOST_CHUNKS) {
      this.#events -= this.#chunks.shift()?.events.length ?? 0;
    }
  }

  #chunkOf(position: number): Chunk | undefined {
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

const empty: Snapshot = { entries: [], epfd: -1, iteration: 0, ready: [] };

function snapshot(table: FdTable): Snapshot {
  return {
    entries: table.entries.map((entry) => ({ ...entry })),
    epfd: table.epfd,
    iteration: table.iteration,
    ready: table.ready,
  };
}
