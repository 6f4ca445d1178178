// Event feeds from the debugged thread: every event, blocking if the reader falls behind, or samples, which never block.

import type { TraceEvent } from "../../trace/events.ts";
import { LoopRecorder } from "./loop-recorder.ts";
import { type Sample, Sampler } from "./sampler.ts";

export interface EventFeed {
  add(event: TraceEvent): void;
  /** Sends everything that is pending. */
  flush(): void;
  /** Called regularly while no event happens; sends the pending events if they are due. */
  onTimer(): void;
  /** Whether the feed holds events back, because there are more than it can send. */
  readonly isHolding: boolean;
  /** Whether there are events that have not been sent. */
  readonly hasPending: boolean;
  /** Whether the events are displayed. */
  isWatched: boolean;
}

/** The maximum number of events in one message. */
const MAX_BATCH_EVENTS = 500;
/** The maximum number of events that the reader has not taken yet. Beyond it, the thread blocks. */
const MAX_UNTAKEN_EVENTS = 50_000;

/** Sends every event, in batches. */
export class LosslessFeed implements EventFeed {
  readonly isHolding = false;
  isWatched = true;
  readonly #post: (events: TraceEvent[]) => void;
  readonly #takenSeq: () => number;
  readonly #waitForTaken: (takenSeq: number) => void;
  #batch: TraceEvent[] = [];

  /**
   * @param takenSeq returns the `seq` of the last event that the reader has taken
   * @param waitForTaken blocks for a while, or until that number has changed
   */
  constructor(post: (events: TraceEvent[]) => void, takenSeq: () => number, waitForTaken: (takenSeq: number) => void) {
    this.#post = post;
    this.#takenSeq = takenSeq;
    this.#waitForTaken = waitForTaken;
  }

  get hasPending(): boolean {
    return this.#batch.length > 0;
  }

  add(event: TraceEvent): void {
    this.#batch.push(event);
    if (this.#batch.length >= MAX_BATCH_EVENTS || event.type === "iteration") this.flush();
  }

  onTimer(): void {
    this.flush();
  }

  flush(): void {
    const last = this.#batch.at(-1);
    if (last === undefined) return;
    this.#post(this.#batch);
    this.#batch = [];
    for (let taken; last.seq - (taken = this.#takenSeq()) > MAX_UNTAKEN_EVENTS;) this.#waitForTaken(taken);
  }
}

/** The length of a sampling window. In each, the first MAX_WINDOW_SAMPLES iterations are sent one by one, the others together. */
const WINDOW_MS = 100;
/** The length of a window while the loop is too busy for that. */
const BUSY_WINDOW_MS = 500;
const UNWATCHED_WINDOW_MS = 1_000;
const MAX_WINDOW_SAMPLES = 5;

/** Sends samples: the newest events, and totals of all events. */
export class SampledFeed implements EventFeed {
  isHolding: boolean = false;
  readonly sampler: Sampler = new Sampler();
  readonly recorder: LoopRecorder;
  #isWatched = false;
  readonly #post: (sample: Sample) => void;
  #windowStartMs = 0;
  #windowSamples = 0;

  /** @param timings memory for the recorder */
  constructor(post: (sample: Sample) => void, timings: SharedArrayBuffer) {
    this.#post = post;
    this.recorder = new LoopRecorder(this.sampler.table, timings);
  }

  get isWatched(): boolean {
    return this.#isWatched;
  }

  /** Sends all open fds when they are displayed, and from then on those that change. */
  set isWatched(isWatched: boolean) {
    if (isWatched === this.#isWatched) return;
    this.#isWatched = isWatched;
    this.recorder.ledger.isWatched = isWatched;
    if (isWatched) this.#send();
  }

  get hasPending(): boolean {
    return !this.sampler.isEmpty;
  }

  add(event: TraceEvent): void {
    this.sampler.observe(event);
    this.recorder.observe(event);
    if (event.type === "iteration") this.#onIteration();
  }

  onTimer(): void {
    if (!this.sampler.isEmpty) this.#onIteration();
  }

  flush(): void {
    if (!this.sampler.isEmpty) this.#send();
  }

  #send(): void {
    this.isHolding = false;
    const sample = this.sampler.take();
    const fds = this.recorder.ledger.takeChanges();
    if (fds !== undefined) sample.fds = fds;
    this.#post(sample);
  }

  #onIteration(): void {
    const now = performance.now();
    const windowMs = !this.isWatched ? UNWATCHED_WINDOW_MS : this.isHolding ? BUSY_WINDOW_MS : WINDOW_MS;
    if (now - this.#windowStartMs >= windowMs) {
      this.#windowStartMs = now;
      // One sample is enough while there are more events than a sample can hold.
      this.#windowSamples = this.sampler.isTruncated ? MAX_WINDOW_SAMPLES - 1 : 0;
    }
    if (this.#windowSamples < MAX_WINDOW_SAMPLES) {
      this.#windowSamples++;
      this.flush();
    } else {
      this.isHolding = true;
    }
  }
}
