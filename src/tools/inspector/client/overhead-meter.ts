// The time that tracing takes per event: the median over recent samples, so that slow first iterations do not count.

import type { SampleCounts } from "../../debugger/sampler.ts";

const MAX_SAMPLES = 99;
/** Fewer samples and events say nothing: the code is not compiled yet. */
const MIN_SAMPLES = 9;
const MIN_EVENTS = 500;

export class OverheadMeter {
  readonly #perEventUs: number[] = [];
  #events = 0;
  #overheadUs = 0;

  add({ events, overheadUs }: SampleCounts): void {
    const total = Object.values(events).reduce((sum, count) => sum + count, 0);
    const count = total - this.#events;
    if (count <= 0) return;
    this.#perEventUs.push((overheadUs - this.#overheadUs) / count);
    if (this.#perEventUs.length > MAX_SAMPLES) this.#perEventUs.shift();
    this.#events = total;
    this.#overheadUs = overheadUs;
  }

  /** Microseconds per event; undefined until there are enough events to tell. */
  get perEventUs(): number | undefined {
    if (this.#events < MIN_EVENTS || this.#perEventUs.length < MIN_SAMPLES) return undefined;
    return this.#perEventUs.toSorted((a, b) => a - b)[this.#perEventUs.length >> 1];
  }
}
