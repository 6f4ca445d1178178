// The accept throttle: stops accepting at a limit or when accept4 fails, and resumes automatically.

import { EPOLLEXCLUSIVE, EPOLLIN } from "../kernel/constants.ts";
import type { Epoll } from "../io/epoll.ts";
import {
  EACCES,
  EAGAIN,
  EBADF,
  ECONNABORTED,
  EINTR,
  EINVAL,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  EPERM,
  EPROTO,
  errnoMessage,
  errnoName,
} from "../kernel/errno.ts";
import { formatAddress } from "../kernel/address.ts";
import { ErrnoError } from "../kernel/errors.ts";
import type { Listener } from "./listeners.ts";
import { LISTENER } from "./tokens.ts";
import type { ServerWarning } from "./types.ts";

/** How long accepting pauses after file descriptors ran out, unless a connection closes earlier. */
const RETRY_MS = 100;

/**
 * How often an exclusive listener is registered again. The kernel wakes only one of the waiting processes for a connection. If
 * that one exits or runs out of file descriptors before it accepts, the others are woken by the next connection or by this.
 */
const REREGISTER_MS = 1_000;

/** How long a listener pauses after accept4 failed in a way that is neither a connection's fault nor a lack of resources. */
const BROKEN_RETRY_MS = 1_000;

/** A listener pauses after this many events in a row for which accept4 found no connection. */
const MAX_EMPTY_EVENTS = 100;

// accept(2): errors of the pending connection, not of the listener; the next accept may succeed. By number: ENONET, ENOPROTOOPT,
// EPROTONOSUPPORT, ESOCKTNOSUPPORT, EOPNOTSUPP, ENETDOWN, ENETUNREACH, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH.
const TRANSIENT_ERRNOS = new Set([
  ECONNABORTED,
  EPROTO,
  EINTR,
  EACCES,
  EPERM,
  64,
  92,
  93,
  94,
  95,
  100,
  101,
  110,
  112,
  113,
]);
const ENOSR = 63;
const RESOURCE_ERRNOS = new Set([EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSR]);
const ENOTSOCK = 88;

/** What a failure of accept4 means. */
const MEANINGS = new Map([
  [EBADF, "other code has closed the listening socket"],
  [ENOTSOCK, "other code has closed the listening socket and reused its number"],
  [EINVAL, "the socket does not listen anymore; shutdown(2) was called on it, possibly in another process"],
  [EACCES, "a security module denies it"],
  [EPERM, "a firewall or a security module denies it"],
]);
/** What to do when resources have run out. */
const REMEDIES = new Map([
  [EMFILE, "Raise the limit with ulimit -n, or set maxConnections below it"],
  [ENFILE, "Raise the system's limit, the sysctl fs.file-max"],
]);

export interface AcceptThrottleOptions {
  maxConnections: number;
  /** Other processes wait on the same sockets: register with EPOLLEXCLUSIVE. */
  exclusive: boolean;
  onWarning: ((warning: ServerWarning) => void) | undefined;
}

/** A listening socket, and whether its events are wanted. */
interface WatchedListener extends Listener {
  readonly fd: number;
  isRegistered: boolean;
  /** accept4 failed: the listener is not registered until then. */
  pausedUntilMs: number;
  /** A warning was given since the last connection was accepted. */
  hasWarned: boolean;
  /** Events in a row for which accept4 found no connection. */
  emptyEvents: number;
}

export class AcceptThrottle {
  /** When `open` is due; Infinity: never. */
  retryAtMs: number = Infinity;
  /** The listening sockets are registered, except those that are paused because accept4 failed. */
  isOpen: boolean = false;
  /** The listening sockets are closed. */
  closed: boolean = false;
  /** How often all listening sockets, or one of them, have paused. Attempts to resume that fail are not counted again. */
  pauses: number = 0;

  readonly #epoll: Epoll;
  readonly #listeners: readonly WatchedListener[];
  readonly #options: AcceptThrottleOptions;
  /** Resources have run out, and a warning has said so. */
  #isExhausted = false;

