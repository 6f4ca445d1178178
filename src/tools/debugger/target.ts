// class Target: an EpollServer or a program on its own thread, which can be paused after any of its system calls.

import { MessageChannel, type MessagePort } from "node:worker_threads";
import { EventFd } from "../../io/eventfd.ts";
import { moduleFile } from "../../kernel/package-root.ts";
import type { EpollServerOptions } from "../../server/options.ts";
import type { ServerStats } from "../../server/types.ts";
import type { TraceEvent } from "../../trace/events.ts";
import { type KernelView, ownKernel } from "../../trace/kernel-view.ts";
import { kernelOf } from "../../trace/processes/kernel-of.ts";
import type { ConnectionEvents, ConnectionQuery } from "./event-ring.ts";
import { formatEvent } from "../../trace/format.ts";
import { LoopTimings, TIMINGS_BYTES, type TimingsSummary } from "./loop-timings.ts";
import type { Sample } from "./sampler.ts";
import { scriptOf } from "./script-of.ts";
import { describeActivity } from "./thread-activity.ts";
import {
  type Breakpoint,
  COMMAND_COUNT,
  type Controller,
  IS_POKED,
  type ProcessSelection,
  type ProcessStartMessage,
  type RunMode,
  SHARED_BYTES,
  type SourceLocation,
  type StartMessage,
  type Stop,
  TAKEN_SEQ,
  type ThreadCommand,
  type ThreadReport,
} from "./thread-messages.ts";

const ENDED_VALUE = "*** the program has ended";
/** How long to wait for the server to close, and then for the thread to end, before going on without it. */
const END_TIMEOUT_MS = 1_000;

export interface TargetOptions {
  /** The options of the server; without functions, which cannot be sent to another thread. */
  server?: EpollServerOptions | undefined;
  /** Where to listen if neither `server` nor the application has an address. */
  defaultAddress?: Pick<EpollServerOptions, "hostname" | "port"> | undefined;
  /** The file of an application to serve. It is loaded in the thread, and served on the thread's Bun event loop. */
  app?: string | undefined;
  /** The file of a program to run instead of a server, and its arguments. It ends with the thread. */
  program?: readonly string[] | undefined;
  /** A process to trace instead, which runs any program. */
  process?: ProcessSelection | undefined;
  /** Include received and sent data in the events. */
  bytes?: boolean | undefined;
  /** Include the values of credentials. */
  secrets?: boolean | undefined;
  /** Pause after the first wait. */
  isPaused?: boolean | undefined;
  /** The longest time that the server waits in epoll_wait, in milliseconds; default: until an event arrives. */
  pollMs?: number | undefined;
  /** Called with all events, in order and in batches. */
  onEvents?: ((events: readonly TraceEvent[]) => void) | undefined;
  /** Called with samples instead of all events: the thread never waits for the reader. */
  onSample?: ((sample: Sample) => void) | undefined;
  /** Called when the thread has paused, resumed or ended. */
  onState?: (() => void) | undefined;
  /** Called when a handler of the application has thrown, and its client got a 500 response. */
  onHandlerError?: ((message: string) => void) | undefined;
  /** Called with a sentence that the user should know. */
  onNotice?: ((text: string) => void) | undefined;
  /** Called when a promise of an evaluated expression has settled. */
  onSettled?: ((text: string) => void) | undefined;
}

/** The server could not be started. `code` is that of the error, if it has one. */
export class TargetError extends Error {
  override readonly name: string = "TargetError";
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.code = code;
  }
}

export class Target {
  state: "starting" | "running" | "paused" | "ended" = "starting";
  location: SourceLocation = { url: "", addresses: [] };
  stats: ServerStats | undefined;
  /** The error that ended the thread. */
  error: string | undefined;
  /** False if the thread is blocked in a system call, and cannot be terminated. The process then has to exit without it. */
  hasThreadEnded: boolean = false;
  /** The exit code of the program, once it has ended. */
  exitCode: number | undefined;
  /** Where the thread has paused; undefined while it runs. */
  stop: Stop | undefined;
  /** The file of the program that runs instead of a server. */
  readonly program: string | undefined;
  /** The process that is traced; undefined: the loop is one of this process. */
  pid: number | undefined;
  /** The signal that has ended the program. */
  signal: string | undefined;
  readonly #process: ProcessSelection | undefined;
  readonly #kernels = new Map<number | undefined, KernelView>();

