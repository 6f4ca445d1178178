// watch(): readiness callbacks and async iteration for any file descriptor, on Bun's event loop.

import { EPOLLONESHOT } from "../kernel/constants.ts";
import { ClosedError, ErrnoError, invalidType } from "../kernel/errors.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import { check32Bit } from "../kernel/integers.ts";
import type { CtlEvent, TraceListener, TraceOptions } from "../trace/events.ts";
import { createTracer } from "../trace/create-tracer.ts";
import type { Tracer } from "../trace/tracer.ts";
import { throwUncaught } from "./loop-bridge.ts";
import { nextWatchToken, WatchRegistry } from "./watch-registry.ts";

/** Called when a watched file descriptor is ready. `mask` holds its events, such as EPOLLIN. */
export type WatchCallback = (mask: number, fd: number) => void;

/** Options of `watch`. */
export interface WatchOptions {
  /** Closes the watch when it aborts. */
  signal?: AbortSignal | undefined;
  /**
   * Receives a trace event for each change of the registration and for each delivered event, including the duration of
   * the callback.
   */
  trace?: TraceListener | TraceOptions | undefined;
}

/**
 * Watches a file descriptor on Bun's event loop, alongside timers, promises, fetch and Bun.serve.
 *
 * If a callback is given, it is called in each iteration of the loop while the file descriptor is ready: the watch is
 * level-triggered unless `mask` contains EPOLLET or EPOLLONESHOT. If the callback throws, or the promise that it returns
 * is rejected, that is an uncaught exception. It does not affect other watches. Without a callback, the watch is an async
 * iterable of masks: each step waits until the file descriptor is ready.
 *
 * A watch keeps the process alive until it is closed, unless `unref` is called. Close the watch before the file
 * descriptor: a watch whose file descriptor has been closed receives no events, and may be closed. A file descriptor can
 * have only one watch; use `modify` to change its mask.
 *
 * @param fd a file descriptor, or an object with `fileno()`: a Socket, an Epoll, …
 * @param mask the events to watch for: EPOLLIN, EPOLLOUT, …; EPOLLERR and EPOLLHUP are always reported
 * @param callback called with the events and the file descriptor
 * @param options a signal that closes the watch; a trace listener
 * @returns the watch; it is already closed if the signal is aborted
 * @throws {ErrnoError} EPERM if the file descriptor cannot be watched: regular files, directories and devices such as
 *   /dev/null are always ready
 * @throws {ErrnoError} EBADF if the file descriptor is not open
 * @throws {ErrnoError} EEXIST if it already has a watch
 * @throws {ErrnoError} ENOSPC if the limit /proc/sys/fs/epoll/max_user_watches is reached
 * @throws {ErrnoError} EMFILE, ENFILE, ENOMEM or EAGAIN if the epoll instance or the bridge thread cannot be created
 * @throws {TypeError | RangeError} if an argument has the wrong type or is out of range
 * @see epoll_ctl(2)
 * @example Call a function whenever a serial port has data
 * ```ts
 * const watcher = watch(port, EPOLLIN, () => console.log(port.read(100)));
 * ```
 * @example Iterate for one second
 * ```ts
 * const signal = AbortSignal.timeout(1000);
 * for await (const mask of watch(socket, EPOLLIN, { signal })) console.log(formatMask(mask));
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
    throw invalidType("callback", "a function, or omitted to iterate over the watch", callback);
  }
  if (options !== undefined && (typeof options !== "object" || options === null)) {
    throw invalidType("options", "{ signal, trace }", options);
  }
  check32Bit("mask", mask);
  const signal = options?.signal;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidType("signal", "an AbortSignal", signal);
  const tracer = options?.trace === undefined ? undefined : createTracer(options.trace);
  return new Watch(toFd(fd), mask, typeof callback === "function" ? callback : undefined, signal, tracer);
}

/** A watched file descriptor, created by `watch`. */
export class Watch implements Disposable, AsyncIterable<number, undefined> {
  /** The file descriptor that is watched. */
  readonly fd: number;
  /** @internal */
  readonly token: number = nextWatchToken();

  readonly #callback: WatchCallback | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #tracer: Tracer | undefined;
  readonly #onAbort: () => void = () => this.close();
  /** Undefined once the watch is closed. */
  #registry: WatchRegistry | undefined;
  #mask: number;
  #hasRef = true;
  #isDisarmed = false;
  /** The event that was delivered before `next()` was called. */
  #pendingMask: number | undefined;
  /** Pending `next()` calls of the async iterator. */
  #pendingCalls: PromiseWithResolvers<IteratorResult<number, undefined>>[] = [];

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
    if (signal?.aborted === true) return;
    this.#control("ADD", () => (this.#registry = WatchRegistry.add(this)));
    signal?.addEventListener("abort", this.#onAbort);
  }

  /** The events that the file descriptor is watched for. */
  get mask(): number {
    return this.#mask;
  }

  /** Whether the watch is closed. */
  get closed(): boolean {
    return this.#registry === undefined;
  }

