// The laps so far, within a bound: what happened in each, and which descriptors there were behind it.

import type { TraceEvent } from "../trace/event.ts";
import type { View } from "./evaluate.ts";
import { type Entry, Table } from "./table.ts";

const MOST_LAPS = 10_000;
const MOST_EVENTS = 200_000;

export interface Lap {
  lap: number;
  events: TraceEvent[];
  /** As they were behind the last of them. */
  entries: readonly Entry[];
  ready: readonly [fd: number, mask: number][];
}

export class History {
  readonly table: Table = new Table();
  laps: Lap[] = [];
  #events = 0;
  /** The beginning is no longer there. */
  isCut: boolean = false;

  see(events: readonly TraceEvent[]): void {
    for (const event of events) {
      if (this.laps.at(-1)?.lap !== event.lap) this.#begin(event.lap);
      this.table.see(event);
      this.laps.at(-1)?.events.push(event);
      this.#events++;
    }
    const last = this.laps.at(-1);
    if (last === undefined) return;
    last.entries = this.table.entries.map((entry) => ({ ...entry }));
    last.ready = this.table.ready;
    while (this.laps.length > MOST_LAPS || (this.#events > MOST_EVENTS && this.laps.length > 1)) {
      this.#events -= this.laps.shift()?.events.length ?? 0;
      this.isCut = true;
    }
  }

  get last(): Lap | undefined {
    return this.laps.at(-1);
  }

  /** All that is there still. */
  get events(): TraceEvent[] {
    return this.laps.flatMap(({ events }) => events);
  }

  viewOf({ lap, events, entries, ready }: Lap): View {
    return { event: events.at(-1), ready, lap, epfd: this.table.epfd, entries };
  }

  #begin(lap: number): void {
    const before = this.laps.at(-1);
    if (before !== undefined) {
      before.entries = this.table.entries.map((entry) => ({ ...entry }));
      before.ready = this.table.ready;
    }
    this.laps.push({ lap, events: [], entries: [], ready: [] });
  }
}
