// class Target: an EpollServer on a thread of its own, which can be stopped behind each of its system calls.

import { type MessagePort, MessageChannel } from "node:worker_threads";
import type { EpollServerOptions } from "../../server/options.ts";
import type { ServerStats } from "../../server/types.ts";
import type { TraceEvent } from "../../trace/events.ts";
import type { Sample } from "./sampler.ts";
import {
  type Begin,
  type Breakpoint,
  type RunMode,
  type ThreadCommand,
  ORDERS,
  type SourceLocation,
  type ThreadReport,
  SHARED_BYTES,
  type Stop,
  TAKEN,
} from "./thread-messages.ts";

export interface TargetOptions {
  /** What can be sent to another thread: no functions. */
  server?: EpollServerOptions | undefined;
  /** Where to listen if neither `server` nor the app has an address. */
  defaultAddress?: Pick<EpollServerOptions, "hostname" | "port"> | undefined;
  /** The file of an application: it is loaded in the server's thread, and served on Bun's event loop there. */
  app?: string | undefined;
  /** A program's file and arguments instead of a server: it runs in the thread, and is ended with it. */
  program?: readonly string[] | undefined;
  /** Have what is received and sent in the events. */
  bytes?: boolean | undefined;
  /** Stand still behind the first event of the first iteration. */
  isStopped?: boolean | undefined;
  /** How long a wait may last; then it returns with nothing, as the document's does. */
  pollMs?: number | undefined;
  /** Called with all events, in order, in batches. */
  onEvents?: ((events: readonly TraceEvent[]) => void) | undefined;
  /** Called with samples instead: the server waits for nobody. */
  onSample?: ((sample: Sample) => void) | undefined;
  /** It stands still, goes on, or has ended. */
  onState?: (() => void) | undefined;
  /** A handler of the application has thrown; its client got 500. */
  onTrouble?: ((message: string) => void) | undefined;
}

/** The server could not be made; `code` is that of the ErrnoError, if it was one. */
export class TargetError extends Error {
  override readonly name: string = "TargetError";
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.code = code;
  }
}

export class Target {
  state: "starting" | "running" | "stopped" | "ended" = "starting";
  place: SourceLocation = { url: "", addresses: [] };
  stats: ServerStats | undefined;
  /** What ended it, if that was an error. */
  error: string | undefined;
  /** By who has set them. */
  readonly #breakpoints = new Map<string, readonly Breakpoint[]>();
  /** Where it stands, if it does. */
  stop: Stop | undefined;

  /** The file of the program that runs, if it is one. */
  readonly program: string | undefined;
  readonly #worker: Worker;
  readonly #orders: MessagePort;
  readonly #shared: Int32Array;
  readonly #onEvents: TargetOptions["onEvents"];
  readonly #onSample: TargetOptions["onSample"];
  readonly #onState: () => void;
  readonly #onTrouble: (message: string) => void;
  #last: TraceEvent | undefined;
  #nextId = 0;
  readonly #values = new Map<number, (text: string) => void>();
  readonly #listening = Promise.withResolvers<void>();
  #stopped = Promise.withResolvers<Stop>();
  readonly #ended = Promise.withResolvers<void>();
  #ending: Promise<void> | undefined;
  /** The thread is gone, and its own descriptors with it. */
  readonly #closed = Promise.withResolvers<void>();

