// class IterationHistory: the most recent iterations of a loop, each with its events and the fds that were open at its end.

import type { TraceEvent } from "../../trace/events.ts";
import type { ExpressionScope } from "./evaluate.ts";
import { type FdEntry, FdTable } from "./fd-table.ts";

const MAX_ITERATIONS = 10_000;
const MAX_EVENTS = 200_000;

export interface Iteration {
  /** The number of the iteration. */
  iteration: number;
  events: TraceEvent[];
  /** The open fds at the end of the iteration. */
  entries: readonly FdEntry[];
  ready: readonly [fd: number, mask: number][];
}

export class IterationHistory {
  readonly table: FdTable = new FdTable();
  iterations: Iteration[] = [];
  #eventCount = 0;
  /** The oldest iterations have been dropped. */
  isTruncated: boolean = false;

  add(events: readonly TraceEvent[]): void {
    for (const event of events) {
      if (this.last?.iteration !== event.iteration) {
        this.#completeLast();
        this.iterations.push({ iteration: event.iteration, events: [], entries: [], ready: [] });
      }
      this.table.apply(event);
      this.last?.events.push(event);
      this.#eventCount++;
    }
    this.#completeLast();
    while (this.iterations.length > MAX_ITERATIONS || (this.#eventCount > MAX_EVENTS && this.iterations.length > 1)) {
      this.#eventCount -= this.iterations.shift()?.events.length ?? 0;
      this.isTruncated = true;
    }
  }

  get last(): Iteration | undefined {
    return this.iterations.at(-1);
  }

  get events(): TraceEvent[] {
    return this.iterations.flatMap(({ events }) => events);
  }

  /** Returns the scope of expressions that are evaluated while this iteration is viewed. */
  scopeOf({ iteration, events, entries, ready }: Iteration): ExpressionScope {
    return { event: events.at(-1), ready, iteration, epfd: this.table.epfd, entries };
  }

  #completeLast(): void {
    const { last } = this;
    if (last === undefined) return;
    last.entries = this.table.entries.map((entry) => ({ ...entry }));
    last.ready = this.table.ready;
  }
}
