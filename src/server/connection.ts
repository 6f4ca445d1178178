// One connection: its descriptor, what is still to be sent, and what it waits for. The loop makes its system calls.

import { Buffer } from "node:buffer";
import { type Address, decodeAddress } from "../kernel/address.ts";
import { AF_INET } from "../kernel/constants.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import type { ProtocolConnection, Phase } from "../protocols/protocol.ts";
import type { TimeoutQueue } from "./timeouts.ts";

/** The mask of a connection that epoll does not watch (yet). */
export const UNWATCHED = -1;

/** Chunks up to this many bytes in all are joined, to go out with one send. */
const JOIN_BYTES = 65_536;

/** So many chunks that were sent are kept until they are let go together. */
const SENT_CHUNKS = 16;

interface Chunk {
  bytes: Uint8Array;
  length: number;
}

/** What a connection has its loop do. */
export interface ConnectionOwner {
  flush(connection: Connection): void;
  abort(connection: Connection): void;
}

export class Connection implements ProtocolConnection {
  readonly fd: number;
  /** Comes back with each event: an event with another token is not this connection's, though its number be the same. */
  readonly token: number;
  /** The mask that epoll has, or UNWATCHED. */
  interest: number = UNWATCHED;

  // Output: the chunk that is being sent, and those behind it.
  output: Uint8Array | undefined;
  outputStart: number = 0;
  outputEnd: number = 0;
  pending: number = 0;
  /** What is being sent is only lent. */
  #isLent = false;
  #more: Chunk[] | undefined;
  #nextChunk = 0; // of `more`

  isFinished: boolean = false;
  isPeerDone: boolean = false;
  /** Our half is shut; what still comes is read and thrown away. */
  isLingering: boolean = false;
  lingered: number = 0;
  isClosed: boolean = false;
  bytesIn: number = 0;
  bytesOut: number = 0;

  // The protocol's.
  protocolState: unknown = undefined;
  messages: number = 0;
  phase: Phase = "new";
  progress: number = 0;
  isPaused: boolean = false;
  wantsDrain: boolean = false;

  /** The protocol is at work on it: what it asks for is done when it returns. */
  isInHands: boolean = false;
  /** How far it was when the wait began. */
  progressBefore: number = -1;
  messagesBefore: number = -1;

  // The deadline queue's.
  queue: TimeoutQueue | undefined;
  earlier: Connection | undefined;
  later: Connection | undefined;
  waitingSinceMs: number = 0;

  /** The listener that it came by counts it under this name; undefined if nobody counts. */
  countedAs: string | undefined;

  readonly #sys: Syscalls;
  readonly #owner: ConnectionOwner;
  // The peer's address as accept4 wrote it, decoded when asked for. Of an IPv4 address these are all of it, and no copy is needed.
  readonly #familyAndPort: number;
  readonly #ipv4: number;
  #peer: Int32Array | Address | undefined;

  /** @param peer an address as accept4 wrote it; copied */
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

  write(bytes: Uint8Array, length: number = bytes.byteLength, isLent: boolean = false): void {
    if (length === 0 || this.isClosed) return;
    this.pending += length;
    if (this.output === undefined) {
      this.output = bytes;
      this.outputStart = 0;
      this.outputEnd = length;
      this.#isLent = isLent;
    } else {
      (this.#more ??= []).push({ bytes: isLent ? new Uint8Array(bytes.subarray(0, length)) : bytes, length });
    }
  }

  /** It could not be sent at once: what is only lent is copied. */
  copyBorrowed(): void {
    if (!this.#isLent || this.output === undefined) return;
    this.output = new Uint8Array(this.output.subarray(this.outputStart, this.outputEnd)); // Buffer's slice is no copy
    this.outputEnd -= this.outputStart;
    this.outputStart = 0;
    this.#isLent = false;
  }

  flush(): void {
    if (!this.isInHands && !this.isClosed) this.#owner.flush(this);
  }

  abort(): void {
    if (!this.isClosed) this.#owner.abort(this);
  }

  finish(isPeerDone: boolean): void {
    this.isFinished = true;
    this.isPeerDone = isPeerDone;
  }

  /** Join small chunks, so that one send takes them all. */
  join(): void {
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
    this.#isLent = false;
    this.outputStart = 0;
    this.outputEnd = size;
  }

  /** The kernel took `count` bytes of the first chunk. */
  sent(count: number): void {
    this.pending -= count;
    this.bytesOut += count;
    this.outputStart += count;
    if (this.outputStart < this.outputEnd) return;
    const next = this.#more?.[this.#nextChunk++];
    if (next === undefined) {
      this.#more = undefined;
      this.#nextChunk = 0;
    } else if (this.#nextChunk >= SENT_CHUNKS) {
      this.#more?.splice(0, this.#nextChunk); // or all that was ever sent would be kept for who is always a little behind
      this.#nextChunk = 0;
    }
    this.output = next?.bytes;
    this.#isLent = false;
    this.outputStart = 0;
    this.outputEnd = next?.length ?? 0;
  }
}
