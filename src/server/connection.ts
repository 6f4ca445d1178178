// A connection's data: its fd, its state, the output still to be sent, and the requests of its protocol. Makes no system calls.

import { Buffer } from "node:buffer";
import { type Address, decodeAddress } from "../kernel/address.ts";
import { AF_INET, EPOLLOUT } from "../kernel/constants.ts";
import { freeMemory } from "../kernel/free-memory.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import type { ProtocolConnection, Phase } from "../protocols/protocol.ts";
import { assertTransition, type ConnectionState, isOpen, isShutDown } from "./connection-state.ts";
import type { Timed, TimeoutQueue } from "./timeouts.ts";

/** The registered mask of a connection that is not registered with epoll. */
export const UNREGISTERED = -1;

/** Chunks of up to this many bytes in total are joined and sent with one call. */
const JOIN_BYTES = 65_536;

/** Sent chunks are removed from the queue in batches of this size. */
const MAX_SENT_CHUNKS = 16;

interface Chunk {
  bytes: Uint8Array;
  length: number;
  isBorrowed: boolean;
  isFreed: boolean;
}

/** The operations that a connection requests from its run loop. */
export interface ConnectionOwner {
  flush(connection: Connection): void;
  sendNow(connection: Connection): void;
  abort(connection: Connection): void;
  fail(connection: Connection, error: unknown): void;
  /** Counts the connection for its peer's address; returns whether that has too many. */
  exceedsAddressLimit(connection: Connection): boolean;
}

export class Connection implements ProtocolConnection, Timed<Connection> {
  readonly fd: number;
  /** Comes back with each event. An event with another token belongs to an earlier connection that had the same fd. */
  readonly token: number;
  readonly isSecure: boolean = false;
  /** The mask that is registered with epoll, or UNREGISTERED. */
  registeredMask: number = UNREGISTERED;
  // The state, and two of its properties that are read for each event. Only `transition` and `phase` write them.
  #state: ConnectionState = "new";
  #isFinished = false;
  #isShutDown = false;

  // Output: the chunk that is being sent, and those after it.
  output: Uint8Array | undefined;
  outputStart: number = 0;
  outputEnd: number = 0;
  pending: number = 0;
  /** The chunk that is being sent is borrowed. */
  #isBorrowed = false;
  /** Its memory is freed once it is sent. */
  #isFreed = false;
  #more: Chunk[] | undefined;
  #nextChunk = 0; // index in #more

  bytesIn: number = 0;
  bytesOut: number = 0;
  /** Input discarded while lingering. */
  bytesDiscarded: number = 0;

  // Set by the protocol.
  protocolState: unknown = undefined;
  messages: number = 0;
  #ownTimeoutMs: number | undefined;
  /** The message for which `#ownTimeoutMs` was set. */
  #ownTimeoutMessage = 0;
  progress: number = 0;
  isDuplex: boolean = false;
  isPaused: boolean = false;
  receiveInto: Buffer | undefined;
  wantsDrain: boolean = false;

  hasPeerClosed: boolean = false;
  /** Output that is counted in the server's budget: what was queued when the connection last waited for room. */
  countedBytes: number = 0;

  /** The protocol is being called: what it requests is performed when the call returns. */
  isInCallback: boolean = false;

  // The values of `messages` and `progress` (or, while output waits, of `bytesOut`) when the current timeout began.
  messagesBefore: number = 0;
  progressBefore: number = 0;

  // Set by the timeout queue.
  timeoutQueue: TimeoutQueue<Connection> | undefined;
  previousInQueue: Connection | undefined;
  nextInQueue: Connection | undefined;
  waitingSinceMs: number = 0;

  /** The address that this connection counts for in maxConnectionsPerAddress; undefined without that limit. */
  countedAddress: string | undefined;

  readonly #sys: Syscalls;
  readonly #owner: ConnectionOwner;
  // The peer's address as accept4 wrote it, decoded on first use. An IPv4 address fits into these two, without a copy.
  readonly #familyAndPort: number;
  readonly #ipv4: number;
  #peer: Int32Array | Address | undefined;

  /** @param peer an address as accept4 wrote it; it is copied */
  constructor(sys: Syscalls, owner: ConnectionOwner, fd: number, token: number, peer: Int32Array) {
    this.#sys = sys;
    this.#owner = owner;
    this.fd = fd;
    this.token = token;
    this.#familyAndPort = peer[1] as number;
    this.#ipv4 = peer[2] as number;
    this.#peer = (this.#familyAndPort & 0xffff) === AF_INET ? undefined : peer.slice();
  }

  get peer(): Address {
    if (this.#peer === undefined || this.#peer instanceof Int32Array) {
      const written = this.#peer ?? new Int32Array([16, this.#familyAndPort, this.#ipv4]);
      this.#peer = decodeAddress(this.#sys, new Uint8Array(written.buffer));
    }
    return this.#peer;
  }

