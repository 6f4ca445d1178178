// The decoder of chunked request bodies: RFC 9112, 7.1.

const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 0x20;
const QUOTE = 0x22;
const COLON = 0x3a;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;
const DEL = 0x7f;

/** What the next byte belongs to. In `after-…`, it may only be white space or what continues the extensions. */
type State =
  | "size"
  | "after-size"
  | "extension"
  | "name"
  | "after-name"
  | "value-start"
  | "value"
  | "quoted"
  | "quoted-pair"
  | "quoted-end"
  | "after-value"
  | "size-lf"
  | "data"
  | "data-cr"
  | "data-lf"
  | "trailer"
  | "trailer-name"
  | "trailer-value"
  | "trailer-lf"
  | "last-lf";

/** Returned by `decode` if the input is malformed. */
export const MALFORMED: number = -1;

/** The characters of a token: RFC 9110, 5.6.2. */
const isTokenByte = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  isTokenByte[character.charCodeAt(0)] = 1;
}

/** Start and end of each piece of content that the last `decode` found, as offsets into its input. */
const pieces: number[] = [];

/**
 * Decodes one body. Its framing must follow the grammar exactly: bytes that two parsers could read differently are malformed.
 * Extensions and trailers are dropped. White space around the `;` and `=` of extensions is accepted, as RFC 9112, 7.1.1 requires.
 */
export class ChunkedDecoder {
  /** The end of the body has been decoded. */
  isComplete: boolean = false;
  #state: State = "size";
  /** The size of the chunk as far as it was read, and then what is missing of it. -1: no digit was read. */
  #size = -1;

  /**
   * Decodes the next bytes.
   *
   * @returns how many of them belong to the body, or MALFORMED; `content` returns their content
   */
  decode(bytes: Uint8Array, start: number, end: number): number {
    pieces.length = 0;
    let at = start;
    while (at < end && !this.isComplete) {
      if (this.#state === "data") {
        const length = Math.min(this.#size, end - at);
        pieces.push(at - start, at - start + length);
        at += length;
        this.#size -= length;
        if (this.#size === 0) this.#state = "data-cr";
      } else {
        const next = this.#next(bytes[at++] as number);
        if (next === undefined) return MALFORMED;
        this.#state = next;
      }
    }
    return at - start;
  }

  /** Returns a copy of the content that `decode` has just found in these bytes. */
  content(bytes: Uint8Array, start: number): Uint8Array {
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

  /** Returns the state after a byte of the framing; undefined if it is not allowed there. */
  #next(byte: number): State | undefined {
    switch (this.#state) {
      case "size":
        return this.#addDigit(byte);
      case "after-size":
        return isSpace(byte) ? "after-size" : byte === SEMICOLON ? "extension" : undefined;
      case "extension":
        return isSpace(byte) ? "extension" : isTokenByte[byte] === 1 ? "name" : undefined;
      case "name":
        if (isTokenByte[byte] === 1) return "name";
        return byte === CR ? "size-lf" : afterName(byte);
      case "after-name":
        return afterName(byte);
      case "value-start":
        if (isSpace(byte)) return "value-start";
        return byte === QUOTE ? "quoted" : isTokenByte[byte] === 1 ? "value" : undefined;
      case "value":
        if (isTokenByte[byte] === 1) return "value";
        return byte === CR ? "size-lf" : afterValue(byte);
      case "quoted":
        return byte === QUOTE ? "quoted-end" : byte === BACKSLASH ? "quoted-pair" : isText(byte) ? "quoted" : undefined;
      case "quoted-pair":
        return isText(byte) ? "quoted" : undefined;
      case "quoted-end":
        return byte === CR ? "size-lf" : afterValue(byte);
      case "after-value":
        return afterValue(byte);
      case "size-lf":
        if (byte !== LF) return undefined;
        return this.#size === 0 ? "trailer" : "data";
      case "data-cr":
        return byte === CR ? "data-lf" : undefined;
      case "data-lf":
        this.#size = -1;
        return byte === LF ? "size" : undefined;
      case "trailer":
        return byte === CR ? "last-lf" : isTokenByte[byte] === 1 ? "trailer-name" : undefined;
      case "trailer-name":
        return byte === COLON ? "trailer-value" : isTokenByte[byte] === 1 ? "trailer-name" : undefined;
      case "trailer-value":
        return byte === CR ? "trailer-lf" : isText(byte) ? "trailer-value" : undefined;
      case "trailer-lf":
        return byte === LF ? "trailer" : undefined;
      case "last-lf":
        this.isComplete = byte === LF;
        return this.isComplete ? "last-lf" : undefined;
      default:
        return undefined; // "data" is not framing
    }
  }

  #addDigit(byte: number): State | undefined {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#size = 16 * Math.max(this.#size, 0) + digit;
      return this.#size <= Number.MAX_SAFE_INTEGER ? "size" : undefined;
    }
    if (this.#size < 0) return undefined;
    if (byte === CR) return "size-lf";
    return byte === SEMICOLON ? "extension" : isSpace(byte) ? "after-size" : undefined;
  }
}

function afterName(byte: number): State | undefined {
  if (isSpace(byte)) return "after-name";
  return byte === SEMICOLON ? "extension" : byte === EQUALS ? "value-start" : undefined;
}

function afterValue(byte: number): State | undefined {
  return isSpace(byte) ? "after-value" : byte === SEMICOLON ? "extension" : undefined;
}

/** Returns the value of a hexadecimal digit; -1 for any other byte. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/** Returns whether a byte can be in a field's value or in a quoted string, except for the bytes with a meaning there. */
function isText(byte: number): boolean {
  return byte >= SPACE ? byte !== DEL : byte === TAB;
}
