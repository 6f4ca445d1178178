// Bindings to native/plain-head.c, which scans plain heads in one pass. llhttp parses all others: see read-head.ts.

import { Buffer } from "node:buffer";
import { wasm } from "./plain-head-wasm.ts";

/** The module's exports. The addresses are those of its variables. */
interface Exports {
  memory: WebAssembly.Memory;
  input(): number;
  result(): number;
  fields(): number;
  authority(): number;
  name(): number;
  setAuthorityLength(length: number): void;
  scan(length: number): number;
  find(start: number, nameLength: number): number;
  list(start: number): number;
}

interface Scanner extends Exports {
  /** Where a head is copied to. */
  inputBytes: Buffer;
  /** The struct `result`. */
  results: Int32Array;
  /** The array `fields`. */
  offsets: Int32Array;
  authorityBytes: Buffer;
  nameBytes: Buffer;
}

/** The methods, in the order of `scan_method`. */
const METHODS: readonly string[] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
const VERSION_LINE_BYTES = " HTTP/1.1\r\n".length;

const IS_LAST = 1;
const HAS_KNOWN_HOST = 2;
const HAS_NORMAL_TARGET = 4;

/** Most heads are shorter. Copying more than necessary costs time, because other requests may follow. */
const SHORT_BYTES = 2048;
const INPUT_BYTES = 8192;
const MAX_FIELDS = 256;
const MAX_AUTHORITY_BYTES = 256;
const MAX_NAME_BYTES = 256;

let scanner: Scanner | undefined;
/** The text of the head that is in the scanner's input, if it is known. */
let loaded: string | undefined;

/**
 * Scans the head that begins at `start`.
 *
 * @returns its size, with the details in `plainHead`; 0 if it is not plain or not complete
 */
export function scanPlainHead(bytes: Buffer, start: number, end: number): number {
  const s = (scanner ??= load());
  const available = end - start;
  let size = scanFirst(s, bytes, start, Math.min(available, SHORT_BYTES));
  if (size === 0 && available > SHORT_BYTES) size = scanFirst(s, bytes, start, Math.min(available, INPUT_BYTES));
  return size;
}

function scanFirst(s: Scanner, bytes: Buffer, start: number, length: number): number {
  loaded = undefined;
  bytes.copy(s.inputBytes, 0, start, start + length);
  return s.scan(length);
}

/** The head that `scanPlainHead` has found last. Offsets are relative to its start. */
export const plainHead = {
  get method(): string {
    return METHODS[result(0)] as string;
  },
  get targetEnd(): number {
    return result(1);
  },
  /** The value of Host. */
  get host(): string {
    return (scanner as Scanner).inputBytes.toString("latin1", result(2), result(3));
  },
  get bodyLength(): number {
    return result(4);
  },
  /** The client sends no further request. */
  get isLast(): boolean {
    return (result(5) & IS_LAST) !== 0;
  },
  /** Host is the authority that was set with `setKnownAuthority`. */
  get hasKnownHost(): boolean {
    return (result(5) & HAS_KNOWN_HOST) !== 0;
  },
  /** `URL` would not change the target. */
  get hasNormalTarget(): boolean {
    return (result(5) & HAS_NORMAL_TARGET) !== 0;
  },
  get fieldCount(): number {
    return result(6);
  },
  /** Returns the head as text, one character per byte. */
  text(size: number): string {
    return (loaded = (scanner as Scanner).inputBytes.toString("latin1", 0, size));
  },
};

function result(index: number): number {
  return (scanner as Scanner).results[index] as number;
}

/** The authority that the scanner recognizes in Host. */
export let knownAuthority = "";

export function setKnownAuthority(authority: string): void {
  const s = (scanner ??= load());
  s.setAuthorityLength(authority.length > MAX_AUTHORITY_BYTES ? -1 : s.authorityBytes.write(authority, "latin1"));
  knownAuthority = authority;
}

/**
 * Returns the value of the only field with this name in a plain head; null if there is none; undefined if this function cannot
 * tell, for example because there are several.
 *
 * @param name in any case
 */
export function findInPlainHead(text: string, targetEnd: number, name: string): string | null | undefined {
  const bytes = nameBytes(name);
  if (bytes === undefined) return undefined;
  const s = prepare(text);
  s.nameBytes.set(bytes);
  const count = s.find(targetEnd + VERSION_LINE_BYTES, bytes.length);
  return count === 0 ? null : count === 1 ? text.slice(result(7), result(8)) : undefined;
}

/** Returns four offsets for each field of a plain head: start and end of the name, start and end of the value. */
export function listPlainFields(text: string, targetEnd: number): Int32Array {
  const s = prepare(text);
  return s.offsets.slice(0, 4 * s.list(targetEnd + VERSION_LINE_BYTES));
}

/** Returns the scanner with this head in its input. */
function prepare(text: string): Scanner {
  const s = scanner as Scanner;
  if (text !== loaded) s.inputBytes.write((loaded = text), "latin1");
  return s;
}

/** Names as bytes in lower case; undefined for names that `find` does not support. */
const names = new Map<string, Uint8Array | undefined>();
const MAX_NAMES = 256;

function nameBytes(name: string): Uint8Array | undefined {
  const known = names.get(name);
  if (known !== undefined || names.has(name)) return known;
  if (names.size >= MAX_NAMES) names.clear();
  const isSupported = /^[a-zA-Z\d-]+$/.test(name) && name.length <= MAX_NAME_BYTES;
  const bytes = isSupported ? new TextEncoder().encode(name.toLowerCase()) : undefined;
  names.set(name, bytes);
  return bytes;
}

function load(): Scanner {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(wasm, "base64")));
  const e = exports as unknown as Exports;
  const { buffer } = e.memory; // it never grows
  return {
    ...e,
    inputBytes: Buffer.from(buffer, e.input(), INPUT_BYTES),
    results: new Int32Array(buffer, e.result(), 9),
    offsets: new Int32Array(buffer, e.fields(), 4 * MAX_FIELDS),
    authorityBytes: Buffer.from(buffer, e.authority(), MAX_AUTHORITY_BYTES),
    nameBytes: Buffer.from(buffer, e.name(), MAX_NAME_BYTES),
  };
}
