// The parser of the frames of one WebSocket: the receiver of the package ws, without its stream and its compression.

import { Buffer } from "node:buffer";
import type { Deflate } from "./deflate.ts";
import { CONTINUATION } from "./opcodes.ts";
import { loadWs, type WsReceiver } from "./ws-library.ts";

/** The maximum number of fragments of a message. */
const MAX_FRAGMENTS = 131_072;
/** After this many fragments they are joined, because each takes more memory than its bytes. */
const JOINED_FRAGMENTS = 1024;
// The states of the receiver of ws.
const GET_INFO = 0;
const GET_DATA = 4;
const MASK_BYTES = 4;

/** Receives what the parser has found. */
export interface FrameHandler {
  /** Decompresses messages; undefined without permessage-deflate. */
  readonly deflate: Deflate | undefined;
  /** Whether `onFrame` is to be called. */
  readonly isTraced: boolean;
  /** A frame was received: called before what follows from it. */
  onFrame(opcode: number, isFinal: boolean, length: number, isCompressed: boolean): void;
  /** A message was received. A text is valid UTF-8. */
  onMessage(data: Buffer, isBinary: boolean): void;
  onPing(data: Buffer): void;
  onPong(data: Buffer): void;
  /** A Close frame was received. */
  onCloseFrame(code: number, reason: Buffer): void;
  /** The input is not valid: the status code and the reason for a Close frame. */
  onInvalidFrame(code: number, reason: string): void;
}

/** A parser. It belongs to one connection at a time, and is free for another one between two messages. */
export interface FrameReceiver extends WsReceiver {
  owner: FrameHandler | undefined;
  /** Parses a chunk, which is borrowed: what is needed of it later is copied. */
  feed(chunk: Buffer): void;
  /** Neither part of a frame nor part of a message was received. */
  readonly isIdle: boolean;
  /** The input was not valid, or a Close frame has ended it: nothing more is parsed. */
  readonly isDone: boolean;
  /** How many bytes of content are missing from the current frame; 0 if its head is incomplete, or no frame has begun. */
  readonly missingBytes: number;
  /** The bytes that the parser keeps. */
  readonly keptBytes: number;
}

let create: ((maxPayloadLength: number, hasDeflate: boolean) => FrameReceiver) | undefined;

/** Creates a parser. */
export function createFrameReceiver(maxPayloadLength: number, hasDeflate: boolean): FrameReceiver {
  return (create ??= defineReceiver())(maxPayloadLength, hasDeflate);
}

