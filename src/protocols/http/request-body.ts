// The body of a request while it is received: decodes chunks, enforces limits, and buffers until the handler reads.

import { Buffer } from "node:buffer";
import type { BufferBudget } from "../buffer-budget.ts";
import { releaseBodyBuffer, takeBodyBuffer } from "./body-buffers.ts";
import { BATCH_BYTES, HIGH_WATER_MARK } from "./buffer-sizes.ts";
import { ChunkedDecoder, MALFORMED } from "./chunked-decoder.ts";
import type { RejectionReason } from "./rejection.ts";

// Chunk framing, extensions and trailers are limited to a fixed allowance plus a multiple of the content.
const FRAMING_BYTES = 16_384;
const FRAMING_FACTOR = 16;

/** Chunks below this size are copied into a shared buffer: an array for each would need more memory than its content. */
const SMALL_CHUNK_BYTES = 4_096;
/** Size of that buffer. */
const TAIL_BYTES = 16_384;
/** A contiguous buffer grows by this factor. */
const GROWTH_FACTOR = 4;
const empty = new Uint8Array(0);
const decoder = new TextDecoder();

export interface RequestBodyOwner {
  /** The handler has started to read. */
  onReadStarted(): void;
  /** The buffer has room again. */
  onBodyDrain(): void;
}

export class RequestBody {
  /** All of it was received. */
  isComplete: boolean = false;
  /** The handler has started to read it, or has canceled it. */
  isReadStarted: boolean = false;
  /** It will not be read: its content is dropped as it arrives. */
  isDiscarded: boolean = false;
  /** Why it ended early. */
  error: Error | undefined;
  /** Why it was rejected. */
  rejection: RejectionReason | undefined;
  /** Bytes of content received. */
  received: number = 0;
  /** Bytes received, including chunk framing. */
  bytesIn: number = 0;

  readonly #owner: RequestBodyOwner;
  readonly #length: number;
  readonly #maxBytes: number;
  /** Undefined once the exchange is over: what its handler keeps of the body is no longer in the server's buffers. */
  #budget: BufferBudget | undefined;
  readonly #decoder: ChunkedDecoder | undefined;

  /** All of a body of known length that is read as a whole, in one buffer. */
  #whole: Buffer | undefined;
  /** Where the next bytes of it go. */
  #target: Buffer | undefined;
  #chunks: Uint8Array[] = [];
  #tail: Uint8Array = empty;
  #tailUsed = 0;
  #buffered = 0;
  #isReadWhole = false;
  /** The buffer is not given to the handler. */
  #isTemporary = false;
  #isDiscardedWhenFull = false;
  #notifyReader: (() => void) | undefined;
  #stream: ReadableStream<Uint8Array> | undefined;

  /** @param length in bytes; -1 if it is chunked */
  constructor(length: number, maxBytes: number, budget: BufferBudget, owner: RequestBodyOwner) {
    this.#length = length;
    this.#maxBytes = maxBytes;
    this.#budget = budget;
    this.#owner = owner;
    if (length < 0) this.#decoder = new ChunkedDecoder();
  }

  /** Bytes of content still to be received; Infinity if the body is chunked. */
  get remaining(): number {
    return this.#decoder === undefined ? this.#length - this.received : Infinity;
  }

  /** The buffer is full: the connection pauses until the handler has read. */
  get isFull(): boolean {
    return this.#buffered >= HIGH_WATER_MARK && !this.#isReadWhole && !this.isDiscarded;
  }

  /** Where the next bytes belong: received there, they need not be copied. Undefined if they must be processed first. */
  get target(): Buffer | undefined {
    return this.#target;
  }

  /**
   * Processes received bytes, which may be in `target` already.
   *
   * @returns how many of them belong to the body; -1 if it is rejected: `rejection` has the reason
   */
  feed(bytes: Uint8Array, start: number, end: number): number {
    return this.#decoder === undefined
      ? this.#receive(bytes, start, end)
      : this.#decode(this.#decoder, bytes, start, end);
  }

