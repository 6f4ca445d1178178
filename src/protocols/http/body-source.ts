// Sources of response bodies that are not in memory: streams and files.

import { nodeFs } from "../../kernel/node-fs.ts";

/** Supplies a response body piece by piece. */
export interface BodySource {
  /** All pieces are in the same buffer: each one must have been sent before the next is read. */
  readonly isBufferReused: boolean;
  /** Reads the first piece ahead of time; the next `read` returns it. */
  readFirst?(): Promise<void>;
  /** Returns the next piece; undefined at the end. */
  read(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** Releases the source; the rest is not needed. */
  cancel(reason: unknown): void;
}

/** Reads the chunks of a stream as bytes. */
export class StreamSource implements BodySource {
  readonly isBufferReused: boolean = false;
  readonly #reader: ReadableStreamDefaultReader<unknown>;
  #first: { piece: Uint8Array | undefined } | undefined;

  constructor(stream: ReadableStream) {
    this.#reader = stream.getReader() as ReadableStreamDefaultReader<unknown>;
  }

  async readFirst(): Promise<void> {
    this.#first = { piece: await this.read() };
  }

  async read(): Promise<Uint8Array | undefined> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) return first.piece;
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      const bytes = toBytes(value);
      if (bytes.length > 0) return bytes; // an empty chunk would end a chunked body
    }
  }

  cancel(reason: unknown): void {
    this.#reader.cancel(reason).catch(() => {}); // errors of the stream no longer matter
  }
}

function toBytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === "string") return new TextEncoder().encode(chunk);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  throw new TypeError(`the chunks of a Response's stream must be bytes or strings; received ${typeof chunk}`);
}

/** The maximum number of bytes per read from a file. */
const FILE_READ_BYTES = 262_144;

/** Reads a regular file from its start. */
export class FileSource implements BodySource {
  readonly isBufferReused: boolean = true;
  readonly size: number;
  readonly #fd: number;
  #remaining: number;
  #buffer: Uint8Array | undefined;
  #isClosed = false;

  private constructor(fd: number, size: number) {
    this.#fd = fd;
    this.size = this.#remaining = size;
  }

  /**
   * Opens a file.
   *
   * @param maxBytes the maximum number of bytes to read
   * @returns undefined if the file does not exist
   * @throws {Error} with Node's code, such as EACCES, if it cannot be opened
   * @throws {TypeError} if it is not a regular file
   */
  static open(path: string, maxBytes: number): FileSource | undefined {
    let fd: number;
    try {
      fd = nodeFs().openSync(path, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const stat = nodeFs().fstatSync(fd);
    if (stat.isFile()) return new FileSource(fd, Math.min(maxBytes, stat.size));
    nodeFs().closeSync(fd);
    throw new TypeError(`${path} is not a regular file, so its length is unknown; respond with a stream instead`);
  }

  read(): Uint8Array | undefined {
    if (this.#remaining === 0) {
      this.cancel();
      return undefined;
    }
    this.#buffer ??= new Uint8Array(Math.min(this.#remaining, FILE_READ_BYTES));
    const count = nodeFs().readSync(this.#fd, this.#buffer, 0, Math.min(this.#buffer.length, this.#remaining), null);
    if (count === 0)
      throw new Error(`the file was truncated while it was being sent: ${this.#remaining} bytes are missing`);
    this.#remaining -= count;
    return this.#buffer.subarray(0, count);
  }

  cancel(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    nodeFs().closeSync(this.#fd);
  }
}
