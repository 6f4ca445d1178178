// The run loop: waits for events, then accepts, receives, sends and closes. A protocol interprets the bytes.

import { Buffer } from "node:buffer";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  MSG_MORE,
  MSG_NOSIGNAL,
  SHUT_RDWR,
  SHUT_WR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
} from "../kernel/constants.ts";
import type { Clock } from "../kernel/clock.ts";
import type { LoopBridge } from "../event-loop/loop-bridge.ts";
import { Epoll } from "../io/epoll.ts";
import { EventList } from "../io/event-list.ts";
import { EAGAIN, EINTR } from "../kernel/errno.ts";
import { throwUncaught } from "../event-loop/loop-bridge.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import type { BufferBudget } from "../protocols/buffer-budget.ts";
import type { Phase, Protocol } from "../protocols/protocol.ts";
import { AcceptThrottle, type AcceptThrottleOptions } from "./accept-throttle.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import { TRACED_STATES, type TracedState, tracedState } from "./connection-state.ts";
import { ConnectionTable, type ConnectionTableOptions } from "./connection-table.ts";
import type { Listener } from "./listeners.ts";
import { Shutdown } from "./shutdown.ts";
import { ConnectionTimeouts, type Timeouts } from "./timeouts.ts";
import { LISTENER, WATCHED_FD } from "./tokens.ts";
import type { Heartbeat } from "./types.ts";

export interface RunLoopOptions extends Timeouts, AcceptThrottleOptions, ConnectionTableOptions {
  /** Try the next system call immediately, and wait for epoll only after EAGAIN. */
  eager: boolean;
  heartbeat: Heartbeat | undefined;
}

export const MAX_EVENTS = 1024;
/** The maximum number of accepts per event, so that open connections get their turn. */
const ACCEPT_BURST = 64;
/** The same with EPOLLEXCLUSIVE: other processes accept the rest. */
const EXCLUSIVE_BURST = 1;
/** The maximum number of bursts just before a listening socket is closed: as many connections as the largest backlog. */
const MAX_LAST_BURSTS = 1024;
const RECEIVE_BYTES = 65_536;
/** Receiving into a protocol's buffer continues up to this size, and then other connections get their turn. */
const MAX_RECEIVE_BYTES = 1_048_576;
/** The receive size of the original program. */
const CLASSIC_RECEIVE_BYTES = 1024;
const MAX_TIMEOUT_MS = 0x7fffffff; // epoll_wait takes an int
/** Input discarded while a connection lingers. */
const MAX_DISCARD_BYTES = 16_777_216;

export class RunLoop implements ConnectionOwner {
  accepted: number = 0;
  bytesIn: number = 0;
  bytesOut: number = 0;
  /** Connections on which a timeout expired. */
  timeouts: number = 0;
  /** A system call that the loop depends on failed, so the loop cannot continue. */
  hasFailed: boolean = false;
  /** Called when a connection changed outside of an iteration: the next deadline may have changed as well. */
  onChange: (() => void) | undefined;
  /** The source of events while the loop runs on Bun's event loop. */
  bridge: LoopBridge | undefined;

  readonly #sys: Syscalls;
  readonly #clock: Clock;
  readonly #protocol: Protocol;
  readonly #options: RunLoopOptions;
  readonly #budget: BufferBudget;
  readonly #acceptBurst: number;
  readonly #epoll: Epoll;
  readonly #events = new EventList(MAX_EVENTS);
  readonly #received: Buffer;
  readonly #throttle: AcceptThrottle;
  readonly #connections: ConnectionTable;
  readonly #timeouts: ConnectionTimeouts<Connection>;
  readonly #shutdown: Shutdown;
  /** The callbacks of `onReadable`, by fd. */
  readonly #watchCallbacks = new Map<number, () => void>();
  #nowMs: number;
  #nextHeartbeatMs: number;

