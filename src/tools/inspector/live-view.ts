// A live view of a running loop: recent samples, and the pages that subscribe to new ones.

import type { ConnectionEvents, ConnectionQuery } from "../debugger/event-ring.ts";
import type { FdChanges, FdRecord } from "../debugger/fd-ledger.ts";
import { type FdEntry, keyOfEntry } from "../debugger/fd-table.ts";
import { LoopRecorder } from "../debugger/loop-recorder.ts";
import { LoopTimings, TIMINGS_BYTES, type TimingsSummary } from "../debugger/loop-timings.ts";
import { MAX_EVENTS, mergeSamples, type Sample, Sampler, type Warning } from "../debugger/sampler.ts";
import type { Target } from "../debugger/target.ts";
import type { TraceEvent } from "../../trace/events.ts";
import { type FdKey, fdKey } from "../../trace/fd-key.ts";
import { requireSources } from "./assets.ts";
import type { FdPage, FdQuery } from "./fd-query.ts";
import { type FdRowsContext, queryFds } from "./fd-rows.ts";
import { KernelFigures } from "./kernel-figures.ts";
import type { KernelInstance, LoopState, Message } from "./messages.ts";
import { RunControl } from "./run-control.ts";

/** The interval between samples. A busy loop is sampled less often: each sample costs the browser time. */
const SEND_INTERVAL_MS = 100;
const BUSY_SEND_INTERVAL_MS = 1_000;
/** Events kept for pages that connect later. */
const MAX_RECENT_EVENTS = 3_000;
/** The most fds whose last warning is kept. */
const MAX_WARNED_FDS = 1_000;
/** How long to wait for a thread that may be busy in its own code. */
const QUERY_TIMEOUT_MS = 2_000;
/** How long a pause, slow motion and breakpoints outlive the last page that can control the loop. A reload takes less. */
const RELEASE_GRACE_MS = 3_000;

