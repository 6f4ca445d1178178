// class WatchRegistry: the watches of one thread, which share one epoll instance on Bun's event loop.

import { Epoll } from "../io/epoll.ts";
import { EventList } from "../io/event-list.ts";
import { EPOLLONESHOT, F_GETFD } from "../kernel/constants.ts";
import { check, ErrnoError } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { TokenCounter } from "../kernel/token-counter.ts";
import { LoopBridge, throwUncaught } from "./loop-bridge.ts";

/** Maximum number of callbacks in one iteration, so that a busy watch does not starve the rest of Bun's event loop. */
const MAX_EVENTS = 256;

/** The part of a watch that the registry uses. */
export interface RegisteredWatch {
  readonly fd: number;
  readonly token: number;
  /** The mask that is registered with epoll. */
  readonly registeredMask: number;
  /** Whether EPOLLONESHOT has delivered its event, so that epoll does not report the fd until it is re-armed. */
  readonly isDisarmed: boolean;
  hasRef(): boolean;
  deliver(mask: number): void;
  close(): void;
}

const tokens = new TokenCounter(1);

/** Returns a token for a new watch. */
export function nextWatchToken(): number {
  return tokens.next();
}

/** Registers watches with epoll and dispatches their events. Each thread with an open watch has one instance. */
export class WatchRegistry {
  static #current: WatchRegistry | undefined;

  #epoll = new Epoll();
  #bridge: LoopBridge;
  readonly #events = new EventList(MAX_EVENTS);
  readonly #watches = new Map<number, RegisteredWatch>();
  readonly #byFd = new Map<number, RegisteredWatch>();
  /**
   * Tokens of closed watches whose registration may still exist, because their fd was closed first and a duplicate
   * keeps the open file description alive; see epoll(7), Q6.
   */
  readonly #staleTokens = new Set<number>();
  #refs = 0;

  private constructor() {
    try {
      this.#bridge = this.#openBridge();
    } catch (error) {
      this.#epoll.close();
      throw error;
    }
  }

  /**
   * Registers a watch in the registry of this thread.
   *
   * @throws {ErrnoError} as `watch` does
   */
  static add(watch: RegisteredWatch): WatchRegistry {
    // Checked first: the fds opened below could take the number of a closed fd.
    check(syscalls().fcntl(watch.fd, F_GETFD, 0), "epoll_ctl", watch.fd);
    const registry = (WatchRegistry.#current ??= new WatchRegistry());
    registry.#add(watch);
    return registry;
  }

  /** Returns the fd of the epoll instance. */
  fileno(): number {
    return this.#epoll.fileno();
  }

  /** Updates the registration of a watch to its current mask, and re-arms it. */
  rearm(watch: RegisteredWatch): void {
    this.#epoll.modify(watch.fd, watch.registeredMask, watch.token);
  }

  /** Removes a watch and its registration. Closes the registry after the last watch. */
  remove(watch: RegisteredWatch): void {
    this.#watches.delete(watch.token);
    if (watch.hasRef()) this.releaseRef();
    if (this.#byFd.get(watch.fd) === watch) {
      this.#byFd.delete(watch.fd);
      this.#unregister(watch);
    } else {
      this.#staleTokens.add(watch.token);
    }
    if (this.#watches.size === 0) this.#close();
  }

  /** Adds a watch to those that keep the process alive. */
  addRef(): void {
    if (++this.#refs === 1) this.#bridge.ref();
  }

  /** Removes a watch from those that keep the process alive. */
  releaseRef(): void {
    if (--this.#refs === 0) this.#bridge.unref();
  }

  #add(watch: RegisteredWatch): void {
    const { fd, token } = watch;
    try {
      this.#epoll.register(fd, watch.registeredMask, token);
    } catch (error) {
      if (this.#watches.size === 0) this.#close();
      throw error;
    }
    // A previous watch of the same fd has lost its registration: its fd was closed, and the number has been reused.
    const previous = this.#byFd.get(fd);
    this.#watches.set(token, watch);
    this.#byFd.set(fd, watch);
    this.addRef();
    previous?.close();
  }

  #unregister({ fd, token }: RegisteredWatch): void {
    try {
      this.#epoll.unregister(fd);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      this.#staleTokens.add(token); // the fd was closed first, which usually removes the registration
    }
  }

  /** Dispatches the pending events, at most MAX_EVENTS. Returns whether there were any. */
  #runOnce(): boolean {
    const events = this.#events;
    const n = this.#epoll.pollInto(events, 0);
    let hasStaleEvent = false;
    for (let i = 0; i < n && this.#watches.size > 0; i++) {
      const token = events.token(i);
      const watch = this.#watches.get(token);
      if (watch === undefined) {
        // Closed by an earlier callback of this iteration, unless the registration is stale.
        hasStaleEvent ||= this.#staleTokens.has(token);
        continue;
      }
      try {
        watch.deliver(events.mask(i));
      } catch (error) {
        throwUncaught(error);
      }
    }
    if (hasStaleEvent && this.#watches.size > 0) this.#rebuild();
    return n > 0;
  }

  /**
   * Replaces the epoll instance. This is the only way to remove the registration of a closed fd whose open file
   * description is still referenced by a duplicate: epoll keeps reporting it, and EPOLL_CTL_DEL needs the fd.
   */
  #rebuild(): void {
    this.#bridge.close();
    this.#epoll.close();
    this.#staleTokens.clear();
    this.#epoll = new Epoll();
    for (const watch of this.#watches.values()) {
      try {
        this.#epoll.register(watch.fd, watch.isDisarmed ? EPOLLONESHOT : watch.registeredMask, watch.token);
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error; // its fd has been closed, so it had no events before, either
      }
    }
    this.#bridge = this.#openBridge();
    if (this.#refs === 0) this.#bridge.unref();
  }

  #openBridge(): LoopBridge {
    return new LoopBridge(this.#epoll, () => this.#runOnce());
  }

  #close(): void {
    if (WatchRegistry.#current === this) WatchRegistry.#current = undefined;
    this.#bridge.close();
    this.#epoll.close();
  }
}