function defineReceiver(): (maxPayloadLength: number, hasDeflate: boolean) => FrameReceiver {
  const { Receiver, kStatusCode } = loadWs();
  type Callback = (error?: Error) => void;

  class Parser extends Receiver implements FrameReceiver {
    owner: FrameHandler | undefined;
    isDone = false;
    readonly #maxPayloadLength: number;
    /** How many bytes of the first of `_buffers` were consumed. */
    #consumed = 0;
    /** The mask of the current frame; the first bytes of its head, or its length, which ws reads immediately. */
    readonly #mask = Buffer.alloc(MASK_BYTES);
    readonly #pair = Buffer.alloc(2);
    readonly #onChunkEnd: Callback = (error) => {
      if (error === undefined || this.isDone) return;
      this.isDone = true;
      const { [kStatusCode]: code } = error as unknown as Record<symbol, number>;
      this.owner?.onInvalidFrame(code ?? 1002, error.message);
    };

    constructor(maxPayloadLength: number, hasDeflate: boolean) {
      super({
        isServer: true,
        maxFragments: MAX_FRAGMENTS,
        // With this, frames may be compressed. `getData` decompresses them.
        extensions: hasDeflate ? { "permessage-deflate": true } : {},
      });
      this.#maxPayloadLength = maxPayloadLength;
      // ws takes 0 as no limit, and compares lengths with this.
      this._maxPayload = maxPayloadLength === 0 ? 0.5 : maxPayloadLength;
    }

    feed(chunk: Buffer): void {
      const fragments = this._fragments;
      const { length } = fragments;
      this._write(chunk, "", this.#onChunkEnd);
      if (!this.isDone && !this.isIdle) this.#keep(this._fragments === fragments ? length : 0);
    }

    /** Copies what is kept of the last chunk. */
    #keep(firstFragment: number): void {
      const [first] = this._buffers;
      if (first !== undefined) {
        if (this.#consumed > 0) this._buffers[0] = first.subarray(this.#consumed);
        this.#consumed = 0;
        this._buffers = [Buffer.concat(this._buffers)];
      }
      if (this._mask !== undefined) this._mask = Buffer.from(this._mask);
      const fragments = this._fragments;
      for (let i = firstFragment; i < fragments.length; i++) fragments[i] = Buffer.concat([fragments[i] as Buffer]);
    }

    /**
     * As that of ws, but without a Buffer for each part of a frame's head, and without another one for what is left: creating them
     * took a third of the time of a small frame.
     */
    protected override consume(n: number): Buffer {
      const [first] = this._buffers as [Buffer];
      const start = this.#consumed;
      const end = start + n;
      if (end >= first.length) {
        if (start > 0) this._buffers[0] = first.subarray(start);
        this.#consumed = 0;
        return super.consume(n);
      }
      this._bufferedBytes -= n;
      this.#consumed = end;
      if (this._state === GET_DATA) return first.subarray(start, end);
      const part = n === MASK_BYTES ? this.#mask : n === 2 ? this.#pair : undefined;
      if (part === undefined) return first.subarray(start, end);
      for (let i = 0; i < n; i++) part[i] = first[start + i] as number;
      return part;
    }

    get isIdle(): boolean {
      return this._state === GET_INFO && this._bufferedBytes === 0 && this._fragmented === 0;
    }

    get missingBytes(): number {
      return this._state === GET_DATA ? this._payloadLength - this._bufferedBytes : 0;
    }

    get keptBytes(): number {
      return this._bufferedBytes + this._messageLength;
    }

    protected override getData(callback: Callback): void {
      const { owner } = this;
      if (owner?.isTraced === true && this._bufferedBytes >= this._payloadLength) {
        const isContinuation = this._opcode < 8 && this._numFragments > 0;
        const opcode = isContinuation ? CONTINUATION : this._opcode;
        const isCompressed = this._compressed && this._opcode < 8 && !isContinuation;
        owner.onFrame(opcode, this._fin, this._payloadLength, isCompressed);
      }
      super.getData(callback);
    }

    /** Decompresses content immediately: while `run()` blocks Bun's event loop, nothing else is possible. */
    protected decompress(data: Buffer, callback: Callback): void {
      this._fragments.push(data);
      this._messageLength += data.length;
      this.dataMessage(callback);
    }

    /** Handles a fragment or the end of a message. */
    protected override dataMessage(callback: Callback): void {
      if (!this._fin) {
        if (this._fragments.length >= JOINED_FRAGMENTS) this._fragments = [Buffer.concat(this._fragments)];
      } else if (this._compressed) {
        const compressed = Buffer.concat(this._fragments);
        const data = this.owner?.deflate?.decompress(compressed, this.#maxPayloadLength);
        if (typeof data !== "object") return callback(this.#inflateError(data));
        this._fragments = data.length === 0 ? [] : [data];
        this._messageLength = data.length;
      }
      super.dataMessage(callback);
    }

    #inflateError(reason: "too-large" | "invalid" | undefined): Error {
      return reason === "too-large"
        ? this.createError(RangeError as unknown as ErrorConstructor, "Max payload size exceeded", false, 1009, "")
        : this.createError(Error, "invalid compressed data", true, 1007, "");
    }

    /** Called by ws for each event. It needs no listeners, which would cost memory for each connection. */
    emit(event: string, first: unknown, second: unknown): boolean {
      const { owner } = this;
      if (owner === undefined) return false;
      switch (event) {
        case "message":
          owner.onMessage(first as Buffer, second as boolean);
          return true;
        case "ping":
          owner.onPing(first as Buffer);
          return true;
        case "pong":
          owner.onPong(first as Buffer);
          return true;
        case "conclude":
          this.isDone = true;
          owner.onCloseFrame(first as number, second as Buffer);
          return true;
        default:
          return false;
      }
    }

    /** Called by ws after a Close frame. There is no stream to end. */
    end(): void {}
  }

  return (maxPayloadLength, hasDeflate) => new Parser(maxPayloadLength, hasDeflate);
}
