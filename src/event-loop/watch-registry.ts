// class WatchRegistry: the watches of one thread, which share one epoll instance on Bun's event loop.

import { Epoll } from "../io/epoll.ts";
import { copyEvent, EventList, setMask } from "../io/event-list.ts";
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLONESHOT, F_GETFD } from "../kernel/constants.ts";
import { check, ClosedError, ErrnoError } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { drainMicrotasks } from "../kernel/jsc.ts";
import { nodeFs } from "../kernel/node-fs.ts";
import { TokenCounter } from "../kernel/token-counter.ts";
import { openFileName } from "../trace/interest-list.ts";
import { LoopBridge, throwUncaught } from "./loop-bridge.ts";

/** Maximum number of events in one wait, so that busy watches do not starve the rest of Bun's event loop. */
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
  /** Events that the bridge thread has received. */
  readonly #handedOver = new EventList(MAX_EVENTS);
  readonly #watches = new Map<number, RegisteredWatch>();
  readonly #byFd = new Map<number, RegisteredWatch>();
  /**
   * Tokens of closed watches whose registration may still exist, because their fd was closed first and a duplicate
   * keeps the open file description alive; see epoll(7), Q6.
   */
  readonly #staleTokens = new Set<number>();
  /** Whether a stale registration has reported an event. */
  #hasStaleEvent = false;
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

  /** Dispatches the pending events. Returns whether there were any. */
  #runOnce(): boolean {
    const events = this.#events;
    const handedOver = this.#handedOver;
    this.#bridge.takeInto(handedOver);
    try {
      this.#epoll.pollInto(events, 0);
    } catch (error) {
      throwUncaught(error); // the events that were handed over are delivered nevertheless
    }
    if (handedOver.length > 0) this.#mergeHandedOver();
    const n = handedOver.length + events.length;
    this.#dispatch(handedOver);
    this.#dispatch(events);
    if (this.#hasStaleEvent && this.#watches.size > 0) this.#rebuild();
    return n > 0;
  }

  /**
   * Reduces the events that the bridge thread has received to those that a poll does not report again. The others are
   * level-triggered, and the poll is more recent: a callback may have read the data in the meantime.
   */
  #mergeHandedOver(): void {
    const handedOver = this.#handedOver;
    const polled = this.#events;
    let kept = 0;
    for (let i = 0; i < handedOver.length; i++) {
      const token = handedOver.token(i);
      const mask = handedOver.mask(i);
      const watch = this.#watches.get(token);
      if (watch === undefined) continue; // if its registration is stale, the poll reports it as well
      const j = indexOfToken(polled, token, i);
      const polledMask = j < 0 ? 0 : polled.mask(j);
      const isLevel = (watch.registeredMask & (EPOLLET | EPOLLONESHOT)) === 0;
      if (isLevel && ((mask & ~polledMask) === 0 || !isConsumedByPolling(watch.fd))) continue;
      if (j >= 0) setMask(polled, j, 0); // one callback for both
      copyEvent(handedOver, i, kept);
      setMask(handedOver, kept++, mask | polledMask);
    }
    this.#epoll.receiveInto(handedOver, kept);
  }

  #dispatch(events: EventList): void {
    for (let i = 0; i < events.length && this.#watches.size > 0; i++) {
      const token = events.token(i);
      const watch = this.#watches.get(token);
      if (watch === undefined) {
        // Closed by an earlier callback of this iteration, unless the registration is stale.
        this.#hasStaleEvent ||= this.#staleTokens.has(token);
        continue;
      }
      const mask = events.mask(i) & (watch.registeredMask | EPOLLERR | EPOLLHUP); // an earlier callback may have changed it
      if (mask === 0) continue;
      try {
        watch.deliver(mask);
      } catch (error) {
        throwUncaught(error);
        drainMicrotasks(); // reports the error before the next callback
      }
    }
  }

  /**
   * Replaces the epoll instance. This is the only way to remove the registration of a closed fd whose open file
   * description is still referenced by a duplicate: epoll keeps reporting it, and EPOLL_CTL_DEL needs the fd.
   *
   * A watch moves to the new instance only if EPOLL_CTL_DEL removes it from the previous one: the kernel finds a
   * registration by fd number and open file, so this fails if the fd was closed, even if its number has been reused. Such
   * a watch is closed.
   */
  #rebuild(): void {
    const previous = this.#epoll;
    this.#hasStaleEvent = false;
    this.#staleTokens.clear();
    const open: RegisteredWatch[] = [];
    const lost: RegisteredWatch[] = [];
    for (const watch of this.#watches.values()) {
      const isRegistered = this.#byFd.get(watch.fd) === watch && succeeds(() => previous.unregister(watch.fd));
      (isRegistered ? open : lost).push(watch);
    }
    try {
      this.#bridge.replace(() => {
        previous.close(); // before the next one is opened: no other fd may be free
        return (this.#epoll = new Epoll());
      });
    } catch (error) {
      throwUncaught(error);
    }
    for (const watch of open) {
      const mask = watch.isDisarmed ? EPOLLONESHOT : watch.registeredMask;
      if (!succeeds(() => this.#epoll.register(watch.fd, mask, watch.token))) lost.push(watch);
    }
    for (const watch of lost) {
      if (this.#byFd.get(watch.fd) === watch) this.#byFd.delete(watch.fd); // the number may be that of another file
      watch.close();
    }
  }

  #openBridge(): LoopBridge {
    return new LoopBridge(this.#epoll, MAX_EVENTS, () => this.#runOnce());
  }

  #close(): void {
    if (WatchRegistry.#current === this) WatchRegistry.#current = undefined;
    this.#bridge.close();
    this.#epoll.close();
  }
}

/**
 * Returns whether polling the file clears the event that it reports, as for /proc/self/mounts, /proc/sys/kernel/hostname,
 * PSI triggers in /proc and cgroups, and perf_event_open(2).
 */
function isConsumedByPolling(fd: number): boolean {
  try {
    return nodeFs().fstatSync(fd).isFile() || openFileName(fd) === "anon_inode:[perf_event]";
  } catch {
    return false; // it has been closed
  }
}

/** Calls a function. Returns false if it throws an ErrnoError or a ClosedError; other errors are thrown. */
function succeeds(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (error instanceof ErrnoError || error instanceof ClosedError) return false;
    throw error;
  }
}

/** Returns the index of the event with the token, or -1. Looks at index `likely` first. */
function indexOfToken(events: EventList, token: number, likely: number): number {
  if (likely < events.length && events.token(likely) === token) return likely;
  for (let i = 0; i < events.length; i++) if (events.token(i) === token) return i;
  return -1;
}
