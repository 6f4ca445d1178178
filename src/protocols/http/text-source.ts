// The source of a large ASCII string: it is encoded piece by piece into one buffer, so that no copy of all of it is made.

import type { Buffer } from "node:buffer";
import { releaseBodyBuffer, takeBodyBuffer } from "./body-buffers.ts";
import type { BodySource } from "./body-source.ts";
import { HIGH_WATER_MARK } from "./buffer-sizes.ts";

export class TextSource implements BodySource {
  readonly isBufferReused: boolean = true;
  readonly #text: string;
  #position = 0;
  #buffer: Buffer | undefined;

  /** @param text ASCII characters only */
  constructor(text: string) {
    this.#text = text;
  }

  read(): Uint8Array | undefined {
    const start = this.#position;
    if (start === this.#text.length) {
      if (this.#buffer !== undefined) releaseBodyBuffer(this.#buffer);
      this.#buffer = undefined;
      return undefined;
    }
    const buffer = (this.#buffer ??= takeBodyBuffer(Math.min(this.#text.length, HIGH_WATER_MARK)));
    this.#position = Math.min(this.#text.length, start + buffer.length);
    const piece = this.#text.slice(start, this.#position);
    return buffer.subarray(0, buffer.write(piece, "latin1"));
  }

  cancel(): void {
    // The connection may still send from the buffer, so it is left to the collector.
    this.#buffer = undefined;
    this.#position = this.#text.length;
  }
}
