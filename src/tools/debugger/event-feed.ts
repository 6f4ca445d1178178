// How a server's thread tells of its events: all of them, and then it waits for who cannot follow; or samples, and never waits.

import type { TraceEvent } from "../../trace/events.ts";
import { kernelEntries } from "./kernel-entries.ts";
import type { Sample } from "./sampler.ts";
import { Sampler } from "./sampler.ts";

export interface EventFeed {
  see(event: TraceEvent): void;
  /** What has not been told yet, now. */
  tell(): void;
  /** A moment is over: what may have happened since the last iteration, as at the end of one. */
  pass(): void;
  /** Something is kept back, and goes out a moment later. */
  readonly isHolding: boolean;
  /** Somebody looks on, or nobody does. */
  isWatched: boolean;
}

/** So many events are told together at most. */
const BATCH = 500;
/** So many events may be on their way to who takes them; then the loop waits. */
const MOST_UNTAKEN = 50_000;

/** None is lost. */
export class LosslessFeed implements EventFeed {
  readonly isHolding = false;
  isWatched = true;
  readonly #post: (events: TraceEvent[]) => void;
  readonly #taken: () => number;
  readonly #awaitTaken: (taken: number) => void;
  #batch: TraceEvent[] = [];

  /** @param taken the number of the last event that was taken; @param awaitTaken wait a while for another number */
  constructor(post: (events: TraceEvent[]) => void, taken: () => number, awaitTaken: (taken: number) => void) {
    this.#post = post;
    this.#taken = taken;
    this.#awaitTaken = awaitTaken;
  }

  see(event: TraceEvent): void {
    this.#batch.push(event);
    if (this.#batch.length >= BATCH || event.type === "iteration") this.tell();
  }

  pass(): void {
    this.tell();
  }

  tell(): void {
    const last = this.#batch.at(-1);
    if (last === undefined) return;
    this.#post(this.#batch);
    this.#batch = [];
    for (let taken; last.seq - (taken = this.#taken()) > MOST_UNTAKEN;) this.#awaitTaken(taken);
  }
}

/** A stretch of time, and so many samples may be told in one: of a calm loop each iteration, of a busy one now and then. */
const STRETCH_MS = 100;
const BUSY_STRETCH_MS = 500;
const UNWATCHED_STRETCH_MS = 1_000;
const SAMPLES = 5;
const KERNEL_MS = 500;

/** The newest, and the sums. */
export class SampledFeed implements EventFeed {
  isWatched: boolean = false;
  isHolding: boolean = false;
  readonly sampler: Sampler = new Sampler();
  readonly #post: (sample: Sample) => void;
  #stretchMs = 0;
  #samples = 0;
  #kernelMs = 0;

  constructor(post: (sample: Sample) => void) {
    this.#post = post;
  }

  see(event: TraceEvent): void {
    this.sampler.see(event);
    if (event.type === "iteration") this.#iterationDone();
  }

  pass(): void {
    if (!this.sampler.isEmpty) this.#iterationDone();
  }

  tell(): void {
    if (this.sampler.isEmpty) return;
    this.isHolding = false;
    const sample = this.sampler.take();
    const now = performance.now();
    if (this.isWatched && now - this.#kernelMs >= KERNEL_MS) {
      this.#kernelMs = now;
      const kernel = kernelEntries(sample.epfd, sample.entries);
      if (kernel !== undefined) sample.kernel = kernel;
    }
    this.#post(sample);
  }

  #iterationDone(): void {
    const now = performance.now();
    const stretchMs = !this.isWatched ? UNWATCHED_STRETCH_MS : this.isHolding ? BUSY_STRETCH_MS : STRETCH_MS;
    if (now - this.#stretchMs >= stretchMs) {
      this.#stretchMs = now;
      this.#samples = this.sampler.isCut ? SAMPLES - 1 : 0; // one, as long as there is more than can be shown
    }
    if (this.#samples < SAMPLES) {
      this.#samples++;
      this.tell();
    } else {
      this.isHolding = true;
    }
  }
}