  /** Ends the body early; reading it fails. */
  fail(error: Error): void {
    if (this.isComplete || this.error !== undefined) return;
    this.error = error;
    this.#whole = this.#target = undefined;
    this.#notify();
  }

  /** Drops the content, both received and future; reading it fails. */
  discard(): void {
    if (this.isDiscarded) return;
    this.isDiscarded = true;
    this.#flushTail();
    this.#chunks = [];
    this.#whole = this.#target = undefined;
    this.#setBuffered(0);
    this.#notify();
  }

  /**
   * Lets the handler, which has responded, read the rest. If it does not keep up with the client, the content is dropped:
   * nothing waits for it any more.
   */
  discardWhenFull(): void {
    if (!this.isReadStarted || this.isFull) this.discard();
    this.#isDiscardedWhenFull = true;
  }

  /** Ends the accounting of its buffer: the exchange is over. */
  leaveBudget(): void {
    this.#budget?.add(-this.#buffered);
    this.#budget = undefined;
  }

  /** The body as a stream; the same one each time. */
  get stream(): ReadableStream<Uint8Array> {
    return (this.#stream ??= new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          this.startReading();
          const chunk = await this.#next();
          if (chunk === undefined) controller.close();
          else controller.enqueue(chunk);
        },
        cancel: () => {
          this.startReading();
          this.discard();
          this.#owner.onBodyDrain();
        },
      },
      { highWaterMark: 0 },
    ));
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const { buffer, byteOffset, byteLength } = await this.all();
    return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
  }

  async text(): Promise<string> {
    return this.#convert((bytes) => decoder.decode(bytes));
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  /** @param type its Content-Type */
  async blob(type: string): Promise<Blob> {
    return this.#convert((bytes) => new Blob([bytes], { type }));
  }

  /** @param type its Content-Type */
  async formData(type: string): ReturnType<Response["formData"]> {
    const response = await this.#convert((bytes) => new Response(bytes, { headers: { "Content-Type": type } }));
    return response.formData();
  }

  /** Resolves with what a function makes of the whole body. Its buffer is reused then. */
  async #convert<T>(convert: (bytes: Uint8Array<ArrayBuffer>) => T): Promise<T> {
    this.#isTemporary = true;
    const bytes = await this.all();
    const result = convert(bytes);
    releaseBodyBuffer(bytes);
    return result;
  }

  /** Resolves with the whole body once it was received. */
  async all(): Promise<Uint8Array<ArrayBuffer>> {
    this.#isReadWhole = true;
    this.startReading();
    if (this.#canCollect) this.#collect();
    this.#owner.onBodyDrain();
    while (!this.isComplete && !this.isDiscarded && this.error === undefined) await this.#changed();
    if (this.error !== undefined) throw this.error;
    if (this.isDiscarded) throw discardedError();
    this.#flushTail();
    const first = this.#chunks[0];
    const content =
      this.#whole ??
      (this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks, this.#buffered));
    this.#chunks = [];
    this.#whole = undefined;
    this.#setBuffered(0);
    return new Uint8Array(content.buffer as ArrayBuffer, content.byteOffset, content.byteLength);
  }

  get #canCollect(): boolean {
    return !this.isComplete && this.#decoder === undefined && !this.isDiscarded && this.error === undefined;
  }

  #receive(bytes: Uint8Array, start: number, end: number): number {
    const count = Math.min(end - start, this.#length - this.received);
    const at = this.received;
    this.received += count;
    this.bytesIn += count;
    if (this.#whole !== undefined) this.#place(bytes, start, count, at);
    else if (!this.isDiscarded) this.#append(new Uint8Array(bytes.subarray(start, start + count)));
    if (this.received === this.#length) this.#complete();
    return count;
  }

  /** Moves what was received into one buffer, and receives the rest there. */
  #collect(): void {
    this.#flushTail();
    this.#whole = this.#allocate(this.#buffered);
    let at = 0;
    for (const chunk of this.#chunks) {
      this.#whole.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [];
    this.#target = this.#whole.subarray(at);
  }

  /** Adds bytes to the buffer, unless they were received into it. */
  #place(bytes: Uint8Array, start: number, count: number, at: number): void {
    let whole = this.#whole as Buffer;
    if (at + count > whole.length) whole = this.#enlarge(whole, at, at + count);
    if (bytes !== this.#target) whole.set(bytes.subarray(start, start + count), at);
    const used = at + count;
    if (used === whole.length && used < this.#length) whole = this.#enlarge(whole, used, used);
    this.#target = used < this.#length ? whole.subarray(used) : undefined;
    this.#setBuffered(used);
  }

  #enlarge(whole: Buffer, used: number, needed: number): Buffer {
    const larger = this.#allocate(needed);
    larger.set(whole.subarray(0, used));
    releaseBodyBuffer(whole);
    return (this.#whole = larger);
  }

  /** Returns a buffer for these bytes and more. Its size is bounded by what has arrived, not by what was announced. */
  #allocate(bytes: number): Buffer {
    const size = Math.min(this.#length, Math.max(BATCH_BYTES, GROWTH_FACTOR * bytes));
    return this.#isTemporary ? takeBodyBuffer(size).subarray(0, this.#length) : Buffer.allocUnsafeSlow(size);
  }

  #decode(decoder: ChunkedDecoder, bytes: Uint8Array, start: number, end: number): number {
    const count = decoder.decode(bytes, start, end);
    if (count === MALFORMED) return this.#reject("bad-request");
    const content = decoder.content(bytes, start);
    this.bytesIn += count;
    this.received += content.length;
    if (this.received > this.#maxBytes) return this.#reject("body-too-large");
    const framing = this.bytesIn - this.received;
    if (framing > FRAMING_BYTES + FRAMING_FACTOR * this.received) return this.#reject("header-too-large");
    if (content.length > 0 && !this.isDiscarded) this.#append(content);
    if (decoder.isComplete) this.#complete();
    return count;
  }

  #reject(reason: RejectionReason): number {
    this.rejection = reason;
    return -1;
  }

  #append(chunk: Uint8Array): void {
    const { length } = chunk;
    if (length < SMALL_CHUNK_BYTES && this.#chunks.length > 0) {
      if (this.#tail.length - this.#tailUsed < length) {
        this.#flushTail();
        this.#tail = new Uint8Array(TAIL_BYTES);
      }
      this.#tail.set(chunk, this.#tailUsed);
      this.#tailUsed += length;
    } else {
      this.#flushTail();
      this.#chunks.push(chunk);
    }
    this.#setBuffered(this.#buffered + length);
    this.#notify();
    if (this.#isDiscardedWhenFull && this.isFull) this.discard();
  }

  #setBuffered(bytes: number): void {
    this.#budget?.add(bytes - this.#buffered);
    this.#buffered = bytes;
  }

  #flushTail(): void {
    if (this.#tailUsed > 0) this.#chunks.push(this.#tail.subarray(0, this.#tailUsed));
    this.#tail = empty;
    this.#tailUsed = 0;
  }

  #complete(): void {
    this.isComplete = true;
    this.#notify();
  }

  /** The handler has started to read. */
  startReading(): void {
    if (this.isReadStarted) return;
    this.isReadStarted = true;
    this.#owner.onReadStarted();
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#chunks.length < 2) this.#flushTail();
    while (this.#chunks.length === 0) {
      if (this.#isReadWhole) throw new TypeError("Body already used");
      if (this.error !== undefined) throw this.error;
      if (this.isDiscarded) throw discardedError();
      if (this.isComplete) return undefined;
      await this.#changed();
    }
    const wasFull = this.isFull;
    const chunk = this.#chunks.shift() as Uint8Array;
    this.#setBuffered(this.#buffered - chunk.length);
    if (wasFull && !this.isFull) this.#owner.onBodyDrain();
    return chunk;
  }

  /** Resolves when more has arrived, or the state has changed. */
  #changed(): Promise<void> {
    return new Promise((resolve) => (this.#notifyReader = resolve));
  }

  #notify(): void {
    const notify = this.#notifyReader;
    this.#notifyReader = undefined;
    notify?.();
  }
}

const discardedError = (): Error =>
  new Error("the request body was discarded, because the response was ready before it had been read");
