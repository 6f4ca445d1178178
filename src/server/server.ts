// class EpollServer: a web server on one epoll instance. Creates the listening sockets, the protocol and the run loop.

import type { Address, InternetAddress } from "../kernel/address.ts";
import { type Clock, hostClock } from "../kernel/clock.ts";
import { toTimeout } from "../io/epoll.ts";
import { ClosedError, invalidType, outOfRange, throwErrors } from "../kernel/errors.ts";
import type { FdLike } from "../kernel/fd.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import type { ClassicProtocol } from "../protocols/classic/classic-protocol.ts";
import { HttpProtocol } from "../protocols/http/http-protocol.ts";
import { noRejections } from "../protocols/http/rejection.ts";
import { ServerRequest } from "../protocols/http/server-request.ts";
import { drainMicrotasks } from "../kernel/jsc.ts";
import { BufferBudget } from "../protocols/buffer-budget.ts";
import type { SocketProtocol } from "../protocols/socket/socket-protocol.ts";
import type { TlsInfo, TlsOptions } from "../protocols/tls/tls-options.ts";
import type { TlsProtocol } from "../protocols/tls/tls-protocol.ts";
import type { WebSocketData } from "../protocols/websocket/server-websocket.ts";
import type { UpgradeOptions } from "../protocols/websocket/upgrade-options.ts";
import type { WebSockets } from "../protocols/websocket/web-sockets.ts";
import type { WebSocketSettings } from "../protocols/websocket/websocket-options.ts";
import { createTracer } from "../trace/create-tracer.ts";
import type { Tracer } from "../trace/tracer.ts";
import { BunLoopDriver } from "./bun-loop-driver.ts";
import { offerListeners, takeOverListeners } from "./hot-reload.ts";
import { openListeners, urlOf } from "./listeners.ts";
import {
  loadClassicProtocol,
  loadMonitoring,
  loadProxiedProtocol,
  loadSocketProtocol,
  loadTlsProtocol,
  loadWebSocketOptions,
  loadWebSockets,
} from "./optional-protocols.ts";
import { RunLoop } from "./run-loop.ts";
import type { EpollServerOptions } from "./options.ts";
import type { MonitoredServer } from "./monitoring.ts";
import { type ResolvedOptions, resolveOptions } from "./resolve-options.ts";
import { type ExtraSignals, type ExtraStopSignal, StopSignals, type StopSignal } from "./stop-signals.ts";
import type { ServerHandle, ServerStats, StopOptions } from "./types.ts";

/** The options that contain application code. */
const CALLBACKS = [
  "fetch",
  "socket",
  "websocket",
  "onError",
  "onRequest",
  "onStopping",
  "onWarning",
  "heartbeat",
] as const;

/**
 * A web server on one epoll instance.
 *
 * - `run` blocks the thread and runs the loop until the server is stopped, as the original program does.
 * - `start` runs it on Bun's event loop, alongside the rest of the application.
 * - `tick` runs one iteration.
 *
 * With `keepAlive: false, eager: false` it makes exactly the system calls of the original program, one for each readiness event:
 * a connection waits for EPOLLIN, then for EPOLLOUT, then with the mask 0 after shutdown(2), and is closed on EPOLLHUP.
 *
 * @example
 * ```ts
 * const server = new EpollServer({ port: 8800 });
 * await server.start();
 * console.log(`listening on ${server.url}`);
 * ```
 */
export class EpollServer implements ServerHandle, AsyncDisposable {
  /** The address that the server listens on; the first one if there are several. */
  readonly address: Address;
  /** All addresses that the server listens on: two for `localhost`. */
  readonly addresses: readonly Address[];
  /** The port that the server listens on; undefined on a unix socket. */
  readonly port: number | undefined;
  /**
   * The server's URL: `http://localhost:8800`, or `https://localhost:8800` with TLS, with the host name from the options; `unix:/path`,
   * percent-encoded, on a unix socket.
   */
  readonly url: string;

