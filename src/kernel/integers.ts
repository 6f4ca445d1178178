// Checks of integer arguments before they reach C, where a fraction is cut off and a larger number wraps around.

import { invalidType, outOfRange } from "./errors.ts";

/** The largest C int. */
export const MAX_INT = 0x7fffffff;

/**
 * Returns `value` if it is an integer from `min` to `max`.
 *
 * @param name the name of the argument, for the message
 * @param hint follows the range in the message: `", such as AF_INET"`
 * @throws {TypeError} if `value` is not a number
 * @throws {RangeError} if it is not an integer, or out of range
 */
export function checkInteger(value: number, name: string, min: number, max: number, hint: string = ""): number {
  if (typeof value !== "number") throw invalidType(name, `an integer from ${min} to ${max}${hint}`, value);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw outOfRange(name, `an integer from ${min} to ${max}${hint}`, value);
  }
  return value;
}

/** Returns `value` if it is an integer from 0 to 2147483647: a C int that is not negative. */
export function checkInt(value: number, name: string, hint?: string): number {
  return checkInteger(value, name, 0, MAX_INT, hint);
}

/**
 * Returns `value` if it is a 32-bit integer, signed or unsigned: a mask, whose highest bit is negative in JavaScript's
 * bitwise operators.
 */
export function check32Bit(value: number, name: string): number {
  if (typeof value !== "number") throw invalidType(name, "a 32-bit integer", value);
  if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
    throw outOfRange(name, "a 32-bit integer", value);
  }
  return value;
}
