// The shutdown of a run loop: its deadlines, and the steps from the last accept to the last close.

import type { AcceptThrottle } from "./accept-throttle.ts";
import type { ConnectionTable } from "./connection-table.ts";

/** How long a shutdown keeps accepting the connections that are already in the backlog. */
const MAX_BACKLOG_MS = 1_000;

/** How long a shutdown waits for responses to clients that have closed their side: usually they have left. */
const HALF_CLOSED_MS = 1_000;

export class Shutdown {
  hasBegun: boolean = false;
  readonly #throttle: AcceptThrottle;
  readonly #connections: ConnectionTable;
  readonly #emptyBacklog: () => void;
  #backlogUntilMs = Infinity;
  #closeIdleAtMs = Infinity;
  #closeHalfClosedAtMs = Infinity;
  #forceCloseAtMs = Infinity;

  /** @param emptyBacklog accepts the connections that are in the backlog; closing the listening sockets would reset them */
  constructor(throttle: AcceptThrottle, connections: ConnectionTable, emptyBacklog: () => void) {
    this.#throttle = throttle;
    this.#connections = connections;
    this.#emptyBacklog = emptyBacklog;
  }

  /**
   * Begins the shutdown. Another call can only bring the deadlines forward.
   *
   * @param forceCloseAtMs when all connections are closed, finished or not
   * @param closeIdleAtMs when idle connections are closed
   */
  begin(nowMs: number, forceCloseAtMs: number, closeIdleAtMs: number): void {
    this.#forceCloseAtMs = Math.min(this.#forceCloseAtMs, forceCloseAtMs);
    this.#closeIdleAtMs = Math.min(this.#closeIdleAtMs, closeIdleAtMs);
    this.#backlogUntilMs = Math.min(this.#backlogUntilMs, forceCloseAtMs, nowMs + MAX_BACKLOG_MS);
    this.hasBegun = true;
    this.#closeHalfClosedAtMs = Math.min(this.#closeHalfClosedAtMs, nowMs + HALF_CLOSED_MS);
  }

  /** The backlog is being emptied: iterations must not wait for events. */
  get isEmptyingBacklog(): boolean {
    return this.hasBegun && !this.#throttle.closed;
  }

  /** Returns when the next deadline is; Infinity if there is none. */
  nextMs(nowMs: number): number {
    if (this.isEmptyingBacklog) return nowMs;
    // Past deadlines have been handled.
    const closeIdleAtMs = this.#closeIdleAtMs > nowMs ? this.#closeIdleAtMs : Infinity;
    const closeHalfClosedAtMs = this.#closeHalfClosedAtMs > nowMs ? this.#closeHalfClosedAtMs : Infinity;
    return Math.min(this.#forceCloseAtMs, closeIdleAtMs, closeHalfClosedAtMs);
  }

  /**
   * Takes the steps that are due after an iteration.
   *
   * @param events the number of events in the iteration; 0: everything that arrived before the stop has been handled
   * @returns whether everything is closed
   */
  advance(events: number, nowMs: number): boolean {
    const throttle = this.#throttle;
    if (!throttle.closed && (events === 0 || nowMs >= this.#backlogUntilMs)) {
      this.#emptyBacklog();
      throttle.close();
    }
    if (throttle.closed && nowMs >= this.#closeIdleAtMs) this.#connections.closeIdle();
    if (nowMs >= this.#closeHalfClosedAtMs) this.#connections.closeHalfClosed();
    if (nowMs >= this.#forceCloseAtMs) this.#connections.closeAll();
    return throttle.closed && this.#connections.open === 0;
  }
}
