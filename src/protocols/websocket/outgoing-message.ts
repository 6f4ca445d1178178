// A message to be sent, possibly to many WebSockets: its frame is serialized, and compressed, once for all of them.

import { Buffer } from "node:buffer";
import { invalidType } from "../../kernel/errors.ts";
import { outputBytes } from "../socket/output-bytes.ts";
import type { Deflate } from "./deflate.ts";
import { BINARY, TEXT } from "./opcodes.ts";

const FIN = 0x80;
/** The message is compressed: RFC 7692, 7.2.3.1. */
const RSV1 = 0x40;

const EXPECTED = "a string, an ArrayBuffer, a SharedArrayBuffer, a TypedArray, a DataView or a Blob in memory";

export class OutgoingMessage {
  readonly opcode: number;
  /** The content, before compression. Not changed by anyone while the message is being sent. */
  readonly #content: string | Uint8Array;
  /** The size of the content in bytes. */
  readonly size: number;
  #frame: Buffer | undefined;
  /** Compressed frames by `Deflate.sharedKey`. */
  #compressedFrames: (Buffer | undefined)[] | undefined;

  constructor(opcode: number, content: string | Uint8Array) {
    this.opcode = opcode;
    this.#content = content;
    this.size = typeof content === "string" ? Buffer.byteLength(content) : content.length;
  }

  /**
   * Returns the frame for a WebSocket.
   *
   * @param deflate its compression, if the message is to be compressed
   */
  frameFor(deflate: Deflate | undefined): Buffer {
    if (deflate === undefined || !deflate.canCompress || this.size === 0) return (this.#frame ??= this.#serialize());
    const { sharedKey } = deflate;
    if (sharedKey === undefined) return this.#compress(deflate);
    const frames = (this.#compressedFrames ??= []);
    return (frames[sharedKey] ??= this.#compress(deflate));
  }

  #serialize(): Buffer {
    const content = this.#content;
    if (typeof content !== "string") return serializeFrame(this.opcode, content, false);
    const frame = frameOf(this.opcode, this.size, false);
    frame.write(content, frame.length - this.size); // without a copy of its own
    return frame;
  }

  #compress(deflate: Deflate): Buffer {
    const content = this.#content;
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    return serializeFrame(this.opcode, deflate.compress(bytes), true);
  }
}

/** Serializes a frame: one that is final, and not masked. The bytes are copied. RFC 6455, 5.2. */
export function serializeFrame(opcode: number, data: Uint8Array, isCompressed: boolean): Buffer {
  const frame = frameOf(opcode, data.length, isCompressed);
  frame.set(data, frame.length - data.length);
  return frame;
}

/** Returns a frame with its head, and room for the content. */
function frameOf(opcode: number, length: number, isCompressed: boolean): Buffer {
  const headLength = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(headLength + length);
  frame[0] = FIN | (isCompressed ? RSV1 : 0) | opcode;
  frame[1] = headLength === 2 ? length : headLength === 4 ? 126 : 127;
  if (headLength === 4) frame.writeUInt16BE(length, 2);
  if (headLength === 10) frame.writeBigUInt64BE(BigInt(length), 2);
  return frame;
}

/** Returns what `send` sends: as with Bun.serve, anything but bytes and a Blob as a text. @throws {TypeError} if there is nothing */
export function toMessage(data: unknown): OutgoingMessage {
  if (typeof data === "string") return new OutgoingMessage(TEXT, data);
  if (data === undefined || data === null || typeof data === "symbol") throw invalidType("data", EXPECTED, data);
  if (isBytes(data)) return new OutgoingMessage(BINARY, toBytes(data));
  return new OutgoingMessage(TEXT, String(data));
}

/** Returns what `sendText` sends. @throws {TypeError} if it is not a string */
export function toText(data: unknown): OutgoingMessage {
  if (typeof data !== "string") throw invalidType("data", "a string", data);
  return new OutgoingMessage(TEXT, data);
}

/** Returns what `sendBinary` sends. @throws {TypeError} if it is neither bytes nor a Blob */
export function toBinary(data: unknown): OutgoingMessage {
  if (!isBytes(data)) throw invalidType("data", EXPECTED.replace("a string, ", ""), data);
  return new OutgoingMessage(BINARY, toBytes(data));
}

/** Returns the content of a ping or a pong. @throws {TypeError} if it is neither a string, bytes nor a Blob */
export function toControlData(data: unknown): Uint8Array {
  if (data === undefined || data === null) return new Uint8Array(0);
  if (typeof data === "string") return Buffer.from(data);
  if (!isBytes(data)) throw invalidType("data", EXPECTED, data);
  return toBytes(data);
}

function isBytes(data: unknown): data is ArrayBufferView | ArrayBufferLike | Blob {
  return (
    ArrayBuffer.isView(data) || data instanceof ArrayBuffer || data instanceof SharedArrayBuffer || data instanceof Blob
  );
}

function toBytes(data: ArrayBufferView | ArrayBufferLike | Blob): Uint8Array {
  if (!(data instanceof Blob)) return outputBytes(data);
  const bytes: unknown = Bun.peek(data.bytes());
  if (bytes instanceof Uint8Array) return bytes;
  throw invalidType("data", EXPECTED, data);
}
