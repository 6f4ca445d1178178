// class Sampler: summarizes a loop that produces more events than can be displayed: the newest events, and totals of all.

import type { TraceEvent, TraceMoment, WarningEvent } from "../../trace/events.ts";
import { type FdKey, fdKey } from "../../trace/fd-key.ts";
import { hasBlocked } from "../has-blocked.ts";
import type { FdChanges } from "./fd-ledger.ts";
import { type FdEntry, FdTable } from "./fd-table.ts";

/** The maximum number of events in a sample. */
export const MAX_EVENTS = 300;
/** The maximum once events have been omitted. */
const MAX_BUSY_EVENTS = 100;
/** The maximum number of fds in a sample. */
export const MAX_ENTRIES = 256;
const MAX_WARNINGS = 50;
/** The maximum number of bytes of received or sent data in an event of a sample. */
const MAX_DATA_BYTES = 2_048;

/** Totals since the trace began. */
export interface SampleCounts {
  iterations: number;
  /** Events by type. */
  events: Partial<Record<TraceEvent["type"], number>>;
  /** Accepted connections. */
  accepted: number;
  bytesIn: number;
  bytesOut: number;
  /** Time blocked in epoll_wait. A wait that returned immediately is work. */
  blockedUs: number;
  /** Time in Bun's event loop between iterations. */
  awayUs: number;
  /** Time in iterations, and in waits that returned immediately. */
  workedUs: number;
  /** Time spent on tracing and sampling. */
  overheadUs: number;
}

export type Warning = TraceMoment & WarningEvent;

/** What has happened since the last sample. */
export interface Sample {
  /** The newest events, in order and without gaps. */
  events: TraceEvent[];
  /** The number of events before these that are not in the sample. */
  omitted: number;
  /** The newest warnings since the last sample, up to a limit. */
  warnings: Warning[];
  /** The number of warnings before these that are not in the sample. */
  omittedWarnings: number;
  /** The open fds after the last event. If there are too many, those of the events above come first. */
  entries: FdEntry[];
  /** The number of open fds. */
  open: number;
  /** The number of registered fds. */
  registered: number;
  epfd: number;
  /** The process that made the last wait; undefined: this one. */
  pid?: number | undefined;
  iteration: number;
  ready: readonly [fd: number, mask: number][];
  counts: SampleCounts;
  /** The fds that have changed since the last sample. Only while the samples are displayed, and only for the inspector's server. */
  fds?: FdChanges;
}

export class Sampler {
  readonly table: FdTable = new FdTable();
  readonly counts: SampleCounts = {
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
  #events: TraceEvent[] = [];
  #omitted = 0;
  #warnings: Warning[] = [];
  #omittedWarnings = 0;

  observe(event: TraceEvent): void {
    this.table.apply(event);
    this.#count(event);
    if (event.type === "warning") this.#addWarning(event);
    this.#events.push(event);
    if (this.#events.length > 2 * MAX_EVENTS) this.#truncate(MAX_EVENTS);
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  /** More has happened since the last sample than a sample can hold. */
  get isTruncated(): boolean {
    return this.#omitted > 0 || this.#events.length > MAX_EVENTS;
  }

  /** Returns a sample of what has happened since the last one. */
  take(): Sample {
    if (this.isTruncated) this.#truncate(MAX_BUSY_EVENTS);
    const { epfd, pid, iteration, ready, size } = this.table;
    const events = this.#events.map(shorten);
    const sample: Sample = {
      events,
      omitted: this.#omitted,
      warnings: this.#warnings,
      omittedWarnings: this.#omittedWarnings,
      entries: this.#entriesFor(events).map((entry) => ({ ...entry })),
      open: size,
      registered: this.table.registered,
      epfd,
      pid,
      iteration,
      ready: ready.slice(0, MAX_ENTRIES),
      counts: { ...this.counts, events: { ...this.counts.events } },
    };
    this.#events = [];
    this.#omitted = 0;
    this.#warnings = [];
    this.#omittedWarnings = 0;
    return sample;
  }

  #addWarning(warning: Warning): void {
    this.#warnings.push(warning);
    if (this.#warnings.length <= MAX_WARNINGS) return;
    this.#warnings.shift();
    this.#omittedWarnings++;
  }

  #truncate(max: number): void {
    const excess = Math.max(0, this.#events.length - max);
    this.#events.splice(0, excess);
    this.#omitted += excess;
  }

  #entriesFor(events: readonly TraceEvent[]): FdEntry[] {
    if (this.table.size <= MAX_ENTRIES) return this.table.entries;
    const keys = new Set<FdKey>(
      events.flatMap((event) =>
        "fd" in event && event.fd !== null && event.fd !== undefined ? [fdKey(event.fd, event.pid)] : [],
      ),
    );
    return this.table.entriesIncluding(keys, MAX_ENTRIES);
  }

  #count(event: TraceEvent): void {
    const { counts } = this;
    counts.events[event.type] = (counts.events[event.type] ?? 0) + 1;
    switch (event.type) {
      case "wait":
        counts.iterations++;
        if (hasBlocked(event)) counts.blockedUs += event.blockedUs;
        else counts.workedUs += event.blockedUs;
        counts.awayUs += event.awayUs ?? 0;
        return;
      case "iteration":
        counts.workedUs += event.workedUs;
        return;
      case "accept":
        if (event.result >= 0) counts.accepted++;
        return;
      case "recv":
        if (event.result > 0) counts.bytesIn += event.result;
        return;
      case "send":
        if (event.result > 0) counts.bytesOut += event.result;
        return;
      default:
    }
  }
}

/** Merges two consecutive samples, within the limits of one. */
export function mergeSamples(first: Sample, second: Sample): Sample {
  const hasGap = second.omitted > 0;
  const all = hasGap ? second.events : [...first.events, ...second.events];
  const isTruncated = hasGap || all.length > MAX_EVENTS || first.omitted > 0;
  const events = all.slice(isTruncated ? -MAX_BUSY_EVENTS : 0);
  const omittedBefore = hasGap ? first.omitted + first.events.length + second.omitted : first.omitted;
  const warnings = [...first.warnings, ...second.warnings];
  return {
    ...second,
    events,
    omitted: omittedBefore + all.length - events.length,
    warnings: warnings.slice(-MAX_WARNINGS),
    omittedWarnings: first.omittedWarnings + second.omittedWarnings + Math.max(0, warnings.length - MAX_WARNINGS),
  };
}

function shorten(event: TraceEvent): TraceEvent {
  if (!("bytes" in event) || event.bytes === undefined || event.bytes.length <= MAX_DATA_BYTES) return event;
  return { ...event, bytes: event.bytes.slice(0, MAX_DATA_BYTES) };
}
