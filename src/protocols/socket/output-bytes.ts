// The conversion of the data that `write` and `end` take into bytes.

import { Buffer } from "node:buffer";
import { invalidType, outOfRange } from "../../kernel/errors.ts";

const EXPECTED = "a string, an ArrayBuffer, a SharedArrayBuffer, a TypedArray or a DataView, and not detached";

type Getter<T> = (this: unknown) => T;

// The engine's own getters, because an object can have properties of the same names.
function getterOf<T>(prototype: object, name: string | symbol): Getter<T> {
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as Getter<T>;
}

interface ViewGetters {
  buffer: Getter<ArrayBufferLike>;
  byteOffset: Getter<number>;
  byteLength: Getter<number>;
}

function gettersOfView(prototype: object): ViewGetters {
  return {
    buffer: getterOf(prototype, "buffer"),
    byteOffset: getterOf(prototype, "byteOffset"),
    byteLength: getterOf(prototype, "byteLength"),
  };
}

const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
const typedArray = gettersOfView(typedArrayPrototype);
const typeOfTypedArray = getterOf<string | undefined>(typedArrayPrototype, Symbol.toStringTag);
const { at } = typedArrayPrototype;
const dataView = gettersOfView(DataView.prototype);
const isDetached = getterOf<boolean>(ArrayBuffer.prototype, "detached");
const lengthOfBuffer = getterOf<number>(ArrayBuffer.prototype, "byteLength");
const lengthOfSharedBuffer = getterOf<number>(SharedArrayBuffer.prototype, "byteLength");

/**
 * Returns the bytes of `data` from `byteOffset` on: `byteLength` of them, or all. A string is encoded as UTF-8; of a view, it is
 * the bytes that the view covers. They are not copied.
 *
 * @throws {TypeError} if `data` has another type or is detached, or if an offset or length is not an integer
 * @throws {RangeError} if an offset or length is out of range
 */
export function outputBytes(data: unknown, byteOffset?: unknown, byteLength?: unknown): Uint8Array {
  const all = typeof data === "string" ? Buffer.from(data) : bytesOf(data);
  if (byteOffset === undefined && byteLength === undefined) return all;
  const start = byteOffset === undefined ? 0 : toIndex(byteOffset, "byteOffset", all.length);
  const length = byteLength === undefined ? all.length - start : toIndex(byteLength, "byteLength", all.length - start);
  return all.subarray(start, start + length);
}

function bytesOf(data: unknown): Uint8Array {
  try {
    if (!ArrayBuffer.isView(data)) return new Uint8Array(data as ArrayBufferLike, 0, lengthOfAnyBuffer(data));
    const isTypedArray = typeOfTypedArray.call(data) !== undefined;
    if (isTypedArray) at.call(data as Uint8Array, 0); // throws if it is detached or out of bounds: its length is 0 then
    const { buffer, byteOffset, byteLength } = isTypedArray ? typedArray : dataView;
    return new Uint8Array(buffer.call(data), byteOffset.call(data), byteLength.call(data));
  } catch {
    throw invalidType("data", EXPECTED, data); // the getters throw if `data` has another type or is detached
  }
}

/** Returns the length of an ArrayBuffer or a SharedArrayBuffer. Throws if `data` is something else or detached. */
function lengthOfAnyBuffer(data: unknown): number {
  if (data instanceof SharedArrayBuffer) return lengthOfSharedBuffer.call(data);
  if (isDetached.call(data)) throw new TypeError("detached");
  return lengthOfBuffer.call(data);
}

function toIndex(value: unknown, name: string, max: number): number {
  const expected = `an integer from 0 to ${max}`;
  if (typeof value !== "number" || !Number.isInteger(value)) throw invalidType(name, expected, value);
  if (value < 0 || value > max) throw outOfRange(name, expected, value);
  return value;
}
