// class EventList: the memory that epoll_wait fills, read without allocating.

import { formatEvents } from "../kernel/constants.ts";

const MAX_CAPACITY = 1 << 20; // 16 MiB of events

/**
 * A reusable list of events for `Epoll.pollInto`.
 *
 * @example
 * ```ts
 * const events = new EventList(64);
 * const n = epoll.pollInto(events, 1000);
 * for (let i = 0; i < n; i++) handle(events.fd(i), events.mask(i));
 * ```
 */
export class EventList implements Iterable<[fd: number, mask: number]> {
  /** How many events one wait can return. */
  readonly capacity: number;
  /** How many events the last wait returned. */
  length: number = 0;
  /** @internal What the shim writes: triples of mask, fd, token, in the first 12 of each 16 bytes per event. */
  readonly raw: Int32Array;

  /** @throws {RangeError} unless the capacity is a whole number from 1 to 1048576 */
  constructor(capacity: number = 1023) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > MAX_CAPACITY) {
      throw new RangeError(`the number of events is a whole number from 1 to ${MAX_CAPACITY}, not ${String(capacity)}`);
    }
    this.capacity = capacity;
    this.raw = new Int32Array(new ArrayBuffer(capacity * 16));
  }

  /** The mask of event `i`. (No bit above EPOLLRDHUP is ever returned: it is never negative.) */
  mask(i: number): number {
    return this.raw[3 * i] as number;
  }

  /** The descriptor of event `i`. */
  fd(i: number): number {
    return this.raw[3 * i + 1] as number;
  }

  /** The token that event `i`'s descriptor was registered with, unsigned. */
  token(i: number): number {
    return (this.raw[3 * i + 2] as number) >>> 0;
  }

  /** The events as Python has them. */
  toArray(): [fd: number, mask: number][] {
    const pairs: [number, number][] = [];
    for (let i = 0; i < this.length; i++) pairs.push([this.fd(i), this.mask(i)]);
    return pairs;
  }

  [Symbol.iterator](): Iterator<[fd: number, mask: number]> {
    return this.toArray()[Symbol.iterator]();
  }

  /** `[(5, EPOLLIN)]` */
  toString(): string {
    return formatEvents(this);
  }
}