  /** Takes ownership of the listeners: they are closed with the loop, or if this constructor throws. */
  constructor(
    sys: Syscalls,
    clock: Clock,
    listeners: readonly Listener[],
    protocol: Protocol,
    options: RunLoopOptions,
    budget: BufferBudget,
  ) {
    this.#sys = sys;
    this.#clock = clock;
    this.#protocol = protocol;
    this.#options = options;
    this.#budget = budget;
    this.#received = Buffer.from(new ArrayBuffer(options.eager ? RECEIVE_BYTES : CLASSIC_RECEIVE_BYTES));
    this.#acceptBurst = !options.eager ? 1 : options.exclusive ? EXCLUSIVE_BURST : ACCEPT_BURST;
    this.#timeouts = new ConnectionTimeouts(options);
    this.#nowMs = clock.now();
    this.#nextHeartbeatMs = options.heartbeat === undefined ? Infinity : this.#nowMs;
    let epoll: Epoll | undefined;
    try {
      epoll = new Epoll(undefined, sys);
      this.#throttle = new AcceptThrottle(epoll, listeners, options);
      this.#throttle.start(this.#nowMs);
    } catch (error) {
      epoll?.close();
      for (const listener of listeners) listener.close();
      throw error;
    }
    this.#epoll = epoll;
    this.#connections = new ConnectionTable(sys, epoll, protocol, options, budget);
    this.#connections.onClosed = () => this.#throttle.onConnectionClosed(this.#connections.open, this.#nowMs);
    this.#shutdown = new Shutdown(this.#throttle, this.#connections, () => this.#emptyBacklog());
  }

  /** Connections open now. */
  get open(): number {
    return this.#connections.open;
  }

  /** Connections that failed. */
  get errors(): number {
    return this.#connections.errors;
  }

  /** How often accepting has paused. */
  get acceptPauses(): number {
    return this.#throttle.pauses;
  }

  /** Whether any listening socket is paused now. */
  get isAcceptPaused(): boolean {
    return this.#throttle.isPaused;
  }

  /** The number of open connections in each state, as traces show them. */
  get states(): Record<TracedState, number> {
    const counts = Object.fromEntries(TRACED_STATES.map((state) => [state, 0])) as Record<TracedState, number>;
    for (const { state, output } of this.#connections) {
      const traced = tracedState(state, output !== undefined);
      if (traced !== undefined) counts[traced]++;
    }
    return counts;
  }

  get isStopping(): boolean {
    return this.#shutdown.hasBegun;
  }

  /** Everything is closed. */
  get closed(): boolean {
    return this.#epoll.closed;
  }