  readonly #sys: Syscalls;
  readonly #clock: Clock;
  readonly #protocol: HttpProtocol | ClassicProtocol | SocketProtocol;
  readonly #loop: RunLoop;
  readonly #tracer: Tracer | undefined;
  readonly #webSockets: WebSockets | undefined;
  readonly #tls: TlsProtocol | undefined;
  #onStopping: (() => void) | undefined;
  /** Iterations call application code, which may take time and leave promises to settle. */
  readonly #hasApplication: boolean;

  #isInIteration = false;
  #isRunning = false;
  #isStarted = false;
  /** Runs the iterations on Bun's event loop: after `start`, or after a `stop` outside of `run`. */
  #bunLoop: BunLoopDriver | undefined;
  #stopSignal: StopSignal | ExtraStopSignal | undefined;
  #isStopping = false;
  readonly #stopped: PromiseWithResolvers<void>;

  /**
   * Creates the server and starts listening. Connections are accepted once `run`, `start` or `tick` is called.
   *
   * @throws {ErrnoError} EADDRINUSE, EADDRNOTAVAIL, EACCES, … with address and port, if the address cannot be listened on
   * @throws {LookupError} if the host name cannot be resolved
   * @throws {TypeError} if options are unknown, exclude each other, or have the wrong type
   * @throws {RangeError} if an option is out of range
   */
  constructor(options?: EpollServerOptions);
  /** @internal `sys` and `clock` replace the kernel and the time */
  constructor(options?: EpollServerOptions, sys?: Syscalls, clock?: Clock);
  constructor(options: EpollServerOptions = {}, sys: Syscalls = syscalls(), clock: Clock = hostClock) {
    const settings = resolveOptions(options);
    this.#stopped = Promise.withResolvers(); // not in the field, which would be initialized before the platform is checked
    this.#sys = sys;
    this.#clock = clock;
    const budget = new BufferBudget(settings.maxBufferedBytes);
    const { websocket } = settings;
    const socketSettings =
      websocket === undefined ? undefined : loadWebSocketOptions().resolveWebSocketOptions(websocket);
    if (socketSettings !== undefined) {
      this.#webSockets = new (loadWebSockets().WebSockets)(websocket as object, socketSettings, budget);
    }
    this.#protocol = this.#createProtocol(settings, budget);
    const tracer = settings.trace === undefined ? undefined : createTracer(settings.trace);
    this.#tracer = tracer;
    const tracedSys = tracer?.wrap(sys) ?? sys;
    const listeners = takeOverListeners(sys, settings) ?? openListeners(tracedSys, settings);
    for (const { socket, address } of listeners) tracer?.onListen(socket.fileno(), address);
    const { proxyProtocol, tls } = settings;
    this.#tls = tls === undefined ? undefined : new (loadTlsProtocol().TlsProtocol)(this.#protocol, tls, budget);
    const inner = this.#tls ?? this.#protocol;
    const protocol =
      proxyProtocol === false ? inner : new (loadProxiedProtocol().ProxiedProtocol)(inner, proxyProtocol, sys);
    const loopOptions = { ...settings, ...openTimeouts(socketSettings) };
    const loop = new RunLoop(tracedSys, clock, listeners, protocol, loopOptions, budget);
    if (tracer !== undefined) {
      tracer.stateOf = (fd) => loop.stateOf(fd);
      if (this.#webSockets !== undefined) this.#webSockets.onFrame = (fd, frame) => tracer.onFrame(fd, frame);
      if (this.#protocol instanceof HttpProtocol) {
        this.#protocol.onPending = (fd, promise) => tracer.onHandlerPending(fd, promise);
      }
    }
    this.#loop = loop;

    this.addresses = listeners.map(({ address }) => address);
    this.address = this.addresses[0] as Address;
    this.port = "port" in this.address ? this.address.port : undefined;
    this.url = urlOf(this.address, settings);
    this.#onStopping = settings.onStopping;
    this.#hasApplication = CALLBACKS.some((name) => settings[name] !== undefined);
    offerListeners(settings, listeners, this.#stopped.promise, () => {
      loop.stopAccepting(); // the backlog is the next server's
      return this.stop();
    });
  }

