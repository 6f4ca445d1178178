// The run loop: the document's, one iteration at a time. It accepts, receives, sends and closes; what the bytes mean is a protocol's.

import { Buffer } from "node:buffer";
import { addressBuffer } from "../kernel/address.ts";
import type { Clock } from "../kernel/clock.ts";
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
} from "../kernel/constants.ts";
import { Epoll } from "../io/epoll.ts";
import { EAGAIN, EINTR } from "../kernel/errno.ts";
import { ErrnoError } from "../kernel/errors.ts";
import { EventList } from "../io/event-list.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { TokenCounter } from "../kernel/token-counter.ts";
import type { Phase, Protocol } from "../protocols/protocol.ts";
import { Connection, type ConnectionOwner, UNWATCHED } from "./connection.ts";
import { ConnectionTimeouts, type Timeouts } from "./timeouts.ts";
import { AcceptThrottle, LISTENER } from "./accept-throttle.ts";
import type { Listener } from "./listeners.ts";
import type { Heartbeat, ServerWarning } from "./options.ts";

export interface RunLoopOptions extends Timeouts {
  /** Try the next system call at once, and go to epoll only on EAGAIN. */
  eager: boolean;
  maxConnections: number;
  maxConnectionsPerAddress: number;
  exclusive: boolean;
  onWarning: ((warning: ServerWarning) => void) | undefined;
  heartbeat: Heartbeat | undefined;
}

// A registration's token: what kind it is (LISTENER: 0), or from FIRST_CONNECTION on, whose it is.
const WAKE_UP = 1;
const FIRST_CONNECTION = 2;

const MAX_EVENTS = 1024;
/** How many connections one wake-up accepts: then it is the others' turn. */
const ACCEPT_BURST = 64;
/** The same where other processes wait on the socket, too: what this one leaves, another takes at once. */
const EXCLUSIVE_BURST = 1;
const RECEIVE_BYTES = 65_536;
/** What the document's program reads at once. */
const CLASSIC_RECEIVE_BYTES = 1024;
/** How long a stop goes on handling what had come before it, if more and more comes. */
const GATHER_MS = 1_000;
const LONGEST_WAIT_MS = 0x7fffffff; // epoll_wait takes an int
/** What is read and thrown away of a connection that was told to end. */
const LINGER_BYTES = 16_777_216;
const RESET_ON_CLOSE = new Uint8Array(Int32Array.of(1, 0).buffer); // struct linger { l_onoff, l_linger }

export class RunLoop implements ConnectionOwner {
  // What it has done so far.
  accepted: number = 0;
  /** Connections open now. */
  open: number = 0;
  bytesIn: number = 0;
  bytesOut: number = 0;
  timeouts: number = 0;
  errors: number = 0;

  readonly #sys: Syscalls;
  readonly #clock: Clock;
  readonly #protocol: Protocol;
  readonly #options: RunLoopOptions;
  readonly #epoll: Epoll;
  readonly #gate: AcceptThrottle;
  readonly #events = new EventList(MAX_EVENTS);
  readonly #received = Buffer.from(new ArrayBuffer(RECEIVE_BYTES));
  readonly #receiveBytes: number;
  readonly #peer = new Int32Array(addressBuffer().buffer);

  /** By descriptor. */
  readonly #connections: (Connection | undefined)[] = [];
  readonly #tokens = new TokenCounter(FIRST_CONNECTION);
  readonly #deadlines: ConnectionTimeouts;
  /** How many come from each address, if that is limited. */
  readonly #perAddress = new Map<string, number>();
  #nowMs: number;

  /** By descriptor. */
  readonly #wakeUps = new Map<number, () => void>();
  /** Called when something was done between iterations: the next deadline may be another. */
  onChange: (() => void) | undefined;
  /** It cannot go on. */
  hasFailed: boolean = false;
  isStopping: boolean = false;
  #gatherUntilMs = 0;
  #cutAtMs = Infinity;
  /** Until when a connection that is at rest may make one more request, though it stops. */
  #restUntilMs = Infinity;
  #beatAtMs: number;
  #thrown: { error: unknown } | undefined;