  /** When the events of the last iteration arrived, by the loop's clock. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** When the next iteration is due if no event arrives, by the loop's clock; Infinity: never. */
  get nextMs(): number {
    const { nextMs } = this.#timeouts;
    if (this.#connections.hasDeferredError) return this.#nowMs;
    return Math.min(nextMs, this.#throttle.retryAtMs, this.#shutdown.nextMs(this.#nowMs), this.#nextHeartbeatMs);
  }

  /** The epoll instance's fd: another event loop can watch it. */
  fileno(): number {
    return this.#epoll.fileno();
  }

  /** Returns the state of a connection as traces show it; undefined if the fd is not a connection. */
  stateOf(fd: number): TracedState | undefined {
    const connection = this.#connections.get(fd);
    return connection === undefined ? undefined : tracedState(connection.state, connection.output !== undefined);
  }

  /** Watches another fd and calls back whenever it is readable. Returns a function that ends the watch. */
  onReadable(fd: FdLike, callback: () => void): () => void {
    const number = toFd(fd);
    this.#epoll.register(number, EPOLLIN, WATCHED_FD);
    this.#watchCallbacks.set(number, callback);
    return () => {
      if (this.#watchCallbacks.get(number) !== callback) return;
      this.#watchCallbacks.delete(number);
      if (!this.closed) this.#connections.unregister(number);
    };
  }

  /**
   * Runs one iteration: waits for events, handles each, and handles the timeouts that have expired.
   *
   * @param timeoutMs how long to wait at most, an integer; negative: until an event arrives
   * @param nowMs the time by the loop's clock; it may be slightly old
   * @returns the number of events
   */
  runOnce(timeoutMs: number, nowMs: number = this.#clock.now()): number {
    const events = this.#events;
    let mayHaveBacklog = !this.#throttle.isOpen; // while accepting is paused, epoll does not report the backlog
    const n = this.#wait(this.#untilNextDeadline(timeoutMs, nowMs));
    this.#nowMs = this.#clock.now();
    this.#protocol.updateTime(this.#nowMs);
    if (this.#nowMs >= this.#nextHeartbeatMs) this.#beat();
    // The branches of the original program, in the same order: accept, EPOLLIN, EPOLLOUT, EPOLLHUP.
    for (let i = 0; i < n; i++) {
      const fd = events.fd(i);
      const mask = events.mask(i);
      const token = events.token(i);
      if (token === LISTENER) {
        mayHaveBacklog = true;
        this.#accept(fd);
      } else if (token === WATCHED_FD) {
        this.#callBack(this.#watchCallbacks.get(fd));
      } else {
        const connection = this.#connections.get(fd);
        // An earlier event in this batch may have closed this connection, and its fd may already have been reused.
        if (connection?.token !== token) {
          if (!this.#watchCallbacks.has(fd)) this.#connections.removeStale(fd);
          continue;
        }
        const ready = mask & connection.registeredMask; // an earlier event may have changed the registered mask
        if (ready & EPOLLIN) this.#receive(connection);
        if (ready & EPOLLOUT) this.#send(connection);
        else if (ready & EPOLLRDHUP) this.#onPeerClosed(connection);
        else if (ready === 0 && mask & (EPOLLHUP | EPOLLERR)) this.#hangUp(connection, mask);
      }
    }
    if (n < MAX_EVENTS) {
      if (!mayHaveBacklog) this.#throttle.onBacklogEmpty();
      // Only if the event list was not full: otherwise input of a connection that seems late may not have been reported yet.
      this.#handleTimeouts();
    }
    this.#protocol.endIteration();
    if (this.#budget.takeWarning()) this.#warnOfBudget();
    this.#connections.rethrow(); // before the loop closes, so that each error is thrown
    if (this.isStopping && this.#shutdown.advance(n, this.#nowMs)) this.close();
    this.#connections.rethrow();
    return n;
  }

  // ---- the four branches of the original program ----

  /** EPOLLIN on a listening socket: connections are pending. */
  #accept(listener: number): void {
    if (this.#throttle.closed) return; // the bridge thread received this event before the listening sockets were closed
    const { eager, exclusive } = this.#options;
    let accepted = 0;
    let errno = 0;
    for (let attempt = 0; attempt < ACCEPT_BURST; attempt++) {
      if (!this.#throttle.canAccept(this.open)) return;
      const fd = this.#sys.accept4(listener, this.#connections.peer, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        errno = -fd;
        if (this.#throttle.isTransient(errno)) continue;
        break;
      }
      if (accepted++ === 0) this.#throttle.onAccepted(listener);
      const connection = this.#addConnection(fd);
      const { isFinished, isPaused } = connection; // its protocol may have closed or paused it already
      if (eager && !isFinished && !isPaused) this.#receive(connection);
      else this.#continue(connection);
      if (accepted === this.#acceptBurst) {
        if (exclusive) this.#throttle.requeue(this.#nowMs);
        return;
      }
    }
    // If no fd is free, accept4 fails even when the backlog is empty. Only a failure of the first call is significant.
    if (accepted === 0) this.#throttle.onAcceptFailed(listener, errno, this.open, this.#nowMs);
  }

  /**
   * Accepts what is in the backlog, just before the listening sockets are closed: connections may have arrived since the last
   * wait, or faster than iterations accept them. With EPOLLEXCLUSIVE, other processes accept them.
   */
  #emptyBacklog(): void {
    if (!this.#options.eager || this.#options.exclusive) return;
    for (const listener of this.#throttle.registeredFds) {
      for (let burst = 0; burst < MAX_LAST_BURSTS && !this.#throttle.isPaused; burst++) {
        const { accepted } = this;
        this.#accept(listener);
        if (this.accepted - accepted < this.#acceptBurst) break;
      }
    }
  }

  /** EPOLLIN: the receive queue has data, or the peer has closed its side. */
  #receive(connection: Connection): void {
    let left = MAX_RECEIVE_BYTES;
    do {
      const n = this.#receiveOnce(connection, left);
      if (n <= 0) return;
      left -= n;
      // A message that is received into its own buffer is completed first, so that few are incomplete at a time. The rest of any
      // other body is received, too: with data left in the receive queue, the kernel may not announce a larger window, and the
      // client then sends only when its persist timer expires.
    } while (this.#options.eager && left > 0 && !connection.isShutDown && this.#isReceivingBody(connection));
  }

  #isReceivingBody(connection: Connection): boolean {
    return connection.receiveInto !== undefined || (connection.phase === "body" && !connection.isPaused);
  }

  /** Receives and delivers up to `most` bytes. Returns their number if there may be more, otherwise 0. */
  #receiveOnce(connection: Connection, most: number): number {
    const buffer = (this.#options.eager ? connection.receiveInto : undefined) ?? this.#received;
    const length = Math.min(buffer.length, most);
    const n = this.#sys.recv(connection.fd, buffer, 0, length, 0);
    if (n > 0) {
      this.bytesIn += n;
      connection.bytesIn += n;
      if (connection.isShutDown) this.#discard(connection, n);
      else this.#deliver(connection, buffer, n);
    } else if (n === 0) {
      this.#onEndOfInput(connection);
    } else if (n === -EAGAIN || n === -EINTR) {
      this.#continue(connection);
    } else {
      this.#connections.fail(connection);
    }
    return n === length ? n : 0;
  }

  /** EPOLLOUT: the send queue has room. */
  #send(connection: Connection): void {
    const errno = -this.#transmit(connection);
    if (errno > 0 && errno !== EAGAIN && errno !== EINTR) return this.#connections.fail(connection);
    if (connection.output === undefined) this.#onAllSent(connection);
    else this.#waitForRoom(connection);
  }

  /** Sends until the send queue is full. Returns the result of the last call. */
  #transmit(connection: Connection): number {
    let n = 0;
    while (connection.output !== undefined) {
      connection.joinChunks();
      const { fd, output, outputStart, outputEnd } = connection;
      const length = outputEnd - outputStart;
      // MSG_MORE: a head goes into the same packet as the body that follows it.
      const flags = connection.hasMoreOutput ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
      n = this.#sys.send(fd, output, outputStart, length, flags);
      if (n < 0) break;
      this.bytesOut += n;
      connection.consume(n);
      if (n < length || !this.#options.eager) break;
    }
    return n;
  }

  /** EPOLLHUP or EPOLLERR, with nothing to receive or send: the connection has ended. */
  #hangUp(connection: Connection, mask: number): void {
    if (connection.isFinished && (mask & EPOLLERR) === 0) this.#connections.close(connection);
    else this.#connections.fail(connection);
  }

  // ---- the steps of the branches ----

  #addConnection(fd: number): Connection {
    this.accepted++;
    const connection = this.#connections.add(fd, this);
    this.#timeouts.head.push(connection, this.#nowMs);
    if (this.#protocol.isProxy?.(connection) !== true && this.exceedsAddressLimit(connection)) {
      this.#callProtocol(connection, () => this.#protocol.reject(connection, "too-many-connections"));
    } else {
      this.#callProtocol(connection, () => this.#protocol.open(connection));
    }
    return connection;
  }

  /** Delivers input to the protocol. Does not use #callProtocol, to avoid allocating a closure per request. */
  #deliver(connection: Connection, bytes: Buffer, length: number): void {
    connection.isInCallback = true;
    try {
      this.#protocol.receive(connection, bytes, length);
    } catch (error) {
      this.#connections.abort(connection);
      this.#connections.deferError(error);
    } finally {
      connection.isInCallback = false;
    }
    this.#continue(connection);
  }

  /**
   * Calls the protocol. The caller then performs what the protocol requested. If the protocol throws, the connection is reset, and
   * the error is thrown at the end of the iteration: the other connections are not affected.
   */
  #callProtocol(connection: Connection, call: () => void): void {
    connection.isInCallback = true;
    try {
      call();
    } catch (error) {
      this.#connections.abort(connection);
      this.#connections.deferError(error);
    } finally {
      connection.isInCallback = false;
    }
  }

  /** Calls a callback that is not about a connection. */
  #callBack(callback: (() => void) | undefined): void {
    try {
      callback?.();
    } catch (error) {
      this.#connections.deferError(error);
    }
  }

  /** The peer has closed its side. Usually this ends the connection. */
  #onEndOfInput(connection: Connection): void {
    connection.hasPeerClosed = true;
    if (!connection.isShutDown) {
      this.#callProtocol(connection, () => this.#protocol.end(connection));
      if (!connection.isFinished || connection.output !== undefined) return this.#continue(connection);
    }
    this.#connections.close(connection);
  }

  /** EPOLLRDHUP while the connection is paused: the peer has closed its side, and input may still be unread. */
  #onPeerClosed(connection: Connection): void {
    connection.hasPeerClosed = true;
    this.#callProtocol(connection, () => this.#protocol.peerClosed?.(connection));
    this.#continue(connection);
  }

