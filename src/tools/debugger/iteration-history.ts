// The iterations so far, within a bound: what happened in each, and which descriptors there were behind it.

import type { TraceEvent } from "../../trace/events.ts";
import type { ExpressionScope } from "./evaluate.ts";
import { type FdEntry, FdTable } from "./fd-table.ts";

const MOST_ITERATIONS = 10_000;
const MOST_EVENTS = 200_000;

export interface Iteration {
  iteration: number;
  events: TraceEvent[];
  /** As they were behind the last of them. */
  entries: readonly FdEntry[];
  ready: readonly [fd: number, mask: number][];
}

export class IterationHistory {
  readonly table: FdTable = new FdTable();
  iterations: Iteration[] = [];
  #events = 0;
  /** The beginning is no longer there. */
  isCut: boolean = false;

  see(events: readonly TraceEvent[]): void {
    for (const event of events) {
      if (this.iterations.at(-1)?.iteration !== event.iteration) this.#begin(event.iteration);
      this.table.see(event);
      this.iterations.at(-1)?.events.push(event);
      this.#events++;
    }
    const last = this.iterations.at(-1);
    if (last === undefined) return;
    last.entries = this.table.entries.map((entry) => ({ ...entry }));
    last.ready = this.table.ready;
    while (this.iterations.length > MOST_ITERATIONS || (this.#events > MOST_EVENTS && this.iterations.length > 1)) {
      this.#events -= this.iterations.shift()?.events.length ?? 0;
      this.isCut = true;
    }
  }

  get last(): Iteration | undefined {
    return this.iterations.at(-1);
  }

  /** All that is there still. */
  get events(): TraceEvent[] {
    return this.iterations.flatMap(({ events }) => events);
  }

  viewOf({ iteration, events, entries, ready }: Iteration): ExpressionScope {
    return { event: events.at(-1), ready, iteration, epfd: this.table.epfd, entries };
  }

  #begin(iteration: number): void {
    const before = this.iterations.at(-1);
    if (before !== undefined) {
      before.entries = this.table.entries.map((entry) => ({ ...entry }));
      before.ready = this.table.ready;
    }
    this.iterations.push({ iteration, events: [], entries: [], ready: [] });
  }
}
