// class Inspector: a loop that is watched, from the page's side: what was told of it lately, who looks on, and what they may order.

import { type Breakpoint, type RunMode } from "../debugger/thread-messages.ts";
import { type Sample, Sampler, MAX_EVENTS, mergeSamples } from "../debugger/sampler.ts";
import { kernelEntries } from "../debugger/kernel-entries.ts";
import type { Target } from "../debugger/target.ts";
import type { TraceEvent } from "../../trace/events.ts";
import type { LoopState, Message } from "./messages.ts";

/** Samples are told at most so often; of a busy loop less often, as nobody reads that fast and each costs the page. */
const TELL_MS = 100;
const BUSY_TELL_MS = 1_000;
/** While the loop stands still, the kernel goes on: it is asked so often. */
const KERNEL_MS = 500;
/** So many events are kept for who comes later. */
const MOST_KEPT = 3_000;
const MOST_BREAKPOINTS = 50;
/** The page's breakpoints have numbers of their own. */
const FIRST_BREAKPOINT = 10_000;

export class LiveView implements Disposable {
  readonly target: Target;
  readonly #listeners = new Set<(message: Message) => void>();
  #sampler: Sampler | undefined;
  #kept: Sample[] = [];
  #pending: Sample | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #toldMs = 0;
  #kernelTimer: ReturnType<typeof setInterval> | undefined;
  #playTimer: ReturnType<typeof setTimeout> | undefined;
  #isWatched = false;
  #speed = 0;
  #isPausing = false;
  #wanted: RunMode | undefined;
  #breakpoints: Breakpoint[] = [];
  #nextBreakpoint = FIRST_BREAKPOINT;
  /** When the trace began. */
  begunMs: number = Date.now();

  private constructor(target: Target) {
    this.target = target;
  }

