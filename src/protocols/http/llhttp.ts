// Bindings to llhttp, the strict HTTP/1 parser of Node.js, in the WebAssembly build that the package undici ships.

import { Buffer } from "node:buffer";
import { untracedSyscalls } from "../../kernel/ffi.ts";
import { checkFreeFds } from "../../kernel/free-fds.ts";

/** The module's exports that are used here. Pointers and lengths are 32-bit numbers. */
interface LlhttpExports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  malloc(size: number): number;
  free(pointer: number): void;
  llhttp_alloc(type: number): number;
  llhttp_reset(parser: number): void;
  llhttp_execute(parser: number, data: number, length: number): number;
  llhttp_get_http_major(parser: number): number;
  llhttp_get_http_minor(parser: number): number;
  llhttp_get_error_pos(parser: number): number;
}

const requiredFunctions = [
  "_initialize",
  "malloc",
  "free",
  "llhttp_alloc",
  "llhttp_reset",
  "llhttp_execute",
  "llhttp_get_http_major",
  "llhttp_get_http_minor",
  "llhttp_get_error_pos",
] as const;

const TYPE_REQUEST = 1;
// The error codes that distinguish more than a malformed message, with llhttp's names.
export const HPE_INVALID_METHOD: number = 6;
export const HPE_INVALID_CONSTANT: number = 8;
export const HPE_INVALID_VERSION: number = 9;
export const HPE_PAUSED_H2_UPGRADE: number = 23;
const HPE_PAUSED = 21;

/** Bun opens directories to find the module's file, and the file itself. */
const FDS_TO_LOAD = 8;
const INPUT_BYTES = 65_536;

/** The instantiated module, with the memory that is allocated in it. */
interface Llhttp extends LlhttpExports {
  /** The parser of heads. */
  parser: number;
  /** The input buffer, which grows on demand. */
  input: number;
  inputBytes: number;
  /** A view of the whole memory. It has to be renewed when the memory grows. */
  view: Uint8Array;
}

let llhttp: Llhttp | undefined;

/** The result of the last `parseHead` that found a complete head. Offsets are relative to the start of that head. */
export const parsedHead: {
  targetStart: number;
  targetEnd: number;
  fieldCount: number;
  /** Four offsets per field: start and end of the name, start and end of the value. Values may end in white space. */
  fields: Int32Array<ArrayBuffer>;
  major: number;
  minor: number;
} = {
  targetStart: 0,
  targetEnd: 0,
  fieldCount: 0,
  fields: new Int32Array(4 * 128),
  major: 0,
  minor: 0,
};

/** Why the last parse failed: llhttp's error code, and how many bytes it had read. */
export const parseFailure: { code: number; position: number } = { code: 0, position: 0 };

/** Returned by `parseHead` if the head is incomplete. */
export const INCOMPLETE: number = 0;
/** Returned if the input is malformed; `parseFailure` has the details. */
export const MALFORMED: number = -1;

/**
 * Parses the head of a request. Empty lines before it are skipped; bytes after it are ignored.
 *
 * @returns the head's size in bytes, with the details in `parsedHead`; INCOMPLETE; or MALFORMED
 */
export function parseHead(bytes: Uint8Array, start: number, end: number): number {
  const m = llhttp ?? load();
  copyInput(m, bytes, start, end);
  const { parser } = m;
  parsedHead.fieldCount = parsedHead.targetStart = parsedHead.targetEnd = 0;
  m.llhttp_reset(parser);
  const code = m.llhttp_execute(parser, m.input, end - start);
  if (code === 0) return INCOMPLETE;
  const position = (m.llhttp_get_error_pos(parser) >>> 0) - m.input;
  if (code !== HPE_PAUSED) {
    parseFailure.code = code;
    parseFailure.position = position;
    return MALFORMED;
  }
  parsedHead.major = m.llhttp_get_http_major(parser);
  parsedHead.minor = m.llhttp_get_http_minor(parser);
  return position;
}

/**
 * Loads the parser, unless it is loaded already. A server does that after its first response, or earlier for a head that is not plain.
 *
 * @returns whether it is loaded now; false if no fd is free to read its file
 * @throws {Error} if the installed version of undici does not fit
 */
export function isParserReady(): boolean {
  if (llhttp !== undefined) return true;
  try {
    checkFreeFds(untracedSyscalls(), FDS_TO_LOAD); // without them, Bun would report that the module does not exist
  } catch {
    return false;
  }
  load();
  return true;
}

/** Returns the size of the parser's memory, which never shrinks. */
export function parserMemoryBytes(): number {
  return llhttp?.memory.buffer.byteLength ?? 0;
}

