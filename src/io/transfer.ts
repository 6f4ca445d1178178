// Helpers for non-blocking reads and writes: the result WOULD_BLOCK, the size limit, and checks of arguments.

import { checkInteger, invalidType } from "../kernel/errors.ts";
import { Buffer } from "node:buffer";
import { byteLengthOf } from "../kernel/byte-arrays.ts";
import { EINTR } from "../kernel/errno.ts";

/** Returned by reads and writes that would have to wait (EAGAIN). Wait for EPOLLIN or EPOLLOUT, then try again. */
export const WOULD_BLOCK = -1;

/** The maximum number of bytes that Linux transfers in one call; see read(2). */
export const MAX_TRANSFER_BYTES: number = 0x7ffff000;

/** Makes a call, and repeats it if a signal interrupts it. An interrupted call has transferred nothing. */
export function retryInterrupted(call: () => number): number {
  for (;;) {
    const n = call();
    if (n !== -EINTR) return n;
  }
}

/**
 * Creates a buffer of `size` bytes.
 *
 * @throws {TypeError | RangeError} if `size`, the argument called `name`, is not a number or out of range
 */
export function createBuffer(size: number, name: string = "size"): Uint8Array {
  return new Uint8Array(new ArrayBuffer(checkInteger(name, size, 0, MAX_TRANSFER_BYTES)));
}

/** Returns data to be sent as bytes. A string is encoded as UTF-8. */
export function toBytes(data: Uint8Array | string): Uint8Array {
  if (typeof data === "string") return Buffer.from(data);
  if (data instanceof Uint8Array) return data;
  throw invalidType("data", "a string, a Buffer or a Uint8Array", data);
}

/** @throws {TypeError} if `buffer` is not a Uint8Array */
export function checkBuffer(buffer: Uint8Array): void {
  if (!(buffer instanceof Uint8Array)) throw invalidType("buffer", "a Buffer or a Uint8Array", buffer);
}

/**
 * Returns the number of bytes to transfer in one call. Other code that runs before the call could change it.
 *
 * @param name the name of the argument, for the message
 * @throws {TypeError} if `bytes` has no memory, or only inherits from Uint8Array
 */
export function transferLength(bytes: Uint8Array, name: "buffer" | "data" = "buffer"): number {
  return Math.min(byteLengthOf(bytes, name), MAX_TRANSFER_BYTES);
}
