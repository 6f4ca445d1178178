// Checks of integers before they reach C, where a fraction is cut off and a number above 32 bits wraps around.

import { checkInteger, invalidType, outOfRange } from "./errors.ts";

/** The largest C int. */
export const MAX_INT = 0x7fffffff;

/**
 * Returns `value` if it is an integer from 0 to 2147483647: a C int that is not negative.
 *
 * @param hint follows the range in the message: `", such as AF_INET"`
 * @throws {TypeError | RangeError} if it is not a number, not an integer, or out of range
 */
export function checkInt(name: string, value: number, hint?: string): number {
  return checkInteger(name, value, 0, MAX_INT, hint);
}

/**
 * Returns `value` if it is a 32-bit integer, signed or unsigned: a mask, whose highest bit is negative in JavaScript's
 * bitwise operators.
 *
 * @throws {TypeError | RangeError} if it is not a number, not an integer, or out of range
 */
export function check32Bit(name: string, value: number): number {
  if (typeof value !== "number") throw invalidType(name, "a 32-bit integer", value);
  if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
    throw outOfRange(name, "a 32-bit integer", value);
  }
  return value;
}
