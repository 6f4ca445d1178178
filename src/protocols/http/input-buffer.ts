// Input of one connection that is not understood yet: part of a head, or requests whose turn has not come.

import { Buffer } from "node:buffer";

const LF = 10;
/** Up to here a parse costs less than the system call that brought the bytes. */
const SHORT = 4096;
const nothing: Buffer = Buffer.alloc(0);

export class InputBuffer {
  bytes: Buffer = nothing;
  length: number = 0;
  /** So much of it was looked at before. */
  #lookedAt = 0;

  /** Keep a copy. Room is made by doubling, so that what comes byte by byte is not copied each time. */
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

  /** A long head that comes byte by byte is not parsed with each: only with each line, or when there is twice as much. */
  isWorthALook(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.length <= SHORT || this.length >= 2 * this.#lookedAt) return true;
    const at = bytes.indexOf(LF, start);
    return at >= 0 && at < end;
  }

  /** So many bytes are understood. */
  drop(count: number): void {
    this.bytes.copyWithin(0, count, this.length);
    this.length -= count;
    this.#lookedAt = this.length;
    if (this.length === 0) this.bytes = nothing;
  }
}
