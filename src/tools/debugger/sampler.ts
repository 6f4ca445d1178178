// class Sampler: of a loop that does more than anybody can look at, now and then the newest, and the sums of all.

import type { TraceEvent, WarningEvent, TraceMoment } from "../../trace/events.ts";
import { type FdEntry, FdTable } from "./fd-table.ts";

/** So many events are shown at a time; fewer, once some have to be left out. */
export const MAX_EVENTS = 300;
const BUSY_EVENTS = 100;
/** So many descriptors. */
export const MAX_ENTRIES = 256;
const MOST_WARNINGS = 50;
/** So much of what was received or sent is shown, where it is shown. */
const MOST_BYTES = 2_048;

/** Sums since the beginning. */
export interface SampleCounts {
  iterations: number;
  /** By type. */
  events: Partial<Record<TraceEvent["type"], number>>;
  bytesIn: number;
  bytesOut: number;
  /** In epoll_wait. */
  blockedUs: number;
  /** Bun's event loop had the thread: the iterations are made there. */
  awayUs: number;
  /** In iterations, outside of epoll_wait. */
  workedUs: number;
  /** Calls that said EAGAIN. */
  again: number;
  /** What being watched has cost the loop. */
  watchingUs: number;
}

export type Warning = TraceMoment & WarningEvent;

/** What a descriptor is to the kernel. */
export interface KernelEntry {
  fd: number;
  /** undefined: it does not watch it. */
  mask: number | undefined;
  unread: number | undefined;
  unsent: number | undefined;
}

export interface Sample {
  /** The newest, in order and without a gap. */
  events: TraceEvent[];
  /** So many came before these, and are not shown. */
  omitted: number;
  /** None of these is left out, while there are not too many. */
  warnings: Warning[];
  /** The descriptors, as they are behind the last event: all, or those that it is about. */
  entries: FdEntry[];
  /** How many there are. */
  open: number;
  epfd: number;
  iteration: number;
  ready: readonly [fd: number, mask: number][];
  counts: SampleCounts;
  /** Asked of the kernel at the same moment, in most samples not. */
  kernel?: KernelEntry[];
}

export class Sampler {
  readonly table: FdTable = new FdTable();
  readonly counts: SampleCounts = {
    iterations: 0,
    events: {},
    bytesIn: 0,
    bytesOut: 0,
    blockedUs: 0,
    awayUs: 0,
    workedUs: 0,
    again: 0,
    watchingUs: 0,
  };
  #events: TraceEvent[] = [];
  #omitted = 0;
  #warnings: Warning[] = [];

  see(event: TraceEvent): void {
    this.table.see(event);
    this.#count(event);
    if (event.type === "warning" && this.#warnings.length < MOST_WARNINGS) this.#warnings.push(event);
    this.#events.push(event);
    if (this.#events.length > 2 * MAX_EVENTS) this.#cut(MAX_EVENTS);
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  /** More has happened since the last one than is shown. */
  get isCut(): boolean {
    return this.#omitted > 0 || this.#events.length > MAX_EVENTS;
  }

  /** What there is since the last one. */
  take(): Sample {
    if (this.#omitted > 0 || this.#events.length > MAX_EVENTS) this.#cut(BUSY_EVENTS);
    const { epfd, iteration, ready, size } = this.table;
    const events = this.#events.map(shortened);
    const sample: Sample = {
      events,
      omitted: this.#omitted,
      warnings: this.#warnings,
      entries: this.#entries(events).map((entry) => ({ ...entry })),
      open: size,
      epfd,
      iteration,
      ready: ready.slice(0, MAX_ENTRIES),
      counts: { ...this.counts, events: { ...this.counts.events } },
    };
    this.#events = [];
    this.#omitted = 0;
    this.#warnings = [];
    return sample;
  }

  #cut(most: number): void {
    const over = Math.max(0, this.#events.length - most);
    this.#events.splice(0, over);
    this.#omitted += over;
  }

  #entries(events: readonly TraceEvent[]): FdEntry[] {
    if (this.table.size <= MAX_ENTRIES) return this.table.entries;
    const wanted = new Set<number>(events.flatMap((event) => ("fd" in event && event.fd !== null ? [event.fd] : [])));
    return this.table.some(wanted, MAX_ENTRIES);
  }

  #count(event: TraceEvent): void {
    const { counts } = this;
    counts.events[event.type] = (counts.events[event.type] ?? 0) + 1;
    switch (event.type) {
      case "wait":
        counts.iterations++;
        counts.blockedUs += event.blockedUs;
        counts.awayUs += event.awayUs ?? 0;
        return;
      case "iteration":
        counts.workedUs += event.workedUs;
        return;
      case "recv":
        if (event.result > 0) counts.bytesIn += event.result;
        else if (event.result < 0) counts.again++;
        return;
      case "send":
        if (event.result > 0) counts.bytesOut += event.result;
        else if (event.result < 0) counts.again++;
        return;
      default:
    }
  }
}

/** The two as one, within the bounds. */
export function merged(first: Sample, second: Sample): Sample {
  const isWhole = second.omitted === 0;
  const all = isWhole ? [...first.events, ...second.events] : second.events;
  const isCut = !isWhole || all.length > MAX_EVENTS || first.omitted > 0;
  const events = all.slice(isCut ? -BUSY_EVENTS : 0);
  const lost = isWhole ? first.omitted : first.omitted + first.events.length + second.omitted;
  const kernel = second.kernel ?? first.kernel;
  return {
    ...second,
    events,
    omitted: lost + all.length - events.length,
    warnings: [...first.warnings, ...second.warnings].slice(0, MOST_WARNINGS),
    ...(kernel === undefined ? {} : { kernel }),
  };
}

function shortened(event: TraceEvent): TraceEvent {
  if (!("bytes" in event) || event.bytes === undefined || event.bytes.length <= MOST_BYTES) return event;
  return { ...event, bytes: event.bytes.slice(0, MOST_BYTES) };
}