  /** Performs what the protocol has requested. */
  #continue(connection: Connection): void {
    if (connection.isShutDown) return;
    if (connection.output === undefined) this.#onAllSent(connection);
    else if (this.#options.eager) this.#send(connection);
    else this.#waitForRoom(connection);
  }

  /** No output is left: calls `drain` if the protocol requested it, then closes the connection or waits for input. */
  #onAllSent(connection: Connection): void {
    if (connection.isShutDown) return;
    if (connection.countedBytes > 0) this.#connections.countOutput(connection);
    if (connection.wantsDrain) {
      this.#callProtocol(connection, () => this.#protocol.drain(connection));
      if (connection.isClosed) return;
      if (connection.output !== undefined) return this.#waitForRoom(connection); // other connections get their turn first
    }
    if (connection.isFinished) return this.#shutDown(connection);
    if (!this.#connections.watch(connection, connection.isPaused ? this.#pausedMask(connection) : EPOLLIN)) return;
    const { timeoutQueue, messages, progress, hasPeerClosed } = connection;
    const next = this.#timeouts.ofPhase(connection.phase as Phase, hasPeerClosed, connection.handlerTimeoutMs);
    if (timeoutQueue !== next || messages !== connection.messagesBefore || progress !== connection.progressBefore) {
      connection.messagesBefore = messages;
      connection.progressBefore = progress;
      next.push(connection, this.#nowMs);
    }
  }

  /** Returns the mask of a connection that receives nothing for now: only the peer's end is of interest, and only once. */
  #pausedMask(connection: Connection): number {
    return this.#protocol.peerClosed === undefined || connection.hasPeerClosed ? 0 : EPOLLRDHUP;
  }

