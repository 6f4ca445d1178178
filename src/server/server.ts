// class EpollServer: the document's web server on one epoll loop.

import { Buffer } from "node:buffer";
import { type Address, addressBuffer } from "../address.ts";
import { type Clock, hostClock } from "../clock.ts";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  MSG_NOSIGNAL,
  SHUT_RDWR,
  SHUT_WR,
  SO_LINGER,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from "../constants.ts";
import { Epoll } from "../epoll.ts";
import {
  ClosedError,
  EAGAIN,
  ECONNABORTED,
  EINTR,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  EPROTO,
  ErrnoError,
  errnoMessage,
  errnoName,
  formatEndpoint,
} from "../errno.ts";
import { EventList } from "../events.ts";
import { hostSys, type Sys } from "../ffi.ts";
import { StaticProtocol } from "../http/static.ts";
import { Connection, UNWATCHED } from "./connection.ts";
import { DeadlineQueue } from "./deadlines.ts";
import { type Listener, openListeners } from "./listeners.ts";
import { type EpollServerOptions, settle, type Settings } from "./options.ts";
import { StopSignals, type StopSignal } from "./signals.ts";

/** What a server has done so far. */
export interface ServerStats {
  /** Connections accepted. */
  accepted: number;
  /** Connections open now. */
  open: number;
  /** Requests answered. */
  requests: number;
  bytesIn: number;
  bytesOut: number;
  /** Connections closed because a wait was over. */
  timeouts: number;
  /** Requests refused. */
  refused: number;
  /** Connections that broke: the peer reset them, or the network failed. */
  broken: number;
}

// A registration's token: what kind it is, or from FIRST_CONNECTION on, whose it is.
const LISTENER = 0;
const WAKE_UP = 1;
const FIRST_CONNECTION = 2;
const LAST_TOKEN = 0xffffffff;

const MAX_EVENTS = 1024;
/** How many connections one wake-up accepts: the others' turn comes first then. */
const ACCEPT_BURST = 64;
const RECEIVE_BYTES = 65_536;
/** What the document's program reads at once. */
const CLASSIC_RECEIVE_BYTES = 1024;
const LINGER_MS = 2_000;
const LINGER_BYTES = 1_048_576;
/** After descriptors ran out: when to try again, if no connection of our own closes before. */
const ACCEPT_RETRY_MS = 100;
const RESET_ON_CLOSE = new Uint8Array(Int32Array.of(1, 0).buffer); // struct linger { l_onoff, l_linger }

// accept(2): errors of the connection that waited, not of the listener; the next may be fine.
const passing = new Set([ECONNABORTED, EPROTO, 1, 64, 92, 95, 100, 101, 110, 112, 113]);
const exhausted = new Set([EMFILE, ENFILE, ENOBUFS, ENOMEM]);

/**
 * A web server on one `epoll` loop.
 *
 * `run` blocks the thread, lap after lap, as the document's server does; `tick` makes one lap. With `keepAlive: false,
 * eager: false` it is the document's loop to the letter, one system call for each readiness: a connection goes EPOLLIN →
 * EPOLLOUT → 0 and shutdown → EPOLLHUP → closed.
 *
 * @example
 * ```ts
 * const server = new EpollServer({ port: 8800 });
 * console.log(`listening on ${server.url}`);
 * server.run();
 * ```
 */
