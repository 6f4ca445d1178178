// A live view of a running loop: recent samples, and the pages that subscribe to new ones.

import { kernelEntries } from "../debugger/kernel-entries.ts";
import { MAX_EVENTS, mergeSamples, type Sample, Sampler } from "../debugger/sampler.ts";
import type { Target } from "../debugger/target.ts";
import type { TraceEvent } from "../../trace/events.ts";
import { requireSources } from "./assets.ts";
import type { LoopState, Message } from "./messages.ts";
import { RunControl } from "./run-control.ts";

/** The interval between samples. A busy loop is sampled less often: each sample costs the browser time. */
const SEND_INTERVAL_MS = 100;
const BUSY_SEND_INTERVAL_MS = 1_000;
/** While the loop is paused, the kernel's queues still change, so they are polled. */
const KERNEL_POLL_MS = 500;
/** Events kept for pages that connect later. */
const MAX_RECENT_EVENTS = 3_000;

/** The callbacks that a Target reports to. */
export interface TargetListeners {
  onEvents(events: readonly TraceEvent[]): void;
  onSample(sample: Sample): void;
  onState(): void;
}

export class LiveView implements Disposable {
  readonly target: Target;
  readonly control: RunControl;
  /** When the trace started, in milliseconds since the epoch. */
  startedMs: number = Date.now();
  readonly #subscribers = new Set<(message: Message) => void>();
  /** Used if the target reports every event instead of samples. */
  #sampler: Sampler | undefined;
  #recent: Sample[] = [];
  #unsent: Sample | undefined;
  #sendTimer: ReturnType<typeof setTimeout> | undefined;
  #sentMs = 0;
  #kernelTimer: ReturnType<typeof setInterval> | undefined;
  #isWatched = false;

  private constructor(target: Target) {
    this.target = target;
    this.control = new RunControl(target, () => this.#broadcast(this.state));
  }

  /**
   * Starts a target and subscribes to its reports, including those it sends before `start` returns.
   *
   * @throws {Error} if the page's source files are missing
   */
  static async open(start: (listeners: TargetListeners) => Promise<Target>): Promise<LiveView> {
    requireSources();
    let view: LiveView | undefined;
    const early: ((view: LiveView) => void)[] = [];
    const deliver = (report: (view: LiveView) => void): void => {
      if (view === undefined) early.push(report);
      else report(view);
    };
    const target = await start({
      onEvents: (events) => deliver((view) => view.#onEvents(events)),
      onSample: (sample) => deliver((view) => view.#onSample(sample)),
      onState: () => deliver((view) => view.#onState()),
    });
    view = new LiveView(target);
    for (const report of early) report(view);
    return view;
  }

  [Symbol.dispose](): void {
    this.#subscribers.clear();
    this.control[Symbol.dispose]();
    clearTimeout(this.#sendTimer);
    clearInterval(this.#kernelTimer);
  }

  /** Returns recent samples, oldest first. A subscriber that subscribes now receives the samples after these. */
  recentSamples(): readonly Sample[] {
    this.#sendSample();
    return this.#recent;
  }

  get latestSample(): Sample | undefined {
    return this.#recent.at(-1);
  }

  get state(): LoopState {
    return this.control.state;
  }

  /** Calls `subscriber` with every message from now on. Returns a function that unsubscribes it. */
  subscribe(subscriber: (message: Message) => void): () => void {
    this.#subscribers.add(subscriber);
    this.#updateWatching();
    return () => {
      this.#subscribers.delete(subscriber);
      this.#updateWatching();
    };
  }

  // ---- reports of the target ----

  #onEvents(events: readonly TraceEvent[]): void {
    const sampler = (this.#sampler ??= new Sampler());
    for (const event of events) sampler.observe(event);
    this.#onSample(sampler.take());
  }

  #onSample(sample: Sample): void {
    const [first] = sample.events;
    if (first?.type === "begin") this.startedMs = Date.parse(first.date);
    this.#remember(sample);
    this.#unsent = this.#unsent === undefined ? sample : mergeSamples(this.#unsent, sample);
    const intervalMs = this.#unsent.omitted > 0 ? BUSY_SEND_INTERVAL_MS : SEND_INTERVAL_MS;
    const delayMs = this.#sentMs + intervalMs - performance.now();
    if (delayMs <= 0 || this.target.state === "paused") this.#sendSample();
    else this.#sendTimer ??= setTimeout(() => this.#sendSample(), delayMs);
  }

  #onState(): void {
    this.#sendSample();
    this.control.onTargetState();
    this.#updateWatching();
  }

  #remember(sample: Sample): void {
    const last = this.#recent.at(-1);
    const isSmall = last !== undefined && last.events.length + sample.events.length <= MAX_EVENTS;
    if (isSmall && sample.omitted === 0) this.#recent[this.#recent.length - 1] = mergeSamples(last, sample);
    else this.#recent.push(sample);
    let total = this.#recent.reduce((sum, { events }) => sum + events.length, 0);
    while (total > MAX_RECENT_EVENTS) total -= this.#recent.shift()?.events.length ?? 0;
  }

  // ---- messages to the subscribers ----

  #sendSample(): void {
    clearTimeout(this.#sendTimer);
    this.#sendTimer = undefined;
    const sample = this.#unsent;
    this.#unsent = undefined;
    if (sample === undefined) return;
    this.#sentMs = performance.now();
    this.#broadcast({ kind: "sample", sample });
  }

  /** Samples the loop only while a page is open, and polls the kernel only while the loop is also paused. */
  #updateWatching(): void {
    const isWatched = this.#subscribers.size > 0;
    if (isWatched !== this.#isWatched) this.target.setWatched(isWatched);
    this.#isWatched = isWatched;
    const needsPolling = isWatched && this.target.state === "paused";
    if (needsPolling === (this.#kernelTimer !== undefined)) return;
    clearInterval(this.#kernelTimer);
    this.#kernelTimer = needsPolling ? setInterval(() => this.#pollKernel(), KERNEL_POLL_MS) : undefined;
    if (needsPolling) this.#pollKernel();
  }

  #pollKernel(): void {
    const sample = this.latestSample;
    if (sample === undefined || this.target.state !== "paused") return;
    const kernel = kernelEntries(sample.epfd, sample.entries);
    if (kernel === undefined) return;
    sample.kernel = kernel;
    this.#broadcast({
      kind: "sample",
      sample: { ...sample, events: [], omitted: 0, warnings: [], omittedWarnings: 0, kernel },
    });
  }

  #broadcast(message: Message): void {
    for (const subscriber of this.#subscribers) subscriber(message);
  }
}
