// Buffers for bodies that are needed for a short time only. They are kept for the next bodies.

import { Buffer } from "node:buffer";
import { freeMemory } from "../../kernel/free-memory.ts";
import { BATCH_BYTES, HIGH_WATER_MARK } from "./buffer-sizes.ts";

/** Larger buffers are not kept. */
const SIZES = [BATCH_BYTES, HIGH_WATER_MARK, 1_048_576];
/** Memory that was used before costs no page faults, but more of it than this is only freed. */
const MAX_KEPT_BYTES = 16_777_216;

const kept = new Map<number, Buffer[]>(SIZES.map((size) => [size, []]));
let keptBytes = 0;

/** Returns a buffer of at least `size` bytes, with any content. */
export function takeBodyBuffer(size: number): Buffer {
  const capacity = SIZES.find((kept) => kept >= size) ?? size;
  const buffer = kept.get(capacity)?.pop();
  if (buffer === undefined) return Buffer.allocUnsafeSlow(capacity);
  keptBytes -= capacity;
  return buffer;
}

/** Keeps the buffer of these bytes, or frees its memory. Nothing else may use it. */
export function releaseBodyBuffer(bytes: Uint8Array): void {
  const capacity = bytes.buffer.byteLength;
  const buffers = kept.get(capacity);
  if (buffers === undefined || keptBytes + capacity > MAX_KEPT_BYTES) return freeMemory(bytes);
  buffers.push(Buffer.from(bytes.buffer as ArrayBuffer));
  keptBytes += capacity;
}
