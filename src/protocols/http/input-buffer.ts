// Buffers input that cannot be processed yet: part of a head, or requests behind the one that is being handled.

import { Buffer } from "node:buffer";

const LF = 10;
/** Up to this size, parsing costs less than the system call that received the bytes. */
const SHORT_BYTES = 4096;
const empty: Buffer = Buffer.alloc(0);

export class InputBuffer {
  bytes: Buffer = empty;
  length: number = 0;
  /** How many of the bytes the last parse has seen. */
  #parsedLength = 0;

  /** Appends a copy. The capacity doubles, so that input that arrives byte by byte is not copied each time. */
  append(bytes: Uint8Array, start: number, end: number): void {
    const needed = this.length + end - start;
    if (needed > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.bytes.length));
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
    this.bytes.set(bytes.subarray(start, end), this.length);
    this.length = needed;
  }

  /**
   * Returns whether it is time to parse after these bytes were appended. A long head that arrives in small pieces is
   * parsed only at line ends and whenever it has doubled: parsing after every piece would take quadratic time.
   */
  shouldParse(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.length <= SHORT_BYTES || this.length >= 2 * this.#parsedLength) return true;
    const at = bytes.indexOf(LF, start);
    return at >= 0 && at < end;
  }

  /** Removes and returns everything. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = empty;
    this.length = this.#parsedLength = 0;
    return taken;
  }

  /** Removes bytes that were processed from the front. */
  consume(count: number): void {
    this.bytes.copyWithin(0, count, this.length);
    this.length -= count;
    this.#parsedLength = this.length;
    if (this.length === 0) this.bytes = empty;
  }
}
