// Socket options of any type, getsockopt(2) and setsockopt(2): ints, flags and structures.

import { SO_LINGER, SOL_SOCKET } from "../kernel/constants.ts";
import { check, invalidType, outOfRange } from "../kernel/errors.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { getIntOption } from "../kernel/int-options.ts";
import { createBuffer } from "./transfer.ts";

/** The value of an option: an int, a flag, or the bytes of a structure. */
export type OptionValue = number | boolean | Uint8Array;

/** Sets an option: a number or boolean as an int, bytes as they are. */
export function setOption(sys: Syscalls, fd: number, level: number, option: number, value: OptionValue): void {
  const bytes = value instanceof Uint8Array ? value : Int32Array.of(toInt(value));
  check(sys.setsockopt(fd, level, option, bytes, bytes.byteLength), "setsockopt", fd);
}

/** Returns an int option as a number or, if a length is given, the bytes that the kernel wrote. */
export function getOption(
  sys: Syscalls,
  fd: number,
  level: number,
  option: number,
  length: number | undefined,
): number | Uint8Array {
  if (length === undefined) return getIntOption(sys, fd, level, option);
  const bytes = createBuffer(length, "length");
  return bytes.subarray(0, check(sys.getsockopt(fd, level, option, bytes, length), "getsockopt", fd));
}

/** Sets SO_LINGER, a struct linger { int l_onoff, l_linger; }. */
export function setLinger(sys: Syscalls, fd: number, seconds: number | null): void {
  const linger = seconds === null ? [0, 0] : [1, seconds];
  setOption(sys, fd, SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.from(linger).buffer));
}

function toInt(value: number | boolean): number {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value !== "number") throw invalidType("value", "a number, a boolean or a Uint8Array", value);
  if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
    throw outOfRange("value", "a 32-bit integer", value);
  }
  return value;
}
