// Collects the responses to all requests of one wake-up in a buffer, so that one call sends them.

import { Buffer } from "node:buffer";
import type { ProtocolConnection } from "../protocol.ts";
import { BATCH_BYTES } from "./buffer-sizes.ts";
import type { HttpContext } from "./http-context.ts";
import type { RequestHead } from "./request-head.ts";
import type { PreparedResponse } from "./response.ts";
import { isBodiless, serializeHead } from "./response-head.ts";
import { ResponseHeadCache } from "./response-head-cache.ts";

export class ResponseBatch {
  readonly #context: HttpContext;
  readonly #bytes = Buffer.from(new ArrayBuffer(BATCH_BYTES));
  #length = 0;
  /** The connection that has borrowed the buffer for its output, and may not have sent it yet. */
  #borrower: ProtocolConnection | undefined;
  readonly #headCache = new ResponseHeadCache();

  constructor(context: HttpContext) {
    this.#context = context;
  }

  /** Bytes in the batch. */
  get length(): number {
    return this.#length;
  }

  /** Takes the buffer back from the connection that has borrowed it. */
  reclaim(): void {
    this.#borrower?.copyBorrowed();
    this.#borrower = undefined;
  }

  /**
   * Adds a response, if its body is in memory and fits into the buffer.
   *
   * @returns whether it was added
   */
  add(connection: ProtocolConnection, response: PreparedResponse, head: RequestHead, closes: boolean): boolean {
    const { body } = response;
    if (body === undefined || (!closes && (response.closes || !this.#context.keepAlive))) return false;
    const dateLine = this.#context.date.line;
    const isBodyOmitted = isBodiless(response.status);
    const isUsual = !closes && !isBodyOmitted && head.minor === 1; // the head ends with Content-Length
    const cache = this.#headCache;
    if (isUsual && cache.matches(response, dateLine)) {
      if (!this.#makeRoom(connection, cache.maxBytes + body.length)) return false;
      this.#length = cache.write(body.length, this.#bytes, this.#length);
    } else {
      const text = serializeHead(response, head, dateLine, closes, isBodyOmitted);
      if (!this.#makeRoom(connection, text.length + (isBodyOmitted ? 0 : body.length))) return false;
      const start = this.#length;
      this.#length += this.#bytes.write(text, start, "latin1");
      if (isUsual) cache.set(response, dateLine, this.#bytes.subarray(start, this.#length));
    }
    if (isBodyOmitted) return true;
    this.#bytes.set(body, this.#length);
    this.#length += body.length;
    return true;
  }

  /** Writes what is in the batch if `size` bytes do not fit behind it; returns whether they do now. */
  #makeRoom(connection: ProtocolConnection, size: number): boolean {
    if (size <= BATCH_BYTES - this.#length) return true;
    if (size > BATCH_BYTES) return false;
    this.#writeCopy(connection);
    return true;
  }

  /** Writes the batch to a connection, which borrows the buffer until `reclaim`. */
  writeTo(connection: ProtocolConnection): void {
    if (this.#length === 0) return;
    connection.write(this.#bytes, this.#length, true);
    this.#borrower = connection;
    this.#length = 0;
  }

  /** Drops what was not written. */
  clear(): void {
    this.#length = 0;
  }

  /** Writes a copy of the batch, to make room for more. */
  #writeCopy(connection: ProtocolConnection): void {
    if (this.#length > 0) connection.write(Buffer.from(this.#bytes.subarray(0, this.#length)));
    this.#length = 0;
  }
}
