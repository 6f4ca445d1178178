// Streams a response body from its source to the connection, with backpressure.

import { Buffer } from "node:buffer";
import type { ProtocolConnection } from "../protocol.ts";
import type { BodySource } from "./body-source.ts";
import { HIGH_WATER_MARK } from "./buffer-sizes.ts";

/** Pieces up to this size are copied next to their chunk framing, so that they are sent as one. */
const MAX_COPIED_BYTES = 16_384;

const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const CRLF = Buffer.from("\r\n");

export class BodyWriter {
  /** Writing waits for the client to receive more, not for the source. */
  isWaitingForDrain: boolean = false;
  #isCanceled = false;
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
      if (this.#isChunked) this.#writeChunk(piece, isBorrowed);
      else connection.write(piece, piece.length, isBorrowed);
      connection.progress++;
      connection.flush();
      connection.copyBorrowed();
    }
    if (sent < length)
      throw new TypeError(`the body is shorter than its Content-Length of ${length}: it has ${sent} bytes`);
    if (this.#isChunked) connection.write(LAST_CHUNK);
    return true;
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
    const size = `${piece.length.toString(16)}\r\n`;
    if (piece.length <= MAX_COPIED_BYTES) {
      const chunk = Buffer.allocUnsafeSlow(size.length + piece.length + 2);
      chunk.write(size, 0, "latin1");
      chunk.set(piece, size.length);
      chunk.write("\r\n", size.length + piece.length, "latin1");
      connection.write(chunk);
    } else {
      connection.write(Buffer.from(size, "latin1"));
      connection.write(piece, piece.length, isBorrowed);
      connection.write(CRLF);
    }
  }
}
