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
  #lastLength = -1;

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
    const isBodyOmitted = isBodiless(response.status);
    const dateLine = this.#context.date.line;
    const cache = this.#headCache;
    const isCached = cache.matches(response, head.minor, closes, dateLine);
    const text = isCached ? "" : serializeHead(response, head, dateLine, closes, isBodyOmitted);
    const headSize = isCached ? cache.bytes.length : text.length;
    const size = headSize + (isBodyOmitted ? 0 : body.length);
    if (size > BATCH_BYTES - this.#length) {
      if (size > BATCH_BYTES) return false;
      this.#writeCopy(connection);
    }
    const start = this.#length;
    this.#length += headSize;
    if (isCached) {
      this.#bytes.set(cache.bytes, start);
    } else {
      this.#bytes.write(text, start, "latin1");
      // Caching pays only if heads repeat, which responses of varying lengths do not.
      if (response.length === this.#lastLength) {
        cache.set(response, head.minor, closes, dateLine, this.#bytes.subarray(start, this.#length));
      }
      this.#lastLength = response.length;
    }
    if (isBodyOmitted) return true;
    this.#bytes.set(body, this.#length);
    this.#length += body.length;
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
