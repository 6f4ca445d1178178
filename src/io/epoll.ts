// class Epoll: an epoll instance with the API of Python's select.epoll.

import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
} from "../kernel/constants.ts";
import { EINTR, EPERM } from "../kernel/errno.ts";
import { check, ErrnoError, invalidType, outOfRange } from "../kernel/errors.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import type { TraceListener, TraceOptions } from "../trace/events.ts";
import { Tracer } from "../trace/tracer.ts";
import { checkEventCount, EventList } from "./event-list.ts";
import { OwnedFd } from "./owned-fd.ts";

const DEFAULT_MAX_EVENTS = 1023; // CPython's: FD_SETSIZE - 1
const MAX_TIMEOUT_MS = 0x7fffffff; // epoll_wait takes an int
/** The longest single wait in a Worker: the engine notices `worker.terminate()` only between two waits. */
const MAX_WORKER_WAIT_MS = 1_000;
const NOT_WATCHABLE =
  "regular files, directories and devices such as /dev/null are always ready and cannot be watched with epoll";

/** Options of an Epoll. */
export interface EpollOptions {
  /**
   * Receives an event for each system call of this instance (epoll_create1, epoll_ctl, epoll_wait, close), and
   * warnings.
   */
  trace?: TraceListener | TraceOptions | undefined;
}

/**
 * An epoll instance, which waits for events on any number of file descriptors.
 *
 * Registrations are level-triggered unless their mask contains EPOLLET. Masks are unsigned 32-bit numbers; a negative
 * one, as `EPOLLIN | EPOLLET` is in JavaScript, is read as unsigned. Every method except `close` throws a ClosedError
 * after `close`.
 *
 * @see epoll(7)
 * @example
 * ```ts
 * using epoll = new Epoll();
 * epoll.register(listener, EPOLLIN);
 * for (const [fd, mask] of epoll.poll(1000)) console.log(fd, formatMask(mask));
 * ```
 */
export class Epoll extends OwnedFd {
  /** The longest single wait, in milliseconds. */
  readonly #maxWaitMs = Bun.isMainThread ? Infinity : MAX_WORKER_WAIT_MS;
  /** The list that `poll` uses, with the capacity that its last call required. */
  #events: EventList | undefined;

