// class PlaintextQueue: output of a protocol that has not been encrypted yet.

import { freeMemory } from "../../kernel/free-memory.ts";

interface Chunk {
  bytes: Uint8Array;
  start: number;
  end: number;
  isBorrowed: boolean;
  isFreed: boolean;
}

/** Small chunks are copied into one piece, so that they become one record: RFC 8446, 5.1. */
const PIECE_BYTES = 65_536;

/** Removed chunks stay in the array until there are this many. */
const MAX_REMOVED = 16;

/** The result of `next`, where small chunks are joined. It is only used until the next call. */
const joined = new Uint8Array(new ArrayBuffer(PIECE_BYTES));

export class PlaintextQueue {
  /** In bytes. */
  length: number = 0;
  #chunks: (Chunk | undefined)[] = [];
  #first = 0;

  push(bytes: Uint8Array, length: number, isBorrowed: boolean, isFreed: boolean): void {
    if (length === 0) return;
    this.length += length;
    this.#chunks.push({ bytes, start: 0, end: length, isBorrowed, isFreed });
  }

  /** Returns a piece of at most 64 KiB from the beginning, until the next call of any queue. The queue must not be empty. */
  next(): Uint8Array {
    const { bytes, start, end } = this.#chunks[this.#first] as Chunk;
    const isOnly = this.#first === this.#chunks.length - 1;
    if (isOnly || end - start >= PIECE_BYTES) return bytes.subarray(start, Math.min(end, start + PIECE_BYTES));
    let size = 0;
    for (let i = this.#first; i < this.#chunks.length && size < PIECE_BYTES; i++) {
      const chunk = this.#chunks[i] as Chunk;
      const part = chunk.bytes.subarray(chunk.start, Math.min(chunk.end, chunk.start + PIECE_BYTES - size));
      joined.set(part, size);
      size += part.length;
    }
    return joined.subarray(0, size);
  }

  /** Removes bytes from the beginning. */
  consume(count: number): void {
    this.length -= count;
    for (let left = count; left > 0;) {
      const chunk = this.#chunks[this.#first] as Chunk;
      const part = Math.min(left, chunk.end - chunk.start);
      chunk.start += part;
      left -= part;
      if (chunk.start === chunk.end) this.#removeFirst(chunk);
    }
  }

  /** Copies the chunks that are borrowed. */
  copyBorrowed(): void {
    for (let i = this.#first; i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i] as Chunk;
      if (!chunk.isBorrowed) continue;
      chunk.bytes = new Uint8Array(chunk.bytes.subarray(chunk.start, chunk.end)); // Buffer's slice does not copy
      chunk.end -= chunk.start;
      chunk.start = 0;
      chunk.isBorrowed = false;
    }
  }

  clear(): void {
    this.length = this.#first = 0;
    this.#chunks = [];
  }

  #removeFirst({ bytes, isFreed }: Chunk): void {
    if (isFreed) freeMemory(bytes);
    this.#chunks[this.#first++] = undefined; // its memory is not needed any more
    if (this.#first === this.#chunks.length) {
      this.#chunks = [];
      this.#first = 0;
    } else if (this.#first >= MAX_REMOVED) {
      this.#chunks.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
