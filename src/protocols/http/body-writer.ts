// A reply's body on its way: piece by piece from its source to the connection, as there is room for them.

import { Buffer } from "node:buffer";
import type { ProtocolConnection } from "../protocol.ts";
import type { BodySource } from "./response.ts";

/** Output that waits in one connection until nothing more is asked of a source, or of a client. */
export const HIGH_WATER: number = 262_144;
/** Pieces up to this size are copied into one with their chunk's framing. */
const SMALL_PIECE = 16_384;

const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const CRLF = Buffer.from("\r\n");

export class BodyWriter {
  /** It waits for the client, not for the source. */
  isAwaitingRoom: boolean = false;
  #isCancelled = false;
  #onRoom: (() => void) | undefined;
  readonly #channel: ProtocolConnection;
  readonly #source: BodySource;
  readonly #length: number;
  readonly #isChunked: boolean;

  /** @param length what the source has to have; -1 if nobody knows */
  constructor(channel: ProtocolConnection, source: BodySource, length: number, isChunked: boolean) {
    this.#channel = channel;
    this.#source = source;
    this.#length = length;
    this.#isChunked = isChunked;
  }

  /**
   * Send it all.
   *
   * @returns resolved with false if it was cancelled
   * @throws what the source throws; TypeError if it has more or less than it should
   */
  async run(): Promise<boolean> {
    const channel = this.#channel;
    const length = this.#length;
    // A file has one buffer for all its pieces; a stream's are its own.
    const limit = this.#source.isReused ? 1 : HIGH_WATER;
    let sent = 0;
    for (;;) {
      if (channel.pending >= limit) await this.#room(limit);
      if (this.#isCancelled) return false;
      const read = this.#source.read();
      const piece = read instanceof Promise ? await read : read;
      if (this.#isCancelled) return false;
      if (piece === undefined) break;
      sent += piece.length;
      if (length >= 0 && sent > length) throw new TypeError(`the body is longer than its Content-Length, ${length}`);
      if (this.#isChunked) this.#writeChunk(piece);
      else channel.write(piece);
      channel.flush();
    }
    if (sent < length) throw new TypeError(`the body is shorter than its Content-Length, ${length}: ${sent}`);
    if (this.#isChunked) channel.write(LAST_CHUNK);
    return true;
  }

  /** Something was sent. */
  drained(): void {
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
  }

  /** Nobody wants the rest. */
  cancel(reason: unknown): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.#source.cancel(reason);
    this.drained();
  }

  async #room(limit: number): Promise<void> {
    this.isAwaitingRoom = true;
    while (this.#channel.pending >= limit && !this.#isCancelled) {
      this.#channel.wantsDrain = true;
      await new Promise<void>((resolve) => (this.#onRoom = resolve));
    }
    this.isAwaitingRoom = false;
  }

  #writeChunk(piece: Uint8Array): void {
    const channel = this.#channel;
    const size = `${piece.length.toString(16)}\r\n`;
    if (piece.length <= SMALL_PIECE) {
      const chunk = Buffer.allocUnsafeSlow(size.length + piece.length + 2);
      chunk.write(size, 0, "latin1");
      chunk.set(piece, size.length);
      chunk.write("\r\n", size.length + piece.length, "latin1");
      channel.write(chunk);
    } else {
      channel.write(Buffer.from(size, "latin1"));
      channel.write(piece);
      channel.write(CRLF);
    }
  }
}
