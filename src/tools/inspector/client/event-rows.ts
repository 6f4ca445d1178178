// The rows of the event list: the events that match a filter, with runs of empty waits collapsed to one row each.

import type { TraceEvent } from "../../../trace/events.ts";
import { hasLine } from "../../../trace/format.ts";
import type { EventHistory } from "./event-history.ts";

export interface EventRow {
  /** The position of the first event of the row. */
  first: number;
  /** The position of the last event of the row. */
  last: number;
  /** The number of events: more than 1 for a run of empty waits. */
  count: number;
  /** Events skipped before the first one. */
  omitted: number;
  /** The sequence number of the first event, which identifies the row. */
  seq: number;
}

export class EventRows {
  readonly history: EventHistory;
  readonly #matches: (event: TraceEvent) => boolean;
  /** The index of the first row that is kept: earlier ones were dropped with their events. Indexes count from 0 and include them. */
  start: number = 0;
  #rows: EventRow[] = [];
  /** The position after the last event that was looked at. */
  #end: number;
  /** The last row is a run of empty waits, which another empty wait continues. */
  #isRun = false;
  #omitted = 0;

  /** @param matches called once for each event, in order */
  constructor(history: EventHistory, matches: (event: TraceEvent) => boolean) {
    this.history = history;
    this.#matches = matches;
    this.#end = history.start;
  }

  /** The index after the last row. */
  get end(): number {
    return this.start + this.#rows.length;
  }

  /** Adds the rows of new events, and drops those of events that the history has dropped. */
  update(): void {
    const { history } = this;
    history.forEach(this.#end, history.end, (event, position, omitted) => this.#add(event, position, omitted));
    this.#end = Math.max(this.#end, history.end);
    let dropped = 0;
    while (dropped < this.#rows.length && (this.#rows[dropped] as EventRow).last < history.start) dropped++;
    if (dropped === 0) return;
    this.#rows.splice(0, dropped);
    this.start += dropped;
  }

  at(index: number): EventRow | undefined {
    return this.#rows[index - this.start];
  }

  /** Returns the rows from one index to before another. */
  slice(from: number, to: number): EventRow[] {
    return this.#rows.slice(Math.max(0, from - this.start), Math.max(0, to - this.start));
  }

  /** Returns the index of the last row that begins at or before a position; `start - 1` if there is none. */
  indexAt(position: number): number {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#rows[middle] as EventRow).first <= position) low = middle + 1;
      else high = middle;
    }
    return this.start + low - 1;
  }

  #add(event: TraceEvent, position: number, omitted: number): void {
    this.#omitted += omitted;
    const isMatch = this.#matches(event);
    if (!hasLine(event) || !isMatch) return;
    const isEmptyWait = event.type === "wait" && event.result === 0;
    const last = this.#rows.at(-1);
    if (isEmptyWait && this.#isRun && last !== undefined && this.#omitted === 0) {
      last.last = position;
      last.count++;
      return;
    }
    this.#rows.push({ first: position, last: position, count: 1, omitted: this.#omitted, seq: event.seq });
    this.#isRun = isEmptyWait;
    this.#omitted = 0;
  }
}
