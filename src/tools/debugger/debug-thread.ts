// The thread of a server under the debugger: its iterations, and the place where it stands still, inside of one.

import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { wrapSyscalls, type Syscalls } from "../../kernel/ffi.ts";
import { describeThrown, loadApp } from "../../server/load-app.ts";
import { mergeOptions } from "../../server/merge-options.ts";
import type { EpollServerOptions } from "../../server/options.ts";
import { EpollServer } from "../../server/server.ts";
import type { TraceEvent, TraceOptions } from "../../trace/events.ts";
import { Tracer } from "../../trace/tracer.ts";
import { describeValue, type ExpressionScope } from "./evaluate.ts";
import { type EventFeed, SampledFeed, LosslessFeed } from "./event-feed.ts";
import { type Begin, type ThreadCommand, ORDERS, type ThreadReport, TAKEN } from "./thread-messages.ts";
import { holds, StopConditions } from "./stop-conditions.ts";
import type { SampleCounts } from "./sampler.ts";
import { FdTable } from "./fd-table.ts";

/** What is kept back for a moment goes out at the latest then. */
const HELD_MS = 50;
/** What an event costs before it is heard here, by measurement (bench/inspect.ts). */
const TRACER_US = 0.5;

declare const self: {
  addEventListener(type: "message", listener: (message: MessageEvent<Begin>) => void, options: { once: true }): void;
  postMessage(report: ThreadReport): void;
};

self.addEventListener("message", ({ data }) => void new DebuggedServer(data).run(), { once: true });

class DebuggedServer {
  readonly #begin: Begin;
  readonly #shared: Int32Array;
  readonly #orders: MessagePort;
  readonly #stops: StopConditions;
  readonly #table: FdTable;
  readonly #feed: EventFeed;
  readonly #trace: TraceOptions;
  readonly #sums: SampleCounts | undefined;
  #event: TraceEvent | undefined;
  #seen = 0;
  #isEnding = false;
  /** What is to be seen begins: it may stand still. */
  #isReady = false;
  #server: EpollServer | undefined;

  constructor(begin: Begin) {
    this.#begin = begin;
    this.#shared = new Int32Array(begin.shared);
    this.#orders = begin.orders as MessagePort;
    this.#stops = new StopConditions({ kind: begin.isStopped ? "step" : "continue" }, (condition) =>
      holds(condition, this.#view),
    );
    const sampled = begin.isSampled
      ? new SampledFeed((sample) => self.postMessage({ kind: "sample", sample }))
      : undefined;
    this.#feed = sampled ?? this.#whole();
    this.#table = sampled?.sampler.table ?? new FdTable();
    this.#sums = sampled?.sampler.counts;
    this.#trace = { listener: (event) => this.#hear(event), bytes: begin.bytes, lines: () => !this.#feed.isHolding };
  }

