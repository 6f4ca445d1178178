// Who has waited too long: connections in the order in which their time runs out, with no timer object each.

import type { Phase } from "../protocols/protocol.ts";
import type { Connection } from "./connection.ts";

/**
 * Connections that all wait equally long, the one that waits longest first.
 *
 * A connection is in one queue at most; `push` takes it out of wherever it was. All of it is O(1): the wait being the
 * same for all, the order of arrival is the order of the deadlines.
 */
export class TimeoutQueue {
  readonly timeoutMs: number;
  #first: Connection | undefined;
  #last: Connection | undefined;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  /** Start the connection's wait now, or start it anew. */
  push(connection: Connection, nowMs: number): void {
    connection.waitingSinceMs = nowMs;
    if (this.#last === connection) return;
    connection.queue?.remove(connection);
    connection.queue = this;
    connection.earlier = this.#last;
    if (this.#last === undefined) this.#first = connection;
    else this.#last.later = connection;
    this.#last = connection;
  }

  /** The connection waits no longer. */
  remove(connection: Connection): void {
    if (connection.queue !== this) return;
    const { earlier, later } = connection;
    if (earlier === undefined) this.#first = later;
    else earlier.later = later;
    if (later === undefined) this.#last = earlier;
    else later.earlier = earlier;
    connection.queue = connection.earlier = connection.later = undefined;
  }

  /** The connection whose time is over, if there is one. */
  expired(nowMs: number): Connection | undefined {
    const first = this.#first;
    return first !== undefined && nowMs - first.waitingSinceMs >= this.timeoutMs ? first : undefined;
  }

  /** When the next one's time is over; Infinity if nobody waits. */
  get nextMs(): number {
    return this.#first === undefined ? Infinity : this.#first.waitingSinceMs + this.timeoutMs;
  }
}

export interface Timeouts {
  headerTimeoutMs: number;
  bodyTimeoutMs: number;
  idleTimeoutMs: number;
  writeTimeoutMs: number;
}

/** How long a connection that was told to end may go on sending. */
const LINGER_MS = 2_000;

/** All that a connection can wait for. */
export class ConnectionTimeouts {
  /** For a request's head, from the connection's start or the head's first byte. */
  readonly awaitingHead: TimeoutQueue;
  /** For so much of a request's body. */
  readonly awaitingBody: TimeoutQueue;
  /** For a next request. */
  readonly idle: TimeoutQueue;
  /** For the peer to take what is sent. */
  readonly awaitingRoom: TimeoutQueue;
  /** For the peer's end. */
  readonly lingering: TimeoutQueue = new TimeoutQueue(LINGER_MS);

  constructor({ headerTimeoutMs, bodyTimeoutMs, idleTimeoutMs, writeTimeoutMs }: Timeouts) {
    this.awaitingHead = new TimeoutQueue(headerTimeoutMs);
    this.awaitingBody = new TimeoutQueue(bodyTimeoutMs);
    this.idle = new TimeoutQueue(idleTimeoutMs);
    this.awaitingRoom = new TimeoutQueue(writeTimeoutMs);
  }

  /** When the next connection's time is over; Infinity if nobody waits. */
  get nextMs(): number {
    const { awaitingHead, awaitingBody, idle, awaitingRoom, lingering } = this;
    return Math.min(awaitingHead.nextMs, awaitingBody.nextMs, idle.nextMs, awaitingRoom.nextMs, lingering.nextMs);
  }

  /** Whose turn it is to wait in, for what it waits for; undefined if that may take as long as it likes. */
  of(phase: Phase): TimeoutQueue | undefined {
    switch (phase) {
      case "new":
      case "head":
        return this.awaitingHead;
      case "body":
        return this.awaitingBody;
      case "idle":
        return this.idle;
      default:
        return undefined;
    }
  }
}
