// The gate: whether new connections are accepted just now. It shuts when there is no room for them, and opens by itself.

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
import type { ServerWarning } from "./options.ts";

/** After descriptors ran out: when to try again, if no connection of our own closes before. */
const RETRY_MS = 100;

/**
 * How often an exclusive listener is registered anew. Of several processes the kernel tells one that somebody waits: should
 * that one end, or be out of descriptors, before it has accepted, the others hear of it at this time, or with the next connection.
 */
const REMIND_MS = 1_000;

/** The listeners' token with epoll. */
export const LISTENER = 0;

// accept(2): errors of the connection that waited, not of the listener; the next may be fine. Also EPERM (a firewall), ENONET,
// ENOPROTOOPT, EOPNOTSUPP, ENETDOWN, ENETUNREACH, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH.
const passing = new Set([ECONNABORTED, EPROTO, EINTR, 1, 64, 92, 95, 100, 101, 110, 112, 113]);
const exhausted = new Set([EMFILE, ENFILE, ENOBUFS, ENOMEM]);

export interface AcceptThrottleOptions {
  maxConnections: number;
  /** Other processes wait on the same sockets: for each connection the kernel wakes one of those that wait. */
  exclusive: boolean;
  onWarning: ((warning: ServerWarning) => void) | undefined;
}

export class AcceptThrottle {
  /** When to open it again though no connection has closed. */
  retryAtMs: number = Infinity;
  /** Epoll reports connections that wait. */
  isOpen: boolean = false;
  /** For good. */
  closed: boolean = false;

  readonly #epoll: Epoll;
  readonly #listeners: readonly Listener[];
  readonly #options: AcceptThrottleOptions;
  #isRegistered = false;
  #isExhausted = false;

  constructor(epoll: Epoll, listeners: readonly Listener[], options: AcceptThrottleOptions) {
    this.#epoll = epoll;
    this.#listeners = listeners;
    this.#options = options;
  }

  /** Ask epoll for connections that wait. */
  open(nowMs: number): void {
    const { exclusive } = this.#options;
    this.retryAtMs = Infinity;
    if (this.closed || (this.isOpen && !exclusive)) return;
    if (exclusive) return this.#reopen(nowMs);
    this.isOpen = true;
    for (const { socket } of this.#listeners) {
      if (this.#isRegistered) this.#epoll.modify(socket, EPOLLIN, LISTENER);
      else this.#epoll.register(socket, EPOLLIN, LISTENER);
    }
    this.#isRegistered = true;
  }

  /** The next connection is for somebody else: the kernel wakes the first in its queue, and who registers anew is the last. */
  requeue(nowMs: number): void {
    if (this.isOpen) this.open(nowMs);
  }

  /** Whether another connection may be accepted; if not, the gate shuts. */
  canAccept(open: number): boolean {
    if (open < this.#options.maxConnections) return true;
    this.#shut();
    return false;
  }

  /** A connection has closed. */
  onConnectionClosed(open: number, nowMs: number): void {
    if (!this.isOpen && open < this.#options.maxConnections) this.open(nowMs);
  }

  /** Whether a failed accept says nothing of the next one. */
  isTransient(errno: number): boolean {
    return passing.has(errno);
  }

  /** Nobody waits to be accepted. */
  onBacklogEmpty(): void {
    this.#isExhausted = false;
  }

  /** Every accept fails, for reasons that should pass: try again in a moment. */
  pause(nowMs: number): void {
    this.#shut();
    this.retryAtMs = nowMs + RETRY_MS;
  }

  /**
   * accept4 failed. EAGAIN: nobody waits. Without room, the gate shuts for a moment; that is said once, until nobody waits.
   *
   * @throws {ErrnoError} if there is no use in going on
   */
  failed(errno: number, open: number, nowMs: number): void {
    if (errno === EAGAIN) return this.onBacklogEmpty();
    if (!exhausted.has(errno)) throw new ErrnoError(errno, "accept4");
    this.pause(nowMs);
    if (this.#isExhausted) return;
    this.#isExhausted = true;
    const code = errnoName(errno);
    this.#options.onWarning?.({
      code,
      message:
        `${code}: ${errnoMessage(errno)}: with ${open} connections open no more can be accepted; ` +
        `new ones wait until one closes (raise the limit with ulimit -n, or set maxConnections below it)`,
    });
  }

  /** Close the listening sockets. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.retryAtMs = Infinity;
    for (const { socket, close } of this.#listeners) {
      this.#unregister(socket);
      close();
    }
  }

  #shut(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const { socket } of this.#listeners) {
      if (this.#options.exclusive) this.#unregister(socket);
      else this.#epoll.modify(socket, 0, LISTENER);
    }
  }

  /** EPOLLEXCLUSIVE cannot be modified, only registered; whoever waits already is reported at once (epoll_ctl(2)). */
  #reopen(nowMs: number): void {
    const isFirst = !this.#isRegistered;
    this.#isRegistered = this.isOpen = true;
    this.retryAtMs = nowMs + REMIND_MS;
    try {
      for (const { socket } of this.#listeners) {
        if (!isFirst) this.#unregister(socket);
        this.#epoll.register(socket, EPOLLIN | EPOLLEXCLUSIVE, LISTENER);
      }
    } catch (error) {
      if (isFirst || !(error instanceof ErrnoError)) throw error;
      this.pause(nowMs); // ENOMEM, ENOSPC: the others serve meanwhile
      this.#options.onWarning?.({ code: error.code, message: error.message });
    }
  }

  #unregister(socket: Socket): void {
    try {
      this.#epoll.unregister(socket);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error; // it is not registered: as it should be
    }
  }
}