  /**
   * Creates an epoll instance. Its file descriptor is close-on-exec.
   *
   * @param options a trace listener
   * @throws {ErrnoError} EMFILE or ENFILE if the limit of open file descriptors is reached; ENOMEM
   * @see epoll_create1(2)
   */
  constructor(options?: EpollOptions);
  /** @internal takes ownership of `fd`; `sys` replaces the kernel's system calls */
  constructor(fd: number | undefined, sys?: Syscalls);
  constructor(first?: number | EpollOptions, sys: Syscalls = syscalls()) {
    const trace = typeof first === "object" ? first.trace : undefined;
    const used = trace === undefined ? sys : new Tracer(trace).wrap(sys);
    const fd = typeof first === "number" ? first : check(used.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    super("Epoll", fd, used);
  }

  /**
   * Takes ownership of an epoll file descriptor that was opened elsewhere.
   *
   * @param fd an open epoll file descriptor
   * @throws {TypeError | RangeError} if it is not a valid file descriptor
   */
  static fromfd(fd: number): Epoll {
    return new Epoll(toFd(fd));
  }

  /**
   * Registers a file descriptor.
   *
   * @param fd a file descriptor, or an object with `fileno()`: a Socket, another Epoll, …
   * @param mask the events to report: EPOLLIN, EPOLLOUT, …; EPOLLERR and EPOLLHUP are always reported
   * @param token a 32-bit number that is returned with each event of this registration (`EventList.token`)
   * @throws {ErrnoError} EEXIST if the file descriptor is already registered; EBADF if it is not open
   * @throws {ErrnoError} EPERM if it cannot be watched: regular files, directories and devices such as /dev/null are always
   *   ready
   * @throws {ErrnoError} EINVAL if it is this epoll instance itself, or the mask combines EPOLLEXCLUSIVE with an event
   *   that it excludes
   * @throws {ErrnoError} ELOOP if epoll instances watch each other in a cycle, or are nested more than five deep
   * @throws {ErrnoError} ENOSPC if the limit /proc/sys/fs/epoll/max_user_watches is reached; ENOMEM
   * @throws {TypeError | RangeError} if `fd` is not a file descriptor, or mask or token is not a 32-bit integer
   * @throws {ClosedError} if this object is closed
   * @see epoll_ctl(2)
   */
  register(fd: FdLike, mask: number = EPOLLIN | EPOLLOUT | EPOLLPRI, token: number = 0): void {
    this.#ctl("register", EPOLL_CTL_ADD, fd, mask, token);
  }

  /**
   * Changes the mask and the token of a registered file descriptor. Re-arms EPOLLONESHOT.
   *
   * @param fd a registered file descriptor, or an object with `fileno()`
   * @param mask the events to report from now on
   * @param token replaces the token of the registration
   * @throws {ErrnoError} ENOENT if the file descriptor is not registered; EBADF if it is not open
   * @throws {ErrnoError} EINVAL if the mask contains EPOLLEXCLUSIVE, or the registration does
   * @throws {TypeError | RangeError} if `fd` is not a file descriptor, or mask or token is not a 32-bit integer
   * @throws {ClosedError} if this object is closed
   * @see epoll_ctl(2)
   */
  modify(fd: FdLike, mask: number, token: number = 0): void {
    this.#ctl("modify", EPOLL_CTL_MOD, fd, mask, token);
  }

  /**
   * Removes a registration. Call it before you close the file descriptor: closing does not remove the registration if a
   * duplicate is open anywhere.
   *
   * @param fd a registered file descriptor, or an object with `fileno()`
   * @throws {ErrnoError} ENOENT if the file descriptor is not registered; EBADF if it is not open
   * @throws {TypeError | RangeError} if `fd` is not a file descriptor
   * @throws {ClosedError} if this object is closed
   * @see epoll_ctl(2)
   */
  unregister(fd: FdLike): void {
    this.#ctl("unregister", EPOLL_CTL_DEL, fd, 0, 0);
  }

  /**
   * Waits for events. If a signal interrupts the wait (EINTR), it continues until the deadline.
   *
   * @param timeoutMs the timeout in milliseconds, rounded up. 0 returns immediately. A negative number (the default) or
   *   Infinity blocks indefinitely
   * @param maxEvents maximum number of events to return, from 1 to 1048576; the next call returns the others. -1 means
   *   the default, 1023
   * @returns a pair `[fd, mask]` for each ready file descriptor; `[]` after a timeout
   * @throws {ErrnoError} EBADF or EINVAL if the file descriptor given to `fromfd` is not an epoll instance
   * @throws {TypeError | RangeError} if `timeoutMs` or `maxEvents` is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see epoll_wait(2)
   */
  poll(timeoutMs: number = -1, maxEvents: number = DEFAULT_MAX_EVENTS): [fd: number, mask: number][] {
    this.open("poll");
    if (maxEvents === -1) maxEvents = DEFAULT_MAX_EVENTS; // as in CPython
    let events = this.#events;
    if (events === undefined || events.capacity !== maxEvents) {
      checkEventCount("maxEvents", maxEvents);
      events = this.#events = new EventList(maxEvents);
    }
    this.pollInto(events, timeoutMs);
    return events.toArray();
  }

  /**
   * Waits for events as `poll` does, but stores them in a reusable list. Allocates nothing.
   *
   * @param events receives the events: `events.fd(i)`, `events.mask(i)`, `events.token(i)`
   * @param timeoutMs as for `poll`
   * @returns the number of events
   * @throws {ErrnoError} EBADF or EINVAL if the file descriptor given to `fromfd` is not an epoll instance
   * @throws {TypeError | RangeError} if the timeout is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see epoll_wait(2)
   */
  pollInto(events: EventList, timeoutMs: number = -1): number {
    const fd = this.open("pollInto");
    const timeout = toTimeout(timeoutMs);
    const start = timeout > 0 ? performance.now() : 0;
    const wait = this.#limited(timeout);
    let n = this.sys.epoll_wait(fd, events.raw, events.capacity, wait);
    if (n === -EINTR || (n === 0 && wait !== timeout)) n = this.#waitRemaining(fd, events, timeout, start);
    events.length = n < 0 ? 0 : n;
    return check(n, "epoll_wait", fd);
  }

  /**
   * Waits once and returns 0 if a signal interrupts the wait. For loops, which wait again anyway.
   *
   * @internal
   * @param timeoutMs an integer; a negative one blocks indefinitely
   */
  waitInto(events: EventList, timeoutMs: number): number {
    const fd = this.open("waitInto");
    for (let leftMs = timeoutMs; ; leftMs -= leftMs > 0 ? this.#maxWaitMs : 0) {
      const wait = this.#limited(leftMs);
      const n = this.sys.epoll_wait(fd, events.raw, events.capacity, wait);
      if (n === 0 && wait !== leftMs) continue;
      events.length = n < 0 ? 0 : n;
      return n === -EINTR ? 0 : check(n, "epoll_wait", fd);
    }
  }

  /**
   * Sets the length of a list that a bridge thread has filled with the events of this instance.
   *
   * @internal
   */
  receiveInto(events: EventList, length: number): number {
    events.length = this.sys.handed_over(this.open("receiveInto"), events.raw, length, events.capacity);
    return length;
  }

  #ctl(method: string, op: number, fdLike: FdLike, mask: number, token: number): void {
    const epfd = this.open(method);
    const fd = toFd(fdLike);
    const result = this.sys.epoll_ctl(epfd, op, fd, check32Bit(mask, "mask") | 0, check32Bit(token, "token") | 0);
    if (result < 0) {
      const hint = result === -EPERM ? NOT_WATCHABLE : undefined;
      throw new ErrnoError(-result, "epoll_ctl", { fd, hint });
    }
  }

