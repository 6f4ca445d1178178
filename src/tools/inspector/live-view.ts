// A live view of a running loop: recent samples, the pages subscribed to them, and the commands that control the loop.

import { kernelEntries } from "../debugger/kernel-entries.ts";
import { MAX_EVENTS, merged, type Sample, Sampler } from "../debugger/sampler.ts";
import type { Target } from "../debugger/target.ts";
import type { Breakpoint, RunMode } from "../debugger/thread-messages.ts";
import type { TraceEvent } from "../../trace/events.ts";
import { requireSources } from "./assets.ts";
import type { LoopState, Message } from "./messages.ts";

/** The interval between samples. A busy loop is sampled less often: each sample costs the browser time. */
const SEND_INTERVAL_MS = 100;
const BUSY_SEND_INTERVAL_MS = 1_000;
/** While the loop is paused, the kernel's queues still change, so they are polled. */
const KERNEL_POLL_MS = 500;
/** Events kept for pages that connect later. */
const MAX_RECENT_EVENTS = 3_000;
const MAX_BREAKPOINTS = 50;
/** Breakpoints set in the page have their own range of ids, apart from the terminal debugger's. */
const FIRST_BREAKPOINT_ID = 10_000;

/** Callbacks for a Target to report to. */
export interface TargetListeners {
  onEvents(events: readonly TraceEvent[]): void;
  onSample(sample: Sample): void;
  onState(): void;
}

export class LiveView implements Disposable {
  readonly target: Target;
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
  /** Events per second in slow motion; 0: full speed. */
  #speed = 0;
  #slowMotionTimer: ReturnType<typeof setTimeout> | undefined;
  #isPausing = false;
  /** How to resume from the stop that the current step of slow motion leads to. */
  #nextMode: RunMode | undefined;
  #breakpoints: Breakpoint[] = [];
  #nextBreakpointId = FIRST_BREAKPOINT_ID;

  private constructor(target: Target) {
    this.target = target;
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
    clearTimeout(this.#sendTimer);
    clearTimeout(this.#slowMotionTimer);
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
    const { target } = this;
    const run = target.state === "starting" ? "running" : target.state;
    return {
      kind: "state",
      run: run === "running" && this.#isPausing ? "pausing" : run,
      seq: target.stop?.event?.seq,
      breakpoint: target.stop?.breakpoint,
      speed: this.#speed,
      breakpoints: this.#breakpoints.map(({ id, on, value, hits }) => ({ id, on, value, hits })),
      error: target.error,
    };
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

  // ---- commands ----

  resume(mode: RunMode): void {
    // In slow motion, a step may be in progress. Then the loop resumes from the stop at its end.
    this.#nextMode = this.#speed > 0 && this.target.state === "running" ? mode : undefined;
    this.#speed = 0;
    this.#isPausing = false;
    void this.target.go(mode);
    this.#broadcast(this.state);
  }

  pause(): void {
    this.#nextMode = undefined;
    this.#speed = 0;
    this.#isPausing = this.target.state === "running";
    this.target.pause();
    this.#broadcast(this.state);
  }

  /** Starts slow motion; 0 returns to full speed. */
  setSpeed(eventsPerSecond: number): void {
    if (eventsPerSecond === 0) return this.resume({ kind: "continue" });
    this.#speed = eventsPerSecond;
    if (this.target.state === "running") {
      this.#isPausing = true;
      this.target.pause();
    } else {
      this.#stepInSlowMotion();
    }
    this.#broadcast(this.state);
  }

  /** Returns the breakpoint's id, or undefined if there are too many. */
  addBreakpoint(on: Breakpoint["on"], value: number | string): number | undefined {
    if (this.#breakpoints.length >= MAX_BREAKPOINTS) return undefined;
    const id = this.#nextBreakpointId++;
    this.#breakpoints.push({
      id,
      on,
      value,
      condition: undefined,
      isTemporary: false,
      isEnabled: true,
      ignore: 0,
      hits: 0,
    });
    this.#applyBreakpoints();
    return id;
  }

  removeBreakpoint(id: number): void {
    this.#breakpoints = this.#breakpoints.filter((breakpoint) => breakpoint.id !== id);
    this.#applyBreakpoints();
  }

  #applyBreakpoints(): void {
    this.target.setBreakpoints(this.#breakpoints, "page");
    this.#broadcast(this.state);
  }

  #stepInSlowMotion(): void {
    clearTimeout(this.#slowMotionTimer);
    this.#slowMotionTimer = undefined;
    if (this.#speed > 0 && this.target.state === "stopped") void this.target.go({ kind: "step" });
  }

  // ---- reports of the target ----

  #onEvents(events: readonly TraceEvent[]): void {
    const sampler = (this.#sampler ??= new Sampler());
    for (const event of events) sampler.see(event);
    this.#onSample(sampler.take());
  }

  #onSample(sample: Sample): void {
    const [first] = sample.events;
    if (first?.type === "begin") this.startedMs = Date.parse(first.date);
    this.#remember(sample);
    this.#unsent = this.#unsent === undefined ? sample : merged(this.#unsent, sample);
    const intervalMs = this.#unsent.omitted > 0 ? BUSY_SEND_INTERVAL_MS : SEND_INTERVAL_MS;
    const delayMs = this.#sentMs + intervalMs - performance.now();
    if (delayMs <= 0 || this.target.state === "stopped") this.#sendSample();
    else this.#sendTimer ??= setTimeout(() => this.#sendSample(), delayMs);
  }

  #onState(): void {
    const { target } = this;
    if (target.state !== "running") this.#isPausing = false;
    this.#sendSample();
    this.#broadcast(this.state);
    this.#updateWatching();
    if (target.state !== "stopped") return;
    const isAtBreakpoint = target.stop?.breakpoint !== undefined;
    const mode = this.#nextMode;
    if (mode !== undefined) {
      this.#nextMode = undefined;
      if (!isAtBreakpoint) void target.go(mode);
    } else if (this.#speed > 0) {
      // A breakpoint ends slow motion.
      if (isAtBreakpoint) this.#speed = 0;
      else this.#slowMotionTimer ??= setTimeout(() => this.#stepInSlowMotion(), 1000 / this.#speed);
    }
  }

  #remember(sample: Sample): void {
    const last = this.#recent.at(-1);
    const isSmall = last !== undefined && last.events.length + sample.events.length <= MAX_EVENTS;
    if (isSmall && sample.omitted === 0) this.#recent[this.#recent.length - 1] = merged(last, sample);
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
    const needsPolling = isWatched && this.target.state === "stopped";
    if (needsPolling === (this.#kernelTimer !== undefined)) return;
    clearInterval(this.#kernelTimer);
    this.#kernelTimer = needsPolling ? setInterval(() => this.#pollKernel(), KERNEL_POLL_MS) : undefined;
    if (needsPolling) this.#pollKernel();
  }

  #pollKernel(): void {
    const sample = this.latestSample;
    if (sample === undefined || this.target.state !== "stopped") return;
    const kernel = kernelEntries(sample.epfd, sample.entries);
    if (kernel === undefined) return;
    sample.kernel = kernel;
    this.#broadcast({ kind: "sample", sample: { ...sample, events: [], omitted: 0, warnings: [], kernel } });
  }

  #broadcast(message: Message): void {
    for (const subscriber of this.#subscribers) subscriber(message);
  }
}
