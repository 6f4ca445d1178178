// class LoopTimings: histograms of the time per iteration, per handler and per request, in memory shared with the debugger.

import type { TraceEvent } from "../../trace/events.ts";
import { type FdKey, fdKey } from "../../trace/fd-key.ts";
import { HISTOGRAM_BYTES, type HistogramSummary, LogHistogram } from "./log-histogram.ts";

/** The size of the memory that LoopTimings needs. */
export const TIMINGS_BYTES: number = 3 * HISTOGRAM_BYTES;

export interface TimingsSummary {
  /** From the return of epoll_wait to the next call. */
  iteration: HistogramSummary;
  /** On one fd in one iteration. */
  handler: HistogramSummary;
  /** From the first byte that is read of a request to the first byte that is sent of its response. */
  request: HistogramSummary;
}

export class LoopTimings {
  readonly #iteration: LogHistogram;
  readonly #handler: LogHistogram;
  readonly #request: LogHistogram;
  /** When the unanswered request of an fd began, in microseconds. */
  readonly #requests = new Map<FdKey, number>();

  /** @param memory TIMINGS_BYTES; another LoopTimings over the same memory reads what this one records */
  constructor(memory: SharedArrayBuffer) {
    this.#iteration = new LogHistogram(memory, 0);
    this.#handler = new LogHistogram(memory, HISTOGRAM_BYTES);
    this.#request = new LogHistogram(memory, 2 * HISTOGRAM_BYTES);
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case "iteration":
        if (event.iteration === 0) return; // the setup before the first wait
        this.#iteration.record(event.workedUs);
        for (const [, us] of event.dispatches) this.#handler.record(us);
        return;
      case "recv":
        if (event.result > 0) {
          const key = fdKey(event.fd, event.pid);
          if (!this.#requests.has(key)) this.#requests.set(key, event.us);
        }
        return;
      case "send": {
        const key = fdKey(event.fd, event.pid);
        const startUs = event.result > 0 ? this.#requests.get(key) : undefined;
        if (startUs === undefined) return;
        this.#requests.delete(key);
        this.#request.record(event.us - startUs);
        return;
      }
      case "close":
        this.#requests.delete(fdKey(event.fd, event.pid));
        return;
      default:
    }
  }

  get summary(): TimingsSummary {
    return {
      iteration: this.#iteration.summary,
      handler: this.#handler.summary,
      request: this.#request.summary,
    };
  }
}
