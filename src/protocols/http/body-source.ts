// Sources of response bodies that are not in memory, and the one for streams.

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
  if (typeof chunk === "string") return new TextEncoder().encode(chunk);
  const buffer = ArrayBuffer.isView(chunk) ? chunk.buffer : chunk;
  if (buffer instanceof ArrayBuffer && buffer.detached) {
    throw new TypeError("a chunk of a Response's stream was transferred after it was enqueued; enqueue a copy");
  }
  if (chunk instanceof Uint8Array) return chunk;
  if (chunk instanceof ArrayBuffer || chunk instanceof SharedArrayBuffer) return new Uint8Array(chunk);
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  throw new TypeError(`the chunks of a Response's stream must be bytes or strings; received ${typeof chunk}`);
}