  /** The server's counters so far: a copy, which does not change afterwards. */
  get stats(): ServerStats {
    const { accepted, open, bytesIn, bytesOut, timeouts, errors } = this.#loop;
    const { requests } = this.#protocol;
    const rejectedBy = { ...noRejections(), ...this.#protocol.rejectedBy };
    const rejected = Object.values(rejectedBy).reduce((sum, count) => sum + count, 0);
    const { handshakes = 0, failedHandshakes = 0 } = this.#tls ?? {};
    return {
      accepted,
      open,
      requests,
      bytesIn,
      bytesOut,
      timeouts,
      rejected,
      rejectedBy,
      handshakes,
      failedHandshakes,
      errors,
    };
  }

  /** Whether the server has stopped and everything is closed. */
  get closed(): boolean {
    return this.#loop.closed;
  }

  /** A promise that resolves when the server has stopped and everything is closed, whatever stopped it. */
  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  /**
   * Serves until stopped by SIGINT, SIGTERM or a call of `stop` in a callback. Blocks the thread.
   *
   * The first signal lets pending requests finish; the second closes everything immediately. Signals are caught on the main
   * thread only, and their dispositions are restored at the end. If a callback adds its own listener for one of the signals
   * with `process.on`, that replaces the server's. If a callback throws, everything is closed and `run` throws the error.
   *
   * @param onRunning called once signals are caught, before the first wait
   * @returns the signal that stopped the server; undefined if it was stopped otherwise
   * @throws {ClosedError} if the server has already been stopped
   * @throws {Error} if the server has the option `tls`, which needs Bun's event loop
   */
  run(onRunning?: () => void): StopSignal | undefined;
  /** @internal `extraSignals` are caught as well */
  run<Extra extends ExtraStopSignal>(
    onRunning: (() => void) | undefined,
    extraSignals: ExtraSignals<Extra>,
  ): StopSignal | Extra | undefined;
  run(onRunning?: () => void, extraSignals: ExtraSignals = { stop: [] }): StopSignal | ExtraStopSignal | undefined {
    this.#assertUsable("run");
    if (this.#tls !== undefined) {
      throw new Error("EpollServer.run: TLS needs Bun's event loop, which run() blocks: use start()");
    }
    let signals: StopSignals<ExtraStopSignal> | undefined;
    const errors: unknown[] = [];
    this.#isRunning = true;
    if (this.#protocol instanceof HttpProtocol) this.#protocol.onRunning();
    try {
      if (Bun.isMainThread) signals = this.#catchSignals(extraSignals); // dispositions belong to the process, not to a Worker
      onRunning?.();
      this.#runMicrotasks();
      while (!this.closed) {
        if (this.#hasApplication) {
          this.#runOnce(-1);
          this.#runMicrotasks();
        } else {
          this.#runOnce(-1, this.#loop.nowMs); // without application code, the last iteration took almost no time
        }
      }
    } catch (error) {
      errors.push(error);
    }
    this.#isRunning = false;
    try {
      this.#close();
    } catch (error) {
      errors.push(error); // of callbacks that the closing has called
    }
    signals?.close();
    throwErrors(errors);
    return this.#stopSignal;
  }

  /**
   * Serves on Bun's event loop until stopped, alongside timers, promises, fetch and Bun.serve.
   *
   * The server keeps the process alive, unless `unref` is called. It does not catch signals. An error that a callback throws is
   * an uncaught exception; if the application handles it, the server continues.
   *
   * @returns a promise that resolves when the server accepts connections
   * @throws {ErrnoError} EMFILE, ENFILE, ENOMEM, ENOSPC; EAGAIN if a thread cannot be created
   * @throws {ClosedError} if the server has already been stopped
   */
  async start(): Promise<void> {
    this.startNow();
  }

  /** @internal Does what `start` does, and throws its errors. */
  startNow(): void {
    this.#assertUsable("start");
    this.#attachToBunLoop();
    if (this.#protocol instanceof HttpProtocol) {
      this.#protocol.onRunning();
      this.#protocol.onBunLoop();
    }
    this.#isStarted = true;
  }

  /** Keeps the process alive while the server runs after `start`. This is the default. */
  ref(): this {
    this.#bunLoop?.ref();
    return this;
  }

  /** Lets the process exit while the server runs after `start`. */
  unref(): this {
    this.#bunLoop?.unref();
    return this;
  }

  /**
   * Runs one iteration of the loop: waits for events, handles each, and handles the timeouts that have expired.
   *
   * @param timeoutMs how long to wait at most, in milliseconds; 0: do not wait; negative: until an event arrives
   * @returns the number of events
   * @throws {ClosedError} if the server has stopped
   */
  tick(timeoutMs: number = -1): number {
    this.#assertUsable("tick");
    return this.#runOnce(toTimeout(timeoutMs));
  }

  /**
   * Stops the server: stops accepting, finishes pending requests, and closes everything. Idle connections are closed immediately,
   * unless `idleMs` is set.
   *
   * Do not await the promise in a handler: it waits for the handler's own response, until `graceMs` is over. A second call can
   * shorten the times of the first, but not extend them.
   *
   * The iterations of `run` or `tick` complete the stop. If neither is in progress, the server runs the remaining iterations on
   * Bun's event loop, as after `start`.
   *
   * @param options `graceMs`: how long a connection may take to finish before it is closed forcibly, in milliseconds. Default:
   *   10000. `idleMs`: how long an idle connection may still send a request. Default: 0.
   * @returns a promise that resolves when everything is closed
   * @throws {RangeError} if one of the times is negative or not a number
   */
  stop({ graceMs = 10_000, idleMs = 0 }: StopOptions = {}): Promise<void> {
    for (const [name, value] of Object.entries({ graceMs, idleMs })) {
      if (typeof value === "number" && value >= 0) continue;
      throw outOfRange(name, "a number of milliseconds of at least 0", value);
    }
    if (this.closed) return Promise.resolve();
    const now = this.#clock.now();
    this.#loop.stop(now + graceMs, now + idleMs);
    const onStopping = this.#onStopping;
    this.#onStopping = undefined;
    onStopping?.();
    if (!this.#isStopping) {
      this.#isStopping = true;
      if (!this.#isRunning && !this.#isStarted) setTimeout(() => this.#finishStop(), 0);
    }
    this.#bunLoop?.wake();
    return this.#stopped.promise;
  }

  /**
   * Watches another fd in the server's epoll instance, and calls back whenever it is readable or at end of stream. Use it to
   * wake a thread that blocks in `run`. An error that the callback throws is handled like that of any other callback. If the
   * callback reads, it must not block: the data may have been read in the meantime.
   *
   * @param fd a number, or an object with `fileno()`. The caller keeps ownership, and must end the watch before closing it
   * @returns a function that ends the watch
   * @throws {ErrnoError} as `Epoll.register` does
   * @throws {ClosedError} if the server has stopped
   */
  onReadable(fd: FdLike, callback: () => void): () => void {
    if (this.closed) throw new ClosedError("EpollServer.onReadable");
    if (typeof callback !== "function") throw invalidType("callback", "a function", callback);
    return this.#loop.onReadable(fd, () => {
      const result: unknown = callback();
      if (result instanceof Promise) result.catch((error: unknown) => this.#loop.deferError(error));
    });
  }

  /**
   * Returns the address of the client that sent a request.
   *
   * @returns address, port and family; null if the request came over a unix socket, or is not a request to this server
   */
  requestIP(request: Request): InternetAddress | null {
    const peer = ServerRequest.connectionOf(request)?.peer;
    return peer !== undefined && "address" in peer ? peer : null;
  }

  /**
   * Returns what the TLS handshake of a request's connection has agreed on, and the client's certificate.
   *
   * @returns null if the server has no TLS, or if the connection is closed or is not one of this server
   */
  tlsInfo(request: Request): TlsInfo | null {
    return ServerRequest.connectionOf(request)?.tlsInfo ?? null;
  }

  /**
   * Replaces the certificates and the other settings of the option `tls`, for new connections. Open connections keep theirs. If a value is
   * not valid, nothing changes.
   *
   * @param tls as the option `tls`. Files are read again
   * @throws {TypeError} and {RangeError} as the constructor does; if the server was created without `tls`
   * @throws {Error} Node's error if a file cannot be read
   */
  reloadTls(tls: TlsOptions | readonly TlsOptions[]): void {
    if (this.#tls === undefined) {
      throw new TypeError('EpollServer.reloadTls: the server has no TLS; set the "tls" option');
    }
    this.#tls.settings = loadTlsProtocol().createTlsSettings(tls, this.#protocol instanceof HttpProtocol);
  }

  /** The number of requests that wait for their response, or for the rest of it. */
  get pendingRequests(): number {
    return this.#protocol instanceof HttpProtocol ? this.#protocol.pendingRequests : 0;
  }

  /**
   * Replaces `handlerTimeoutMs` for one request: how long its response may take to begin, and how long its stream may send nothing.
   * Has no effect if the request is not one to this server, or has its response.
   *
   * @param timeoutMs milliseconds from now; Infinity for no limit
   * @throws {RangeError} if the timeout is not greater than 0
   */
  setHandlerTimeout(request: Request, timeoutMs: number): void {
    if (typeof timeoutMs !== "number" || !(timeoutMs > 0)) {
      throw outOfRange("timeoutMs", "a number of milliseconds greater than 0, or Infinity", timeoutMs);
    }
    ServerRequest.setTimeout(request, timeoutMs);
  }

  /**
   * Closes the connections that are idle: no request is pending, and no response is being sent.
   *
   * @returns their number
   */
  closeIdleConnections(): number {
    return this.#loop.closeIdle();
  }

  /**
   * Upgrades a request to a WebSocket. Called in the `fetch` handler, which then returns nothing, or by the time its promise
   * resolves. The `open` handler is called before this returns.
   *
   * If it returns false, the handler responds. If it returns nothing, the response is 426 or 400, with the reason. A client that speaks
   * another version of the protocol gets 426 in any case.
   *
   * @param options `headers`: fields to add to the response; `data`: the value of `ws.data`
   * @returns whether the request was upgraded; false if it is not a valid upgrade request, if it was answered or upgraded before, or if
   *   the server is stopping
   * @throws {TypeError} if `request` is not a Request, a header is not valid, or the server has no `websocket` option
   * @see RFC 6455, 4.2
   */
  upgrade<Data = unknown>(request: Request, options: UpgradeOptions<Data> = {}): boolean {
    if (!(request instanceof Request)) throw invalidType("request", "a Request", request);
    this.#requireWebSockets("upgrade");
    return this.#protocol instanceof HttpProtocol && this.#protocol.upgrade(request, options ?? {});
  }

  /**
   * Sends a message to all WebSockets that are subscribed to a topic.
   *
   * @param compress whether to compress it for the clients that support it, with `perMessageDeflate`; default: true
   * @returns the size of the message in bytes; -1 if a client does not receive fast enough; 0 if there are no subscribers, or the
   *   message was dropped for one of them
   * @throws {TypeError} if `topic` is not a string, there is no message, or the server has no `websocket` option
   */
  publish(topic: string, data: WebSocketData, compress: boolean = true): number {
    return this.#requireWebSockets("publish").publish(topic, data, compress);
  }

  /**
   * Returns the number of WebSockets that are subscribed to a topic.
   *
   * @throws {TypeError} if `topic` is not a string, or the server has no `websocket` option
   */
  subscriberCount(topic: string): number {
    return this.#requireWebSockets("subscriberCount").subscriberCount(topic);
  }

  /** The number of open WebSockets. */
  get pendingWebSockets(): number {
    return this.#webSockets?.count ?? 0;
  }

  /** Stops the server, as `stop()` does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #createProtocol(settings: ResolvedOptions, budget: BufferBudget): HttpProtocol | ClassicProtocol | SocketProtocol {
    const { socket, fetch, keepAlive, eager } = settings;
    const clock = this.#clock;
    if (socket !== undefined) return new (loadSocketProtocol().SocketProtocol)(socket, this.#sys);
    if (fetch === undefined && !keepAlive && !eager) {
      return new (loadClassicProtocol().ClassicProtocol)({ ...settings, clock });
    }
    const handler = fetch === undefined ? undefined : (request: Request): unknown => fetch(request, this);
    const http = { ...settings, clock, sys: this.#sys, budget };
    const { health, metrics, response, onRequest } = settings;
    if (health === undefined && metrics === undefined)
      return new HttpProtocol({ ...http, fetch: handler }, this.#webSockets);
    const { Monitoring, staticHandler } = loadMonitoring();
    const monitoring = new Monitoring(this.#monitored(budget), health, metrics);
    return new HttpProtocol(
      {
        ...http,
        fetch: monitoring.wrapHandler(handler ?? staticHandler(response)),
        onRequest: metrics === undefined ? onRequest : monitoring.wrapOnRequest(onRequest),
      },
      this.#webSockets,
    );
  }

  #requireWebSockets(method: string): WebSockets {
    if (this.#webSockets !== undefined) return this.#webSockets;
    throw new TypeError(`EpollServer.${method}: the server has no WebSockets; set the "websocket" option`);
  }

  #monitored(budget: BufferBudget): MonitoredServer {
    const stats = (): ServerStats => this.stats;
    const loop = (): RunLoop => this.#loop;
    return {
      get stats() {
        return stats();
      },
      get isStopping() {
        return loop().isStopping;
      },
      get acceptPauses() {
        return loop().acceptPauses;
      },
      get isAcceptPaused() {
        return loop().isAcceptPaused;
      },
      get bufferedBytes() {
        return budget.used;
      },
      get states() {
        return loop().states;
      },
    };
  }

  #runOnce(timeoutMs: number, sinceMs?: number): number {
    this.#isInIteration = true;
    try {
      return this.#loop.runOnce(timeoutMs, sinceMs);
    } finally {
      this.#isInIteration = false;
      if (this.closed) this.#onClosed();
    }
  }

  /** Runs microtasks: while `run` blocks Bun's event loop, promises that need nothing else settle here. */
  #runMicrotasks(): void {
    do drainMicrotasks();
    while (this.#protocol.failBlockedRequests());
  }

  #catchSignals(extra: ExtraSignals): StopSignals<ExtraStopSignal> {
    const signals = new StopSignals(this.#sys, extra);
    try {
      this.#loop.onReadable(signals, () => {
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

  /** Runs the iterations that complete a stop, if neither `run` nor `tick` does. Often one is enough. */
  #finishStop(): void {
    try {
      if (!this.closed && !this.#isRunning) this.#runOnce(0);
      if (!this.closed && !this.#isRunning) this.#attachToBunLoop();
    } catch (error) {
      this.#stopped.reject(error);
      this.#close();
    }
  }

  /** Runs the iterations on Bun's event loop from now on. */
  #attachToBunLoop(): void {
    this.#bunLoop ??= new BunLoopDriver(this.#loop, this.#clock, () => this.#runOnceOnBunLoop());
  }

  /** Runs an iteration on Bun's event loop. Returns whether there was anything to do. */
  #runOnceOnBunLoop(): boolean {
    if (this.#isInIteration || this.#isRunning) return false; // a callback is running Bun's event loop
    try {
      const isBusy = this.#runOnce(0) > 0;
      this.#tracer?.onYield();
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
      this.#onClosed();
    }
  }

  #onClosed(): void {
    this.#bunLoop?.close();
    this.#stopped.resolve();
  }

  #assertUsable(method: string): void {
    if (this.closed) throw new ClosedError(`EpollServer.${method}`);
    if (this.#isRunning || this.#isInIteration || this.#isStarted)
      throw new Error(`EpollServer.${method}: the server is already running`);
  }
}

/** The timeouts of open WebSockets. Without the option, there are none. */
function openTimeouts(settings: WebSocketSettings | undefined): { openTimeoutMs: number; pingTimeoutMs: number } {
  return { openTimeoutMs: settings?.openTimeoutMs ?? Infinity, pingTimeoutMs: settings?.pingTimeoutMs ?? Infinity };
}
