// Socket options of any type, getsockopt(2) and setsockopt(2): ints, flags and structures.

import { byteLengthOf } from "../kernel/byte-arrays.ts";
import { SOL_SOCKET } from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { check32Bit, checkInt } from "../kernel/integers.ts";
import { createBuffer } from "./transfer.ts";

const SO_GET_FILTER = 26; // also SO_ATTACH_FILTER
const SOCK_FILTER_BYTES = 8; // struct sock_filter

/** The value of an option: an int, a flag, or the bytes of a structure. */
export type OptionValue = number | boolean | Uint8Array;

/** Returns the bytes of an option's value: those of an int for a number or a boolean, bytes as they are. */
export function encodeOption(value: OptionValue): Uint8Array {
  if (typeof value === "number" || typeof value === "boolean") return ints(toInt(value));
  byteLengthOf(value, "value", "a number, a boolean or a Uint8Array");
  return value;
}

/** Sets an option to bytes from `encodeOption`. */
export function setOption(sys: Syscalls, fd: number, level: number, option: number, bytes: Uint8Array): void {
  check(sys.setsockopt(fd, level, option, bytes, byteLengthOf(bytes, "value")), "setsockopt", fd);
}

/** Returns the bytes that the kernel wrote, at most `length`. */
export function getOption(sys: Syscalls, fd: number, level: number, option: number, length: number): Uint8Array {
  const bytes = createBuffer(length, "length");
  // This option is counted in instructions, not in bytes: the kernel would write eight times the length.
  const unit = level === SOL_SOCKET && option === SO_GET_FILTER ? SOCK_FILTER_BYTES : 1;
  const size = Math.floor(length / unit);
  const n = check(sys.getsockopt(fd, level, option, bytes, size), "getsockopt", fd);
  return bytes.subarray(0, Math.min(n, size) * unit);
}

/** Returns a struct linger { int l_onoff, l_linger; }. @throws {TypeError | RangeError} if `seconds` is not valid */
export function encodeLinger(seconds: number | null): Uint8Array {
  return seconds === null ? ints(0, 0) : ints(1, checkInt("seconds", seconds, ", or null"));
}

function ints(...values: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

function toInt(value: number | boolean): number {
  return typeof value === "boolean" ? Number(value) : check32Bit("value", value);
}