function copyInput(m: Llhttp, bytes: Uint8Array, start: number, end: number): void {
  const length = end - start;
  if (length > m.inputBytes) growInput(m, length);
  if (m.view.buffer !== m.memory.buffer) m.view = new Uint8Array(m.memory.buffer); // the memory has grown
  m.view.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), m.input);
}

/** Replaces the input buffer by a larger one. Its size doubles, so that a head that grows does not replace it each time. */
function growInput(m: Llhttp, length: number): void {
  const size = Math.max(length, 2 * m.inputBytes, INPUT_BYTES);
  m.free(m.input); // its content is not needed: every parse copies its whole input
  m.input = m.inputBytes = 0; // in case the allocation fails
  m.input = allocated(m.malloc(size));
  m.inputBytes = size;
}

/**
 * Returns a pointer as an unsigned number: WebAssembly returns those above 2^31 as negative ones.
 *
 * @throws {RangeError} if the memory could not be allocated
 */
function allocated(pointer: number): number {
  if (pointer === 0) throw new RangeError("the HTTP parser is out of memory; lower maxHeaderBytes");
  return pointer >>> 0;
}

/** Compiles the module, and checks that it behaves as expected: the application may have installed another version of undici. */
function load(): Llhttp {
  const offset = (pointer: number): number => (pointer >>> 0) - created.input;
  // Not an `import` statement: Bun would make each of the array's 54,000 bytes a named export, which takes 40 ms.
  const wasm = require("undici/lib/llhttp/llhttp_simd-wasm.js") as Uint8Array<ArrayBuffer>;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
    env: {
      wasm_on_message_begin: () => 0,
      wasm_on_status: () => 0,
      wasm_on_url(_: number, at: number, length: number) {
        parsedHead.targetStart = offset(at);
        parsedHead.targetEnd = offset(at) + length;
        return 0;
      },
      wasm_on_header_field(_: number, at: number, length: number) {
        const i = 4 * parsedHead.fieldCount++;
        if (i === parsedHead.fields.length) parsedHead.fields = doubled(parsedHead.fields);
        parsedHead.fields[i] = offset(at);
        parsedHead.fields[i + 1] = parsedHead.fields[i + 2] = parsedHead.fields[i + 3] = offset(at) + length;
        return 0;
      },
      wasm_on_header_value(_: number, at: number, length: number) {
        const i = 4 * parsedHead.fieldCount - 4;
        parsedHead.fields[i + 2] = offset(at);
        parsedHead.fields[i + 3] = offset(at) + length;
        return 0;
      },
      wasm_on_headers_complete: () => HPE_PAUSED,
      wasm_on_body: () => 0,
      wasm_on_message_complete: () => 0,
    },
  });
  const missing = requiredFunctions.filter((name) => typeof exports[name] !== "function");
  if (missing.length > 0 || !(exports["memory"] instanceof WebAssembly.Memory)) {
    throw new Error(`epoll-hello cannot use the installed version of undici: its llhttp lacks ${missing.join(", ")}`);
  }
  const e = exports as unknown as LlhttpExports;
  e._initialize();
  const created: Llhttp = {
    ...e,
    parser: allocated(e.llhttp_alloc(TYPE_REQUEST)),
    input: allocated(e.malloc(INPUT_BYTES)),
    inputBytes: INPUT_BYTES,
    view: new Uint8Array(e.memory.buffer),
  };
  llhttp = created;
  selfTest();
  return created;
}

/** Parses a few known inputs and throws if the results are not the expected ones. */
function selfTest(): void {
  const text = "GET /a HTTP/1.1\r\nHost: b\r\nC:\r\n\r\n";
  const bytes = Buffer.from(`${text}rest`);
  const bad = Buffer.from("GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
  const areHeadsRight =
    parseHead(bytes, 0, bytes.length) === text.length &&
    [parsedHead.targetStart, parsedHead.targetEnd, parsedHead.fieldCount, parsedHead.major, parsedHead.minor].join() ===
      "4,6,2,1,1" &&
    parsedHead.fields.subarray(0, 8).join() === "17,21,23,24,26,27,30,30" &&
    parseHead(bytes, 0, 30) === INCOMPLETE &&
    parseHead(bad, 0, bad.length) === MALFORMED;
  if (!areHeadsRight) {
    llhttp = undefined;
    throw new Error(
      "epoll-hello cannot use the installed version of undici: its llhttp parses differently from the expected version",
    );
  }
}

function doubled(fields: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * fields.length);
  larger.set(fields);
  return larger;
}
