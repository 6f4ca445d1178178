// Caches the head of a handler's last response up to the length of its body, because the next one often differs only in that.

import type { Buffer } from "node:buffer";
import type { PreparedResponse } from "./response.ts";

const CR = 13;
const LF = 10;
const ZERO = 0x30;
/** More than the digits of any length in a batch, and two line ends. */
const MAX_END_BYTES = 16;

export class ResponseHeadCache {
  /** The head up to the value of Content-Length, its last field. */
  #start: Uint8Array = new Uint8Array(0);
  #response: PreparedResponse | undefined;
  #dateLine = "";
  /** The response before, if its head was not cached. */
  #previousFields = "";

  /** The size of a head that `write` writes, at most. */
  get maxBytes(): number {
    return this.#start.length + MAX_END_BYTES;
  }

  /** Returns whether `write` can write the head of this response to an HTTP/1.1 request, with Content-Length and no Connection. */
  matches(response: PreparedResponse, dateLine: string): boolean {
    const cached = this.#response;
    return (
      cached !== undefined &&
      response.status === cached.status &&
      response.hasDate === cached.hasDate &&
      dateLine === this.#dateLine &&
      response.statusText === cached.statusText &&
      response.fields === cached.fields
    );
  }

  /** Writes the head of a response that `matches`; returns its end. */
  write(length: number, bytes: Buffer, at: number): number {
    bytes.set(this.#start, at);
    at += this.#start.length;
    let divisor = 1;
    while (divisor * 10 <= length) divisor *= 10;
    for (; divisor >= 1; divisor = Math.floor(divisor / 10)) bytes[at++] = ZERO + (Math.floor(length / divisor) % 10);
    bytes[at] = bytes[at + 2] = CR;
    bytes[at + 1] = bytes[at + 3] = LF;
    return at + 4;
  }

  /**
   * Caches a head, if the one before had the same fields: heads that differ each time are not worth it.
   *
   * @param head a serialized head that ends with Content-Length; copied
   */
  set(response: PreparedResponse, dateLine: string, head: Uint8Array): void {
    if (response.fields !== this.#previousFields) {
      this.#previousFields = response.fields;
      return;
    }
    this.#response = { ...response, body: undefined, source: undefined };
    this.#dateLine = dateLine;
    this.#start = new Uint8Array(head.subarray(0, head.length - `${response.length}\r\n\r\n`.length));
  }
}