  /** The listeners are taken over: closed with the loop, or if it cannot be made. */
  constructor(
    sys: Syscalls,
    clock: Clock,
    listeners: readonly Listener[],
    protocol: Protocol,
    options: RunLoopOptions,
  ) {
    this.#sys = sys;
    this.#clock = clock;
    this.#protocol = protocol;
    this.#options = options;
    this.#receiveBytes = options.eager ? RECEIVE_BYTES : CLASSIC_RECEIVE_BYTES;
    this.#deadlines = new ConnectionTimeouts(options);
    this.#nowMs = clock.now();
    this.#beatAtMs = options.heartbeat === undefined ? Infinity : this.#nowMs;
    let epoll: Epoll | undefined;
    try {
      epoll = new Epoll(undefined, sys);
      this.#gate = new AcceptThrottle(epoll, listeners, options);
      this.#gate.open(this.#nowMs);
    } catch (error) {
      epoll?.close();
      for (const listener of listeners) listener.close();
      throw error;
    }
    this.#epoll = epoll;
  }

  /** All is closed. */
  get closed(): boolean {
    return this.#epoll.closed;
  }

  /** When the last iteration's events came, by the loop's clock. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** The epoll instance, for another loop that has it watched. */
  fileno(): number {
    return this.#epoll.fileno();
  }

  /** When the next iteration has something to do though nothing has happened, by the loop's clock; Infinity: never. */
  get nextMs(): number {
    const restMs = this.#restUntilMs > this.#nowMs ? this.#restUntilMs : Infinity; // what is past has been seen to
    return Math.min(this.#deadlines.nextMs, this.#gate.retryAtMs, this.#cutAtMs, restMs, this.#beatAtMs);
  }

  /** What a connection waits for; undefined if the descriptor is none. */
  stateOf(fd: number): Phase | "sending" | "closing" | "lingering" | undefined {
    const connection = this.#connections[fd];
    if (connection === undefined) return undefined;
    if (connection.isLingering) return "lingering";
    if (connection.output !== undefined) return "sending";
    return connection.isFinished ? "closing" : connection.phase;
  }

  /** Watch a descriptor that ends a wait, and call back as long as it is readable; returns what ends that. */
  onWakeUp(fd: FdLike, callback: () => void): () => void {
    const number = toFd(fd);
    this.#epoll.register(number, EPOLLIN, WAKE_UP);
    this.#wakeUps.set(number, callback);
    return () => {
      if (this.#wakeUps.get(number) !== callback) return;
      this.#wakeUps.delete(number);
      if (!this.closed) this.#unregister(number);
    };
  }

  /**
   * Wait for events, handle each, and see whose time is over.
   *
   * @param timeoutMs how long to wait at most, a whole number; negative: until something happens
   * @param sinceMs the time now, by the loop's clock, or shortly before
   * @returns how many events there were
   */
  runOnce(timeoutMs: number, sinceMs: number = this.#clock.now()): number {
    const events = this.#events;
    let isSomebodyWaiting = !this.#gate.isOpen; // perhaps: nobody looks
    const n = this.#wait(this.#untilNextDeadline(timeoutMs, sinceMs));
    this.#nowMs = this.#clock.now();
    this.#protocol.startIteration(this.#nowMs);
    if (this.#nowMs >= this.#beatAtMs) this.#beat();
    for (let i = 0; i < n; i++) {
      const fd = events.fd(i);
      const mask = events.mask(i);
      const token = events.token(i);
      if (token === LISTENER) {
        isSomebodyWaiting = true;
        this.#accept(fd);
      } else if (token === WAKE_UP) {
        this.#wakeUps.get(fd)?.();
      } else {
        const connection = this.#connections[fd];
        // An earlier event of this iteration may have closed it, and the number be another's already; or changed what it waits for.
        if (connection?.token !== token) {
          this.#forget(fd);
          continue;
        }
        const wanted = mask & connection.interest;
        if (wanted & EPOLLIN) this.#receive(connection);
        if (wanted & EPOLLOUT) this.#send(connection);
        else if (wanted === 0 && mask & (EPOLLHUP | EPOLLERR)) this.#hungUp(connection, mask);
      }
    }
    if (n < MAX_EVENTS) {
      if (!isSomebodyWaiting) this.#gate.onBacklogEmpty();
      this.#expire(); // not in a full iteration: there some wait for us, and not we for them
    }
    if (this.isStopping) this.#drain(n);
    this.#rethrow();
    return n;
  }

  /**
   * Accept no more, let what has begun finish, and cut at `atMs` what has not; iterations must go on until it is closed. Until
   * `restUntilMs` connections that are at rest may begin something.
   */
  stop(atMs: number, restUntilMs: number): void {
    this.#cutAtMs = Math.min(this.#cutAtMs, atMs);
    this.#restUntilMs = Math.min(this.#restUntilMs, restUntilMs);
    if (this.isStopping) return;
    this.isStopping = true;
    this.#gatherUntilMs = Math.min(atMs, this.#clock.now() + GATHER_MS);
    this.#protocol.stop();
  }

  /** Close all that is open, now. Closing twice is fine. */
  close(): void {
    if (this.closed) return;
    try {
      this.#cut();
      this.#gate.close();
    } finally {
      this.#epoll.close();
    }
    this.#rethrow();
  }

  /** What an application threw while something was closed. */
  #rethrow(): void {
    const thrown = this.#thrown;
    this.#thrown = undefined;
    if (thrown !== undefined) throw thrown.error;
  }

  // ---- the document's four branches ----

  /** EPOLLIN on a listening socket: connections wait to be accepted. */
  #accept(listener: number): void {
    const { eager, exclusive } = this.#options;
    const most = eager ? (exclusive ? EXCLUSIVE_BURST : ACCEPT_BURST) : 1;
    let accepted = 0;
    for (let left = ACCEPT_BURST; left > 0; left--) {
      if (!this.#gate.canAccept(this.open)) return;
      const fd = this.#sys.accept4(listener, this.#peer, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (this.#gate.isTransient(-fd)) continue;
        // Without a free descriptor accept4 fails though nobody waits: only an event and a first call that fails tell.
        if (accepted === 0) this.#acceptFailed(-fd);
        return;
      }
      accepted++;
      const connection = this.#adopt(fd);
      const { isClosed, isFinished, isPaused } = connection; // by its protocol, at once
      if (eager && !isClosed && !isFinished && !isPaused) this.#receive(connection);
      else this.#proceed(connection);
      if (accepted === most) {
        if (exclusive) this.#gate.requeue(this.#nowMs);
        return;
      }
    }
    if (accepted === 0) this.#gate.pause(this.#nowMs);
  }

  #acceptFailed(errno: number): void {
    try {
      this.#gate.failed(errno, this.open, this.#nowMs);
    } catch (error) {
      this.hasFailed = error instanceof ErrnoError;
      throw error;
    }
  }