  setPeer(peer: Address): boolean {
    this.#peer = peer;
    return !this.#owner.exceedsAddressLimit(this);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Changes the state. @throws {Error} if TRANSITIONS does not have that transition */
  transition(to: ConnectionState): void {
    if (to === this.#state) return;
    assertTransition(this.#state, to);
    this.#state = to;
    this.#isFinished = !isOpen(to);
    this.#isShutDown = isShutDown(to);
  }

  get phase(): Phase | undefined {
    return this.#isFinished ? undefined : (this.#state as Phase);
  }

  set phase(phase: Phase) {
    if (!this.#isFinished) this.#state = phase; // TRANSITIONS allows all of them, and this is done for each request
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  get isBlocked(): boolean {
    return this.registeredMask !== UNREGISTERED && (this.registeredMask & EPOLLOUT) !== 0;
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  get handlerTimeoutMs(): number | undefined {
    return this.#ownTimeoutMessage === this.messages ? this.#ownTimeoutMs : undefined;
  }

  set handlerTimeoutMs(timeoutMs: number) {
    this.#ownTimeoutMs = timeoutMs;
    this.#ownTimeoutMessage = this.messages;
    this.progress++;
  }

  /** Nothing more can be sent: the connection is closing, lingering or closed. */
  get isShutDown(): boolean {
    return this.#isShutDown;
  }

  /** No request is pending and no output is queued. */
  get isIdle(): boolean {
    return (this.#state === "idle" || this.#state === "new") && this.pending === 0;
  }

  /** Whether further chunks follow the one that is being sent. */
  get hasMoreOutput(): boolean {
    return this.#more !== undefined && this.#nextChunk < this.#more.length;
  }

  write(bytes: Uint8Array, length: number = bytes.byteLength, isBorrowed: boolean = false): void {
    this.#queue(bytes, length, isBorrowed, false);
  }

  writeOnce(bytes: Uint8Array): void {
    this.#queue(bytes, bytes.byteLength, false, true);
  }

  #queue(bytes: Uint8Array, length: number, isBorrowed: boolean, isFreed: boolean): void {
    if (length === 0 || this.#isShutDown) return;
    this.pending += length;
    if (this.output === undefined) {
      this.output = bytes;
      this.outputStart = 0;
      this.outputEnd = length;
      this.#isBorrowed = isBorrowed;
      this.#isFreed = isFreed;
    } else {
      (this.#more ??= []).push({ bytes, length, isBorrowed, isFreed });
    }
  }

  copyBorrowed(): void {
    for (let i = this.#nextChunk; i < (this.#more?.length ?? 0); i++) {
      const chunk = this.#more?.[i] as Chunk;
      if (chunk.isBorrowed) chunk.bytes = new Uint8Array(chunk.bytes.subarray(0, chunk.length));
      chunk.isBorrowed = false;
    }
    if (!this.#isBorrowed || this.output === undefined) return;
    this.output = new Uint8Array(this.output.subarray(this.outputStart, this.outputEnd)); // Buffer's slice does not copy
    this.outputEnd -= this.outputStart;
    this.outputStart = 0;
    this.#isBorrowed = false;
  }

  flush(): void {
    if (!this.isInCallback && !this.#isShutDown) this.#owner.flush(this);
  }

  sendNow(): void {
    if (!this.#isShutDown) this.#owner.sendNow(this);
  }

  abort(): void {
    if (!this.isClosed) this.#owner.abort(this);
  }

  fail(error: unknown): void {
    this.#owner.fail(this, error);
  }

  finish(isPeerDone: boolean): void {
    if (!this.#isShutDown) this.transition(isPeerDone ? "finishing-no-linger" : "finishing");
  }

  /** Joins small chunks, so that one call sends them all. */
  joinChunks(): void {
    const { output } = this;
    if (this.#more === undefined || output === undefined) return;
    const parts = [output.subarray(this.outputStart, this.outputEnd)];
    let size = this.outputEnd - this.outputStart;
    for (let chunk; (chunk = this.#more[this.#nextChunk]) !== undefined; this.#nextChunk++) {
      if (size + chunk.length > JOIN_BYTES) break;
      parts.push(chunk.bytes.subarray(0, chunk.length));
      size += chunk.length;
    }
    if (parts.length === 1) return;
    this.output = Buffer.concat(parts, size);
    this.#isBorrowed = this.#isFreed = false;
    this.outputStart = 0;
    this.outputEnd = size;
  }

  /** Removes what the kernel has taken: `count` bytes of the first chunk. */
  consume(count: number): void {
    this.pending -= count;
    this.bytesOut += count;
    this.outputStart += count;
    if (this.outputStart < this.outputEnd) return;
    if (this.#isFreed) freeMemory(this.output as Uint8Array);
    const next = this.#more?.[this.#nextChunk++];
    if (next === undefined) {
      this.#more = undefined;
      this.#nextChunk = 0;
    } else if (this.#nextChunk >= MAX_SENT_CHUNKS) {
      this.#more?.splice(0, this.#nextChunk); // otherwise a client that always lags a little would keep all of them alive
      this.#nextChunk = 0;
    }
    this.output = next?.bytes;
    this.#isBorrowed = next?.isBorrowed ?? false;
    this.#isFreed = next?.isFreed ?? false;
    this.outputStart = 0;
    this.outputEnd = next?.length ?? 0;
  }
}