  /** The send queue may be full: waits for EPOLLOUT. */
  #waitForRoom(connection: Connection): void {
    connection.copyBorrowed();
    this.#connections.countOutput(connection);
    // Sending takes longer now. Input that arrives meanwhile must not turn the close into a reset.
    if (connection.state === "finishing-no-linger") connection.transition("finishing");
    const isReading = connection.isDuplex && !connection.isPaused && !connection.isFinished;
    if (!this.#connections.watch(connection, isReading ? EPOLLIN | EPOLLOUT : EPOLLOUT)) return;
    const { write } = this.#timeouts;
    // Only output counts as progress: input does not prove that the peer reads what we send.
    if (connection.timeoutQueue !== write || connection.bytesOut !== connection.progressBefore) {
      connection.progressBefore = connection.bytesOut;
      write.push(connection, this.#nowMs);
    }
  }

  /** Ends a connection whose output is all sent: shuts it down, and waits for the peer to close its side. */
  #shutDown(connection: Connection): void {
    if (!this.#protocol.lingers) {
      connection.transition("closing");
      if (!this.#connections.watch(connection, 0)) return; // EPOLLHUP is always reported
      this.#sys.shutdown(connection.fd, SHUT_RDWR); // ENOTCONN: the peer has reset it, and EPOLLHUP is reported as well
    } else if (connection.state === "finishing-no-linger") {
      return this.#connections.close(connection);
    } else {
      // Closing with unread input would reset the connection, and the response might be lost: RFC 9112, 9.6.
      this.#sys.shutdown(connection.fd, SHUT_WR);
      connection.transition("lingering");
      if (!this.#connections.watch(connection, EPOLLIN)) return;
    }
    this.#timeouts.linger.push(connection, this.#nowMs);
  }

  /** Discards the input of a lingering connection, up to a limit. */
  #discard(connection: Connection, length: number): void {
    connection.bytesDiscarded += length;
    if (connection.bytesDiscarded > MAX_DISCARD_BYTES) this.#connections.close(connection);
  }

  // ---- requests of a protocol outside of its callbacks ----

  flush(connection: Connection): void {
    this.#nowMs = this.#clock.now();
    this.#continue(connection);
    this.onChange?.();
  }

  sendNow(connection: Connection): void {
    // An error is left to the next attempt, which may close the connection. EPIPE follows any other error.
    if (this.#options.eager && !connection.isBlocked) this.#transmit(connection);
  }

  abort(connection: Connection): void {
    this.#connections.abort(connection);
    this.onChange?.();
  }

  exceedsAddressLimit(connection: Connection): boolean {
    return this.#connections.exceedsAddressLimit(connection);
  }

  fail(connection: Connection, error: unknown): void {
    this.#connections.abort(connection);
    this.deferError(error);
  }

  /** Throws an error that a callback caused outside of an iteration from the next iteration. */
  deferError(error: unknown): void {
    if (this.closed) return throwUncaught(error); // no iteration follows
    this.#connections.deferError(error);
    this.onChange?.();
  }

  // ---- waiting and timeouts ----

  #wait(timeoutMs: number): number {
    try {
      if (this.bridge === undefined) return this.#epoll.waitInto(this.#events, timeoutMs);
      const n = this.bridge.waitInto(this.#epoll, this.#events, timeoutMs);
      return this.#hasWatchedFd(n) ? this.#epoll.waitInto(this.#events, 0) : n;
    } catch (error) {
      this.hasFailed = true;
      throw error;
    }
  }

  /**
   * Whether the events are to be polled again, because a callback of `onReadable` is among those to be called. Other code may
   * have read the data since the bridge thread received the events, and if the fd is blocking, the callback would block the
   * loop. All registrations are level-triggered, so no event is lost.
   */
  #hasWatchedFd(n: number): boolean {
    if (this.#watchCallbacks.size === 0) return false;
    for (let i = 0; i < n; i++) if (this.#events.token(i) === WATCHED_FD) return true;
    return false;
  }

  #untilNextDeadline(timeoutMs: number, nowMs: number): number {
    if (this.#shutdown.isEmptyingBacklog) return 0;
    const next = this.nextMs;
    if (next === Infinity) return timeoutMs;
    const left = Math.min(Math.max(0, Math.ceil(next - nowMs)), MAX_TIMEOUT_MS);
    return timeoutMs < 0 ? left : Math.min(left, timeoutMs);
  }

  #beat(): void {
    const { everyMs, beat } = this.#options.heartbeat as Heartbeat;
    this.#nextHeartbeatMs = this.#nowMs + everyMs;
    this.#callBack(beat);
  }

  #handleTimeouts(): void {
    const { head, body, handler, halfClosed, quiet, idle, open, pinged, write, linger } = this.#timeouts;
    const now = this.#nowMs;
    for (let late; (late = head.expired(now)) !== undefined;) this.#onMessageTimeout(late);
    for (let late; (late = body.expired(now)) !== undefined;) this.#onMessageTimeout(late);
    for (let late; (late = handler.expired(now)) !== undefined;) this.#onMessageTimeout(late);
    for (const queue of this.#timeouts.custom.values()) {
      for (let late; (late = queue.expired(now)) !== undefined;) this.#onMessageTimeout(late);
    }
    for (let late; (late = halfClosed.expired(now)) !== undefined;) this.#onHalfClosedTimeout(late);
    for (let late; (late = quiet.expired(now)) !== undefined;) this.#onHalfClosedTimeout(late);
    for (let late; (late = idle.expired(now)) !== undefined;) this.#onIdleTimeout(late);
    for (let late; (late = open.expired(now)) !== undefined;) this.#onOpenTimeout(late);
    for (let late; (late = pinged.expired(now)) !== undefined;) this.#onOpenTimeout(late);
    for (let late; (late = write.expired(now)) !== undefined;) this.#onWriteTimeout(late);
    for (let late; (late = linger.expired(now)) !== undefined;) this.#connections.close(late);
    if (now >= this.#throttle.retryAtMs) this.#throttle.open(now);
  }

  #onMessageTimeout(connection: Connection): void {
    this.timeouts++;
    this.#callTimeout(connection);
  }

  /** Neither side has sent anything for some time. The protocol may ask the peer for a sign of life. */
  #onOpenTimeout(connection: Connection): void {
    this.#callTimeout(connection);
    if (connection.isFinished) this.timeouts++;
  }