  readonly #worker: Worker;
  readonly #commands: MessagePort;
  readonly #pokes: MessagePort;
  readonly #shared: Int32Array;
  readonly #onEvents: TargetOptions["onEvents"];
  readonly #onSample: TargetOptions["onSample"];
  readonly #onState: () => void;
  readonly #onHandlerError: (message: string) => void;
  readonly #onSettled: (text: string) => void;
  readonly #onNotice: (text: string) => void;
  readonly #wake = new EventFd();
  #threadId = 0;
  /** When the thread was last known to run: it has resumed, or reported an event. */
  #activeMs = performance.now();
  /** By owner, such as the prompt or the inspector. */
  readonly #breakpoints = new Map<Controller, readonly Breakpoint[]>();
  /** Evaluations in progress, by id. */
  readonly #evaluations = new Map<number, (text: string) => void>();
  #nextEvaluation = 0;
  /** Queries in progress, by id. */
  readonly #queries = new Map<number, (events: ConnectionEvents | undefined) => void>();
  #nextQuery = 0;
  #by: Controller = "prompt";
  readonly #timings = new SharedArrayBuffer(TIMINGS_BYTES);
  #lastEvent: TraceEvent | undefined;
  readonly #started = Promise.withResolvers<void>();
  #stopped = Promise.withResolvers<Stop>();
  readonly #ended = Promise.withResolvers<void>();
  #ending: Promise<void> | undefined;
  /** Resolves when the thread has ended, which closes its file descriptors. */
  readonly #workerClosed = Promise.withResolvers<void>();

