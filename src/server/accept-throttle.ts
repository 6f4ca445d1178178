// The accept throttle: stops accepting at the connection limit or when file descriptors run out, and resumes automatically.

import { EPOLLEXCLUSIVE, EPOLLIN } from "../kernel/constants.ts";
import type { Epoll } from "../io/epoll.ts";
import {
  EAGAIN,
  ECONNABORTED,
  EINTR,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  EPROTO,
  errnoMessage,
  errnoName,
} from "../kernel/errno.ts";
import { ErrnoError } from "../kernel/errors.ts";
import type { Listener } from "./listeners.ts";
import type { Socket } from "../io/socket.ts";
import { LISTENER } from "./tokens.ts";
import type { ServerWarning } from "./types.ts";

/** How long accepting pauses after file descriptors ran out, unless a connection closes earlier. */
const RETRY_MS = 100;

/**
 * How often an exclusive listener is registered again. The kernel wakes only one of the waiting processes for a connection. If
 * that one exits or runs out of file descriptors before it accepts, the others are woken by the next connection or by this.
 */
const REREGISTER_MS = 1_000;

// accept(2): errors of the pending connection, not of the listener; the next accept may succeed. By number: EPERM (a firewall),
// ENONET, ENOPROTOOPT, EOPNOTSUPP, ENETDOWN, ENETUNREACH, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH.
const TRANSIENT_ERRNOS = new Set([ECONNABORTED, EPROTO, EINTR, 1, 64, 92, 95, 100, 101, 110, 112, 113]);
const RESOURCE_ERRNOS = new Set([EMFILE, ENFILE, ENOBUFS, ENOMEM]);

export interface AcceptThrottleOptions {
  maxConnections: number;
  /** Other processes wait on the same sockets: register with EPOLLEXCLUSIVE. */
  exclusive: boolean;
  onWarning: ((warning: ServerWarning) => void) | undefined;
}

export class AcceptThrottle {
  /** When accepting resumes even if no connection has closed; Infinity: never. */
  retryAtMs: number = Infinity;
  /** The listening sockets are registered, so that epoll reports pending connections. */
  isOpen: boolean = false;
  /** The listening sockets are closed. */
  closed: boolean = false;

  readonly #epoll: Epoll;
  readonly #listeners: readonly Listener[];
  readonly #options: AcceptThrottleOptions;
  #isRegistered = false;
  /** Resources have run out, and a warning has said so. */
  #isExhausted = false;

  constructor(epoll: Epoll, listeners: readonly Listener[], options: AcceptThrottleOptions) {
    this.#epoll = epoll;
    this.#listeners = listeners;
    this.#options = options;
  }

  /** Starts or resumes accepting. */
  open(nowMs: number): void {
    const { exclusive } = this.#options;
    this.retryAtMs = Infinity;
    if (this.closed || (this.isOpen && !exclusive)) return;
    if (exclusive) return this.#openExclusive(nowMs);
    this.isOpen = true;
    for (const { socket } of this.#listeners) {
      if (this.#isRegistered) this.#epoll.modify(socket, EPOLLIN, LISTENER);
      else this.#epoll.register(socket, EPOLLIN, LISTENER);
    }
    this.#isRegistered = true;
  }

  /**
   * Moves this process to the end of the listeners' wait queues, so that the next connection goes to another process: the kernel
   * wakes the waiters in the order in which they registered.
   */
  requeue(nowMs: number): void {
    if (this.isOpen) this.open(nowMs);
  }

  /** Returns whether another connection may be accepted; if not, accepting pauses. */
  canAccept(open: number): boolean {
    if (open < this.#options.maxConnections) return true;
    this.#stopWatching();
    return false;
  }

  /** A connection has closed: accepting resumes if it was paused. */
  onConnectionClosed(open: number, nowMs: number): void {
    if (!this.isOpen && open < this.#options.maxConnections) this.open(nowMs);
  }

  /** Returns whether the errno of a failed accept concerns only that one connection. */
  isTransient(errno: number): boolean {
    return TRANSIENT_ERRNOS.has(errno);
  }

  /** No connection is pending. */
  onBacklogEmpty(): void {
    this.#isExhausted = false;
  }

  /** Pauses accepting for a moment. */
  pause(nowMs: number): void {
    this.#stopWatching();
    this.retryAtMs = nowMs + RETRY_MS;
  }

  /**
   * Handles the failure of accept4. EAGAIN: the backlog is empty. If resources have run out, accepting pauses; a warning says so
   * once, until the backlog has been empty.
   *
   * @throws {ErrnoError} if the listener itself has failed
   */
  onAcceptFailed(errno: number, open: number, nowMs: number): void {
    if (errno === EAGAIN) return this.onBacklogEmpty();
    if (!RESOURCE_ERRNOS.has(errno)) throw new ErrnoError(errno, "accept4");
    this.pause(nowMs);
    if (this.#isExhausted) return;
    this.#isExhausted = true;
    const code = errnoName(errno);
    this.#options.onWarning?.({
      code,
      message:
        `${code}: ${errnoMessage(errno)}: accepting is paused at ${open} open connections until one closes. ` +
        `Raise the limit with ulimit -n, or set maxConnections below it`,
    });
  }

  /** Closes the listening sockets. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.retryAtMs = Infinity;
    for (const { socket, close } of this.#listeners) {
      this.#unregister(socket);
      close();
    }
  }

  #stopWatching(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const { socket } of this.#listeners) {
      if (this.#options.exclusive) this.#unregister(socket);
      else this.#epoll.modify(socket, 0, LISTENER);
    }
  }

  /** EPOLLEXCLUSIVE cannot be modified, only registered again, which reports pending connections immediately (epoll_ctl(2)). */
  #openExclusive(nowMs: number): void {
    const isFirst = !this.#isRegistered;
    this.#isRegistered = this.isOpen = true;
    this.retryAtMs = nowMs + REREGISTER_MS;
    try {
      for (const { socket } of this.#listeners) {
        if (!isFirst) this.#unregister(socket);
        this.#epoll.register(socket, EPOLLIN | EPOLLEXCLUSIVE, LISTENER);
      }
    } catch (error) {
      if (isFirst || !(error instanceof ErrnoError)) throw error;
      this.pause(nowMs); // ENOMEM, ENOSPC: meanwhile the other processes serve
      this.#options.onWarning?.({ code: error.code, message: error.message });
    }
  }

  #unregister(socket: Socket): void {
    try {
      this.#epoll.unregister(socket);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error; // ENOENT: it is not registered
    }
  }
}
