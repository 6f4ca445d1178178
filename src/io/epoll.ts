// class Epoll: Python's select.epoll, in JavaScript's manners.

import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
} from "../kernel/constants.ts";
import { EINTR } from "../kernel/errno.ts";
import { check, ClosedError, ErrnoError } from "../kernel/errors.ts";
import { EventList } from "./event-list.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import type { TraceListener, TraceOptions } from "../trace/events.ts";
import { Tracer } from "../trace/tracer.ts";

const DEFAULT_MAX_EVENTS = 1023; // CPython's: FD_SETSIZE - 1
const MAX_TIMEOUT_MS = 0x7fffffff; // epoll_wait takes an int

export interface EpollOptions {
  /** Called for each system call of this instance: epoll_create1, epoll_ctl, epoll_wait, close; and for what looks wrong. */
  trace?: TraceListener | TraceOptions | undefined;
}

/**
 * An epoll instance: watch any number of descriptors, and learn which are ready.
 *
 * Level-triggered unless EPOLLET is asked for. Masks are unsigned 32-bit numbers; a negative one, as `EPOLLIN | EPOLLET`
 * is in JavaScript, is read as unsigned. Every method but `close` fails with a ClosedError once it is closed.
 *
 * @see epoll(7)
 * @example
 * ```ts
 * using epoll = new Epoll();
 * epoll.register(listener, EPOLLIN);
 * for (const [fd, mask] of epoll.poll(1000)) console.log(fd, formatMask(mask));
 * ```
 */
export class Epoll implements Disposable {
  readonly #sys: Syscalls;
  #fd: number;
  #events: EventList | undefined; // poll()'s own, as large as was last needed