  /** EPOLLIN: there are bytes, or the end of them. */
  #receive(connection: Connection): void {
    const n = this.#sys.recv(connection.fd, this.#received, 0, this.#receiveBytes, 0);
    if (n > 0) {
      this.bytesIn += n;
      connection.bytesIn += n;
      if (connection.isLingering) this.#discard(connection, n);
      else this.#understand(connection, n);
    } else if (n === 0) {
      this.#ended(connection);
    } else if (n === -EAGAIN || n === -EINTR) {
      this.#proceed(connection);
    } else {
      this.#broke(connection);
    }
  }

  /** EPOLLOUT: there is room to send. */
  #send(connection: Connection): void {
    if (connection.isClosed) return; // while it was received from
    while (connection.output !== undefined) {
      connection.join();
      const { fd, output, outputStart, outputEnd } = connection;
      const wanted = outputEnd - outputStart;
      const n = this.#sys.send(fd, output, outputStart, wanted, MSG_NOSIGNAL);
      if (n === -EAGAIN || n === -EINTR) break;
      if (n < 0) return this.#broke(connection);
      this.bytesOut += n;
      connection.sent(n);
      if (n < wanted || !this.#options.eager) break;
    }
    if (connection.output === undefined) this.#next(connection);
    else this.#awaitRoom(connection);
  }

  /** EPOLLHUP, and nothing to read or send any more. */
  #hungUp(connection: Connection, mask: number): void {
    if (connection.isFinished && (mask & EPOLLERR) === 0) this.#release(connection);
    else this.#broke(connection);
  }

  // ---- what follows ----

  /** Let the protocol see what was received, and do what it asks for. */
  #understand(connection: Connection, length: number): void {
    connection.isInHands = true;
    try {
      this.#protocol.receive(connection, this.#received, length);
    } catch (error) {
      this.#abort(connection);
      throw error;
    } finally {
      connection.isInHands = false;
    }
    this.#proceed(connection);
  }

  /** The peer sends no more: most often that is the end. */
  #ended(connection: Connection): void {
    if (!connection.isLingering) {
      this.#consult(connection, () => this.#protocol.end(connection));
      if (!connection.isFinished || connection.output !== undefined) return this.#proceed(connection);
    }
    this.#release(connection);
  }

  /** Have the protocol see to a connection, as `#understand` does: what it asks for is done afterwards, and if it throws, the connection is lost. */
  #consult(connection: Connection, see: () => void): void {
    connection.isInHands = true;
    try {
      see();
    } catch (error) {
      this.#abort(connection);
      throw error;
    } finally {
      connection.isInHands = false;
    }
  }

  #proceed(connection: Connection): void {
    if (connection.isClosed) return;
    if (connection.output === undefined) this.#next(connection);
    else if (this.#options.eager) this.#send(connection);
    else this.#awaitRoom(connection);
  }

  /** Nothing is left to send: go on with what waited for that, close, or wait for more. */
  #next(connection: Connection): void {
    if (connection.wantsDrain) {
      this.#consult(connection, () => this.#protocol.drain(connection));
      if (connection.isClosed) return;
      if (connection.output !== undefined) return this.#awaitRoom(connection); // the others' turn first
    }
    if (connection.isFinished) return this.#finish(connection);
    if (!this.#watch(connection, connection.isPaused ? 0 : EPOLLIN)) return;
    const { phase, queue, messages, progress } = connection;
    const next = this.#deadlines.of(phase);
    if (next === undefined) {
      queue?.remove(connection);
    } else if (queue !== next || messages !== connection.messagesBefore || progress !== connection.progressBefore) {
      connection.messagesBefore = messages; // another wait than the one that it was in
      connection.progressBefore = progress;
      next.push(connection, this.#nowMs);
    }
  }

  /** There is more to send than the kernel has room for. */
  #awaitRoom(connection: Connection): void {
    connection.copyBorrowed();
    connection.isPeerDone = false; // much is under way: it shall not be lost to a stray byte
    const isReading = this.#protocol.isDuplex && !connection.isPaused && !connection.isFinished;
    if (!this.#watch(connection, isReading ? EPOLLIN | EPOLLOUT : EPOLLOUT)) return;
    const { awaitingRoom } = this.#deadlines;
    // What is received meanwhile is no sign that what is sent is taken.
    if (connection.queue !== awaitingRoom || connection.bytesOut !== connection.progressBefore) {
      connection.progressBefore = connection.bytesOut;
      awaitingRoom.push(connection, this.#nowMs);
    }
  }

  /** All is sent and it shall close: say so to the peer, and wait until it has heard. */
  #finish(connection: Connection): void {
    if (!this.#protocol.lingers) {
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
    this.#deadlines.lingering.push(connection, this.#nowMs);
  }

  /** Read on after our last byte, so that the peer is not reset before it has read it; within a bound. */
  #discard(connection: Connection, length: number): void {
    connection.lingered += length;
    if (connection.lingered > LINGER_BYTES) this.#release(connection);
  }

  // ---- what a protocol asks for while the loop is elsewhere ----

  flush(connection: Connection): void {
    if (connection.isLingering) return;
    this.#nowMs = this.#clock.now();
    this.#proceed(connection);
    this.onChange?.();
  }

  abort(connection: Connection): void {
    this.#abort(connection);
    this.onChange?.();
  }

  // ---- a connection's registration and end ----

  #adopt(fd: number): Connection {
    this.accepted++;
    this.open++;
    const connection = new Connection(this.#sys, this, fd, this.#tokens.next(), this.#peer);
    while (this.#connections.length <= fd) this.#connections.push(undefined); // no holes
    this.#connections[fd] = connection;
    this.#deadlines.awaitingHead.push(connection, this.#nowMs);
    connection.messagesBefore = connection.progressBefore = 0;
    if (this.#isOneTooMany(connection)) this.#consult(connection, () => this.#protocol.reject(connection));
    else this.#consult(connection, () => this.#protocol.open(connection));
    return connection;
  }

  #isOneTooMany(connection: Connection): boolean {
    const { maxConnectionsPerAddress } = this.#options;
    if (maxConnectionsPerAddress === Infinity) return false;
    const { peer } = connection;
    if (!("address" in peer)) return false;
    const count = (this.#perAddress.get(peer.address) ?? 0) + 1;
    this.#perAddress.set(peer.address, count);
    connection.countedAs = peer.address;
    return count > maxConnectionsPerAddress;
  }

  #uncount(address: string): void {
    const count = (this.#perAddress.get(address) ?? 1) - 1;
    if (count > 0) this.#perAddress.set(address, count);
    else this.#perAddress.delete(address);
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
      if (!(error instanceof ErrnoError)) throw error;
      this.#options.onWarning?.({ code: error.code, message: error.message }); // ENOSPC, ENOMEM: it cannot be served
      return false;
    }
  }

  #broke(connection: Connection): void {
    this.errors++;
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
    this.open--;
    connection.isClosed = true;
    connection.output = undefined;
    if (connection.countedAs !== undefined) this.#uncount(connection.countedAs);
    connection.queue?.remove(connection);
    // Not left to close(): a duplicate elsewhere (a child between fork and exec) would keep the registration alive.
    if (connection.interest !== UNWATCHED) this.#unregister(fd);
    this.#sys.close(fd);
    try {
      this.#protocol.closed(connection);
    } catch (error) {
      this.#thrown ??= { error }; // by an application: first all that is to be closed
    }
    this.#gate.onConnectionClosed(this.open, this.#nowMs);
  }

  /** An event of nobody's: end its registration if there is one, lest it come again for ever. */
  #forget(fd: number): void {
    if (this.#connections[fd] === undefined) this.#unregister(fd); // else the number's new owner has one
  }

  #unregister(fd: number): void {
    try {
      this.#epoll.unregister(fd);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error; // it is not registered: as it should be
    }
  }

  // ---- time ----

  #beat(): void {
    const { everyMs, beat } = this.#options.heartbeat as Heartbeat;
    this.#beatAtMs = this.#nowMs + everyMs;
    beat();
  }

  #wait(timeoutMs: number): number {
    try {
      return this.#epoll.waitInto(this.#events, timeoutMs);
    } catch (error) {
      this.hasFailed = true;
      throw error;
    }
  }

  #untilNextDeadline(timeoutMs: number, nowMs: number): number {
    if (this.isStopping && !this.#gate.closed) return 0; // only what has come already
    const next = this.nextMs;
    if (next === Infinity) return timeoutMs;
    const left = Math.min(Math.max(0, Math.ceil(next - nowMs)), LONGEST_WAIT_MS);
    return timeoutMs < 0 ? left : Math.min(left, timeoutMs);
  }

  #expire(): void {
    const { awaitingHead, awaitingBody, idle, awaitingRoom, lingering } = this.#deadlines;
    const now = this.#nowMs;
    for (let late; (late = awaitingHead.expired(now)) !== undefined;) this.#messageTimedOut(late);
    for (let late; (late = awaitingBody.expired(now)) !== undefined;) this.#messageTimedOut(late);
    for (let late; (late = idle.expired(now)) !== undefined;) this.#timedOut(late);
    for (let late; (late = awaitingRoom.expired(now)) !== undefined;) this.#roomTimedOut(late);
    for (let late; (late = lingering.expired(now)) !== undefined;) this.#release(late);
    if (now >= this.#gate.retryAtMs) this.#gate.open(now);
  }

  #messageTimedOut(connection: Connection): void {
    this.timeouts++;
    connection.queue?.remove(connection);
    this.#consult(connection, () => this.#protocol.timeout(connection));
    if (connection.isClosed) return;
    if (connection.output !== undefined) this.#send(connection);
    else if (connection.isFinished) this.#release(connection);
    else this.#next(connection);
  }

  /** EPOLLOUT comes when a good part of the kernel's buffer is free; a slow reader may have made less room than that. */
  #roomTimedOut(connection: Connection): void {
    const { bytesOut } = this;
    this.#send(connection);
    if (this.bytesOut > bytesOut || this.#connections[connection.fd] !== connection) return;
    this.timeouts++;
    this.#abort(connection); // or the kernel would go on trying
  }

  #timedOut(connection: Connection): void {
    this.timeouts++;
    this.#release(connection);
  }

  // ---- the end ----

  /** After each iteration while stopping: first handle all that has come, then close the listeners, then see to the rest. */
  #drain(events: number): void {
    if (!this.#gate.closed && (events === 0 || this.#nowMs >= this.#gatherUntilMs)) this.#gate.close();
    if (this.#gate.closed && this.#nowMs >= this.#restUntilMs) {
      for (const connection of this.#connections) {
        if (connection !== undefined && isAtRest(connection)) this.#release(connection);
      }
    }
    if (this.#nowMs >= this.#cutAtMs) this.#cut();
    if (this.#gate.closed && this.open === 0) this.close();
  }

  /** End every connection, and let those notice that were still owed something. */
  #cut(): void {
    for (const connection of this.#connections) {
      if (connection === undefined) continue;
      if (connection.pending > 0 || (!connection.isFinished && !isAtRest(connection))) this.#abort(connection);
      else this.#release(connection);
    }
  }
}

/** Nothing has come that is not answered. */
function isAtRest({ phase, pending, isFinished }: Connection): boolean {
  return (phase === "new" || phase === "idle") && pending === 0 && !isFinished;
}
