// class EventList: a reusable buffer for the events of epoll_wait, read without allocating.

import { invalidType, outOfRange } from "../kernel/errors.ts";
import { formatEvents } from "../kernel/format-mask.ts";

const MAX_CAPACITY = 1 << 20; // 16 MiB of events

/**
 * A reusable list of events for `Epoll.pollInto`, which overwrites it.
 *
 * @example
 * ```ts
 * const events = new EventList(64);
 * const n = epoll.pollInto(events, 1000);
 * for (let i = 0; i < n; i++) handle(events.fd(i), events.mask(i));
 * ```
 */
export class EventList implements Iterable<[fd: number, mask: number]> {
  /** Maximum number of events that one call can return. */
  readonly capacity: number;
  /** Number of events that the last call returned. */
  length: number = 0;
  /**
   * @internal Written by epoll_wait: triples of mask, fd and token. The kernel may need 16 bytes per event before the
   * shim converts them.
   */
  readonly raw: Int32Array;

  /**
   * Creates an empty list.
   *
   * @param capacity maximum number of events, from 1 to 1048576
   * @throws {TypeError | RangeError} if the capacity is not a number or out of range
   */
  constructor(capacity: number = 1023) {
    checkEventCount("capacity", capacity);
    this.capacity = capacity;
    this.raw = new Int32Array(new ArrayBuffer(capacity * 16));
  }

  /** Returns the mask of event `i`. It is never negative, as the kernel reports no bit above EPOLLRDHUP. */
  mask(i: number): number {
    return this.raw[3 * i] as number;
  }

  /** Returns the file descriptor of event `i`. */
  fd(i: number): number {
    return this.raw[3 * i + 1] as number;
  }

  /** Returns the token of event `i`'s registration, unsigned. */
  token(i: number): number {
    return (this.raw[3 * i + 2] as number) >>> 0;
  }

  /** @internal Sets the mask of event `i`. */
  setMask(i: number, mask: number): void {
    this.raw[3 * i] = mask;
  }

  /** @internal Copies event `i` to the place of event `j`. */
  copy(i: number, j: number): void {
    if (i !== j) this.raw.copyWithin(3 * j, 3 * i, 3 * i + 3);
  }

  /** @internal Returns the index of the event with the token, or -1. Looks at index `likely` first. */
  indexOfToken(token: number, likely: number): number {
    if (likely < this.length && this.token(likely) === token) return likely;
    for (let i = 0; i < this.length; i++) if (this.token(i) === token) return i;
    return -1;
  }

  /** Returns the events as `[fd, mask]` pairs. */
  toArray(): [fd: number, mask: number][] {
    const pairs: [number, number][] = [];
    for (let i = 0; i < this.length; i++) pairs.push([this.fd(i), this.mask(i)]);
    return pairs;
  }

  /** Iterates over `[fd, mask]` pairs. */
  [Symbol.iterator](): Iterator<[fd: number, mask: number]> {
    return this.toArray()[Symbol.iterator]();
  }

  /** Formats the events, for example as `[(5, EPOLLIN)]`. */
  toString(): string {
    return formatEvents(this);
  }
}

/** @throws {TypeError | RangeError} unless the argument called `name` is a possible number of events */
export function checkEventCount(name: string, count: number): void {
  const expected = `an integer from 1 to ${MAX_CAPACITY}`;
  if (typeof count !== "number") throw invalidType(name, expected, count);
  if (!Number.isInteger(count) || count < 1 || count > MAX_CAPACITY) throw outOfRange(name, expected, count);
}
