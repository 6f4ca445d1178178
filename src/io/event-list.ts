// class EventList: a reusable buffer for the events of epoll_wait, read without allocating.

import { ENOSYS, EPERM } from "../kernel/errno.ts";
import { checkInteger, invalidType, outOfRange } from "../kernel/errors.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { formatEvents } from "../kernel/format-mask.ts";

const MAX_CAPACITY = 1 << 20; // 16 MiB of events

/**
 * Calls epoll_wait and stores its events in a list. If the number of milliseconds has a fraction, it calls epoll_pwait2,
 * and rounds up if the kernel lacks it (before Linux 5.11) or a sandbox forbids it.
 *
 * @returns the number of events, or -errno
 */
export let waitForEvents: (sys: Syscalls, epfd: number, events: EventList, timeoutMs: number) => number;

/**
 * Fills a list by a call other than epoll_wait. `fill` gets the memory and the capacity of the list. It returns the number
 * of events that it has written, or -errno, and so does this function.
 */
export let fillEvents: (events: EventList, fill: (raw: Int32Array, capacity: number) => number) => number;

/** Sets the mask of event `i`. */
export let setMask: (events: EventList, i: number, mask: number) => void;

/** Copies event `i` to the place of event `j`. */
export let copyEvent: (events: EventList, i: number, j: number) => void;

/** Returns whether a value is an EventList, and not only an object with the same methods. */
export let isEventList: (value: unknown) => value is EventList;

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
  // Private, because the kernel writes `#capacity` events to `#raw`, and the accessors read only what it wrote.
  readonly #capacity: number;
  #length = 0;
  /** Triples of mask, fd and token. The kernel may need 16 bytes per event before the shim converts them. */
  readonly #raw: Int32Array;

  static {
    waitForEvents = (sys, epfd, events, timeoutMs) => {
      let n = -ENOSYS;
      if (!Number.isInteger(timeoutMs)) {
        const seconds = Math.floor(timeoutMs / 1000);
        const nanoseconds = Math.min(Math.ceil((timeoutMs - seconds * 1000) * 1e6), 999_999_999);
        n = sys.epoll_pwait2(epfd, events.#raw, events.#capacity, seconds, nanoseconds);
      }
      if (n === -ENOSYS || n === -EPERM) {
        n = sys.epoll_wait(epfd, events.#raw, events.#capacity, Math.ceil(timeoutMs));
      }
      return events.#setLength(n);
    };
    fillEvents = (events, fill) => events.#setLength(fill(events.#raw, events.#capacity));
    setMask = (events, i, mask) => {
      events.#raw[3 * i] = mask;
    };
    copyEvent = (events, i, j) => {
      if (i !== j) events.#raw.copyWithin(3 * j, 3 * i, 3 * i + 3);
    };
    isEventList = (value): value is EventList => typeof value === "object" && value !== null && #raw in value;
  }

  /**
   * Creates an empty list.
   *
   * @param capacity maximum number of events, from 1 to 1048576
   * @throws {TypeError | RangeError} if the capacity is not a number or out of range
   */
  constructor(capacity: number = 1023) {
    this.#capacity = checkEventCount("capacity", capacity);
    this.#raw = new Int32Array(new ArrayBuffer(capacity * 16));
  }

  /** Maximum number of events that one call can return. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Number of events that the last call returned. */
  get length(): number {
    return this.#length;
  }

  /**
   * Returns the mask of event `i`. It is never negative, as the kernel reports no bit above EPOLLRDHUP.
   *
   * @throws {RangeError} if `i` is not an integer from 0 to `length - 1`
   */
  mask(i: number): number {
    if (typeof i !== "number" || i >>> 0 !== i || i >= this.#length) this.#rejectIndex(i);
    return this.#raw[3 * i] as number;
  }

  /**
   * Returns the file descriptor of event `i`.
   *
   * @throws {RangeError} if `i` is not an integer from 0 to `length - 1`
   */
  fd(i: number): number {
    if (typeof i !== "number" || i >>> 0 !== i || i >= this.#length) this.#rejectIndex(i);
    return this.#raw[3 * i + 1] as number;
  }

  /**
   * Returns the token of event `i`'s registration, unsigned.
   *
   * @throws {RangeError} if `i` is not an integer from 0 to `length - 1`
   */
  token(i: number): number {
    if (typeof i !== "number" || i >>> 0 !== i || i >= this.#length) this.#rejectIndex(i);
    return (this.#raw[3 * i + 2] as number) >>> 0;
  }

  /** Returns the events as `[fd, mask]` pairs. */
  toArray(): [fd: number, mask: number][] {
    const pairs: [number, number][] = [];
    const raw = this.#raw;
    for (let i = 0; i < this.#length; i++) pairs.push([raw[3 * i + 1] as number, raw[3 * i] as number]);
    return pairs;
  }

  /** Iterates over `[fd, mask]` pairs. */
  [Symbol.iterator](): Iterator<[fd: number, mask: number]> {
    return this.toArray()[Symbol.iterator]();
  }

  /** Formats the events, for example as `[(5, EPOLLIN)]`. */
  toString(): string {
    return formatEvents(this.toArray());
  }

  #setLength(n: number): number {
    this.#length = n < 0 ? 0 : Math.min(n, this.#capacity);
    return n < 0 ? n : this.#length;
  }

  #rejectIndex(i: number): never {
    const expected = this.#length === 0 ? "omitted: the list is empty" : `an integer from 0 to ${this.#length - 1}`;
    throw typeof i === "number" ? outOfRange("i", expected, i) : invalidType("i", expected, i);
  }
}

/**
 * Returns `count` if it is a possible number of events.
 *
 * @throws {TypeError | RangeError} if it is not a number or out of range
 */
export function checkEventCount(name: string, count: number): number {
  return checkInteger(name, count, 1, MAX_CAPACITY);
}