  constructor(epoll: Epoll, listeners: readonly Listener[], options: AcceptThrottleOptions) {
    this.#epoll = epoll;
    this.#listeners = listeners.map((listener) => {
      return {
        ...listener,
        fd: listener.socket.fileno(),
        isRegistered: false,
        pausedUntilMs: 0,
        hasWarned: false,
        emptyEvents: 0,
      };
    });
    this.#options = options;
  }

  /**
   * Starts accepting.
   *
   * @throws {ErrnoError} if a listening socket cannot be registered with epoll
   */
  start(nowMs: number): void {
    for (const listener of this.#listeners) this.#register(listener);
    this.isOpen = true;
    this.#schedule(nowMs);
  }

  /** Whether at least one listening socket is paused. */
  get isPaused(): boolean {
    return !this.closed && this.#listeners.some(({ isRegistered }) => !isRegistered);
  }

  /** The fds of the listening sockets that are not paused. */
  get registeredFds(): number[] {
    return this.#listeners.filter(({ isRegistered }) => isRegistered).map(({ fd }) => fd);
  }

  /** Resumes accepting. */
  open(nowMs: number): void {
    if (this.closed) return;
    this.isOpen = true;
    for (const listener of this.#listeners) {
      if (nowMs < listener.pausedUntilMs) continue;
      if (this.#options.exclusive) this.#unregister(listener); // registered again, it reports what is pending
      this.#resume(listener, nowMs);
    }
    this.#schedule(nowMs);
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
    this.#pauseAll(Infinity);
    this.pauses++;
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
    for (const listener of this.#listeners) listener.emptyEvents = 0;
  }

  /** A connection was accepted. */
  onAccepted(fd: number): void {
    const listener = this.#find(fd);
    if (listener === undefined) return;
    listener.emptyEvents = 0;
    listener.hasWarned = false;
  }

  /**
   * Handles the failure of accept4 for an event of a listener: no connection was accepted. EAGAIN: the backlog is empty. If
   * resources have run out, all listeners pause for a moment, or until a connection closes. After any other error, that listener
   * pauses. A warning says so once: until the backlog has been empty, or the listener has accepted a connection.
   */
  onAcceptFailed(fd: number, errno: number, open: number, nowMs: number): void {
    const listener = this.#find(fd);
    if (errno === EAGAIN) {
      this.#isExhausted = false;
      // Usually another process was faster. But if epoll reports a connection that is never there, the loop would spin.
      if (listener !== undefined && ++listener.emptyEvents >= MAX_EMPTY_EVENTS)
        this.#pauseListener(listener, nowMs, RETRY_MS);
    } else if (RESOURCE_ERRNOS.has(errno)) {
      this.#onExhausted(errno, open, nowMs);
    } else if (listener !== undefined) {
      this.#onFailed(listener, errno, "accept4", nowMs, TRANSIENT_ERRNOS.has(errno) ? RETRY_MS : BROKEN_RETRY_MS);
    }
  }

  /** Closes the listening sockets. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.retryAtMs = Infinity;
    for (const listener of this.#listeners) {
      this.#unregister(listener);
      listener.close();
    }
  }

  #find(fd: number): WatchedListener | undefined {
    return this.#listeners.find((listener) => listener.fd === fd);
  }

  #onExhausted(errno: number, open: number, nowMs: number): void {
    this.#pauseAll(nowMs + RETRY_MS);
    if (this.#isExhausted) return;
    this.#isExhausted = true;
    this.pauses++;
    const code = errnoName(errno);
    this.#options.onWarning?.({
      code,
      message:
        `${code}: ${errnoMessage(errno)}: accepting is paused at ${open} open connections until one closes, and tried again ` +
        `every ${RETRY_MS} ms. ${REMEDIES.get(errno) ?? "Lower maxConnections, or give the system more memory"}`,
    });
  }

  /** Pauses accepting on all listeners. */
  #pauseAll(untilMs: number): void {
    this.isOpen = false;
    this.retryAtMs = untilMs;
    for (const listener of this.#listeners) this.#unregister(listener);
  }

  /** A system call has failed for a listener: pauses it, with a warning the first time. */
  #onFailed(listener: WatchedListener, errno: number, syscall: string, nowMs: number, forMs: number): void {
    this.#pauseListener(listener, nowMs, forMs);
    if (listener.hasWarned) return;
    listener.hasWarned = true;
    this.pauses++;
    const code = errnoName(errno);
    const meaning = MEANINGS.has(errno) ? ` (${MEANINGS.get(errno)})` : "";
    const message =
      `${code}: ${errnoMessage(errno)}, ${syscall}: no connection can be accepted on ${formatAddress(listener.address)}${meaning}. ` +
      `The server tries again every ${forMs} ms`;
    this.#options.onWarning?.({ code, message });
  }

  /** Pauses accepting on one listener. */
  #pauseListener(listener: WatchedListener, nowMs: number, forMs: number): void {
    this.#unregister(listener);
    listener.emptyEvents = 0;
    listener.pausedUntilMs = nowMs + forMs;
    this.#schedule(nowMs);
  }

  /** Determines when `open` is due next. */
  #schedule(nowMs: number): void {
    if (!this.isOpen) return; // the pause of all listeners has its own time
    this.retryAtMs = this.#options.exclusive ? nowMs + REREGISTER_MS : Infinity;
    for (const { pausedUntilMs } of this.#listeners) {
      if (pausedUntilMs > nowMs) this.retryAtMs = Math.min(this.retryAtMs, pausedUntilMs);
    }
  }

  /** Registers a listener again. If that fails, it pauses: ENOMEM, ENOSPC; EBADF if other code has closed it. */
  #resume(listener: WatchedListener, nowMs: number): void {
    try {
      this.#register(listener);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      this.#onFailed(listener, -error.errno, "epoll_ctl", nowMs, RETRY_MS);
    }
  }

  #register(listener: WatchedListener): void {
    if (listener.isRegistered) return;
    const { exclusive } = this.#options;
    this.#epoll.register(listener.socket, exclusive ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN, LISTENER);
    listener.isRegistered = true;
  }

  /**
   * Removes the registration. A mask of 0 would not do: EPOLLHUP, which a listener that was shut down has, is always reported. An
   * EPOLLEXCLUSIVE registration cannot be modified at all (epoll_ctl(2)).
   */
  #unregister(listener: WatchedListener): void {
    if (!listener.isRegistered) return;
    listener.isRegistered = false;
    try {
      this.#epoll.unregister(listener.socket);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error; // ENOENT, EBADF: other code has closed the socket
    }
  }
}
