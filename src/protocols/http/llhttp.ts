// llhttp: parses heads and chunked bodies, strictly. The one file that knows whose WebAssembly it is (undici's) and how it is called.

import { Buffer } from "node:buffer";

/** What is used of the module; pointers and counts are 32-bit numbers. */
interface Exports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  malloc(size: number): number;
  llhttp_alloc(type: number): number;
  llhttp_reset(parser: number): void;
  llhttp_execute(parser: number, data: number, length: number): number;
  llhttp_resume(parser: number): void;
  llhttp_get_http_major(parser: number): number;
  llhttp_get_http_minor(parser: number): number;
  llhttp_get_error_pos(parser: number): number;
}

const functions = [
  "_initialize",
  "malloc",
  "llhttp_alloc",
  "llhttp_reset",
  "llhttp_execute",
  "llhttp_resume",
  "llhttp_get_http_major",
  "llhttp_get_http_minor",
  "llhttp_get_error_pos",
] as const;

const TYPE_REQUEST = 1;
/** llhttp's errors that say more than that the message is malformed. */
export const HPE_INVALID_METHOD: number = 6;
export const HPE_INVALID_CONSTANT: number = 8;
export const HPE_INVALID_VERSION: number = 9;
export const HPE_PAUSED_H2_UPGRADE: number = 23;
const HPE_PAUSED = 21;

const INPUT_BYTES = 65_536;
/** What comes before a chunked body: it puts a parser to where such a body begins. */
const CHUNKED_HEAD = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

interface Machine extends Exports {
  /** Parses heads. */
  parser: number;
  /** Where bytes are put for it to read. */
  input: number;
  inputBytes: number;
  chunkedHead: number;
  /** Its memory; another view once it has grown. */
  view: Uint8Array;
}

let machine: Machine | undefined;

/** Where the target and the fields of the head lie that was parsed last, as offsets into it. */
export const head: {
  targetStart: number;
  targetEnd: number;
  /** How many fields there are. */
  count: number;
  /** Of each field four offsets: its name's start and end, its value's start and end. Values may end in white space. */
  fields: Int32Array<ArrayBuffer>;
  major: number;
  minor: number;
} = {
  targetStart: 0,
  targetEnd: 0,
  count: 0,
  fields: new Int32Array(4 * 128),
  major: 0,
  minor: 0,
};

/** Pieces of a chunked body, as offsets into the bytes that were decoded last: starts and ends. */
const pieces: number[] = [];

/** A parse has failed: llhttp's error, and how many bytes it read before. */
export const failure: { code: number; position: number } = { code: 0, position: 0 };

/** What `parseHead` returns of a head that is not complete. */
export const INCOMPLETE: number = 0;
/** What `parseHead` returns of a head that is malformed: `failure` says how. */
export const MALFORMED: number = -1;

/**
 * Parse a request's head.
 *
 * @param bytes from `start` to `end`: line ends before it are skipped; what follows it is not looked at
 * @returns how many bytes it has, in which case `head` describes it; or INCOMPLETE or MALFORMED
 */
export function parseHead(bytes: Uint8Array, start: number, end: number): number {
  const m = (machine ??= load());
  put(m, bytes, start, end);
  const { parser } = m;
  head.count = head.targetStart = head.targetEnd = 0;
  m.llhttp_reset(parser);
  const code = m.llhttp_execute(parser, m.input, end - start);
  if (code === 0) return INCOMPLETE;
  const position = m.llhttp_get_error_pos(parser) - m.input;
  if (code !== HPE_PAUSED) {
    failure.code = code;
    failure.position = position;
    return MALFORMED;
  }
  head.major = m.llhttp_get_http_major(parser);
  head.minor = m.llhttp_get_http_minor(parser);
  return position;
}

/** Have it compiled and checked now, and not at the first request. */
export function loadParser(): void {
  machine ??= load();
}

const idle: number[] = [];

/** Decodes one chunked body: RFC 9112, 7.1. Trailers are read, and dropped. */
export class ChunkedDecoder {
  /** The end of the body has been read. */
  isComplete: boolean = false;
  readonly #parser: number;

