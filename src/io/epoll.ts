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
import { checkFd, type FdLike, setCloexec, toFd } from "../kernel/fd.ts";
import { type Syscalls, syscalls, untracedSyscalls } from "../kernel/ffi.ts";
import { check32Bit } from "../kernel/integers.ts";
import type { TraceListener, TraceOptions } from "../trace/events.ts";
import { createTracer } from "../trace/create-tracer.ts";
import { checkEventCount, EventList, fillEvents, isEventList, waitForEvents } from "./event-list.ts";
import { checkKind, checkSyscalls, type FileKind, OpenFd, OwnedFd } from "./owned-fd.ts";

const EPOLL: FileKind = ["an epoll instance", /^anon_inode:\[eventpoll\]$/];
const DEFAULT_MAX_EVENTS = 1023; // CPython's: FD_SETSIZE - 1
const MAX_TIMEOUT_MS = 0x7fffffff; // epoll_wait takes an int
/** The longest single wait in a Worker: the engine notices `worker.terminate()` only between two waits. */
let maxWorkerWaitMs = 1_000;
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
  readonly #maxWaitMs = Bun.isMainThread ? Infinity : maxWorkerWaitMs;
  /** The list that `poll` uses, with the capacity that its last call required. */
  #events: EventList | undefined;

  /**
   * Creates an epoll instance. Its file descriptor is close-on-exec.
   *
   * @param options a trace listener
   * @throws {ErrnoError} EMFILE or ENFILE if the limit of open file descriptors is reached; ENOMEM
   * @throws {TypeError} if `options` is not an object, such as the size hint of Python's `select.epoll`
   * @see epoll_create1(2)
   */
  constructor(options?: EpollOptions);
  /** @internal takes ownership of an open file descriptor; `sys` replaces the kernel's system calls */
  constructor(open: OpenFd | undefined, sys?: Syscalls);
  constructor(first?: OpenFd | EpollOptions, sys: Syscalls = syscalls()) {
    if (first instanceof OpenFd) {
      super("Epoll", first.fd, sys);
      return;
    }
    if (first !== undefined && (typeof first !== "object" || first === null || Array.isArray(first))) {
      throw invalidType(
        "options",
        "{ trace } or omitted: an Epoll has no size (to own an open fd, use Epoll.fromfd)",
        first,
      );
    }
    checkSyscalls(sys, "second");
    const trace = first?.trace;
    const used = trace === undefined ? sys : createTracer(trace).wrap(sys);
    super("Epoll", check(used.epoll_create1(EPOLL_CLOEXEC), "epoll_create1"), used);
  }

  /**
   * Takes ownership of an epoll file descriptor that was opened elsewhere, and makes it close-on-exec.
   *
   * @param fd an open epoll file descriptor
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is not a valid file descriptor, or not an epoll instance
   */
  static fromfd(fd: number): Epoll {
    const sys = syscalls();
    checkKind(sys, checkFd(fd), EPOLL);
    setCloexec(sys, fd);
    return new Epoll(new OpenFd(fd), sys);
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
   * @param timeoutMs the timeout in milliseconds. 0 returns immediately. A negative number (the default) or Infinity
   *   blocks indefinitely. A fraction is kept (epoll_pwait2); before Linux 5.11 it is rounded up
   * @param maxEvents maximum number of events to return, from 1 to 1048576; the next call returns the others. -1 means
   *   the default, 1023
   * @returns a pair `[fd, mask]` for each ready file descriptor; `[]` after a timeout
   * @throws {ErrnoError} EBADF if the file descriptor was closed elsewhere
   * @throws {TypeError | RangeError} if `timeoutMs` or `maxEvents` is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see epoll_wait(2), epoll_pwait2(2)
   */
  poll(timeoutMs: number = -1, maxEvents: number = DEFAULT_MAX_EVENTS): [fd: number, mask: number][] {
    this.open("poll");
    if (maxEvents === -1) maxEvents = DEFAULT_MAX_EVENTS; // as in CPython
    let events = this.#events;
    if (events === undefined || events.capacity !== maxEvents) {
      events = this.#events = new EventList(checkEventCount("maxEvents", maxEvents));
    }
    this.#wait("poll", events, timeoutMs);
    return events.toArray();
  }

  /**
   * Waits for events as `poll` does, but stores them in a reusable list. Allocates nothing.
   *
   * @param events receives the events: `events.fd(i)`, `events.mask(i)`, `events.token(i)`
   * @param timeoutMs as for `poll`
   * @returns the number of events
   * @throws {ErrnoError} EBADF if the file descriptor was closed elsewhere
   * @throws {TypeError | RangeError} if `events` is not an EventList, or the timeout is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see epoll_wait(2)
   */
  pollInto(events: EventList, timeoutMs: number = -1): number {
    this.open("pollInto");
    if (!isEventList(events)) throw invalidType("events", "an EventList", events);
    return this.#wait("pollInto", events, timeoutMs);
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
      const n = waitForEvents(this.sys, fd, events, wait);
      if (n === 0 && wait !== leftMs) continue;
      return n === -EINTR ? 0 : check(n, "epoll_wait", fd);
    }
  }

  /**
   * Sets the length of a list that a bridge thread has filled with the events of this instance, and lets them be traced.
   *
   * @internal
   */
  receiveInto(events: EventList, length: number): number {
    const fd = this.open("receiveInto");
    return fillEvents(events, (raw, capacity) => this.sys.handed_over(fd, raw, length, capacity));
  }

  /**
   * Whether the system calls of this instance are reported to a listener.
   *
   * @internal
   */
  get isTraced(): boolean {
    return this.sys !== untracedSyscalls();
  }

  #ctl(method: string, op: number, fdLike: FdLike, mask: number, token: number): void {
    this.open(method);
    const fd = toFd(fdLike);
    const events = check32Bit("mask", mask) | 0;
    const data = check32Bit("token", token) | 0;
    const epfd = this.open(method); // again: fileno() may have closed this object, and its number may be reused
    const result = this.sys.epoll_ctl(epfd, op, fd, events, data);
    if (result < 0) {
      const hint = result === -EPERM ? NOT_WATCHABLE : undefined;
      throw new ErrnoError(-result, "epoll_ctl", { fd, hint });
    }
  }

  #wait(method: string, events: EventList, timeoutMs: number): number {
    const timeout = toExactTimeout(timeoutMs);
    const fd = this.open(method);
    const start = timeout > 0 ? performance.now() : 0;
    const wait = this.#limited(timeout);
    let n = waitForEvents(this.sys, fd, events, wait);
    if (n === -EINTR || (n === 0 && wait !== timeout)) n = this.#waitRemaining(method, events, timeout, start);
    return check(n, "epoll_wait", fd);
  }

  /** Continues a wait that a signal interrupted or that `#limited` shortened, until `timeout` ms after `start`. */
  #waitRemaining(method: string, events: EventList, timeout: number, start: number): number {
    const deadline = start + timeout;
    for (;;) {
      const remaining = timeout < 0 ? -1 : Math.max(0, deadline - performance.now());
      const timeoutMs = Number.isInteger(timeout) ? Math.ceil(remaining) : remaining;
      const wait = this.#limited(timeoutMs);
      const n = waitForEvents(this.sys, this.open(method), events, wait);
      if (n !== -EINTR && (n !== 0 || wait === timeoutMs)) return n;
    }
  }

  /** Shortens a timeout to the longest single wait. */
  #limited(timeoutMs: number): number {
    const max = this.#maxWaitMs;
    return max === Infinity || (timeoutMs >= 0 && timeoutMs <= max) ? timeoutMs : max;
  }
}

/** Removes the limit of a single wait in this Worker. For the debugger, which interrupts a wait before it terminates the Worker. */
export function allowLongWaits(): void {
  maxWorkerWaitMs = Infinity;
}

/**
 * Converts a timeout for epoll_wait: to an integer, rounded up, or -1 to block indefinitely.
 *
 * @throws {TypeError | RangeError} if the timeout is not a number, or out of range
 */
export function toTimeout(timeoutMs: number | null): number {
  return Math.ceil(toExactTimeout(timeoutMs));
}

/** Converts a timeout to milliseconds from 0 to 2147483647, or -1 to block indefinitely. */
function toExactTimeout(timeoutMs: number | null): number {
  if (timeoutMs === null) return -1;
  if (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs)) {
    throw invalidType("timeoutMs", "a number of milliseconds", timeoutMs);
  }
  if (timeoutMs < 0 || timeoutMs === Infinity) return -1;
  if (timeoutMs > MAX_TIMEOUT_MS) {
    throw outOfRange("timeoutMs", `at most ${MAX_TIMEOUT_MS} (or -1 to block indefinitely)`, timeoutMs);
  }
  return timeoutMs;
}