  /**
   * Create an epoll instance, close-on-exec.
   *
   * @throws {ErrnoError} EMFILE or ENFILE if no descriptor is left; ENOMEM
   * @see epoll_create1(2)
   */
  constructor(options?: EpollOptions);
  /** @internal `fd` is taken over; `sys` stands in for the kernel */
  constructor(fd: number | undefined, sys?: Syscalls);
  constructor(first?: number | EpollOptions, sys: Syscalls = syscalls()) {
    const trace = typeof first === "object" ? first.trace : undefined;
    this.#sys = trace === undefined ? sys : new Tracer(trace).wrap(sys);
    this.#fd = typeof first === "number" ? first : check(this.#sys.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  }

  /** Take over an epoll descriptor that was opened elsewhere: `close` closes it. */
  static fromfd(fd: number): Epoll {
    return new Epoll(toFd(fd));
  }

  /** The descriptor of the epoll instance itself, which another Epoll can watch. */
  fileno(): number {
    return this.#open("fileno");
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  /**
   * Start to watch a descriptor.
   *
   * @param mask what to report: EPOLLIN, EPOLLOUT, …; EPOLLERR and EPOLLHUP are reported always
   * @param token a 32-bit number that comes back with each event of this registration (`EventList.token`)
   * @throws {ErrnoError} EEXIST if it is registered already; EBADF if it is not open; EPERM if it cannot be watched, as a
   *   regular file; EINVAL if it is this epoll itself, or EPOLLEXCLUSIVE stands beside what it excludes; ELOOP if epolls
   *   watch each other in a circle or more than five deep; ENOSPC over /proc/sys/fs/epoll/max_user_watches; ENOMEM
   * @throws {RangeError} if the descriptor is negative, or mask or token is not a 32-bit number
   * @throws {TypeError} if `fd` is neither a number nor has `fileno()`
   * @see epoll_ctl(2)
   */
  register(fd: FdLike, mask: number = EPOLLIN | EPOLLOUT | EPOLLPRI, token: number = 0): void {
    this.#ctl("register", EPOLL_CTL_ADD, fd, mask, token);
  }

  /**
   * Change what is reported for a registered descriptor, and its token; re-arms EPOLLONESHOT.
   *
   * @throws {ErrnoError} ENOENT if it is not registered; EBADF if it is not open; EINVAL with or after EPOLLEXCLUSIVE
   * @see epoll_ctl(2)
   */
  modify(fd: FdLike, mask: number, token: number = 0): void {
    this.#ctl("modify", EPOLL_CTL_MOD, fd, mask, token);
  }

  /**
   * Stop watching a descriptor. Do it before the descriptor is closed: while a duplicate of it is open somewhere, closing
   * alone leaves the registration alive.
   *
   * @throws {ErrnoError} ENOENT if it is not registered; EBADF if it is not open
   * @see epoll_ctl(2)
   */
  unregister(fd: FdLike): void {
    this.#ctl("unregister", EPOLL_CTL_DEL, fd, 0, 0);
  }

  /**
   * Wait for events.
   *
   * A signal that interrupts the wait does not end it (EINTR is retried until the deadline).
   *
   * @param timeoutMs how long, in milliseconds, rounded up; 0 looks only; negative, Infinity or nothing: for ever
   * @param maxEvents at most how many events to return, at least 1; the rest comes next time, in turn
   * @returns a pair `[fd, mask]` for each ready descriptor; `[]` when the time is over
   * @throws {ErrnoError} EBADF or EINVAL if `fromfd` was given no epoll descriptor
   * @throws {RangeError} if the timeout or the count is out of range
   * @throws {TypeError} if the timeout is not a number
   * @see epoll_wait(2)
   */
  poll(timeoutMs: number = -1, maxEvents: number = DEFAULT_MAX_EVENTS): [fd: number, mask: number][] {
    this.#open("poll");
    if (maxEvents === -1) maxEvents = DEFAULT_MAX_EVENTS; // as in CPython
    let events = this.#events;
    if (events === undefined || events.capacity !== maxEvents) events = this.#events = new EventList(maxEvents);
    this.pollInto(events, timeoutMs);
    return events.toArray();
  }

  /**
   * Wait for events as `poll` does, into a list of the caller's; allocates nothing.
   *
   * @returns how many events there are: `events.fd(i)`, `events.mask(i)`, `events.token(i)` for `i` below that
   * @see epoll_wait(2)
   */
  pollInto(events: EventList, timeoutMs: number = -1): number {
    const fd = this.#open("pollInto");
    const timeout = toTimeout(timeoutMs);
    const start = timeout > 0 ? performance.now() : 0;
    let n = this.#sys.epoll_wait(fd, events.raw, events.capacity, timeout);
    if (n === -EINTR) n = this.#waitOn(fd, events, timeout, start);
    events.length = n < 0 ? 0 : n;
    return check(n, "epoll_wait", fd);
  }

  /**
   * Wait once, and do not wait on when a signal came: then there are no events. For a loop, which waits again anyway.
   *
   * @internal
   * @param timeoutMs a whole number; negative: for ever
   */
  waitInto(events: EventList, timeoutMs: number): number {
    const fd = this.#open("waitInto");
    const n = this.#sys.epoll_wait(fd, events.raw, events.capacity, timeoutMs);
    events.length = n < 0 ? 0 : n;
    return n === -EINTR ? 0 : check(n, "epoll_wait", fd);
  }

  /** Close the epoll instance; what it watched stays open. Closing twice is fine. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    const n = this.#sys.close(fd);
    if (n !== -EINTR) check(n, "close", fd); // after EINTR it is closed on Linux
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(method: string): number {
    if (this.#fd < 0) throw new ClosedError(`Epoll.${method}`);
    return this.#fd;
  }

  #ctl(method: string, op: number, fdLike: FdLike, mask: number, token: number): void {
    const epfd = this.#open(method);
    const fd = toFd(fdLike);
    const result = this.#sys.epoll_ctl(epfd, op, fd, toUint32(mask, "mask") | 0, toUint32(token, "token") | 0);
    if (result < 0) throw new ErrnoError(-result, "epoll_ctl", { fd });
  }

  /** A signal came while waiting: wait for what is left of the time since `start`. */
  #waitOn(fd: number, events: EventList, timeout: number, start: number): number {
    const deadline = start + timeout;
    for (;;) {
      const left = timeout < 0 ? -1 : Math.max(0, Math.ceil(deadline - performance.now()));
      const n = this.#sys.epoll_wait(fd, events.raw, events.capacity, left);
      if (n !== -EINTR) return n;
    }
  }
}

/**
 * What epoll_wait takes for a timeout: whole milliseconds, rounded up; -1: for ever.
 *
 * @throws {RangeError | TypeError}
 */
export function toTimeout(timeoutMs: number | null): number {
  if (timeoutMs === null) return -1;
  if (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs)) {
    throw new TypeError(`a timeout is a number of milliseconds, not ${String(timeoutMs)}`);
  }
  if (timeoutMs < 0 || timeoutMs === Infinity) return -1;
  const timeout = Math.ceil(timeoutMs);
  if (timeout > MAX_TIMEOUT_MS) {
    throw new RangeError(`a timeout is at most ${MAX_TIMEOUT_MS} ms, not ${timeoutMs}: pass -1 to wait for ever`);
  }
  return timeout;
}

function toUint32(value: number, what: string): number {
  if (typeof value !== "number") throw new TypeError(`a ${what} is a number, not ${typeof value}`);
  if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
    throw new RangeError(`a ${what} is a whole number of 32 bits, not ${value}`);
  }
  return value;
}