  constructor() {
    const m = (machine ??= load());
    this.#parser = idle.pop() ?? m.llhttp_alloc(TYPE_REQUEST);
    m.llhttp_reset(this.#parser);
    m.llhttp_execute(this.#parser, m.chunkedHead, CHUNKED_HEAD.length);
    m.llhttp_resume(this.#parser);
  }

  /**
   * Decode what came next.
   *
   * @returns how many bytes belong to the body, at most INPUT_BYTES; `take` has its content. MALFORMED if they are not right.
   */
  decode(bytes: Uint8Array, start: number, end: number): number {
    const m = machine as Machine;
    const length = Math.min(end - start, INPUT_BYTES);
    put(m, bytes, start, start + length);
    pieces.length = head.count = 0;
    const code = m.llhttp_execute(this.#parser, m.input, length);
    if (code === 0) return length;
    const position = m.llhttp_get_error_pos(this.#parser) - m.input;
    if (code !== HPE_PAUSED) {
      failure.code = code;
      failure.position = position;
      return MALFORMED;
    }
    this.isComplete = true;
    return position;
  }

  /** A copy of the content that was decoded last; `bytes` and `start` as they were then. */
  take(bytes: Uint8Array, start: number): Uint8Array {
    let size = 0;
    for (let i = 0; i < pieces.length; i += 2) size += (pieces[i + 1] as number) - (pieces[i] as number);
    const content = new Uint8Array(size);
    let position = 0;
    for (let i = 0; i < pieces.length; i += 2) {
      const piece = bytes.subarray(start + (pieces[i] as number), start + (pieces[i + 1] as number));
      content.set(piece, position);
      position += piece.length;
    }
    return content;
  }

  /** Give the parser back. The decoder must not be used any more. */
  release(): void {
    idle.push(this.#parser);
  }
}

function put(m: Machine, bytes: Uint8Array, start: number, end: number): void {
  const length = end - start;
  if (length > m.inputBytes) {
    m.inputBytes = length;
    m.input = m.malloc(length);
  }
  if (m.view.buffer !== m.memory.buffer) m.view = new Uint8Array(m.memory.buffer); // it has grown
  m.view.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), m.input);
}

/** Compile it, and check that it is what it is taken for: another version may be installed than the one that was tried. */
function load(): Machine {
  const offset = (pointer: number): number => pointer - made.input;
  // Not an `import` statement: Bun would make each of its 54,000 bytes a named export, and take 40 ms for that.
  const wasm = require("undici/lib/llhttp/llhttp_simd-wasm.js") as Uint8Array<ArrayBuffer>;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
    env: {
      wasm_on_message_begin: () => 0,
      wasm_on_status: () => 0,
      wasm_on_url(_: number, at: number, length: number) {
        head.targetStart = offset(at);
        head.targetEnd = offset(at) + length;
        return 0;
      },
      wasm_on_header_field(_: number, at: number, length: number) {
        const i = 4 * head.count++;
        if (i === head.fields.length) head.fields = grown(head.fields);
        head.fields[i] = offset(at);
        head.fields[i + 1] = head.fields[i + 2] = head.fields[i + 3] = offset(at) + length;
        return 0;
      },
      wasm_on_header_value(_: number, at: number, length: number) {
        const i = 4 * head.count - 4;
        if (i < 0) return 0; // a trailer's value whose name came before
        head.fields[i + 2] = offset(at);
        head.fields[i + 3] = offset(at) + length;
        return 0;
      },
      wasm_on_headers_complete: () => HPE_PAUSED,
      wasm_on_body(_: number, at: number, length: number) {
        pieces.push(offset(at), offset(at) + length);
        return 0;
      },
      wasm_on_message_complete: () => HPE_PAUSED,
    },
  });
  const missing = functions.filter((name) => typeof exports[name] !== "function");
  if (missing.length > 0 || !(exports["memory"] instanceof WebAssembly.Memory)) {
    throw new Error(`epoll-hello cannot use this version of undici: its llhttp lacks ${missing.join(", ")}`);
  }
  const e = exports as unknown as Exports;
  e._initialize();
  const made: Machine = {
    ...e,
    parser: e.llhttp_alloc(TYPE_REQUEST),
    chunkedHead: e.malloc(CHUNKED_HEAD.length),
    input: e.malloc(INPUT_BYTES),
    inputBytes: INPUT_BYTES,
    view: new Uint8Array(e.memory.buffer),
  };
  made.view = new Uint8Array(e.memory.buffer);
  made.view.set(Buffer.from(CHUNKED_HEAD), made.chunkedHead);
  machine = made;
  check();
  return made;
}

function check(): void {
  const text = "GET /a HTTP/1.1\r\nHost: b\r\nC:\r\n\r\n";
  const bytes = Buffer.from(`${text}rest`);
  const bad = Buffer.from("GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
  const isRight =
    parseHead(bytes, 0, bytes.length) === text.length &&
    [head.targetStart, head.targetEnd, head.count, head.major, head.minor].join() === "4,6,2,1,1" &&
    head.fields.subarray(0, 8).join() === "17,21,23,24,26,27,30,30" &&
    parseHead(bytes, 0, 30) === INCOMPLETE &&
    parseHead(bad, 0, bad.length) === MALFORMED;
  const body = Buffer.from("3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\nrest");
  const decoder = new ChunkedDecoder();
  const taken = decoder.decode(body, 0, body.length);
  const content = Buffer.from(decoder.take(body, 0)).toString();
  decoder.release();

  if (!isRight || taken !== body.length - 4 || content !== "abc" || !decoder.isComplete) {
    machine = undefined;
    throw new Error(
      "epoll-hello cannot use this version of undici: its llhttp parses otherwise than the one it was made for",
    );
  }
}

function grown(fields: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * fields.length);
  larger.set(fields);
  return larger;
}
