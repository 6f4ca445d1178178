// Streams a response body from its source to the connection, with backpressure.

import { Buffer } from "node:buffer";
import type { ProtocolConnection } from "../protocol.ts";
import { releaseBodyBuffer, takeBodyBuffer } from "./body-buffers.ts";
import type { BodySource } from "./body-source.ts";
import { BATCH_BYTES, HIGH_WATER_MARK } from "./buffer-sizes.ts";

/** Pieces up to this size are copied, with their chunk framing, so that one call sends several of them. */
const MAX_COPIED_BYTES = 16_384;
/** The maximum size of the framing of such a piece: `4000`, twice CRLF. */
const MAX_FRAMING_BYTES = 8;

/** A source that need not wait supplies its next piece within this number of turns of the microtask queue. */
const MAX_QUIET_TURNS = 16;

const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const CRLF = Buffer.from("\r\n");

export class BodyWriter {
  /** Writing waits for the client to receive more, not for the source. */
  isWaitingForDrain: boolean = false;
  #isCanceled = false;
  /** Pieces that were copied, and are not queued yet. */
  #batch: Buffer | undefined;
  #batchLength = 0;
  #isFlushDue = false;
  /** Turns of the microtask queue since the last piece. */
  #quietTurns = 0;
  #resumeWriting: (() => void) | undefined;
  readonly #connection: ProtocolConnection;
  readonly #source: BodySource;
  readonly #length: number;
  readonly #isChunked: boolean;

  /** @param length how many bytes the source must supply; -1 if that is unknown */
  constructor(connection: ProtocolConnection, source: BodySource, length: number, isChunked: boolean) {
    this.#connection = connection;
    this.#source = source;
    this.#length = length;
    this.#isChunked = isChunked;
  }

  /**
   * Sends the whole body.
   *
   * @returns resolves with false if it was canceled
   * @throws what the source throws; TypeError if it supplies more or fewer bytes than its length
   */
  async run(): Promise<boolean> {
    const connection = this.#connection;
    const length = this.#length;
    // A reused buffer must have been sent before the next piece is read into it.
    const limit = this.#source.isBufferReused ? 1 : HIGH_WATER_MARK;
    let sent = 0;
    for (;;) {
      if (connection.pending + this.#batchLength >= limit) this.flush();
      if (connection.pending >= limit) await this.#drained(limit);
      if (this.#isCanceled) return false;
      const read = this.#source.read();
      const piece = read instanceof Promise ? await read : read;
      if (this.#isCanceled) return false;
      if (piece === undefined) break;
      sent += piece.length;
      if (length >= 0 && sent > length) throw new TypeError(`the body is longer than its Content-Length of ${length}`);
      // The application may overwrite a piece as soon as it is asked for the next one.
      const isBorrowed = !this.#source.isBufferReused;
      connection.progress++;
      if (isBorrowed && piece.length <= MAX_COPIED_BYTES) {
        this.#copy(piece);
        void this.#flushSoon();
      } else {
        this.#writeBatch();
        if (this.#isChunked) this.#writeChunk(piece, isBorrowed);
        else connection.write(piece, piece.length, isBorrowed);
        this.flush();
      }
    }
    if (sent < length)
      throw new TypeError(`the body is shorter than its Content-Length of ${length}: it has ${sent} bytes`);
    this.#writeBatch();
    if (this.#isChunked) connection.write(LAST_CHUNK);
    this.flush();
    return true;
  }

  /** Sends small pieces together, if the source supplies them without waiting for a timer or I/O. */
  async #flushSoon(): Promise<void> {
    this.#quietTurns = 0;
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    while (this.#quietTurns++ < MAX_QUIET_TURNS) await undefined;
    this.#isFlushDue = false;
    this.flush();
  }

  /** Sends what the source has supplied. Afterwards, a quiet stream holds no buffer. */
  flush(): void {
    this.#writeBatch();
    this.#connection.flush();
    this.#connection.copyBorrowed();
    if (this.#batch !== undefined) releaseBodyBuffer(this.#batch);
    this.#batch = undefined;
  }

  /** Queues the copied pieces. */
  #writeBatch(): void {
    if (this.#batch !== undefined && this.#batchLength > 0 && !this.#isCanceled) {
      this.#connection.write(this.#batch, this.#batchLength, true);
    }
    this.#batchLength = 0;
  }

  #copy(piece: Uint8Array): void {
    if (this.#batchLength + piece.length + MAX_FRAMING_BYTES > BATCH_BYTES) this.flush();
    const batch = (this.#batch ??= takeBodyBuffer(BATCH_BYTES));
    let at = this.#batchLength;
    if (this.#isChunked) at += batch.write(`${piece.length.toString(16)}\r\n`, at, "latin1");
    batch.set(piece, at);
    at += piece.length;
    if (this.#isChunked) at += batch.write("\r\n", at, "latin1");
    this.#batchLength = at;
  }

  /** Continues after the connection has sent its output. */
  onDrain(): void {
    const resume = this.#resumeWriting;
    this.#resumeWriting = undefined;
    resume?.();
  }

  /** Stops, and cancels the source. */
  cancel(reason: unknown): void {
    if (this.#isCanceled) return;
    this.#isCanceled = true;
    this.#source.cancel(reason);
    this.onDrain();
  }

  async #drained(limit: number): Promise<void> {
    this.isWaitingForDrain = true;
    while (this.#connection.pending >= limit && !this.#isCanceled) {
      this.#connection.wantsDrain = true;
      await new Promise<void>((resolve) => (this.#resumeWriting = resolve));
    }
    this.isWaitingForDrain = false;
  }

  #writeChunk(piece: Uint8Array, isBorrowed: boolean): void {
    const connection = this.#connection;
    connection.write(Buffer.from(`${piece.length.toString(16)}\r\n`, "latin1"));
    connection.write(piece, piece.length, isBorrowed);
    connection.write(CRLF);
  }
}