  private constructor(options: TargetOptions) {
    const { server = {}, defaultAddress = {}, app, program, pollMs, process } = options;
    const { bytes: hasBytes = false, secrets: hasSecrets = false, isPaused = false } = options;
    this.program = process === undefined ? program?.[0] : scriptOf(process);
    this.#process = process;
    const { onEvents, onSample, onState, onHandlerError, onSettled, onNotice } = options;
    this.#onEvents = onEvents;
    this.#onSample = onSample;
    this.#onState = onState ?? (() => {});
    this.#onHandlerError = onHandlerError ?? (() => {});
    this.#onSettled = onSettled ?? (() => {});
    this.#onNotice = onNotice ?? (() => {});
    const { port1, port2: commands } = new MessageChannel();
    const { port1: pokes, port2: pokesEnd } = new MessageChannel();
    this.#pokes = pokes;
    const shared = new SharedArrayBuffer(SHARED_BYTES);
    this.#commands = port1;
    this.#shared = new Int32Array(shared);
    this.#worker = new Worker(
      moduleFile(`tools/debugger/${process === undefined ? "debug-thread" : "process-thread"}`),
    );
    this.#worker.addEventListener("message", ({ data }: MessageEvent<ThreadReport>) => this.#onReport(data));
    this.#worker.addEventListener("error", ({ message }) => this.#onFailure(message, undefined));
    this.#worker.addEventListener("close", () => {
      if (this.state !== "ended") {
        if (this.#ending === undefined) this.#onFailure("the application has ended the server's thread", undefined);
        else this.#onEnd(); // it did not end in time, and was terminated
      }
      this.#wake.close();
      this.hasThreadEnded = true;
      this.#workerClosed.resolve();
    });
    const isSampled = onSample !== undefined;
    const wakeFd = this.#wake.fileno();
    const shares = { hasBytes, hasSecrets, isSampled, isPaused, shared, wakeFd, timings: this.#timings, commands };
    const start: StartMessage | ProcessStartMessage =
      process !== undefined
        ? { ...shares, process }
        : {
            ...shares,
            options: server,
            defaultAddress,
            app,
            program,
            pollMs,
            pokes: pokesEnd,
          };
    const ports = process === undefined ? [commands, pokesEnd] : [commands];
    this.#worker.postMessage(start, ports as unknown as ArrayBuffer[]); // Bun's types lack MessagePort as a Transferable
  }

  /**
   * Starts the thread, and waits until the server listens, or the program is about to run.
   *
   * @throws {TargetError} with the message of the error that EpollServer threw
   */
  static async start(options: TargetOptions): Promise<Target> {
    const target = new Target(options);
    await target.#started.promise;
    return target;
  }

  /** Returns the kernel's view of a process that is traced. */
  kernelOf(pid: number | undefined): KernelView {
    let kernel = this.#kernels.get(pid);
    if (kernel === undefined) {
      this.#kernels.set(pid, (kernel = pid === undefined ? ownKernel() : kernelOf(pid)));
    }
    return kernel;
  }

  /** Resolves at the next pause or the end; immediately if the thread is paused. */
  get stopped(): Promise<Stop> {
    return this.#stopped.promise;
  }

  /** Resolves when the server or program has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Resumes a paused thread; resolves at the next pause. */
  go(mode: RunMode, by: Controller = "prompt"): Promise<Stop> {
    if (this.state !== "paused") return this.#stopped.promise;
    this.#by = by;
    this.#activeMs = performance.now();
    this.state = "running";
    this.stop = undefined;
    this.#stopped = Promise.withResolvers();
    this.#send({ kind: "go", mode });
    this.#onState();
    return this.#stopped.promise;
  }

  /** Pauses the thread: immediately if it waits in epoll_wait or in Bun's event loop, and after its next event if it runs. */
  pause(by: Controller = "prompt"): void {
    if (this.state !== "running") return;
    this.#by = by;
    this.#send({ kind: "pause" });
  }

  /** Describes what a running thread does: `busy for 3 s since recv(5) at server.ts:42`. */
  describeActivity(): string {
    const { last, position } = this.#lastCall;
    const since = last === undefined ? "its start" : `${last}${position === undefined ? "" : ` at ${position}`}`;
    const seconds = ((performance.now() - this.#activeMs) / 1000).toFixed(1);
    const activity = describeActivity(this.#threadId, this.pid) ?? "running";
    const what = activity === "running" ? "busy" : activity;
    return `The program has been ${what} for ${seconds} s since ${since}. It pauses at its next event.`;
  }

  /** The last system call that was reported. */
  get #lastCall(): { last: string | undefined; position: string | undefined } {
    const event = this.#lastEvent;
    return { last: event && formatEvent(event)?.trim(), position: event?.at };
  }

  /** Sets whether the samples are displayed. If they are not, fewer are taken. */
  setWatched(isWatched: boolean): void {
    this.#send({ kind: "watched", isWatched });
  }

  /** @param owner whose breakpoints to replace: the prompt and the page have their own */
  setBreakpoints(breakpoints: readonly Breakpoint[], owner: Controller = "prompt"): void {
    this.#breakpoints.set(owner, breakpoints);
    this.#send({ kind: "breakpoints", breakpoints: this.#allBreakpoints });
    this.#onState();
  }

  get isRunning(): boolean {
    return this.state === "running" || this.state === "starting";
  }

  get pageBreakpoints(): readonly Breakpoint[] {
    return this.breakpointsOf("page");
  }

  /** Returns the breakpoints of the prompt or of the page. */
  breakpointsOf(owner: Controller): readonly Breakpoint[] {
    return this.#breakpoints.get(owner) ?? [];
  }

  /**
   * Runs JavaScript in the thread; resolves to the value of its last expression as text. A thread that runs, and does not wait,
   * evaluates it after its next event.
   */
  evaluate(code: string): Promise<string> {
    return this.#query((id) => ({ kind: "evaluate", id, code }), ENDED_VALUE);
  }

  /** Returns the names of the properties of an expression's value; of the names in scope if it is empty. */
  async propertyNames(expression: string): Promise<string[]> {
    return JSON.parse(await this.#query((id) => ({ kind: "complete", id, code: expression }), "[]")) as string[];
  }

  /** Whether an expression is being evaluated while the thread is paused. */
  get isEvaluating(): boolean {
    return this.state === "paused" && this.#evaluations.size > 0;
  }

  /** Makes the running evaluation throw: the signal ends it, see Evaluator. */
  interruptEvaluation(): void {
    process.kill(process.pid, "SIGINT");
  }

  #query(command: (id: number) => ThreadCommand, valueIfEnded: string): Promise<string> {
    if (this.state === "ended") return Promise.resolve(valueIfEnded);
    const id = this.#nextEvaluation++;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#evaluations.set(id, resolve);
    this.#send(command(id));
    return promise;
  }

  /**
   * Returns the recent events of a connection; undefined if the thread does not answer within `timeoutMs`, because it is busy in its
   * own code, or has ended. Only for a target with `onSample`.
   */
  async eventsOf(query: ConnectionQuery, timeoutMs: number): Promise<ConnectionEvents | undefined> {
    if (this.state === "ended") return undefined;
    const id = this.#nextQuery++;
    const { promise, resolve } = Promise.withResolvers<ConnectionEvents | undefined>();
    this.#queries.set(id, resolve);
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    this.#send({ kind: "connection", id, query });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#queries.delete(id);
    }
  }

  /** The durations of all iterations, handlers and requests. Only for a target with `onSample`. */
  get timings(): TimingsSummary {
    return new LoopTimings(this.#timings).summary;
  }

  /**
   * Closes the server and ends the thread. A thread that does not respond is terminated.
   *
   * @param isForced do not close the server first
   */
  end(isForced: boolean = false): Promise<void> {
    return (this.#ending ??= this.#end(isForced));
  }

  async #end(isForced: boolean): Promise<void> {
    if (this.#process !== undefined) {
      this.#send({ kind: "end" });
      await withinTimeout(this.#ended.promise, 2 * END_TIMEOUT_MS);
    } else if (this.program !== undefined || isForced) {
      if (this.state !== "ended") this.#onEnd(); // a program cannot be asked to end
    } else if (this.state !== "ended") {
      this.state = "running";
      this.#stopped = Promise.withResolvers();
      this.#send({ kind: "end" });
      await withinTimeout(this.#ended.promise); // it may pause once more before that
    }
    this.#commands.close();
    this.#pokes.close();
    this.#terminate();
    await withinTimeout(this.#workerClosed.promise);
  }

  /** The engine notices the termination when the thread returns from epoll_wait. */
  #terminate(): void {
    this.#worker.terminate();
    if (!this.#wake.closed) this.#wake.write();
  }

  get #allBreakpoints(): Breakpoint[] {
    return [...this.#breakpoints.values()].flat();
  }

  #send(command: ThreadCommand): void {
    this.#commands.postMessage(command);
    Atomics.add(this.#shared, COMMAND_COUNT, 1);
    Atomics.notify(this.#shared, COMMAND_COUNT);
    if (this.#wake.closed) return;
    this.#wake.write();
    if (Atomics.exchange(this.#shared, IS_POKED, 1) === 0) this.#pokes.postMessage(null);
  }

  #onReport(report: ThreadReport): void {
    switch (report.kind) {
      case "started":
        if (this.state === "starting") this.state = "running";
        this.location = report.location;
        this.#threadId = report.threadId;
        this.pid = report.pid;
        this.#started.resolve();
        return;
      case "failed":
        return this.#onFailure(report.message, report.code);
      case "listening":
        this.location = { ...this.location, addresses: [...this.location.addresses, report.address] };
        return;
      case "handler-error":
        return this.#onHandlerError(report.message);
      case "settled":
        return this.#onSettled(report.text);
      case "events":
        this.#activeMs = performance.now();
        this.#lastEvent = report.events.at(-1);
        this.#onEvents?.(report.events);
        Atomics.store(this.#shared, TAKEN_SEQ, this.#lastEvent?.seq ?? 0);
        Atomics.notify(this.#shared, TAKEN_SEQ);
        return;
      case "sample":
        this.#activeMs = performance.now();
        this.#lastEvent = report.sample.events.at(-1);
        this.#onSample?.(report.sample);
        return;
      case "paused":
        this.state = "paused";
        for (const counts of report.counts) {
          const breakpoint = this.#allBreakpoints.find(({ id }) => id === counts.id);
          if (breakpoint !== undefined) Object.assign(breakpoint, counts);
        }
        this.#onStop({
          event: this.#lastEvent,
          breakpoint: report.breakpoint,
          hasEnded: false,
          reason: report.reason,
          by: this.#by,
          stack: report.stack,
          position: report.position,
          thread: report.thread,
        });
        return;
      case "notice":
        return this.#onNotice(report.text);
      case "value":
        this.#evaluations.get(report.id)?.(report.text);
        this.#evaluations.delete(report.id);
        return;
      case "connection":
        this.#queries.get(report.id)?.(report.events);
        return;
      case "ended":
        this.stats = report.stats;
        this.error = report.error;
        this.exitCode = report.exitCode;
        this.signal = report.signal;
        this.#onEnd();
    }
  }

  #onFailure(message: string, code: string | undefined): void {
    if (this.state === "ended") return;
    if (this.state !== "starting") this.error = message;
    this.#started.reject(new TargetError(message, code)); // has no effect if the target has started
    this.#onEnd();
    this.#commands.close();
    this.#pokes.close();
    this.#terminate();
  }

  #onEnd(): void {
    this.state = "ended";
    for (const resolve of this.#evaluations.values()) resolve(ENDED_VALUE);
    this.#evaluations.clear();
    for (const resolve of this.#queries.values()) resolve(undefined);
    this.#queries.clear();
    this.#onStop({
      event: this.#lastEvent,
      breakpoint: undefined,
      hasEnded: true,
      reason: { kind: "ended" },
      by: this.#by,
      stack: [],
    });
  }

  #onStop(stop: Stop): void {
    if (stop.hasEnded) this.#ended.resolve();
    this.stop = stop;
    this.#stopped.resolve(stop);
    this.#onState();
  }
}

/** Waits for a promise, for a limited time. */
async function withinTimeout(promise: Promise<void>, timeoutMs: number = END_TIMEOUT_MS): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeoutMs);
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}
