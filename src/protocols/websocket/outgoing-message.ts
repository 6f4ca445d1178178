// A message to be sent, possibly to many WebSockets: its frame is serialized, and compressed, once for all of them.

import { Buffer } from "node:buffer";
import { invalidType } from "../../kernel/errors.ts";
import { outputBytes } from "../socket/output-bytes.ts";
import type { Deflate } from "./deflate.ts";
import { BINARY, TEXT } from "./opcodes.ts";
import { loadWs } from "./ws-library.ts";

const EXPECTED = "a string, an ArrayBuffer, a SharedArrayBuffer, a TypedArray, a DataView or a Blob in memory";

export class OutgoingMessage {
  readonly opcode: number;
  /** The content, before compression. Not changed by anyone while the message is being sent. */
  readonly data: Uint8Array;
  #frame: Buffer | undefined;
  /** Compressed frames by `Deflate.sharedKey`. */
  #compressedFrames: (Buffer | undefined)[] | undefined;

  constructor(opcode: number, data: Uint8Array) {
    this.opcode = opcode;
    this.data = data;
  }

  /**
   * Returns the frame for a WebSocket.
   *
   * @param deflate its compression, if the message is to be compressed
   */
  frameFor(deflate: Deflate | undefined): Buffer {
    if (deflate === undefined || !deflate.canCompress || this.data.length === 0) {
      return (this.#frame ??= serializeFrame(this.opcode, this.data, false));
    }
    const { sharedKey } = deflate;
    if (sharedKey === undefined) return serializeFrame(this.opcode, deflate.compress(this.data), true);
    const frames = (this.#compressedFrames ??= []);
    return (frames[sharedKey] ??= serializeFrame(this.opcode, deflate.compress(this.data), true));
  }
}

/** Serializes a frame: one that is final. The bytes are copied. */
export function serializeFrame(opcode: number, data: Uint8Array, isCompressed: boolean): Buffer {
  const options = { fin: true, opcode, rsv1: isCompressed, mask: false, readOnly: true } as const;
  const parts = loadWs().Sender.frame(data, options);
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

/** Returns what `send` sends: as with Bun.serve, anything but bytes and a Blob as a text. @throws {TypeError} if there is nothing */
export function toMessage(data: unknown): OutgoingMessage {
  if (typeof data === "string") return new OutgoingMessage(TEXT, Buffer.from(data));
  if (data === undefined || data === null || typeof data === "symbol") throw invalidType("data", EXPECTED, data);
  if (isBytes(data)) return new OutgoingMessage(BINARY, toBytes(data));
  return new OutgoingMessage(TEXT, Buffer.from(String(data)));
}

/** Returns what `sendText` sends. @throws {TypeError} if it is not a string */
export function toText(data: unknown): OutgoingMessage {
  if (typeof data !== "string") throw invalidType("data", "a string", data);
  return new OutgoingMessage(TEXT, Buffer.from(data));
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