  /** @param start called with what the target shall tell */
  static async open(start: (tell: TargetListeners) => Promise<Target>): Promise<LiveView> {
    let inspector: LiveView | undefined;
    const early: (() => void)[] = [];
    const later = (what: (inspector: LiveView) => void): void => {
      if (inspector === undefined) early.push(() => inspector !== undefined && what(inspector));
      else what(inspector);
    };
    const target = await start({
      events: (events) => later((it) => it.#seeAll(events)),
      sample: (sample) => later((it) => it.#see(sample)),
      state: () => later((it) => it.#stateChanged()),
    });
    inspector = new LiveView(target);
    for (const what of early) what();
    return inspector;
  }

  /** What was told lately, the oldest first. Nothing of it is told again to who listens from now on. */
  recall(): readonly Sample[] {
    this.#tellPending();
    return this.#kept;
  }

  /** The newest. */
  get sample(): Sample | undefined {
    return this.#kept.at(-1);
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

  /** @returns how to stop listening */
  listen(listener: (message: Message) => void): () => void {
    this.#listeners.add(listener);
    this.#watch();
    return () => {
      this.#listeners.delete(listener);
      this.#watch();
    };
  }

  // ---- orders ----

  go(mode: RunMode): void {
    // In slow motion a step may be under way: then it goes on from where that leads.
    this.#wanted = this.#speed > 0 && this.target.state === "running" ? mode : undefined;
    this.#speed = 0;
    this.#isPausing = false;
    void this.target.go(mode);
    this.#tell(this.state);
  }

  pause(): void {
    this.#wanted = undefined;
    this.#speed = 0;
    this.#isPausing = this.target.state === "running";
    this.target.pause();
    this.#tell(this.state);
  }

  /** Slow motion: so many events a second; 0: full speed again. */
  setSpeed(perSecond: number): void {
    if (perSecond === 0) return this.go({ kind: "continue" });
    this.#speed = perSecond;
    if (this.target.state === "running") {
      this.#isPausing = true;
      this.target.pause();
    } else {
      this.#play();
    }
    this.#tell(this.state);
  }

  /** @returns its number, or undefined: there are too many */
  addBreakpoint(on: Breakpoint["on"], value: number | string): number | undefined {
    if (this.#breakpoints.length >= MOST_BREAKPOINTS) return undefined;
    const id = this.#nextBreakpoint++;
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
    this.#tellBreakpoints();
    return id;
  }

  clearBreakpoint(id: number): void {
    this.#breakpoints = this.#breakpoints.filter((one) => one.id !== id);
    this.#tellBreakpoints();
  }

  [Symbol.dispose](): void {
    this.#listeners.clear();
    clearTimeout(this.#timer);
    clearTimeout(this.#playTimer);
    clearInterval(this.#kernelTimer);
  }

  // ---- what the target tells ----

  #seeAll(events: readonly TraceEvent[]): void {
    const sampler = (this.#sampler ??= new Sampler());
    for (const event of events) sampler.observe(event);
    this.#see(sampler.take());
  }

  #see(sample: Sample): void {
    const [first] = sample.events;
    if (first?.type === "begin") this.begunMs = Date.parse(first.date);
    this.#keep(sample);
    this.#pending = this.#pending === undefined ? sample : mergeSamples(this.#pending, sample);
    const everyMs = this.#pending.omitted > 0 ? BUSY_TELL_MS : TELL_MS;
    const dueMs = this.#toldMs + everyMs - performance.now();
    if (dueMs <= 0 || this.target.state === "stopped") this.#tellPending();
    else this.#timer ??= setTimeout(() => this.#tellPending(), dueMs);
  }

  #keep(sample: Sample): void {
    const last = this.#kept.at(-1);
    const isSmall = last !== undefined && last.events.length + sample.events.length <= MAX_EVENTS;
    if (isSmall && sample.omitted === 0) this.#kept[this.#kept.length - 1] = mergeSamples(last, sample);
    else this.#kept.push(sample);
    for (let kept = this.#kept.reduce((sum, { events }) => sum + events.length, 0); kept > MOST_KEPT;) {
      kept -= this.#kept.shift()?.events.length ?? 0;
    }
  }

  #tellPending(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const sample = this.#pending;
    this.#pending = undefined;
    if (sample === undefined) return;
    this.#toldMs = performance.now();
    this.#tell({ kind: "sample", sample });
  }

  #stateChanged(): void {
    if (this.target.state !== "running") this.#isPausing = false;
    this.#tellPending();
    this.#tell(this.state);
    this.#watch();
    const wanted = this.#wanted;
    if (this.target.state === "stopped" && wanted !== undefined) {
      this.#wanted = undefined;
      if (this.target.stop?.breakpoint === undefined) void this.target.go(wanted);
    } else if (this.target.state === "stopped" && this.#speed > 0) {
      // A breakpoint is where it was to stop, however slow it goes.
      if (this.target.stop?.breakpoint !== undefined) this.#speed = 0;
      else this.#playTimer ??= setTimeout(() => this.#play(), 1000 / this.#speed);
    }
  }

  #play(): void {
    clearTimeout(this.#playTimer);
    this.#playTimer = undefined;
    if (this.#speed > 0 && this.target.state === "stopped") void this.target.go({ kind: "step" });
  }

  /** The kernel's side of a loop that stands still, which nobody else asks for. */
  #askKernel(): void {
    const { sample } = this;
    if (sample === undefined || this.target.state !== "stopped") return;
    const kernel = kernelEntries(sample.epfd, sample.entries);
    if (kernel === undefined) return;
    sample.kernel = kernel;
    this.#tell({ kind: "sample", sample: { ...sample, events: [], omitted: 0, warnings: [], kernel } });
  }

  #watch(): void {
    const isWatched = this.#listeners.size > 0;
    if (isWatched !== this.#isWatched) this.target.setWatched(isWatched);
    this.#isWatched = isWatched;
    const asks = isWatched && this.target.state === "stopped";
    if (asks === (this.#kernelTimer !== undefined)) return;
    clearInterval(this.#kernelTimer);
    this.#kernelTimer = asks ? setInterval(() => this.#askKernel(), KERNEL_MS) : undefined;
    if (asks) this.#askKernel();
  }

  #tellBreakpoints(): void {
    this.target.setBreakpoints(this.#breakpoints, "page");
    this.#tell(this.state);
  }

  #tell(message: Message): void {
    for (const listener of this.#listeners) listener(message);
  }
}

/** What a target is given to tell. */
export interface TargetListeners {
  events(events: readonly TraceEvent[]): void;
  sample(sample: Sample): void;
  state(): void;
}