export class EpollServer implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #sys: Sys;
  readonly #clock: Clock;
  readonly #epoll: Epoll;
  readonly #listeners: Listener[];
  readonly #protocol: StaticProtocol;
  readonly #events = new EventList(MAX_EVENTS);
  readonly #received = Buffer.from(new ArrayBuffer(RECEIVE_BYTES));
  readonly #peer = addressBuffer();
  readonly #receiveBytes: number;

  /** By descriptor. */
  readonly #connections: (Connection | undefined)[] = [];
  #open = 0;
  #token = FIRST_CONNECTION;
  #nowMs: number;

  // Who waits for what.
  readonly #awaitingHead: DeadlineQueue;
  readonly #idle: DeadlineQueue;
  readonly #awaitingRoom: DeadlineQueue;
  readonly #lingering = new DeadlineQueue(LINGER_MS);
  readonly #queues: readonly DeadlineQueue[];

  #isListening = true;
  #isAccepting = true;
  /** When to accept again after descriptors ran out. */
  #acceptAtMs = Infinity;
  #isExhausted = false;

  #isInLap = false;
  #isRunning = false;
  #signals: StopSignals | undefined;
  #stopSignal: StopSignal | undefined;
  #isStopping = false;
  #cutAtMs = Infinity;
  #stopped: PromiseWithResolvers<void> | undefined;

  #accepted = 0;
  #bytesIn = 0;
  #bytesOut = 0;
  #timeouts = 0;
  #broken = 0;

  /**
   * Create the server and listen.
   *
   * @throws {ErrnoError} EADDRINUSE, EADDRNOTAVAIL, EACCES, … with address and port, if it cannot listen there
   * @throws {LookupError} if the host's name is not known
   * @throws {TypeError | RangeError} if an option is unknown or wrong
   */
  constructor(options?: EpollServerOptions);
  /** @internal `sys` and `clock` stand in for the kernel and the time */
  constructor(options?: EpollServerOptions, sys?: Sys, clock?: Clock);
  constructor(options: EpollServerOptions = {}, sys: Sys = hostSys(), clock: Clock = hostClock) {
    const settings = settle(options);
    this.#settings = settings;
    this.#sys = sys;
    this.#clock = clock;
    this.#nowMs = clock.now();
    this.#receiveBytes = settings.eager ? RECEIVE_BYTES : CLASSIC_RECEIVE_BYTES;
    this.#awaitingHead = new DeadlineQueue(settings.headerTimeoutMs);
    this.#idle = new DeadlineQueue(settings.idleTimeoutMs);
    this.#awaitingRoom = new DeadlineQueue(settings.writeTimeoutMs);
    this.#queues = [this.#awaitingHead, this.#idle, this.#awaitingRoom, this.#lingering];
    this.#protocol = new StaticProtocol({ ...settings, clock });

    this.#listeners = openListeners(sys, settings);
    try {
      this.#epoll = new Epoll(undefined, sys);
    } catch (error) {
      for (const listener of this.#listeners) listener.close();
      throw error;
    }
    for (const { socket } of this.#listeners) this.#epoll.register(socket, EPOLLIN, LISTENER);
  }

  /** The port it listens on; `undefined` on a unix socket. */
  get port(): number | undefined {
    const { address } = this;
    return "port" in address ? address.port : undefined;
  }

  /** Where it listens, the first if there are several. */
  get address(): Address {
    return (this.#listeners[0] as Listener).address;
  }

  /** All the addresses it listens on: two for `localhost`. */
  get addresses(): Address[] {
    return this.#listeners.map(({ address }) => address);
  }

  /** `http://localhost:8800`, with the host that was asked for; `unix:/path` on a unix socket. */
  get url(): string {
    const { hostname, unix } = this.#settings;
    return unix === undefined ? `http://${formatEndpoint(hostname, this.port)}` : `unix:${formatEndpoint(unix)}`;
  }

  /** What it has done so far. */
  get stats(): ServerStats {
    return {
      accepted: this.#accepted,
      open: this.#open,
      requests: this.#protocol.requests,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      timeouts: this.#timeouts,
      refused: this.#protocol.refused,
      broken: this.#broken,
    };
  }

  /** It has stopped, and nothing of it is open. */
  get closed(): boolean {
    return this.#epoll.closed;
  }

  /**
   * Serve until stopped: by SIGINT or SIGTERM, or by `stop` from a callback. Blocks the thread; signals are caught on
   * the main thread only, and their dispositions put back afterwards. What has begun is finished before it returns.
   *
   * @returns the signal that stopped it
   * @throws {ClosedError} if the server was stopped already
   */
  run(): StopSignal | undefined {
    this.#assertUsable("run");
    this.#isRunning = true;
    try {
      this.#catchSignals();
      while (!this.closed) this.#lap(-1);
    } finally {
      this.#isRunning = false;
      this.#close();
    }
    return this.#stopSignal;
  }

  /**
   * Make one lap of the loop: wait for events, handle each, and see whose time is over.
   *
   * @param timeoutMs how long to wait at most, in milliseconds; 0 looks only; negative: until something happens
   * @returns how many events there were
   * @throws {ClosedError} if the server has stopped
   */
  tick(timeoutMs: number = -1): number {
    this.#assertUsable("tick");
    return this.#lap(timeoutMs);
  }

  /**
   * Stop: accept no more, finish what has begun, and close everything. Connections between two requests are closed at once.
   *
   * @param options `graceMs`: how long a connection may take to finish before it is cut, 10000 unless given
   * @returns resolved once all is closed. A `run` that is under way, or laps by `tick`, get it there; without them it
   *   makes its own laps, between the other work of Bun's loop.
   */
  stop({ graceMs = 10_000 }: { graceMs?: number | undefined } = {}): Promise<void> {
    if (typeof graceMs !== "number" || !(graceMs >= 0))
      throw new RangeError("graceMs is a number of milliseconds from 0 up");
    if (this.closed) return Promise.resolve();
    this.#cutAtMs = Math.min(this.#cutAtMs, this.#clock.now() + graceMs);
    if (this.#stopped === undefined) {
      this.#stopped = Promise.withResolvers();
      this.#isStopping = true;
      this.#protocol.stop();
      if (!this.#isRunning) setTimeout(() => this.#lapUntilClosed(), 0);
    }
    return this.#stopped.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  // ---- the loop ----

  #lap(timeoutMs: number): number {
    const events = this.#events;
    const n = this.#epoll.pollInto(events, this.#untilNextDeadline(timeoutMs));
    this.#isInLap = true;
    try {
      this.#nowMs = this.#clock.now();
      this.#protocol.lap(this.#nowMs);
      for (let i = 0; i < n; i++) {
        const fd = events.fd(i);
        const mask = events.mask(i);
        const token = events.token(i);
        if (token === LISTENER) {
          this.#accept(fd);
        } else if (token === WAKE_UP) {
          this.#heedSignals();
        } else {
          const connection = this.#connections[fd];
          // An earlier event of this lap may have closed it, and the number may be another's already.
          if (connection === undefined || connection.token !== token) this.#forget(fd, connection);
          else if (mask & EPOLLIN) this.#receive(connection);
          else if (mask & EPOLLOUT) this.#send(connection);
          else if (mask & (EPOLLHUP | EPOLLERR)) this.#hungUp(connection, mask);
        }
      }
      this.#expire();
      if (this.#isStopping) this.#drain();
    } finally {
      this.#isInLap = false;
    }
    return n;
  }

  /** EPOLLIN on a listening socket: connections wait to be accepted. */
  #accept(listener: number): void {
    for (let left = this.#settings.eager ? ACCEPT_BURST : 1; left > 0; left--) {
      if (this.#open >= this.#settings.maxConnections) return this.#pauseAccepting();
      const fd = this.#sys.accept4(listener, this.#peer, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (passing.has(-fd)) continue;
        return this.#acceptFailed(-fd, listener);
      }
      this.#isExhausted = false;
      const connection = this.#adopt(fd);
      this.#awaitingHead.push(connection, this.#nowMs);
      if (this.#settings.eager) this.#receive(connection);
      else this.#watch(connection, EPOLLIN);
    }
  }

  /** EPOLLIN: there are bytes, or the end of them. */
  #receive(connection: Connection): void {
    const n = this.#sys.recv(connection.fd, this.#received, 0, this.#receiveBytes, 0);
    if (n > 0) {
      this.#bytesIn += n;
      if (connection.isLingering) return this.#discard(connection, n);
      this.#understand(connection, n);
    } else if (n === 0) {
      this.#release(connection); // nothing is owed: while a reply is, input is not looked at
    } else if (n === -EAGAIN || n === -EINTR) {
      this.#watch(connection, EPOLLIN);
    } else {
      this.#broke(connection);
    }
  }

  /** Let the protocol see what was received, and do what it asks for. */
  #understand(connection: Connection, length: number): void {
    try {
      this.#protocol.receive(connection, this.#received, length);
    } catch (error) {
      this.#abort(connection);
      throw error;
    }
    if (connection.output === undefined) this.#next(connection);
    else if (this.#settings.eager) this.#send(connection);
    else this.#awaitRoom(connection);
  }

  /** EPOLLOUT: there is room to send. */
  #send(connection: Connection): void {
    connection.join();
    do {
      const wanted = connection.outputEnd - connection.outputStart;
      const { fd, output, outputStart } = connection;
      const n = this.#sys.send(fd, output as Uint8Array, outputStart, wanted, MSG_NOSIGNAL);
      if (n < 0) {
        if (n !== -EAGAIN && n !== -EINTR) return this.#broke(connection);
        return this.#awaitRoom(connection);
      }
      this.#bytesOut += n;
      connection.sent(n);
      if (n < wanted) break;
    } while (connection.output !== undefined && this.#settings.eager);
    if (connection.output === undefined) this.#next(connection);
    else this.#awaitRoom(connection);
  }

  /** Nothing is left to send: go on with input that was kept back, close, or wait for more. */
  #next(connection: Connection): void {
    if (connection.isHeldBack) {
      this.#protocol.drain(connection);
      if (connection.output !== undefined) return this.#awaitRoom(connection); // the others' turn first
    }
    if (connection.isFinished) return this.#finish(connection);
    if (!this.#watch(connection, EPOLLIN)) return;
    if (!connection.isMidMessage && connection.messages > 0) this.#idle.push(connection, this.#nowMs);
    else if (connection.queue !== this.#awaitingHead) this.#awaitingHead.push(connection, this.#nowMs);
  }

  /** All is sent and it shall close: say so to the peer, and wait until it has heard. */
  #finish(connection: Connection): void {
    if (!this.#settings.eager) {
      if (!this.#watch(connection, 0)) return; // EPOLLHUP is reported all the same
      this.#sys.shutdown(connection.fd, SHUT_RDWR); // ENOTCONN: the peer has reset it, and EPOLLHUP comes too
    } else if (connection.isPeerDone) {
      return this.#release(connection);
    } else {
      // Closing with unread input would reset the connection, and the reply might be lost with it: RFC 9112, 9.6.
      this.#sys.shutdown(connection.fd, SHUT_WR);
      connection.isLingering = true;
      if (!this.#watch(connection, EPOLLIN)) return;
    }
    this.#lingering.push(connection, this.#nowMs);
  }

  /** EPOLLHUP, and nothing to read or send any more. */
  #hungUp(connection: Connection, mask: number): void {
    if (connection.isFinished && (mask & EPOLLERR) === 0) this.#release(connection);
    else this.#broke(connection);
  }

  // ---- a connection's registration and end ----

  #adopt(fd: number): Connection {
    this.#accepted++;
    this.#open++;
    const connection = new Connection(this.#sys, fd, this.#token, this.#peer);
    this.#token = this.#token === LAST_TOKEN ? FIRST_CONNECTION : this.#token + 1;
    while (this.#connections.length <= fd) this.#connections.push(undefined); // no holes
    this.#connections[fd] = connection;
    return connection;
  }

  /** Have epoll watch for `mask`, by a system call only if that is a change; if it cannot, the connection ends: false. */
  #watch(connection: Connection, mask: number): boolean {
    if (connection.interest === mask) return true;
    try {
      if (connection.interest === UNWATCHED) this.#epoll.register(connection.fd, mask, connection.token);
      else this.#epoll.modify(connection.fd, mask, connection.token);
      connection.interest = mask;
      return true;
    } catch (error) {
      this.#abort(connection);
      this.#warn(error); // ENOSPC, ENOMEM: it cannot be served
      return false;
    }
  }

  #awaitRoom(connection: Connection): void {
    if (!this.#watch(connection, EPOLLOUT)) return;
    this.#awaitingRoom.push(connection, this.#nowMs);
  }

  /** Read on after our last byte, so that the peer is not reset before it has read it; within a bound. */
  #discard(connection: Connection, length: number): void {
    connection.lingered += length;
    if (connection.lingered > LINGER_BYTES) this.#release(connection);
    else this.#watch(connection, EPOLLIN);
  }

  #broke(connection: Connection): void {
    this.#broken++;
    this.#release(connection);
  }

  /** Close at once and tell the peer so with a reset; what was not sent is lost. */
  #abort(connection: Connection): void {
    this.#sys.setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, RESET_ON_CLOSE, RESET_ON_CLOSE.length);
    this.#release(connection);
  }

  /** Unregister and close. The one place where a connection ends. */
  #release(connection: Connection): void {
    const { fd } = connection;
    if (this.#connections[fd] !== connection) return;
    this.#connections[fd] = undefined;
    this.#open--;
    connection.queue?.remove(connection);
    // Not left to close(): a duplicate elsewhere (a child between fork and exec) would keep the registration alive.
    if (connection.interest !== UNWATCHED) this.#epoll.unregister(fd);
    this.#sys.close(fd);
    if (!this.#isAccepting) this.#resumeAccepting();
  }

  /** An event of nobody's: end its registration if it has one, lest it come again for ever. */
  #forget(fd: number, other: Connection | undefined): void {
    if (other !== undefined) return;
    try {
      this.#epoll.unregister(fd);
    } catch {
      // closed in this lap: the usual case
    }
  }

  // ---- accepting, or not ----

  #acceptFailed(errno: number, listener: number): void {
    if (errno === EAGAIN || errno === EINTR) return;
    if (!exhausted.has(errno)) throw new ErrnoError(errno, "accept4", { fd: listener });
    this.#pauseAccepting();
    this.#acceptAtMs = this.#nowMs + ACCEPT_RETRY_MS;
    if (this.#isExhausted) return;
    this.#isExhausted = true; // said once, until a connection is accepted again
    const code = errnoName(errno);
    this.#settings.onWarning?.({
      code,
      message:
        `${code}: ${errnoMessage(errno)}: with ${this.#open} connections open no more can be accepted; ` +
        `new ones wait until one closes (raise the limit with ulimit -n, or set maxConnections below it)`,
    });
  }

  #pauseAccepting(): void {
    if (!this.#isAccepting) return;
    this.#isAccepting = false;
    for (const { socket } of this.#listeners) this.#epoll.modify(socket, 0, LISTENER);
  }

  #resumeAccepting(): void {
    this.#acceptAtMs = Infinity;
    if (this.#isAccepting || !this.#isListening || this.#open >= this.#settings.maxConnections) return;
    this.#isAccepting = true;
    for (const { socket } of this.#listeners) this.#epoll.modify(socket, EPOLLIN, LISTENER);
  }

  #warn(error: unknown): void {
    if (!(error instanceof ErrnoError)) throw error;
    this.#settings.onWarning?.({ code: error.code, message: error.message });
  }

  // ---- time ----

  #untilNextDeadline(timeoutMs: number): number {
    let next = Math.min(this.#acceptAtMs, this.#cutAtMs);
    for (const queue of this.#queues) next = Math.min(next, queue.nextMs);
    if (next === Infinity) return timeoutMs;
    const left = Math.max(0, next - this.#clock.now());
    return timeoutMs < 0 ? left : Math.min(left, timeoutMs);
  }

  #expire(): void {
    const now = this.#nowMs;
    for (let late; (late = this.#awaitingHead.expired(now)) !== undefined;) this.#headTimedOut(late);
    for (let late; (late = this.#idle.expired(now)) !== undefined;) this.#timedOut(late);
    for (let late; (late = this.#awaitingRoom.expired(now)) !== undefined;) this.#timedOut(late);
    for (let late; (late = this.#lingering.expired(now)) !== undefined;) this.#release(late);
    if (now >= this.#acceptAtMs) this.#resumeAccepting();
  }

  #headTimedOut(connection: Connection): void {
    this.#timeouts++;
    this.#protocol.timeout(connection);
    if (connection.output === undefined) this.#release(connection);
    else this.#send(connection);
  }

  #timedOut(connection: Connection): void {
    this.#timeouts++;
    if (connection.pending > 0) this.#abort(connection); // or the kernel would go on trying
    else this.#release(connection);
  }

  // ---- the end ----

  #catchSignals(): void {
    if (!Bun.isMainThread) return; // dispositions are the process's, not a Worker's
    this.#signals = new StopSignals(this.#sys);
    this.#epoll.register(this.#signals, EPOLLIN, WAKE_UP);
  }

  /** A first signal lets what has begun finish; a second one cuts it short. */
  #heedSignals(): void {
    for (const signal of this.#signals?.take() ?? []) {
      const isFirst = this.#stopSignal === undefined;
      this.#stopSignal ??= signal;
      void this.stop(isFirst ? {} : { graceMs: 0 });
    }
  }

  /** After each lap while stopping. The first has handled all that had come; then the listeners close. */
  #drain(): void {
    if (this.#isListening) {
      this.#isListening = false;
      for (const listener of this.#listeners) {
        this.#epoll.unregister(listener.socket);
        listener.close();
      }
      for (const connection of this.#connections) {
        if (connection !== undefined && this.#owesNothing(connection)) this.#release(connection);
      }
    }
    if (this.#nowMs >= this.#cutAtMs) {
      for (const connection of this.#connections) if (connection !== undefined) this.#abort(connection);
    }
    if (this.#open === 0) this.#close();
  }

  #owesNothing({ queue, isMidMessage }: Connection): boolean {
    return queue === this.#idle || (queue === this.#awaitingHead && !isMidMessage);
  }

  async #lapUntilClosed(): Promise<void> {
    try {
      while (!this.closed) {
        if (!this.#isRunning) this.#lap(0);
        if (!this.closed) await Bun.sleep(1);
      }
    } catch (error) {
      this.#stopped?.reject(error);
      this.#close();
    }
  }

  /** Close all that is open. Closing twice is fine. */
  #close(): void {
    if (this.closed) return;
    for (const connection of this.#connections) if (connection !== undefined) this.#release(connection);
    this.#signals?.close();
    this.#epoll.close();
    this.#isListening = false;
    for (const listener of this.#listeners) listener.close();
    this.#stopped?.resolve();
  }

  #assertUsable(method: string): void {
    if (this.closed) throw new ClosedError(`EpollServer.${method}`);
    if (this.#isRunning || this.#isInLap) throw new Error(`EpollServer.${method}: the loop is running already`);
  }
}