  #callTimeout(connection: Connection): void {
    connection.timeoutQueue?.remove(connection);
    this.#callProtocol(connection, () => this.#protocol.timeout(connection));
    if (connection.isClosed) return;
    if (connection.output !== undefined) this.#send(connection);
    else if (connection.isFinished) this.#connections.close(connection);
    else this.#onAllSent(connection);
  }

  /** The peer has closed its side, and nothing was sent for some time: it has probably left. */
  #onHalfClosedTimeout(connection: Connection): void {
    this.timeouts++;
    this.#connections.abort(connection);
  }

  #onIdleTimeout(connection: Connection): void {
    this.timeouts++;
    this.#connections.closeQuiet(connection);
  }

  /** Tries to send first: EPOLLOUT requires a third of the send buffer to be free, and a slow reader may have freed less. */
  #onWriteTimeout(connection: Connection): void {
    const { bytesOut } = this;
    this.#send(connection);
    if (this.bytesOut > bytesOut || connection.isClosed) return;
    this.timeouts++;
    this.#connections.abort(connection); // close() would leave the kernel trying to send
  }

  #warnOfBudget(): void {
    const { maxBytes } = this.#budget;
    this.#options.onWarning?.({
      code: "ENOBUFS",
      message:
        `more than ${maxBytes} bytes are buffered for slow clients and unread request bodies (maxBufferedBytes): ` +
        "new requests get 503 until some of it is sent or read",
    });
  }

  // ---- stopping ----

  /** Closes the connections that are idle. Returns their number. */
  closeIdle(): number {
    const { open } = this;
    this.#connections.closeIdle();
    this.onChange?.();
    return open - this.open;
  }

  /**
   * Stops accepting, and lets pending requests finish. The caller keeps running iterations until the loop is closed.
   *
   * @param forceCloseAtMs when connections that have not finished are closed
   * @param closeIdleAtMs until when idle connections may send another request
   */
  stop(forceCloseAtMs: number, closeIdleAtMs: number): void {
    const isFirst = !this.isStopping;
    this.#shutdown.begin(this.#clock.now(), forceCloseAtMs, closeIdleAtMs);
    if (isFirst) this.#protocol.stop();
  }

  /** Closes the listening sockets immediately, without accepting what is in the backlog. */
  stopAccepting(): void {
    this.#throttle.close();
  }

  /** Closes everything immediately. Idempotent. */
  close(): void {
    if (this.closed) return;
    try {
      this.#connections.closeAll();
      this.#throttle.close();
    } finally {
      this.#epoll.close();
    }
    this.#connections.rethrowAll();
  }
}
