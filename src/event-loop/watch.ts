// watch(): any descriptor on Bun's own event loop.

import { LoopBridge, throwUncaught } from "./loop-bridge.ts";
import { EPOLLONESHOT, F_GETFD } from "../kernel/constants.ts";
import { Epoll } from "../io/epoll.ts";
import { check, ClosedError, ErrnoError } from "../kernel/errors.ts";
import { EventList } from "../io/event-list.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import { syscalls } from "../kernel/ffi.ts";
import type { CtlEvent, TraceListener, TraceOptions } from "../trace/events.ts";
import { Tracer } from "../trace/tracer.ts";

/** Called when a watched descriptor is ready: with what is, as a mask, and its number. */
export type WatchCallback = (mask: number, fd: number) => void;

export interface WatchOptions {
  /** Ends the watch when it aborts. */
  signal?: AbortSignal | undefined;
  /** Called for each change of its registration, and for each event with the time that the callback took. */
  trace?: TraceListener | TraceOptions | undefined;
}

/** So many callbacks in one iteration; then it is the turn of all else that Bun's loop has to do. */
const MAX_EVENTS = 256;
const LAST_TOKEN = 0xffffffff;

let lastToken = 0;

/**
 * Watch a descriptor on Bun's own event loop, beside timers, promises, fetch and Bun.serve.
 *
 * With a callback: it is called each time that Bun's loop comes round as long as the descriptor is ready (level-triggered,
 * unless EPOLLET or EPOLLONESHOT is asked for). What it throws is an uncaught exception. Without one: iterate over the
 * watch; each turn of the loop waits until the descriptor is ready, and nothing is watched in between.
 *
 * It keeps the process alive until it is closed, unless `unref` is called. Close it before the descriptor is closed.
 * One descriptor has one watch; `modify` changes what for.
 *
 * @param fd a number, or anything with `fileno()`: a Socket, an Epoll, …
 * @param mask what to watch for: EPOLLIN, EPOLLOUT, …; EPOLLERR and EPOLLHUP are reported always
 * @throws {ErrnoError} EPERM if it cannot be watched, as a regular file; EBADF if it is not open; EEXIST if it is watched
 *   already; ENOSPC over /proc/sys/fs/epoll/max_user_watches; EMFILE, ENFILE, ENOMEM; EAGAIN if no thread can be started
 * @throws {RangeError | TypeError} if an argument is no descriptor, mask, function or AbortSignal
 * @see epoll_ctl(2)
 * @example
 * ```ts
 * const watcher = watch(port, EPOLLIN, () => console.log(port.read(100)));
 *
 * for await (const mask of watch(socket, EPOLLIN, { signal: AbortSignal.timeout(1000) })) console.log(formatMask(mask));
 * ```
 */
export function watch(fd: FdLike, mask: number, callback: WatchCallback, options?: WatchOptions): Watch;
export function watch(fd: FdLike, mask: number, options?: WatchOptions): Watch;
export function watch(
  fd: FdLike,
  mask: number,
  callback?: WatchCallback | WatchOptions,
  options: WatchOptions | undefined = typeof callback === "object" ? callback : undefined,
): Watch {
  if (callback !== undefined && typeof callback !== "function" && callback !== options) {
    throw new TypeError(`watch takes a function to call back, or none to iterate, not ${typeof callback}`);
  }
  const signal = options?.signal;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError("signal is an AbortSignal");
  const tracer = options?.trace === undefined ? undefined : new Tracer(options.trace);
  return new Watch(toFd(fd), mask, typeof callback === "function" ? callback : undefined, signal, tracer);
}

/** A descriptor that is watched; made by `watch`. */
export class Watch implements Disposable, AsyncIterable<number, undefined> {
  readonly fd: number;
  /** @internal */
  readonly token: number = nextToken();

  readonly #callback: WatchCallback | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #tracer: Tracer | undefined;
  readonly #abort: () => void = () => this.close();
  #hub: Hub | undefined;
  #mask: number;
  #hasRef = true;
  /** EPOLLONESHOT has had its one event: epoll does not watch until it is armed again. */
  #isSpent = false;
  /** An event that nobody has asked for yet. */
  #ready: number | undefined;
  /** Of who iterates, and waits. */
  #waiting: ((result: IteratorResult<number, undefined>) => void)[] = [];

