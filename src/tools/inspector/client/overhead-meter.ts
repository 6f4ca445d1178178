// The time that tracing takes per event: the median over recent events, so that slow first iterations do not count.

import type { SampleCounts } from "../../debugger/sampler.ts";

const MAX_SAMPLES = 99;
/** Fewer samples and events say nothing: the code is not compiled yet. */
const MIN_SAMPLES = 9;
const MIN_EVENTS = 500;

export class OverheadMeter {
  /** The events between two reports of the totals, and the mean overhead of each. */
  readonly #samples: { events: number; perEventUs: number }[] = [];
  #events = 0;
  #overheadUs = 0;

  add({ events: eventCounts, overheadUs }: SampleCounts): void {
    const total = Object.values(eventCounts).reduce((sum, count) => sum + count, 0);
    const events = total - this.#events;
    if (events <= 0) return;
    this.#samples.push({ events, perEventUs: (overheadUs - this.#overheadUs) / events });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    this.#events = total;
    this.#overheadUs = overheadUs;
  }

  /** Microseconds per event; undefined until there are enough events to tell. */
  get perEventUs(): number | undefined {
    if (this.#events < MIN_EVENTS || this.#samples.length < MIN_SAMPLES) return undefined;
    const sorted = this.#samples.toSorted((a, b) => a.perEventUs - b.perEventUs);
    let left = sorted.reduce((sum, { events }) => sum + events, 0) / 2;
    return sorted.find(({ events }) => (left -= events) <= 0)?.perEventUs;
  }
}