  async run(): Promise<void> {
    const { options, defaultAddress, app, program, pollMs } = this.#begin;
    if (program !== undefined) return await this.#runProgram(program);
    let server: EpollServer;
    try {
      const served = app === undefined ? {} : { ...this.#manners, ...(await loadApp(app)) };
      server = new EpollServer({ ...mergeOptions(served, options, defaultAddress), trace: this.#trace });
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
      self.postMessage({ kind: "failed", message: error instanceof Error ? error.message : String(error), code });
      return;
    }
    this.#server = server;
    this.#isReady = true;
    self.postMessage({ kind: "listening", place: { url: server.url, addresses: server.addresses } });
    let error: string | undefined;
    try {
      if (app === undefined) this.#makeIterations(server, pollMs);
      else await this.#serveOnBunsLoop(server);
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown);
    }
    this.#feed.tell();
    self.postMessage({ kind: "ended", stats: server.stats, error });
    this.#orders.close();
  }

  /** What it imports makes its calls by way of a tracer, and it knows nothing of that. */
  async #runProgram([file = "", ...rest]: readonly string[]): Promise<void> {
    const tracer = new Tracer(this.#trace);
    wrapSyscalls((sys) => inPieces(tracer.tracedProgram(sys), this.#begin.pollMs));
    process.argv.splice(1, Infinity, file, ...rest);
    this.#isReady = true;
    self.postMessage({ kind: "listening", place: { url: file, addresses: [] } });
    let error: string | undefined;
    process.on("exit", () => {
      this.#feed.tell();
      self.postMessage({ kind: "ended", stats: undefined, error });
    });
    const timer = setInterval(() => this.#lookForOrders(), HELD_MS);
    try {
      await import(file);
    } catch (thrown) {
      error = describeThrown(thrown);
    }
    this.#feed.tell();
    timer.unref(); // the thread ends with the program, if that waits for nothing more
  }

  #lookForOrders(): void {
    this.#feed.pass();
    if (Atomics.load(this.#shared, ORDERS) !== this.#seen) this.#obey();
  }

  #makeIterations(server: EpollServer, pollMs: number): void {
    while (!server.closed) {
      if (this.#isEnding) void server.stop({ graceMs: 0 });
      server.tick(this.#feed.isHolding ? Math.min(HELD_MS, pollMs) : pollMs);
    }
  }

  /** As an application is served that may wait for timers, or for others. Nobody waits in epoll for orders then: they are looked for. */
  async #serveOnBunsLoop(server: EpollServer): Promise<void> {
    const timer = setInterval(() => {
      this.#lookForOrders();
      if (this.#isEnding) void server.stop({ graceMs: 0 });
    }, HELD_MS);
    try {
      await server.start();
      await server.stopped;
    } finally {
      clearInterval(timer);
    }
  }

  /** An iteration now and then, as where it waits in epoll; and errors are heard of. */
  get #manners(): EpollServerOptions {
    return {
      heartbeat: { everyMs: this.#begin.pollMs, beat() {} },
      onError: (error) => self.postMessage({ kind: "trouble", message: describeThrown(error) }),
    };
  }

  /** An event has happened. The loop goes on when this returns. */
  #hear(event: TraceEvent): void {
    const begunMs = performance.now();
    this.#event = event;
    if (this.#sums === undefined) this.#table.see(event);
    this.#feed.see(event);
    if (this.#sums !== undefined) this.#sums.watchingUs += (performance.now() - begunMs) * 1000 + TRACER_US;
    if (Atomics.load(this.#shared, ORDERS) !== this.#seen) this.#obey();
    if (event.type === "listen" && this.#server === undefined && this.#isReady) {
      self.postMessage({ kind: "place", address: event.address });
    }
    if (!this.#isEnding && this.#isReady && this.#stops.at(event)) this.#stand();
  }

  /** Stand still until told to go. */
  #stand(): void {
    this.#feed.tell();
    const counts = this.#stops.breakpoints.map(({ id, hits, ignore }) => ({ id, hits, ignore }));
    self.postMessage({ kind: "stopped", breakpoint: this.#stops.hit, counts });
    for (let isGoing = false; !isGoing;) {
      Atomics.wait(this.#shared, ORDERS, this.#seen);
      isGoing = this.#obey();
    }
  }

  /** Do what was ordered; whether that was to go. */
  #obey(): boolean {
    let isGoing = false;
    this.#seen = Atomics.load(this.#shared, ORDERS);
    for (let message; (message = receiveMessageOnPort(this.#orders)) !== undefined;) {
      const order = message.message as ThreadCommand;
      switch (order.kind) {
        case "go":
          this.#stops.mode = order.mode;
          isGoing = true;
          break;
        case "pause":
          this.#stops.isPausing = true;
          break;
        case "breakpoints":
          this.#stops.breakpoints = order.breakpoints;
          break;
        case "evaluate":
          self.postMessage({ kind: "value", id: order.id, text: describeValue(order.expression, this.#view) });
          break;
        case "watched":
          this.#feed.isWatched = order.isWatched;
          break;
        case "end":
          this.#isEnding = isGoing = true;
      }
    }
    return isGoing;
  }

  #whole(): LosslessFeed {
    return new LosslessFeed(
      (events) => self.postMessage({ kind: "events", events }),
      () => Atomics.load(this.#shared, TAKEN),
      (taken) => Atomics.wait(this.#shared, TAKEN, taken, 100),
    );
  }

  get #view(): ExpressionScope {
    const { ready, iteration, epfd, entries } = this.#table;
    return { event: this.#event, ready, iteration, epfd, entries, server: this.#server };
  }
}

/** A wait without end as waits of a moment: so that it can be stopped, and whoever stopped it have the prompt back. */
function inPieces(sys: Syscalls, mostMs: number): Syscalls {
  return {
    ...sys,
    epoll_wait(epfd, out, maxEvents, timeoutMs) {
      for (let leftMs = timeoutMs < 0 ? Infinity : timeoutMs; ; leftMs -= mostMs) {
        const n = sys.epoll_wait(epfd, out, maxEvents, Math.min(leftMs, mostMs));
        if (n !== 0 || leftMs <= mostMs) return n;
      }
    },
  };
}