  /** @internal */
  constructor(
    fd: number,
    mask: number,
    callback: WatchCallback | undefined,
    signal: AbortSignal | undefined,
    tracer: Tracer | undefined,
  ) {
    this.fd = fd;
    this.#tracer = tracer;
    this.#mask = mask;
    this.#callback = callback;
    this.#signal = signal;
    if (signal?.aborted === true) return; // closed from the start
    this.#control("ADD", () => (this.#hub = Hub.add(this)));
    signal?.addEventListener("abort", this.#abort);
  }

  /** What it is watched for. */
  get mask(): number {
    return this.#mask;
  }

  get closed(): boolean {
    return this.#hub === undefined;
  }

  /**
   * Watch for something else; re-arms EPOLLONESHOT.
   *
   * @throws {ErrnoError} EBADF, ENOENT if the descriptor was closed meanwhile
   * @throws {RangeError} if the mask is not a 32-bit number
   * @throws {ClosedError} if the watch is closed
   */
  modify(mask: number): void {
    const hub = this.#open("modify");
    const before = this.#mask;
    this.#mask = mask;
    try {
      this.#control("MOD", () => hub.arm(this));
    } catch (error) {
      this.#mask = before;
      throw error;
    }
    this.#isSpent = false;
  }

  /** Stop watching: no event comes any more, not even one of the same iteration; who iterates is at the end. Twice is fine. */
  close(): void {
    const hub = this.#hub;
    if (hub === undefined) return;
    this.#hub = undefined;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#tracer?.onEpollCtl(hub.fileno(), "DEL", this.fd, null, 0);
    hub.remove(this);
    for (const resolve of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  hasRef(): boolean {
    return this.#hasRef;
  }

  /** Keep the process alive as long as it is open: it does unless told otherwise. */
  ref(): this {
    if (!this.#hasRef) this.#hub?.keep(1);
    this.#hasRef = true;
    return this;
  }

  /** Do not keep the process alive. */
  unref(): this {
    if (this.#hasRef) this.#hub?.keep(-1);
    this.#hasRef = false;
    return this;
  }

  /**
   * Wait until the descriptor is ready, time after time; each time yields the mask. Leaving the loop closes the watch.
   *
   * @throws {TypeError} if the watch has a callback
   */
  [Symbol.asyncIterator](): AsyncIterator<number, undefined> {
    if (this.#callback !== undefined)
      throw new TypeError("a watch that calls back is not iterated over: leave out the function");
    return {
      next: () => this.#next(),
      return: async () => {
        this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /** @internal What epoll is told: who iterates gets an event each time that he asks. */
  get interest(): number {
    return this.#callback === undefined ? this.#mask | EPOLLONESHOT : this.#mask;
  }

  /** @internal */
  get isSpent(): boolean {
    return this.#isSpent;
  }

  /** @internal It is ready. */
  deliver(mask: number): void {
    if (this.#tracer === undefined || this.#hub === undefined) this.#deliver(mask);
    else this.#tracer.traceDelivery(this.#hub.fileno(), this.fd, mask, () => this.#deliver(mask));
  }

  #deliver(mask: number): void {
    if (this.#isSpent) return;
    this.#isSpent = (this.interest & EPOLLONESHOT) !== 0;
    if (this.#callback !== undefined) return this.#callback(mask, this.fd);
    const resolve = this.#waiting.shift();
    if (resolve === undefined) this.#ready = mask;
    else resolve({ done: false, value: mask });
    if (this.#waiting.length > 0) this.#rearm();
  }

  async #next(): Promise<IteratorResult<number, undefined>> {
    if (this.closed) return { done: true, value: undefined };
    const mask = this.#ready;
    this.#ready = undefined;
    if (mask !== undefined) return { done: false, value: mask };
    if (this.#isSpent) this.#rearm();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #rearm(): void {
    this.#control("MOD", () => this.#hub?.arm(this));
    this.#isSpent = false;
  }

  /** Change the registration, and tell who traces it. */
  #control(op: CtlEvent["op"], change: () => void): void {
    if (this.#tracer === undefined) return change();
    const told = (result: number): void => {
      this.#tracer?.onEpollCtl(this.#hub?.fileno() ?? -1, op, this.fd, this.interest >>> 0, result);
    };
    try {
      change();
    } catch (error) {
      if (error instanceof ErrnoError) told(error.errno);
      throw error;
    }
    told(0);
  }

  #open(method: string): Hub {
    if (this.#hub === undefined) throw new ClosedError(`Watch.${method}`);
    return this.#hub;
  }
}

/** All the watches of this thread: one epoll instance, one crossing. It is there as long as there are any. */
class Hub {
  static #current: Hub | undefined;

  #epoll = new Epoll();
  #crossing: LoopBridge;
  readonly #events = new EventList(MAX_EVENTS);
  readonly #watches = new Map<number, Watch>();
  readonly #byFd = new Map<number, Watch>();
  /** Of watches that are closed, but whose registration may live on, as their descriptor was closed before: epoll(7), Q6. */
  readonly #ghosts = new Set<number>();
  #refs = 0;

  private constructor() {
    try {
      this.#crossing = this.#cross();
    } catch (error) {
      this.#epoll.close();
      throw error;
    }
  }

  /**
   * Register a watch with the one hub.
   *
   * @throws {ErrnoError} as `watch` says
   */
  static add(watch: Watch): Hub {
    // Or the number of a descriptor that was closed would be that of the hub's own epoll.
    check(syscalls().fcntl(watch.fd, F_GETFD, 0), "epoll_ctl", watch.fd);
    const hub = (Hub.#current ??= new Hub());
    hub.#add(watch);
    return hub;
  }

  /** The epoll instance. */
  fileno(): number {
    return this.#epoll.fileno();
  }

  /** Have epoll watch for what the watch wants now. */
  arm(watch: Watch): void {
    this.#epoll.modify(watch.fd, watch.interest, watch.token);
  }

  remove(watch: Watch): void {
    this.#watches.delete(watch.token);
    if (watch.hasRef()) this.keep(-1);
    if (this.#byFd.get(watch.fd) === watch) {
      this.#byFd.delete(watch.fd);
      this.#unregister(watch);
    } else {
      this.#ghosts.add(watch.token);
    }
    if (this.#watches.size === 0) this.#close();
  }

  /** One more watch keeps the process alive, or one less. */
  keep(more: 1 | -1): void {
    this.#refs += more;
    if (this.#refs === 0) this.#crossing.unref();
    else this.#crossing.ref();
  }

  #add(watch: Watch): void {
    const { fd, token } = watch;
    try {
      this.#epoll.register(fd, watch.interest, token);
    } catch (error) {
      if (this.#watches.size === 0) this.#close();
      throw error;
    }
    const before = this.#byFd.get(fd); // the kernel has forgotten it: its descriptor was closed, and the number is another's now
    this.#watches.set(token, watch);
    this.#byFd.set(fd, watch);
    this.keep(1);
    before?.close();
  }

  #unregister({ fd, token }: Watch): void {
    try {
      this.#epoll.unregister(fd);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      this.#ghosts.add(token); // the descriptor was closed before: most often that has ended it
    }
  }

  /** Call back for what is ready, within a bound; whether there was anything. */
  #runOnce(): boolean {
    const events = this.#events;
    const n = this.#epoll.pollInto(events, 0);
    let isHaunted = false;
    for (let i = 0; i < n && this.#watches.size > 0; i++) {
      const token = events.token(i);
      const watch = this.#watches.get(token); // none: closed by an earlier callback of this iteration
      if (watch === undefined) {
        isHaunted ||= this.#ghosts.has(token);
        continue;
      }
      try {
        watch.deliver(events.mask(i));
      } catch (error) {
        throwUncaught(error);
      }
    }
    if (isHaunted && this.#watches.size > 0) this.#exorcise();
    return n > 0;
  }

  /** A descriptor was closed, and its file lives on in a duplicate: it would be reported for ever. Only a new epoll is rid of it. */
  #exorcise(): void {
    this.#crossing.close();
    this.#epoll.close();
    this.#ghosts.clear();
    this.#epoll = new Epoll();
    for (const watch of this.#watches.values()) {
      try {
        this.#epoll.register(watch.fd, watch.isSpent ? EPOLLONESHOT : watch.interest, watch.token);
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error; // its descriptor is closed: as quiet as it was
      }
    }
    this.#crossing = this.#cross();
    if (this.#refs === 0) this.#crossing.unref();
  }

  #cross(): LoopBridge {
    return new LoopBridge(this.#epoll, () => this.#runOnce());
  }

  #close(): void {
    if (Hub.#current === this) Hub.#current = undefined;
    this.#crossing.close();
    this.#epoll.close();
  }
}

function nextToken(): number {
  return (lastToken = (lastToken % LAST_TOKEN) + 1);
}
