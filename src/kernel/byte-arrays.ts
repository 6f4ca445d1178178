// Byte arrays that are passed to C, measured by the engine: a subclass or a property may claim another length.

import { invalidType } from "./errors.ts";

// Taken at load, so that no later change of the prototypes can replace them.
const { apply } = Reflect;
const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
const byteLengthGetter = Object.getOwnPropertyDescriptor(typedArrayPrototype, "byteLength")?.get as () => number;
const at = typedArrayPrototype.at as () => unknown;
const NO_ARGUMENTS: never[] = [];

/**
 * Returns the length of a byte array in bytes.
 *
 * @param name the name of the argument, for the message
 * @param expected what the argument must be, for the message
 * @throws {TypeError} if `bytes` is not a Uint8Array, if its ArrayBuffer is detached, or if the ArrayBuffer has been
 *   resized so that the view is out of bounds
 */
export function byteLengthOf(
  bytes: Uint8Array,
  name: string = "buffer",
  expected: string = "a Buffer or a Uint8Array",
): number {
  if (!(bytes instanceof Uint8Array)) throw invalidType(name, expected, bytes);
  let length: number;
  try {
    length = apply(byteLengthGetter, bytes, NO_ARGUMENTS) as number;
  } catch {
    throw invalidType(name, `${expected}, not an object that only inherits from it`, bytes);
  }
  if (length === 0) checkAttached(bytes, name);
  return length;
}

/** A view without memory has the length 0, as an empty one has. */
function checkAttached(bytes: Uint8Array, name: string): void {
  try {
    apply(at, bytes, NO_ARGUMENTS);
  } catch {
    throw invalidType(
      name,
      "a view of existing memory: its ArrayBuffer is detached (it was transferred) or too short for it (it was resized)",
      bytes,
    );
  }
}