  private constructor(options: TargetOptions) {
    const { server = {}, defaultAddress = {}, app, program, bytes = false, isStopped = false, pollMs = 1000 } = options;
    this.program = program?.[0];
    const { onEvents, onSample, onState, onTrouble } = options;
    const { port1, port2 } = new MessageChannel();
    const shared = new SharedArrayBuffer(SHARED_BYTES);
    this.#orders = port1;
    this.#shared = new Int32Array(shared);
    this.#onEvents = onEvents;
    this.#onSample = onSample;
    this.#onState = onState ?? (() => {});
    this.#onTrouble = onTrouble ?? (() => {});
    this.#worker = new Worker(new URL("./debug-thread.ts", import.meta.url).href);
    this.#worker.addEventListener("message", ({ data }: MessageEvent<ThreadReport>) => this.#hear(data));
    this.#worker.addEventListener("error", ({ message }) => this.#hear({ kind: "failed", message, code: undefined }));
    this.#worker.addEventListener("close", () => {
      if (this.state !== "ended")
        this.#hear({ kind: "failed", message: "the application has ended the server's thread", code: undefined });
      this.#closed.resolve();
    });
    const isSampled = onSample !== undefined;
    const begin: Begin = {
      options: server,
      defaultAddress,
      app,
      program,
      bytes,
      isSampled,
      pollMs,
      isStopped,
      shared,
      orders: port2,
    };
    this.#worker.postMessage(begin, [port2 as unknown as ArrayBuffer]); // Bun's types know no MessagePort there
  }

  /**
   * Start the thread, and wait until it listens.
   *
   * @throws {TargetError} what EpollServer threw there
   */
  static async start(options: TargetOptions): Promise<Target> {
    const target = new Target(options);
    await target.#listening.promise;
    return target;
  }

  /** The next time that it stands still, or its end; at once if it does now. */
  get stopped(): Promise<Stop> {
    return this.#stopped.promise;
  }

  /** Resolved when it serves no more. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Go on from a stop; resolved at the next one. */
  go(mode: RunMode): Promise<Stop> {
    if (this.state !== "stopped") return this.#stopped.promise;
    this.state = "running";
    this.stop = undefined;
    this.#stopped = Promise.withResolvers();
    this.#order({ kind: "go", mode });
    this.#onState();
    return this.#stopped.promise;
  }

  /** Stand still behind the next event. */
  pause(): void {
    if (this.state === "running") this.#order({ kind: "pause" });
  }

  /** Somebody looks at the samples, or nobody does any more. */
  setWatched(isWatched: boolean): void {
    this.#order({ kind: "watched", isWatched });
  }

  /** @param owner whose they are: each has its own */
  setBreakpoints(breakpoints: readonly Breakpoint[], owner: string = "prompt"): void {
    this.#breakpoints.set(owner, breakpoints);
    this.#order({ kind: "breakpoints", breakpoints: [...this.#breakpoints.values()].flat() });
  }

  /** What an expression is worth, as text. While it runs, the answer comes after the next event. */
  evaluate(expression: string): Promise<string> {
    if (this.state === "ended") return Promise.resolve("*** it has ended");
    const id = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#values.set(id, resolve);
    this.#order({ kind: "evaluate", id, expression });
    return promise;
  }

  /** Have the server close everything; resolved when its thread has ended. */
  end(): Promise<void> {
    return (this.#ending ??= this.#end());
  }

  async #end(): Promise<void> {
    if (this.program !== undefined) {
      this.#over(); // it knows of nobody that could ask it to
    } else if (this.state !== "ended") {
      this.state = "running";
      this.#stopped = Promise.withResolvers();
      this.#order({ kind: "end" });
      await this.#ended.promise; // it may stand still once more before that
    }
    this.#orders.close();
    this.#worker.terminate();
    await this.#closed.promise;
  }

  #order(order: ThreadCommand): void {
    this.#orders.postMessage(order);
    Atomics.add(this.#shared, ORDERS, 1);
    Atomics.notify(this.#shared, ORDERS);
  }

  #hear(report: ThreadReport): void {
    switch (report.kind) {
      case "listening":
        if (this.state === "starting") this.state = "running";
        this.place = report.place;
        this.#listening.resolve();
        return;
      case "failed":
        if (this.state === "ended") return;
        if (this.state !== "starting") this.error = report.message;
        this.#listening.reject(new TargetError(report.message, report.code)); // or it has listened, and knows it already
        this.#over();
        this.#orders.close();
        this.#worker.terminate();
        return;
      case "place":
        this.place = { ...this.place, addresses: [...this.place.addresses, report.address] };
        return;
      case "trouble":
        return this.#onTrouble(report.message);
      case "events":
        this.#last = report.events.at(-1);
        this.#onEvents?.(report.events);
        Atomics.store(this.#shared, TAKEN, this.#last?.seq ?? 0);
        Atomics.notify(this.#shared, TAKEN);
        return;
      case "sample":
        this.#last = report.sample.events.at(-1);
        this.#onSample?.(report.sample);
        return;
      case "stopped":
        this.state = "stopped";
        for (const counts of report.counts) {
          const breakpoint = [...this.#breakpoints.values()].flat().find(({ id }) => id === counts.id);
          if (breakpoint !== undefined) Object.assign(breakpoint, counts);
        }
        this.#arrive({ event: this.#last, breakpoint: report.breakpoint, hasEnded: false });
        return;
      case "value":
        this.#values.get(report.id)?.(report.text);
        this.#values.delete(report.id);
        return;
      case "ended":
        this.stats = report.stats;
        this.error = report.error;
        this.#over();
    }
  }

  #over(): void {
    this.state = "ended";
    for (const resolve of this.#values.values()) resolve("*** it has ended");
    this.#values.clear();
    this.#arrive({ event: this.#last, breakpoint: undefined, hasEnded: true });
  }

  #arrive(stop: Stop): void {
    if (stop.hasEnded) this.#ended.resolve();
    this.stop = stop;
    this.#stopped.resolve(stop);
    this.#onState();
  }
}
