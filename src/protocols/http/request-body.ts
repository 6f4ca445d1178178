// The body of a request while it comes: counted, unchunked, kept for who reads it, and never more of it than is allowed.

import { Buffer } from "node:buffer";
import { ChunkedDecoder, MALFORMED } from "./llhttp.ts";
import type { RejectionReason } from "./rejection.ts";

/** So much is kept for a slow reader: then no more is received until it has read. */
const HIGH_WATER = 262_144;
/** How much chunk framing, extensions and trailers there may be: so much, and so many times what they carry. */
const FRAMING_BYTES = 16_384;
const FRAMING_FACTOR = 16;

const SMALL_PIECE = 4_096;
const TAIL_BYTES = 16_384;
const nothing = new Uint8Array(0);

export interface BodyOwner {
  /** Somebody has begun to read. */
  touched(): void;
  /** There is room again. */
  drained(): void;
}

export class RequestBody {
  /** All of it has come. */
  isComplete: boolean = false;
  /** Somebody has begun to read it, or has cancelled it. */
  isTouched: boolean = false;
  /** Nobody will read it: what comes is thrown away. */
  isDiscarded: boolean = false;
  /** Why it ended before its end. */
  error: Error | undefined;
  /** Why it is refused. */
  refusal: RejectionReason | undefined;
  /** What came of its content. */
  received: number = 0;
  /** How many bytes came, with their framing. */
  bytesIn: number = 0;

  readonly #owner: BodyOwner;
  readonly #length: number;
  readonly #maxBytes: number;
  readonly #decoder: ChunkedDecoder | undefined;
  #isReleased = false;

  #chunks: Uint8Array[] = [];
  #tail: Uint8Array = nothing;
  #tailUsed = 0;
  #queued = 0;
  #isCollected = false;
  #wake: (() => void) | undefined;
  #stream: ReadableStream<Uint8Array> | undefined;

  /** @param length -1: it is chunked */
  constructor(length: number, maxBytes: number, owner: BodyOwner) {
    this.#length = length;
    this.#maxBytes = maxBytes;
    this.#owner = owner;
    if (length < 0) this.#decoder = new ChunkedDecoder();
  }

  /** How much is still to come; Infinity if it is chunked. */
  get left(): number {
    return this.#decoder === undefined ? this.#length - this.received : Infinity;
  }

  /** More has come than its reader has taken. */
  get isFull(): boolean {
    return this.#queued >= HIGH_WATER && !this.#isCollected && !this.isDiscarded;
  }

  /**
   * Take what came.
   *
   * @returns how many of the bytes belong to it; -1 if it is refused, and `refusal` says why
   */
  feed(bytes: Uint8Array, start: number, end: number): number {
    return this.#decoder === undefined
      ? this.#count(bytes, start, end)
      : this.#decode(this.#decoder, bytes, start, end);
  }

  /** It will not come to its end. */
  fail(error: Error): void {
    if (this.isComplete || this.error !== undefined) return;
    this.error = error;
    this.#release();
    this.#wakeUp();
  }

  /** Keep nothing of it: who reads on gets an error. */
  discard(): void {
    if (this.isDiscarded) return;
    this.isDiscarded = true;
    this.#keepTail();
    this.#chunks = [];
    this.#queued = 0;
    this.#wakeUp();
  }

  /** As a stream. It is the same one each time. */
  get stream(): ReadableStream<Uint8Array> {
    return (this.#stream ??= new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          this.#touch();
          const chunk = await this.#next();
          if (chunk === undefined) controller.close();
          else controller.enqueue(chunk);
        },
        cancel: () => {
          this.#touch();
          this.discard();
          this.#owner.drained();
        },
      },
      { highWaterMark: 0 },
    ));
  }

  /** All of it, once it has come. */
  async all(): Promise<Uint8Array<ArrayBuffer>> {
    this.#isCollected = true;
    this.#touch();
    this.#owner.drained();
    while (!this.isComplete && !this.isDiscarded && this.error === undefined) await this.#moved();
    if (this.error !== undefined) throw this.error;
    if (this.isDiscarded) throw discarded();
    this.#keepTail();
    const only = this.#chunks[0];
    const content = this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks, this.#queued);
    this.#chunks = [];
    this.#queued = 0;
    return new Uint8Array(content.buffer as ArrayBuffer, content.byteOffset, content.byteLength);
  }

  #count(bytes: Uint8Array, start: number, end: number): number {
    const count = Math.min(end - start, this.#length - this.received);
    this.received += count;
    this.bytesIn += count;
    if (!this.isDiscarded) this.#keep(new Uint8Array(bytes.subarray(start, start + count)));
    if (this.received === this.#length) this.#complete();
    return count;
  }

  #decode(decoder: ChunkedDecoder, bytes: Uint8Array, start: number, end: number): number {
    let position = start;
    while (position < end && !decoder.isComplete) {
      const count = decoder.decode(bytes, position, end);
      if (count === MALFORMED) return this.#refuse("bad-request");
      const content = decoder.take(bytes, position);
      position += count;
      this.bytesIn += count;
      this.received += content.length;
      if (this.received > this.#maxBytes) return this.#refuse("body-too-large");
      const framing = this.bytesIn - this.received;
      if (framing > FRAMING_BYTES + FRAMING_FACTOR * this.received) return this.#refuse("header-too-large");
      if (content.length > 0 && !this.isDiscarded) this.#keep(content);
    }
    if (decoder.isComplete) this.#complete();
    return position - start;
  }

  #refuse(reason: RejectionReason): number {
    this.refusal = reason;
    return -1;
  }

  /** Small pieces that nobody has read yet are put together: each by itself would weigh more than it carries. */
  #keep(chunk: Uint8Array): void {
    const { length } = chunk;
    if (length < SMALL_PIECE && this.#chunks.length > 0) {
      if (this.#tail.length - this.#tailUsed < length) {
        this.#keepTail();
        this.#tail = new Uint8Array(TAIL_BYTES);
      }
      this.#tail.set(chunk, this.#tailUsed);
      this.#tailUsed += length;
    } else {
      this.#keepTail();
      this.#chunks.push(chunk);
    }
    this.#queued += length;
    this.#wakeUp();
  }

  #keepTail(): void {
    if (this.#tailUsed > 0) this.#chunks.push(this.#tail.subarray(0, this.#tailUsed));
    this.#tail = nothing;
    this.#tailUsed = 0;
  }

  #complete(): void {
    this.isComplete = true;
    this.#release();
    this.#wakeUp();
  }

  #release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#decoder?.release();
  }

  #touch(): void {
    if (this.isTouched) return;
    this.isTouched = true;
    this.#owner.touched();
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#chunks.length < 2) this.#keepTail();
    while (this.#chunks.length === 0) {
      if (this.error !== undefined) throw this.error;
      if (this.isDiscarded) throw discarded();
      if (this.isComplete) return undefined;
      await this.#moved();
    }
    const wasFull = this.isFull;
    const chunk = this.#chunks.shift() as Uint8Array;
    this.#queued -= chunk.length;
    if (wasFull && !this.isFull) this.#owner.drained();
    return chunk;
  }

  #moved(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

const discarded = (): Error => new Error("The request was answered before its body was read: the rest of it is gone.");
