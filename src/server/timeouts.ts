// Connection timeouts, kept as queues ordered by deadline, so that no connection needs a timer of its own.

import type { Phase } from "../protocols/protocol.ts";

/** The fields that a TimeoutQueue keeps in each of its members: its links, and when the wait began. */
export interface Timed<Member extends Timed<Member>> {
  timeoutQueue: TimeoutQueue<Member> | undefined;
  previousInQueue: Member | undefined;
  nextInQueue: Member | undefined;
  waitingSinceMs: number;
}

/**
 * Connections that wait with the same timeout, the one that has waited longest first.
 *
 * A connection is in at most one queue; `push` removes it from the one it was in. All operations are O(1): because the timeout
 * is the same for all, the order of arrival is the order of the deadlines.
 */
export class TimeoutQueue<Member extends Timed<Member>> {
  readonly timeoutMs: number;
  #first: Member | undefined;
  #last: Member | undefined;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  /** Starts the member's wait, or restarts it. */
  push(member: Member, nowMs: number): void {
    member.waitingSinceMs = nowMs;
    if (this.#last === member) return;
    member.timeoutQueue?.remove(member);
    member.timeoutQueue = this;
    member.previousInQueue = this.#last;
    if (this.#last === undefined) this.#first = member;
    else this.#last.nextInQueue = member;
    this.#last = member;
  }

  /** Ends the member's wait. */
  remove(member: Member): void {
    if (member.timeoutQueue !== this) return;
    const { previousInQueue, nextInQueue } = member;
    if (previousInQueue === undefined) this.#first = nextInQueue;
    else previousInQueue.nextInQueue = nextInQueue;
    if (nextInQueue === undefined) this.#last = previousInQueue;
    else nextInQueue.previousInQueue = previousInQueue;
    member.timeoutQueue = member.previousInQueue = member.nextInQueue = undefined;
  }

  /** Returns the first member if its timeout has expired. */
  expired(nowMs: number): Member | undefined {
    const first = this.#first;
    return first !== undefined && nowMs - first.waitingSinceMs >= this.timeoutMs ? first : undefined;
  }

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  /** When the next timeout expires; Infinity if the queue is empty. */
  get nextMs(): number {
    return this.#first === undefined ? Infinity : this.#first.waitingSinceMs + this.timeoutMs;
  }
}

export interface Timeouts {
  headerTimeoutMs: number;
  bodyTimeoutMs: number;
  idleTimeoutMs: number;
  writeTimeoutMs: number;
  handlerTimeoutMs: number;
  /** How long neither side of an open connection may send anything, before the protocol's `timeout` is called. */
  openTimeoutMs: number;
  /** How long a peer may take to respond to a ping. */
  pingTimeoutMs: number;
}

/** How long a response may take to begin after its client has closed its side: usually the client has left. */
const HALF_CLOSED_TIMEOUT_MS = 10_000;

/**
 * How long a stream may be quiet after its client has closed its side. Most clients that do so have left. If the stream is not
 * quiet, the kernel reports that after the next part is sent: the client's answer is a reset.
 */
const QUIET_TIMEOUT_MS = 250;

/** How long a connection may linger, or wait for EPOLLHUP, after we have shut it down. */
const LINGER_TIMEOUT_MS = 2_000;

/** One queue for each timeout. */
export class ConnectionTimeouts<Member extends Timed<Member>> {
  /** `new` and `head`: the rest of a request's head, from the start of the connection or the first byte of the head. */
  readonly head: TimeoutQueue<Member>;
  /** `body`: the next part of a request's body. */
  readonly body: TimeoutQueue<Member>;
  /** `idle`: the next request. */
  readonly idle: TimeoutQueue<Member>;
  /** `open`: anything from the peer. */
  readonly open: TimeoutQueue<Member>;
  /** `pinged`: anything from the peer. */
  readonly pinged: TimeoutQueue<Member>;
  /** `paused`: there is no timeout. */
  readonly paused: TimeoutQueue<Member> = new TimeoutQueue(Infinity);
  /** `handler` and `streaming`: the response, or the next part of it. */
  readonly handler: TimeoutQueue<Member>;
  /** `handler` and `streaming`, for messages with a timeout of their own: a queue for each, by milliseconds. */
  readonly custom: Map<number, TimeoutQueue<Member>> = new Map<number, TimeoutQueue<Member>>();
  /** `handler`, after the peer has closed its side. */
  readonly halfClosed: TimeoutQueue<Member>;
  /** `streaming`, after the peer has closed its side. */
  readonly quiet: TimeoutQueue<Member>;
  /** Any state with queued output: the peer must read some of it. */
  readonly write: TimeoutQueue<Member>;
  /** `closing` and `lingering`: the peer must close its side. */
  readonly linger: TimeoutQueue<Member> = new TimeoutQueue(LINGER_TIMEOUT_MS);

  constructor(timeouts: Timeouts) {
    const { headerTimeoutMs, bodyTimeoutMs, idleTimeoutMs, writeTimeoutMs, handlerTimeoutMs } = timeouts;
    this.open = new TimeoutQueue(timeouts.openTimeoutMs);
    this.pinged = new TimeoutQueue(timeouts.pingTimeoutMs);
    this.head = new TimeoutQueue(headerTimeoutMs);
    this.body = new TimeoutQueue(bodyTimeoutMs);
    this.idle = new TimeoutQueue(idleTimeoutMs);
    this.write = new TimeoutQueue(writeTimeoutMs);
    this.handler = new TimeoutQueue(handlerTimeoutMs);
    this.halfClosed = new TimeoutQueue(Math.min(HALF_CLOSED_TIMEOUT_MS, idleTimeoutMs, handlerTimeoutMs));
    this.quiet = new TimeoutQueue(Math.min(QUIET_TIMEOUT_MS, handlerTimeoutMs));
  }

  /** When the next timeout of any connection expires; Infinity if there is none. */
  get nextMs(): number {
    const { head, body, idle, open, pinged, write, handler, halfClosed, quiet, linger } = this;
    let customMs = Infinity;
    for (const queue of this.custom.values()) customMs = Math.min(customMs, queue.nextMs);
    return Math.min(
      customMs,
      head.nextMs,
      body.nextMs,
      idle.nextMs,
      open.nextMs,
      pinged.nextMs,
      write.nextMs,
      handler.nextMs,
      halfClosed.nextMs,
      quiet.nextMs,
      linger.nextMs,
    );
  }

  /**
   * Returns the queue of a phase. Every phase has one.
   *
   * @param handlerTimeoutMs the message's own timeout, if it has one
   */
  ofPhase(phase: Phase, hasPeerClosed: boolean, handlerTimeoutMs?: number): TimeoutQueue<Member> {
    switch (phase) {
      case "new":
      case "head":
        return this.head;
      case "body":
        return this.body;
      case "idle":
        return this.idle;
      case "open":
        return this.open;
      case "pinged":
        return this.pinged;
      case "paused":
        return this.paused;
      case "handler":
        return hasPeerClosed ? this.halfClosed : this.#ofHandler(handlerTimeoutMs);
      case "streaming":
        return hasPeerClosed ? this.quiet : this.#ofHandler(handlerTimeoutMs);
    }
  }

  #ofHandler(timeoutMs: number | undefined): TimeoutQueue<Member> {
    if (timeoutMs === undefined) return this.handler;
    let queue = this.custom.get(timeoutMs);
    if (queue === undefined) {
      for (const [ms, { isEmpty }] of this.custom) if (isEmpty) this.custom.delete(ms);
      this.custom.set(timeoutMs, (queue = new TimeoutQueue(timeoutMs)));
    }
    return queue;
  }
}
