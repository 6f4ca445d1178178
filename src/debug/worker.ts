// The thread of a server under the debugger: its laps, and the place where it stands still, inside of one.

import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { ErrnoError } from "../errno.ts";
import { EpollServer } from "../server/server.ts";
import type { TraceEvent } from "../trace/event.ts";
import { type Begin, type Order, ORDERS, type Report, TAKEN } from "./protocol.ts";
import { describeValue, type View } from "./evaluate.ts";
import { holds, Stops } from "./stops.ts";
import { Table } from "./table.ts";

/** So many events are told together at most. */
const BATCH = 500;
/** So many events may be on their way to who shows them; then the loop waits for them to be taken. */
const MOST_UNTAKEN = 50_000;

declare const self: {
  addEventListener(type: "message", listener: (message: MessageEvent<Begin>) => void, options: { once: true }): void;
  postMessage(report: Report): void;
};

self.addEventListener("message", ({ data }) => new DebuggedServer(data).run(), { once: true });

class DebuggedServer {
  readonly #begin: Begin;
  readonly #shared: Int32Array;
  readonly #orders: MessagePort;
  readonly #stops: Stops;
  readonly #table = new Table();
  #batch: TraceEvent[] = [];
  #event: TraceEvent | undefined;
  #seen = 0;
  #isEnding = false;
  #server: EpollServer | undefined;

  constructor(begin: Begin) {
    this.#begin = begin;
    this.#shared = new Int32Array(begin.shared);
    this.#orders = begin.orders as MessagePort;
    this.#stops = new Stops({ kind: begin.isStopped ? "step" : "continue" }, (condition) =>
      holds(condition, this.#view),
    );
  }

  run(): void {
    const { options, bytes, pollMs } = this.#begin;
    let server: EpollServer;
    try {
      server = new EpollServer({ ...options, trace: { listener: (event) => this.#hear(event), bytes, lines: true } });
    } catch (error) {
      const code = error instanceof ErrnoError ? error.code : undefined;
      self.postMessage({ kind: "failed", message: error instanceof Error ? error.message : String(error), code });
      return;
    }
    this.#server = server;
    self.postMessage({ kind: "listening", place: { url: server.url, addresses: server.addresses } });
    let error: string | undefined;
    try {
      while (!server.closed) {
        if (this.#isEnding) void server.stop({ graceMs: 0 });
        server.tick(pollMs);
      }
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown);
    }
    this.#tell();
    self.postMessage({ kind: "ended", stats: server.stats, error });
    this.#orders.close();
  }

  /** An event has happened. The loop goes on when this returns. */
  #hear(event: TraceEvent): void {
    this.#event = event;
    this.#table.see(event);
    this.#batch.push(event);
    if (this.#batch.length >= BATCH || event.type === "lap") this.#tell();
    if (Atomics.load(this.#shared, ORDERS) !== this.#seen) this.#obey();
    if (!this.#isEnding && this.#server !== undefined && this.#stops.at(event)) this.#stand();
  }

  /** Stand still until told to go. */
  #stand(): void {
    this.#tell();
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
      const order = message.message as Order;
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
        case "end":
          this.#isEnding = isGoing = true;
      }
    }
    return isGoing;
  }

  #tell(): void {
    const last = this.#batch.at(-1);
    if (last === undefined) return;
    self.postMessage({ kind: "events", events: this.#batch });
    this.#batch = [];
    for (let taken; last.seq - (taken = Atomics.load(this.#shared, TAKEN)) > MOST_UNTAKEN;) {
      Atomics.wait(this.#shared, TAKEN, taken, 100);
    }
  }

  get #view(): View {
    const { ready, lap, epfd, entries } = this.#table;
    return { event: this.#event, ready, lap, epfd, entries, server: this.#server };
  }
}