  /**
   * Changes the events to watch for. Re-arms EPOLLONESHOT.
   *
   * @param mask the events to watch for from now on
   * @throws {ErrnoError} EBADF or ENOENT if the file descriptor has been closed
   * @throws {TypeError | RangeError} if the mask is not a 32-bit integer
   * @throws {ClosedError} if the watch is closed
   * @see epoll_ctl(2)
   */
  modify(mask: number): void {
    check32Bit("mask", mask);
    const registry = this.#open("modify");
    const previous = this.#mask;
    this.#mask = mask;
    try {
      this.#control("MOD", () => registry.rearm(this));
    } catch (error) {
      this.#mask = previous;
      throw error;
    }
    this.#isDisarmed = false;
  }

  /**
   * Stops watching. No further event is delivered, not even one of the current iteration, and async iterators end.
   * Closing twice has no effect.
   */
  close(): void {
    const registry = this.#registry;
    if (registry === undefined) return;
    this.#registry = undefined;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#tracer?.onEpollCtl(registry.fileno(), "DEL", this.fd, null, 0);
    registry.remove(this);
    for (const { resolve } of this.#pendingCalls.splice(0)) resolve({ done: true, value: undefined });
  }

  /** Closes the watch. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Returns whether the watch keeps the process alive while it is open. */
  hasRef(): boolean {
    return this.#hasRef;
  }

  /** Keeps the process alive while the watch is open. This is the default. */
  ref(): this {
    if (!this.#hasRef) this.#registry?.addRef();
    this.#hasRef = true;
    return this;
  }

  /** Lets the process exit while the watch is open. */
  unref(): this {
    if (this.#hasRef) this.#registry?.releaseRef();
    this.#hasRef = false;
    return this;
  }

  /**
   * Iterates over events. Each step waits until the file descriptor is ready and yields the mask. Between steps, the
   * file descriptor is not watched. The iterator ends when the watch is closed. Leaving a `for await` loop closes the
   * watch.
   *
   * @throws {TypeError} if the watch has a callback
   */
  [Symbol.asyncIterator](): AsyncIterator<number, undefined> {
    if (this.#callback !== undefined) {
      throw new TypeError("a watch with a callback is not iterable: omit the callback to iterate over it");
    }
    return {
      next: () => this.#next(),
      return: async () => {
        this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /** @internal An iterated watch uses EPOLLONESHOT, so that there is one event for each call of `next()`. */
  get registeredMask(): number {
    return this.#callback === undefined ? this.#mask | EPOLLONESHOT : this.#mask;
  }

  /** @internal Whether EPOLLONESHOT has delivered its event. */
  get isDisarmed(): boolean {
    return this.#isDisarmed;
  }

  /** @internal Delivers an event that epoll reported. */
  deliver(mask: number): void {
    if (this.#tracer === undefined || this.#registry === undefined) this.#deliver(mask);
    else this.#tracer.traceDelivery(this.#registry.fileno(), this.fd, mask, () => this.#deliver(mask));
  }

  #deliver(mask: number): void {
    if (this.#isDisarmed) return;
    this.#isDisarmed = (this.registeredMask & EPOLLONESHOT) !== 0;
    if (this.#callback !== undefined) return this.#call(this.#callback, mask);
    const pending = this.#pendingCalls.shift();
    if (pending === undefined) this.#pendingMask = mask;
    else pending.resolve({ done: false, value: mask });
    if (this.#pendingCalls.length === 0) return;
    try {
      this.#rearm();
    } catch (error) {
      // The fd has been closed, so no event will resolve the other calls.
      for (const { reject } of this.#pendingCalls.splice(0)) reject(error);
      this.close();
    }
  }

  /** Calls the callback. A rejection of the promise that it returns is an uncaught error, as if it had thrown. */
  #call(callback: WatchCallback, mask: number): void {
    const result: unknown = callback(mask, this.fd);
    if (result instanceof Promise) result.catch(throwUncaught);
  }

  async #next(): Promise<IteratorResult<number, undefined>> {
    if (this.closed) return { done: true, value: undefined };
    const mask = this.#pendingMask;
    this.#pendingMask = undefined;
    if (mask !== undefined) return { done: false, value: mask };
    if (this.#isDisarmed) this.#rearm();
    const pending = Promise.withResolvers<IteratorResult<number, undefined>>();
    this.#pendingCalls.push(pending);
    return pending.promise;
  }

  #rearm(): void {
    this.#control("MOD", () => this.#registry?.rearm(this));
    this.#isDisarmed = false;
  }

  /** Changes the registration and reports the change to the tracer. */
  #control(op: CtlEvent["op"], change: () => void): void {
    if (this.#tracer === undefined) return change();
    const report = (result: number): void => {
      this.#tracer?.onEpollCtl(this.#registry?.fileno() ?? -1, op, this.fd, this.registeredMask >>> 0, result);
    };
    try {
      change();
    } catch (error) {
      if (error instanceof ErrnoError) report(error.errno);
      throw error;
    }
    report(0);
  }

  #open(method: string): WatchRegistry {
    if (this.#registry === undefined) throw new ClosedError(`Watch.${method}`);
    return this.#registry;
  }
}
