// class EventRing: the most recent events of a loop, however many of them are displayed, and those of one connection.

import type { TraceEvent } from "../../trace/events.ts";
import { concerns } from "./concerns.ts";

const CAPACITY = 50_000;
/** The most events of a connection in one answer. */
export const MAX_CONNECTION_EVENTS = 1_000;

/** Selects the events of one fd from when it was opened until it was closed: the number may have been used before and again. */
export interface ConnectionQuery {
  fd: number;
  /** The process of the fd; undefined: this one. */
  pid?: number | undefined;
  /** When the fd was opened, in microseconds since the trace began: FdEntry.sinceUs. */
  openedUs: number;
  /** Only events after this one; 0: all. */
  afterSeq: number;
}

/** An event of a connection. Of a wait, only the ready events of this fd are kept. */
export interface ConnectionEvent {
  event: TraceEvent;
  /** The number of other fds that a wait reported. */
  otherFds: number;
}

export interface ConnectionEvents {
  events: ConnectionEvent[];
  /** Earlier events of the connection may have been dropped, or there were too many for one answer. */
  isTruncated: boolean;
  /** The fd has been closed. */
  isClosed: boolean;
}

export class EventRing {
  readonly #capacity: number;
  readonly #events: TraceEvent[] = [];
  /** Where the next event is stored; the oldest event, once the ring is full. */
  #next = 0;

  constructor(capacity: number = CAPACITY) {
    this.#capacity = capacity;
  }

  push(event: TraceEvent): void {
    this.#events[this.#next] = event;
    if (++this.#next === this.#capacity) this.#next = 0;
  }

  /** Returns the latest events of a connection, oldest first. */
  eventsOf({ fd, pid, openedUs, afterSeq }: ConnectionQuery): ConnectionEvents {
    const size = this.#events.length;
    let found: ConnectionEvent[] = [];
    let isClosed = false;
    for (let back = 1; back <= size; back++) {
      const event = this.#events[(this.#next - back + size) % size] as TraceEvent;
      if (event.us < openedUs || event.seq <= afterSeq) break;
      if (!concerns(event, fd, pid)) continue;
      if (opens(event, fd) && event.us > openedUs) {
        found = []; // all of these were of another connection with the same number
        isClosed = true;
        continue;
      }
      if (event.type === "close") {
        found = found.filter((one) => endsConnection(one.event));
        isClosed = true;
      }
      found.push(trimmed(event, fd));
    }
    const oldest = this.#events[size < this.#capacity ? 0 : this.#next];
    const isDropped = oldest !== undefined && oldest.us > openedUs && oldest.seq > afterSeq + 1;
    const isTruncated = isDropped || found.length > MAX_CONNECTION_EVENTS;
    return { events: found.slice(0, MAX_CONNECTION_EVENTS).toReversed(), isTruncated, isClosed };
  }
}

/** Returns whether an event is the first of an fd. */
function opens(event: TraceEvent, fd: number): boolean {
  return (event.type === "accept" || event.type === "create" || event.type === "open") && event.result === fd;
}

/** The state of a connection changes after its fd has been closed. */
function endsConnection(event: TraceEvent): boolean {
  return event.type === "state" && event.to === null;
}

function trimmed(event: TraceEvent, fd: number): ConnectionEvent {
  if (event.type !== "wait") return { event, otherFds: 0 };
  const events = event.events.filter(([ready]) => ready === fd);
  return { event: { ...event, events }, otherFds: event.events.length - events.length };
}
