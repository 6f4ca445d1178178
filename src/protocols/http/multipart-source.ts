// The body of a response with several parts of a file: multipart/byteranges, RFC 9110, 14.6.

import { Buffer } from "node:buffer";
import type { BodySource } from "./body-source.ts";
import type { ByteRange } from "./byte-ranges.ts";
import { contentRange } from "./file-response.ts";
import type { FileSource } from "./file-source.ts";

/** Reads the parts of a file, each after its own header fields. */
export class MultipartSource implements BodySource {
  readonly isBufferReused: boolean = true;
  /** The size of the body in bytes. */
  readonly size: number;
  /** The value of the response's Content-Type. */
  readonly type: string;
  readonly #file: FileSource;
  readonly #fileStart: number;
  readonly #parts: { readonly head: Buffer; readonly range: ByteRange }[];
  readonly #end: Buffer;
  /** What is missing of the current part. */
  #remaining = 0;
  #isEndSent = false;

  /**
   * Takes ownership of the file.
   *
   * @param fileStart where the ranges begin to count
   * @param size the number that ranges are a part of
   * @param typeLine the Content-Type of the file as a field with its line end, or `""`
   */
  constructor(file: FileSource, fileStart: number, ranges: readonly ByteRange[], size: number, typeLine: string) {
    // Random, because it must not occur in the file.
    const boundary = Buffer.from(crypto.getRandomValues(new Uint8Array(15))).toString("base64url");
    this.type = `multipart/byteranges; boundary=${boundary}`;
    this.#file = file;
    this.#fileStart = fileStart;
    this.#parts = ranges.map((range, i) => ({
      head: Buffer.from(
        `${i === 0 ? "" : "\r\n"}--${boundary}\r\n${typeLine}${contentRange(range, size)}\r\n`,
        "latin1",
      ),
      range,
    }));
    this.#end = Buffer.from(`\r\n--${boundary}--\r\n`);
    this.size = this.#parts.reduce((sum, { head, range }) => sum + head.length + range.length, this.#end.length);
  }

  read(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (this.#remaining > 0) return this.#readPart();
    const next = this.#parts.shift();
    if (next !== undefined) {
      this.#remaining = next.range.length;
      this.#file.seek(this.#fileStart + next.range.start, next.range.length);
      return next.head;
    }
    if (this.#isEndSent) return this.#file.read(); // which releases its buffer
    this.#isEndSent = true;
    return this.#end;
  }

  cancel(): void {
    this.#file.cancel();
  }

  #readPart(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const piece = this.#file.read();
    return piece instanceof Promise ? piece.then((bytes) => this.#count(bytes)) : this.#count(piece);
  }

  #count(piece: Uint8Array | undefined): Uint8Array | undefined {
    this.#remaining -= piece?.length ?? this.#remaining;
    return piece;
  }
}