  /** Continues a wait that a signal interrupted or that `#limited` shortened, until `timeout` ms after `start`. */
  #waitRemaining(fd: number, events: EventList, timeout: number, start: number): number {
    const deadline = start + timeout;
    for (;;) {
      const remaining = timeout < 0 ? -1 : Math.max(0, Math.ceil(deadline - performance.now()));
      const wait = this.#limited(remaining);
      const n = this.sys.epoll_wait(fd, events.raw, events.capacity, wait);
      if (n !== -EINTR && (n !== 0 || wait === remaining)) return n;
    }
  }

  /** Shortens a timeout to the longest single wait. */
  #limited(timeoutMs: number): number {
    const max = this.#maxWaitMs;
    return max === Infinity || (timeoutMs >= 0 && timeoutMs <= max) ? timeoutMs : max;
  }
}

/**
 * Converts a timeout for epoll_wait: to an integer, rounded up, or -1 to block indefinitely.
 *
 * @throws {TypeError | RangeError} if the timeout is not a number, or out of range
 */
export function toTimeout(timeoutMs: number | null): number {
  if (timeoutMs === null) return -1;
  if (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs)) {
    throw invalidType("timeoutMs", "a number of milliseconds", timeoutMs);
  }
  if (timeoutMs < 0 || timeoutMs === Infinity) return -1;
  const timeout = Math.ceil(timeoutMs);
  if (timeout > MAX_TIMEOUT_MS) {
    throw outOfRange("timeoutMs", `at most ${MAX_TIMEOUT_MS} (or -1 to block indefinitely)`, timeoutMs);
  }
  return timeout;
}

function check32Bit(value: number, name: string): number {
  if (typeof value !== "number") throw invalidType(name, "a 32-bit integer", value);
  if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
    throw outOfRange(name, "a 32-bit integer", value);
  }
  return value;
}
