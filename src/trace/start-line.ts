// Start lines of HTTP messages: the request line or status line at the beginning of transferred data.

import { Buffer } from "node:buffer";
import type { Syscalls } from "../kernel/ffi.ts";
import { redactLine } from "./redact.ts";

/** The number of bytes that are examined. */
const MAX_LINE_BYTES = 256;
const START_LINE = /^(?:[!-~]{1,32} [!-~]+ HTTP\/1\.[01]|HTTP\/1\.[01] \d{3}[ -~]*)(?=\r?\n)/;

const CR = 13;
const LF = 10;

/** Finds start lines. A server's messages repeat, so the last result is reused if the bytes are the same. */
export class StartLineParser {
  readonly #sys: Syscalls;
  readonly #isRedacted: boolean;
  readonly #lastBytes = new Uint8Array(new ArrayBuffer(MAX_LINE_BYTES));
  #lastLength = 0;
  #lastLine: string | undefined;

  /** @param isRedacted whether the values of credentials in the target are replaced */
  constructor(sys: Syscalls, isRedacted: boolean) {
    this.#sys = sys;
    this.#isRedacted = isRedacted;
  }

  /** Returns the start line, or undefined if the data does not begin with one. */
  parse(bytes: Uint8Array | Int32Array, offset: number, size: number): string | undefined {
    const length = Math.min(size, MAX_LINE_BYTES);
    if (length === this.#lastLength && this.#sys.equal(bytes, offset, this.#lastBytes, length) === 1)
      return this.#lastLine;
    this.#lastLength = length;
    this.#lastBytes.set(new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length));
    const line = START_LINE.exec(toLatin1(bytes, offset, length))?.[0];
    return (this.#lastLine = line !== undefined && this.#isRedacted ? redactLine(line) : line);
  }
}

/** Returns whether data ends with an empty line, as the head of an HTTP message does. */
export function endsWithBlankLine(bytes: Uint8Array | Int32Array, offset: number, length: number): boolean {
  if (length < 4 || !(bytes instanceof Uint8Array)) return false;
  const end = offset + length;
  return bytes[end - 1] === LF && bytes[end - 3] === LF && bytes[end - 2] === CR;
}

/** Returns the bytes as text, one character for each byte. */
export function toLatin1(bytes: Uint8Array | Int32Array, offset: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString("latin1");
}