export interface LiveViewOptions {
  /** The terminal debugger controls the loop as well: a pause does not depend on a page. */
  hasPrompt?: boolean;
  /** How long a pause outlives the last page; Infinity: until it is resumed. Default: 3 seconds. */
  releaseGraceMs?: number;
  /** Called with a sentence when the loop has been resumed because no page is left that could. */
  onRelease?: (message: string) => void;
}

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
  readonly #kernel: KernelFigures;
  /** The open fds, if the target reports samples. */
  readonly #records = new Map<FdKey, FdRecord>();
  /** The last warning about each fd. */
  readonly #warnings = new Map<FdKey, Warning>();
  /** Used if the target reports every event instead of samples. */
  #sampler: Sampler | undefined;
  #recorder: LoopRecorder | undefined;
  readonly #timings = new SharedArrayBuffer(TIMINGS_BYTES);
  /** The time of the last event, in microseconds since the trace began, and when it was received. */
  #lastUs = 0;
  #lastMs = performance.now();
  readonly #options: LiveViewOptions;
  /** The pages that can control the loop. */
  #controllers = 0;
  /** A page controls the loop, or has controlled it. */
  #isControlled = false;
  #releaseTimer: ReturnType<typeof setTimeout> | undefined;
  #recent: Sample[] = [];
  #unsent: Sample | undefined;
  #sendTimer: ReturnType<typeof setTimeout> | undefined;
  #sentMs = 0;
  #isWatched = false;

  private constructor(target: Target, options: LiveViewOptions) {
    this.target = target;
    this.#kernel = new KernelFigures((pid) => target.kernelOf(pid));
    this.#options = options;
    this.control = new RunControl(target, () => {
      this.#broadcast(this.state);
      this.#scheduleRelease();
    });
  }

  /**
   * Starts a target and subscribes to its reports, including those it sends before `start` returns.
   *
   * @throws {Error} if the page's source files are missing
   */
  static async open(
    start: (listeners: TargetListeners) => Promise<Target>,
    options: LiveViewOptions = {},
  ): Promise<LiveView> {
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
    view = new LiveView(target, options);
    for (const report of early) report(view);
    return view;
  }

  [Symbol.dispose](): void {
    this.#subscribers.clear();
    this.control[Symbol.dispose]();
    clearTimeout(this.#sendTimer);
    clearTimeout(this.#releaseTimer);
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

  /**
   * Notes that a page that can control the loop is open. Returns a function to be called when it is gone: if no other such page is open
   * within the grace period, the loop resumes, at full speed and without the page's breakpoints.
   */
  addController(): () => void {
    this.#controllers++;
    this.#isControlled = true;
    this.#scheduleRelease();
    return () => {
      this.#controllers--;
      this.#scheduleRelease();
    };
  }

  /** To be called before a command is executed. */
  onCommand(): void {
    this.#isControlled = true;
  }

  // ---- queries ----

  /** The open fds, by number. */
  get #fds(): ReadonlyMap<FdKey, FdRecord> {
    const records = this.#recorder?.ledger.records;
    return records === undefined ? this.#records : new Map(records.map((record) => [keyOfEntry(record.entry), record]));
  }

  /** Returns the entry of an open fd; undefined if the fd does not belong to the loop. */
  entry(fd: number, pid: number | undefined): FdEntry | undefined {
    const key = fdKey(fd, pid);
    const sampled = (): FdEntry | undefined => this.latestSample?.entries.find((one) => keyOfEntry(one) === key);
    return this.#fds.get(key)?.entry ?? sampled();
  }

  get #rowsContext(): FdRowsContext {
    const isRunning = this.target.state === "running";
    const elapsedUs = isRunning ? (performance.now() - this.#lastMs) * 1000 : 0; // the trace excludes the time of a pause
    return { nowUs: this.#lastUs + elapsedUs, warnings: this.#warnings };
  }

  /** @throws {Error} if the filter is invalid */
  queryFds(query: FdQuery): FdPage {
    const kernel = this.target.state === "ended" ? undefined : this.#kernel;
    return queryFds(this.#fds.values(), this.#rowsContext, query, kernel);
  }

  /** Returns the kernel's interest list of each epoll instance of the loop, and which of its fds are ready. */
  kernelInstances(): KernelInstance[] {
    const fds = this.#fds;
    const epolls = new Set<FdKey>();
    for (const { entry } of fds.values()) {
      if (entry.kind === "epoll") epolls.add(keyOfEntry(entry));
      for (const { epfd } of entry.registrations) epolls.add(fdKey(epfd, entry.pid));
    }
    const isSocket = (key: FdKey): boolean => /^(?:connection|listener)$/.test(fds.get(key)?.entry.kind ?? "");
    return this.#kernel.instances(
      [...epolls].sort((a, b) => a - b),
      isSocket,
    );
  }

  /** Returns the recent events of a connection; undefined if the thread does not answer. */
  async eventsOf(query: ConnectionQuery): Promise<ConnectionEvents | undefined> {
    if (this.#recorder !== undefined) return this.#recorder.ring.eventsOf(query);
    return await this.target.eventsOf(query, QUERY_TIMEOUT_MS);
  }

  get timings(): TimingsSummary {
    return this.#recorder === undefined ? this.target.timings : new LoopTimings(this.#timings).summary;
  }

  // ---- reports of the target ----

  #onEvents(events: readonly TraceEvent[]): void {
    const sampler = (this.#sampler ??= new Sampler());
    const recorder = (this.#recorder ??= new LoopRecorder(sampler.table, this.#timings));
    for (const event of events) {
      sampler.observe(event);
      recorder.observe(event);
    }
    this.#onSample(sampler.take());
  }

  #onSample({ fds, ...sample }: Sample): void {
    if (fds !== undefined) this.#updateFds(fds);
    for (const warning of sample.warnings) this.#noteWarning(warning);
    const [first] = sample.events;
    const lastUs = sample.events.at(-1)?.us;
    if (lastUs !== undefined) {
      this.#lastUs = lastUs;
      this.#lastMs = performance.now();
    }
    if (first?.type === "begin") this.startedMs = Date.parse(first.date);
    this.#remember(sample);
    this.#unsent = this.#unsent === undefined ? sample : mergeSamples(this.#unsent, sample);
    const intervalMs = this.#unsent.omitted > 0 ? BUSY_SEND_INTERVAL_MS : SEND_INTERVAL_MS;
    const delayMs = this.#sentMs + intervalMs - performance.now();
    if (delayMs <= 0 || this.target.state === "paused") this.#sendSample();
    else this.#sendTimer ??= setTimeout(() => this.#sendSample(), delayMs);
  }

  #onState(): void {
    this.#kernel.forget();
    this.#sendSample();
    this.control.onTargetState();
  }

  #updateFds({ isComplete, changed, closed }: FdChanges): void {
    if (isComplete) this.#records.clear();
    for (const key of closed) this.#records.delete(key);
    for (const record of changed) this.#records.set(keyOfEntry(record.entry), record);
  }

  #noteWarning(warning: Warning): void {
    if (warning.fd === null) return;
    const key = fdKey(warning.fd, warning.pid);
    this.#warnings.delete(key); // moves it to the end
    this.#warnings.set(key, warning);
    const [oldest] = this.#warnings.keys();
    if (this.#warnings.size > MAX_WARNED_FDS && oldest !== undefined) this.#warnings.delete(oldest);
  }

  /** Resumes the loop after a grace period if the page has stopped or slowed it down, and no page is left that could undo that. */
  #scheduleRelease(): void {
    const isLeft = this.#isControlled && this.#controllers === 0 && this.#releasable !== undefined;
    if (isLeft === (this.#releaseTimer !== undefined)) return;
    clearTimeout(this.#releaseTimer);
    this.#releaseTimer = undefined;
    const { releaseGraceMs = RELEASE_GRACE_MS } = this.#options;
    if (isLeft && releaseGraceMs < Infinity) this.#releaseTimer = setTimeout(() => this.#release(), releaseGraceMs);
  }

  /** A pause at the prompt does not depend on a page. */
  get #releasable(): string | undefined {
    const { hold, hasBreakpoints, isSlow } = this.control;
    return this.#options.hasPrompt === true && !hasBreakpoints && !isSlow ? undefined : hold;
  }

  #release(): void {
    this.#releaseTimer = undefined;
    const hold = this.#releasable;
    if (hold === undefined || this.#controllers > 0) return;
    const hasPrompt = this.#options.hasPrompt === true;
    this.control.release(!hasPrompt);
    const result = hasPrompt ? "its breakpoints and slow motion are removed" : "the server continues at full speed";
    this.#options.onRelease?.(`the inspector's page was closed while the server was ${hold}: ${result}`);
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

  /** Samples the loop often only while a page is open. */
  #updateWatching(): void {
    const isWatched = this.#subscribers.size > 0;
    if (isWatched === this.#isWatched) return;
    this.#isWatched = isWatched;
    if (!isWatched) this.#records.clear(); // they are no longer updated
    this.target.setWatched(isWatched);
  }

  #broadcast(message: Message): void {
    for (const subscriber of this.#subscribers) subscriber(message);
  }
}
