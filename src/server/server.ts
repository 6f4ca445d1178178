// class EpollServer: the document's web server. Puts together the listening sockets, the protocol and the loop, and runs it.

import type { Address, InternetAddress } from "../kernel/address.ts";
import { type Clock, hostClock } from "../kernel/clock.ts";
import { toTimeout } from "../io/epoll.ts";
import { formatEndpoint } from "../kernel/address.ts";
import { ClosedError } from "../kernel/errors.ts";
import type { FdLike } from "../kernel/fd.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import { ClassicProtocol } from "../protocols/classic/classic-protocol.ts";
import { HttpProtocol } from "../protocols/http/http-protocol.ts";
import { noRejections, type RejectionCounts } from "../protocols/http/rejection.ts";
import { ServerRequest } from "../protocols/http/server-request.ts";
import { drainMicrotasks } from "../kernel/jsc.ts";
import { SocketProtocol } from "../protocols/socket/socket-protocol.ts";
import { Tracer } from "../trace/tracer.ts";
import { BunLoopDriver } from "./bun-loop-driver.ts";
import { openListeners } from "./listeners.ts";
import { RunLoop } from "./run-loop.ts";
import { type EpollServerOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import { StopSignals, type StopSignal } from "./stop-signals.ts";

const callbacks = ["fetch", "socket", "onError", "onRequest", "onStopping", "onWarning", "heartbeat"] as const;

/** What a server has done so far. */
export interface ServerStats {
  /** Connections accepted. */
  accepted: number;
  /** Connections open now. */
  open: number;
  /** Requests whose head was accepted. */
  requests: number;
  bytesIn: number;
  bytesOut: number;
  /** Connections closed because a wait was over. */
  timeouts: number;
  /** Requests refused. */
  rejected: number;
  /** The same, by reason. */
  rejectedBy: RejectionCounts;
  /** Connections that broke: the peer reset them, or the network failed. */
  errors: number;
}

/** How a server stops. */
export interface StopOptions {
  graceMs?: number | undefined;
  idleMs?: number | undefined;
}

/**
 * A web server on one `epoll` loop.
 *
 * `run` blocks the thread, iteration after iteration, as the document's server does; `start` makes the iterations on Bun's own event loop,
 * beside whatever else the application does; `tick` makes one. With `keepAlive: false,
 * eager: false` it is the document's loop to the letter, one system call for each readiness: a connection goes EPOLLIN →
 * EPOLLOUT → 0 and shutdown → EPOLLHUP → closed.
 *
 * @example
 * ```ts
 * const server = new EpollServer({ port: 8800 });
 * await server.start();
 * console.log(`listening on ${server.url}`);
 * ```
 */
export class EpollServer implements AsyncDisposable {
  /** Where it listens, the first if there are several. */
  readonly address: Address;
  /** All the addresses it listens on: two for `localhost`. */
  readonly addresses: readonly Address[];
  /** The port it listens on; `undefined` on a unix socket. */
  readonly port: number | undefined;
  /** `http://localhost:8800`, with the host that was asked for; `unix:/path` on a unix socket. */
  readonly url: string;

  readonly #sys: Syscalls;
  readonly #clock: Clock;
  readonly #protocol: HttpProtocol | ClassicProtocol | SocketProtocol;
  readonly #loop: RunLoop;
  readonly #tracer: Tracer | undefined;
  #onStopping: (() => void) | undefined;
  /** There is code that is not ours: it may take its time, and leave promises behind. */
  readonly #hasApplication: boolean;

  #isInIteration = false;
  #isRunning = false;
  #isStarted = false;
  /** Since `start`, or a `stop` that nobody else makes iterations for. */
  #bunLoop: BunLoopDriver | undefined;
  #stopSignal: StopSignal | undefined;
  #isStopping = false;
  readonly #stopped = Promise.withResolvers<void>();

  /**
   * Create the server and listen.
   *
   * @throws {ErrnoError} EADDRINUSE, EADDRNOTAVAIL, EACCES, … with address and port, if it cannot listen there
   * @throws {LookupError} if the host's name is not known
   * @throws {TypeError | RangeError} if an option is unknown or wrong
   */
  constructor(options?: EpollServerOptions);
  /** @internal `sys` and `clock` stand in for the kernel and the time */
  constructor(options?: EpollServerOptions, sys?: Syscalls, clock?: Clock);
  constructor(options: EpollServerOptions = {}, sys: Syscalls = syscalls(), clock: Clock = hostClock) {
    const settings = resolveOptions(options);
    this.#sys = sys;
    this.#clock = clock;
    this.#protocol = this.#speak(settings);
    const tracer = settings.trace === undefined ? undefined : new Tracer(settings.trace);
    this.#tracer = tracer;
    const used = tracer?.traced(sys) ?? sys;
    const listeners = openListeners(used, settings);
    for (const { socket, address } of listeners) tracer?.listens(socket.fileno(), address);
    const loop = new RunLoop(used, clock, listeners, this.#protocol, settings);
    if (tracer !== undefined) tracer.stateOf = (fd) => loop.stateOf(fd);
    this.#loop = loop;

    this.addresses = listeners.map(({ address }) => address);
    this.address = this.addresses[0] as Address;
    this.port = "port" in this.address ? this.address.port : undefined;
    this.url = urlOf(this.address, settings);
    this.#onStopping = settings.onStopping;
    this.#hasApplication = callbacks.some((name) => settings[name] !== undefined);
  }

  /** What it has done so far. */
  get stats(): ServerStats {
    const { accepted, open, bytesIn, bytesOut, timeouts, errors } = this.#loop;
    const { requests } = this.#protocol;
    const rejectedBy = { ...noRejections(), ...this.#protocol.rejectedBy };
    const rejected = Object.values(rejectedBy).reduce((sum, count) => sum + count, 0);
    return { accepted, open, requests, bytesIn, bytesOut, timeouts, rejected, rejectedBy, errors };
  }

  /** It has stopped, and nothing of it is open. */
  get closed(): boolean {
    return this.#loop.closed;
  }

  /** Resolved once it has stopped, whoever had it stop, and nothing of it is open. */
  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  /**
   * Serve until stopped: by SIGINT or SIGTERM, or by `stop` from a callback. Blocks the thread; signals are caught on the
   * main thread only, and their dispositions put back afterwards. A first signal lets what has begun finish, a second cuts it
   * short. If a callback throws, everything is closed and the error is this method's. A listener that is added to one of the
   * signals from a callback, by `process.on`, takes its place.
   *
   * @param onRunning called once signals are caught, before the first wait: the moment to say that it serves
   * @returns the signal that stopped it
   * @throws {ClosedError} if the server was stopped already
   */
  run(onRunning?: () => void): StopSignal | undefined {
    this.#assertUsable("run");
    let signals: StopSignals | undefined;
    this.#isRunning = true;
    try {
      if (Bun.isMainThread) signals = this.#catchSignals(); // dispositions are the process's, not a Worker's
      onRunning?.();
      this.#settle();
      while (!this.closed) {
        if (this.#hasApplication) {
          this.#runOnce(-1);
          this.#settle();
        } else {
          this.#runOnce(-1, this.#loop.nowMs); // which took next to no time
        }
      }
    } finally {
      this.#isRunning = false;
      try {
        this.#close();
      } finally {
        signals?.close();
      }
    }
    return this.#stopSignal;
  }

  /**
   * Serve on Bun's own event loop until stopped, beside timers, promises, fetch and Bun.serve. It keeps the process alive
   * unless `unref` is called. Signals are the application's business. What a callback throws is an uncaught exception, and the
   * server goes on.
   *
   * @returns resolved when it serves
   * @throws {ErrnoError} EMFILE, ENFILE, ENOMEM, ENOSPC; EAGAIN if no thread can be started
   * @throws {ClosedError} if the server was stopped already
   */
  async start(): Promise<void> {
    this.#assertUsable("start");
    this.#join();
    this.#isStarted = true;
  }

  /** Once started: keep the process alive. It does unless told otherwise. */
  ref(): this {
    this.#bunLoop?.ref();
    return this;
  }

  /** Once started: do not keep the process alive. */
  unref(): this {
    this.#bunLoop?.unref();
    return this;
  }

  /**
   * Make one iteration of the loop: wait for events, handle each, and see whose time is over.
   *
   * @param timeoutMs how long to wait at most, in milliseconds; 0 looks only; negative: until something happens
   * @returns how many events there were
   * @throws {ClosedError} if the server has stopped
   */
  tick(timeoutMs: number = -1): number {
    this.#assertUsable("tick");
    return this.#runOnce(toTimeout(timeoutMs));
  }

  /**
   * Stop: accept no more, finish what has begun, and close everything. Connections between two requests are closed at once.
   *
   * @param options `graceMs`: how long a connection may take to finish before it is cut, 10000 unless given. `idleMs`: how
   *   long one between two requests may stay for another, whose reply then says `Connection: close`, 0 unless given: where
   *   other processes go on serving in the same place, nobody's request is lost to a close that crossed it.
   * @returns resolved once all is closed. A `run` that is under way, or iterations by `tick`, get it there; without them it
   *   makes its iterations on Bun's loop, as after `start`.
   */
  stop({ graceMs = 10_000, idleMs = 0 }: StopOptions = {}): Promise<void> {
    for (const [name, value] of Object.entries({ graceMs, idleMs })) {
      if (typeof value === "number" && value >= 0) continue;
      throw new RangeError(`${name} is a number of milliseconds from 0 up, not ${String(value)}`);
    }
    if (this.closed) return Promise.resolve();
    const now = this.#clock.now();
    this.#loop.stop(now + graceMs, now + idleMs);
    const onStopping = this.#onStopping;
    this.#onStopping = undefined;
    onStopping?.();
    if (!this.#isStopping) {
      this.#isStopping = true;
      if (!this.#isRunning && !this.#isStarted) setTimeout(() => this.#finishAlone(), 0);
    }
    this.#bunLoop?.wake();
    return this.#stopped.promise;
  }

  /**
   * Have the loop watch another descriptor beside its own, and call back as long as it is readable or at its end: what a
   * thread that blocks in `run` shall hear of. What the callback throws is treated as any callback's error.
   *
   * @param fd a number, or anything with `fileno()`; it stays the caller's, who ends the watch before closing it
   * @returns ends the watch
   * @throws {ErrnoError} as `Epoll.register` says
   * @throws {ClosedError} if the server has stopped
   */
  onReadable(fd: FdLike, callback: () => void): () => void {
    if (this.closed) throw new ClosedError("EpollServer.onReadable");
    if (typeof callback !== "function") throw new TypeError("onReadable takes a function to call back");
    return this.#loop.onWakeUp(fd, callback);
  }

  /**
   * Tell where a request came from.
   *
   * @returns its address, family and port; null if it came over a unix socket, or is no request of this server
   */
  requestIP(request: Request): InternetAddress | null {
    const peer = ServerRequest.connectionOf(request)?.peer;
    return peer !== undefined && "address" in peer ? peer : null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #speak(settings: ResolvedOptions): HttpProtocol | ClassicProtocol | SocketProtocol {
    const { socket, fetch, keepAlive, eager } = settings;
    const clock = this.#clock;
    if (socket !== undefined) return new SocketProtocol(socket, this.#sys);
    if (fetch === undefined && !keepAlive && !eager) return new ClassicProtocol({ ...settings, clock });
    const handler = fetch === undefined ? undefined : (request: Request) => fetch(request, this);
    return new HttpProtocol({ ...settings, fetch: handler, clock, sys: this.#sys });
  }

  #runOnce(timeoutMs: number, sinceMs?: number): number {
    this.#isInIteration = true;
    try {
      return this.#loop.runOnce(timeoutMs, sinceMs);
    } finally {
      this.#isInIteration = false;
      if (this.closed) this.#ended();
    }
  }

  /** Nobody else does while `run` blocks: let promises go on that need no more than that. */
  #settle(): void {
    do drainMicrotasks();
    while (this.#protocol.failBlocked());
  }

  #catchSignals(): StopSignals {
    const signals = new StopSignals(this.#sys);
    try {
      this.#loop.onWakeUp(signals, () => {
        for (const signal of signals.take()) {
          const isFirst = this.#stopSignal === undefined;
          this.#stopSignal ??= signal;
          void this.stop(isFirst ? {} : { graceMs: 0 });
        }
      });
      return signals;
    } catch (error) {
      signals.close();
      throw error;
    }
  }

  /** Nobody makes the iterations that a stop needs: often one will do. */
  #finishAlone(): void {
    try {
      if (!this.closed && !this.#isRunning) this.#runOnce(0);
      if (!this.closed && !this.#isRunning) this.#join();
    } catch (error) {
      this.#stopped.reject(error);
      this.#close();
    }
  }

  /** Have the iterations made on Bun's loop. */
  #join(): void {
    this.#bunLoop ??= new BunLoopDriver(this.#loop, this.#clock, () => this.#turn());
  }

  /** An iteration on Bun's loop; whether there was anything to do. */
  #turn(): boolean {
    if (this.#isInIteration || this.#isRunning) return false; // a callback has had Bun's loop turn
    try {
      const isBusy = this.#runOnce(0) > 0;
      this.#tracer?.leaves();
      return isBusy;
    } catch (error) {
      if (this.#loop.hasFailed) this.#close();
      throw error;
    }
  }

  #close(): void {
    try {
      this.#loop.close();
    } finally {
      this.#ended();
    }
  }

  #ended(): void {
    this.#bunLoop?.close();
    this.#stopped.resolve();
  }

  #assertUsable(method: string): void {
    if (this.closed) throw new ClosedError(`EpollServer.${method}`);
    if (this.#isRunning || this.#isInIteration || this.#isStarted)
      throw new Error(`EpollServer.${method}: the loop is running already`);
  }
}

/** With the host that was asked for; of a socket that listens already, one that reaches it. */
export function urlOf(address: Address, { hostname, fd }: ResolvedOptions): string {
  if ("path" in address) return `unix:${formatEndpoint(address.path)}`;
  const isEverything = /^[0:.]+$/.test(address.address);
  const host = fd === undefined ? hostname : isEverything ? "localhost" : address.address;
  return `http://${formatEndpoint(host, address.port)}`;
}
