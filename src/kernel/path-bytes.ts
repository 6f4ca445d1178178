// Conversion of paths between bytes and strings without loss, as os.fsencode() and os.fsdecode() of Python do it.

import { Buffer } from "node:buffer";
import { byteLengthOf } from "./byte-arrays.ts";
import { invalidType, invalidValue } from "./errors.ts";

const encoder = new TextEncoder();
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }); // a path may start with the bytes of a BOM

/** A byte `b` that is not part of valid UTF-8 is decoded to the lone surrogate U+DC00 + b (PEP 383). */
const ESCAPE = 0xdc00;
const FIRST_ESCAPED = 0x80;
const LAST_ESCAPED = 0xff;

/**
 * Decodes the bytes of a path. Linux paths are bytes, usually UTF-8.
 *
 * A byte that is not part of valid UTF-8 becomes a lone surrogate: 0xff becomes `"\udcff"`. So different paths are
 * always different strings, and `encodePath` restores the bytes. This is Python's `os.fsdecode` (PEP 383).
 *
 * @param bytes the path, as in `Dirent.name` with `{ encoding: "buffer" }`
 * @throws {TypeError} if `bytes` is not a Uint8Array
 */
export function decodePath(bytes: Uint8Array): string {
  byteLengthOf(bytes, "bytes");
  const whole = tryDecode(bytes);
  if (whole !== undefined) return whole;
  let path = "";
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at] as number;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const character = tryDecode(bytes.subarray(at, at + length));
    path += character ?? String.fromCharCode(ESCAPE + lead);
    at += character === undefined ? 1 : length;
  }
  return path;
}

/**
 * Encodes a path as UTF-8, and restores the bytes that `decodePath` has decoded to lone surrogates. This is Python's
 * `os.fsencode`.
 *
 * @param path a path from `decodePath`, from a decoded address, or any other string
 * @returns the bytes; `node:fs` accepts a Buffer of them as a path
 * @throws {TypeError} if `path` is not a string
 * @throws {RangeError} if it contains any other lone surrogate, which no bytes stand for
 * @example
 * ```ts
 * unlinkSync(Buffer.from(encodePath(address.path))); // also if the path is not UTF-8
 * ```
 */
export function encodePath(path: string): Uint8Array {
  if (typeof path !== "string") throw invalidType("path", "a string", path);
  if (path.isWellFormed()) return Buffer.from(path);
  const parts: Uint8Array[] = [];
  for (const character of path) {
    const code = character.codePointAt(0) as number;
    if (code < 0xd800 || code > 0xdfff) parts.push(encoder.encode(character));
    else if (code >= ESCAPE + FIRST_ESCAPED && code <= ESCAPE + LAST_ESCAPED) parts.push(Uint8Array.of(code - ESCAPE));
    else
      throw invalidValue(`path contains the lone surrogate U+${code.toString(16).toUpperCase()}, which is not a byte`);
  }
  return Buffer.concat(parts);
}

function tryDecode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
