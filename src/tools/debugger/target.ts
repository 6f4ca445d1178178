// class Target: an EpollServer or a program on its own thread, which can be paused after any of its system calls.

import { MessageChannel, type MessagePort } from "node:worker_threads";
import { moduleFile } from "../../kernel/package-root.ts";
import type { EpollServerOptions } from "../../server/options.ts";
import type { ServerStats } from "../../server/types.ts";
import type { TraceEvent } from "../../trace/events.ts";
import type { Sample } from "./sampler.ts";
import {
  type Breakpoint,
  COMMAND_COUNT,
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

export interface TargetOptions {
  /** The options of the server; without functions, which cannot be sent to another thread. */
  server?: EpollServerOptions | undefined;
  /** Where to listen if neither `server` nor the application has an address. */
  defaultAddress?: Pick<EpollServerOptions, "hostname" | "port"> | undefined;
  /** The file of an application to serve. It is loaded in the thread, and served on the thread's Bun event loop. */
  app?: string | undefined;
  /** The file of a program to run instead of a server, and its arguments. It ends with the thread. */
  program?: readonly string[] | undefined;
  /** Include received and sent data in the events. */
  bytes?: boolean | undefined;
  /** Include the values of credentials. */
  secrets?: boolean | undefined;
  /** Pause after the first wait. */
  isPaused?: boolean | undefined;
  /** The longest time that epoll_wait may block, in milliseconds; default: 1000, as in the original program. */
  pollMs?: number | undefined;
  /** Called with all events, in order and in batches. */
  onEvents?: ((events: readonly TraceEvent[]) => void) | undefined;
  /** Called with samples instead of all events: the thread never waits for the reader. */
  onSample?: ((sample: Sample) => void) | undefined;
  /** Called when the thread has paused, resumed or ended. */
  onState?: (() => void) | undefined;
  /** Called when a handler of the application has thrown, and its client got a 500 response. */
  onHandlerError?: ((message: string) => void) | undefined;
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
  /** Where the thread has paused; undefined while it runs. */
  stop: Stop | undefined;
  /** The file of the program that runs instead of a server. */
  readonly program: string | undefined;

  readonly #worker: Worker;
  readonly #commands: MessagePort;
  readonly #shared: Int32Array;
  readonly #onEvents: TargetOptions["onEvents"];
  readonly #onSample: TargetOptions["onSample"];
  readonly #onState: () => void;
  readonly #onHandlerError: (message: string) => void;
  /** By owner, such as the prompt or the inspector. */
  readonly #breakpoints = new Map<string, readonly Breakpoint[]>();
  /** Evaluations in progress, by id. */
  readonly #evaluations = new Map<number, (text: string) => void>();
  #nextEvaluation = 0;
  #lastEvent: TraceEvent | undefined;
  readonly #started = Promise.withResolvers<void>();
  #stopped = Promise.withResolvers<Stop>();
  readonly #ended = Promise.withResolvers<void>();
  #ending: Promise<void> | undefined;
  /** Resolves when the thread has ended, which closes its file descriptors. */
  readonly #workerClosed = Promise.withResolvers<void>();

  private constructor(options: TargetOptions) {
    const { server = {}, defaultAddress = {}, app, program, pollMs = 1000 } = options;
    const { bytes: hasBytes = false, secrets: hasSecrets = false, isPaused = false } = options;
    this.program = program?.[0];
    const { onEvents, onSample, onState, onHandlerError } = options;
    this.#onEvents = onEvents;
    this.#onSample = onSample;
    this.#onState = onState ?? (() => {});
    this.#onHandlerError = onHandlerError ?? (() => {});
    const { port1, port2: commands } = new MessageChannel();
    const shared = new SharedArrayBuffer(SHARED_BYTES);
    this.#commands = port1;
    this.#shared = new Int32Array(shared);
    this.#worker = new Worker(moduleFile("tools/debugger/debug-thread"));
    this.#worker.addEventListener("message", ({ data }: MessageEvent<ThreadReport>) => this.#onReport(data));
    this.#worker.addEventListener("error", ({ message }) => this.#onFailure(message, undefined));
    this.#worker.addEventListener("close", () => {
      if (this.state !== "ended") this.#onFailure("the application has ended the server's thread", undefined);
      this.#workerClosed.resolve();
    });
    const isSampled = onSample !== undefined;
    const start: StartMessage = {
      options: server,
      defaultAddress,
      app,
      program,
      hasBytes,
      hasSecrets,
      isSampled,
      pollMs,
      isPaused,
      shared,
      commands,
    };
    this.#worker.postMessage(start, [commands as unknown as ArrayBuffer]); // Bun's types lack MessagePort as a Transferable
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

  /** Resolves at the next pause or the end; immediately if the thread is paused. */
  get stopped(): Promise<Stop> {
    return this.#stopped.promise;
  }

  /** Resolves when the server or program has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Resumes a paused thread; resolves at the next pause. */
  go(mode: RunMode): Promise<Stop> {
    if (this.state !== "paused") return this.#stopped.promise;
    this.state = "running";
    this.stop = undefined;
    this.#stopped = Promise.withResolvers();
    this.#send({ kind: "go", mode });
    this.#onState();
    return this.#stopped.promise;
  }

  /** Pauses the thread after its next event. */
  pause(): void {
    if (this.state === "running") this.#send({ kind: "pause" });
  }

  /** The program is the user's own, and may consist of any files. */
  canReadSource(): boolean {
    return true;
  }

  /** Sets whether the samples are displayed. If they are not, fewer are taken. */
  setWatched(isWatched: boolean): void {
    this.#send({ kind: "watched", isWatched });
  }

  /** @param owner whose breakpoints to replace: the prompt and the inspector have their own */
  setBreakpoints(breakpoints: readonly Breakpoint[], owner: string = "prompt"): void {
    this.#breakpoints.set(owner, breakpoints);
    this.#send({ kind: "breakpoints", breakpoints: this.#allBreakpoints });
  }

  /** Evaluates an expression in the thread; resolves to its value as text. A running thread evaluates it after its next event. */
  evaluate(expression: string): Promise<string> {
    if (this.state === "ended") return Promise.resolve(ENDED_VALUE);
    const id = this.#nextEvaluation++;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#evaluations.set(id, resolve);
    this.#send({ kind: "evaluate", id, expression });
    return promise;
  }

  /** Closes the server and ends the thread. */
  end(): Promise<void> {
    return (this.#ending ??= this.#end());
  }

  async #end(): Promise<void> {
    if (this.program !== undefined) {
      this.#onEnd(); // a program cannot be asked to end
    } else if (this.state !== "ended") {
      this.state = "running";
      this.#stopped = Promise.withResolvers();
      this.#send({ kind: "end" });
      await this.#ended.promise; // it may pause once more before that
    }
    this.#commands.close();
    this.#worker.terminate();
    await this.#workerClosed.promise;
  }

  get #allBreakpoints(): Breakpoint[] {
    return [...this.#breakpoints.values()].flat();
  }

  #send(command: ThreadCommand): void {
    this.#commands.postMessage(command);
    Atomics.add(this.#shared, COMMAND_COUNT, 1);
    Atomics.notify(this.#shared, COMMAND_COUNT);
  }

  #onReport(report: ThreadReport): void {
    switch (report.kind) {
      case "started":
        if (this.state === "starting") this.state = "running";
        this.location = report.location;
        this.#started.resolve();
        return;
      case "failed":
        return this.#onFailure(report.message, report.code);
      case "listening":
        this.location = { ...this.location, addresses: [...this.location.addresses, report.address] };
        return;
      case "handler-error":
        return this.#onHandlerError(report.message);
      case "events":
        this.#lastEvent = report.events.at(-1);
        this.#onEvents?.(report.events);
        Atomics.store(this.#shared, TAKEN_SEQ, this.#lastEvent?.seq ?? 0);
        Atomics.notify(this.#shared, TAKEN_SEQ);
        return;
      case "sample":
        this.#lastEvent = report.sample.events.at(-1);
        this.#onSample?.(report.sample);
        return;
      case "paused":
        this.state = "paused";
        for (const counts of report.counts) {
          const breakpoint = this.#allBreakpoints.find(({ id }) => id === counts.id);
          if (breakpoint !== undefined) Object.assign(breakpoint, counts);
        }
        this.#onStop({ event: this.#lastEvent, breakpoint: report.breakpoint, hasEnded: false });
        return;
      case "value":
        this.#evaluations.get(report.id)?.(report.text);
        this.#evaluations.delete(report.id);
        return;
      case "ended":
        this.stats = report.stats;
        this.error = report.error;
        this.#onEnd();
    }
  }

  #onFailure(message: string, code: string | undefined): void {
    if (this.state === "ended") return;
    if (this.state !== "starting") this.error = message;
    this.#started.reject(new TargetError(message, code)); // has no effect if the target has started
    this.#onEnd();
    this.#commands.close();
    this.#worker.terminate();
  }

  #onEnd(): void {
    this.state = "ended";
    for (const resolve of this.#evaluations.values()) resolve(ENDED_VALUE);
    this.#evaluations.clear();
    this.#onStop({ event: this.#lastEvent, breakpoint: undefined, hasEnded: true });
  }

  #onStop(stop: Stop): void {
    if (stop.hasEnded) this.#ended.resolve();
    this.stop = stop;
    this.#stopped.resolve(stop);
    this.#onState();
  }
}
