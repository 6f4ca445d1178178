// A response body that is written by the `pull` of a direct stream.

import { Buffer } from "node:buffer";
import { invalidType } from "../../kernel/errors.ts";
import { releaseBodyBuffer, takeBodyBuffer } from "./body-buffers.ts";
import type { BodySource } from "./body-source.ts";
import { HIGH_WATER_MARK } from "./buffer-sizes.ts";
import type { UnderlyingDirectSource } from "./direct-streams.ts";

/**
 * - `new`: `pull` was not called yet
 * - `open`: the application may write
 * - `ended`: it has ended the body
 * - `failed`: `pull` has failed, or the application closed the body with an error
 * - `canceled`: the body is not needed, because the client has left, for example
 */
type State = "new" | "open" | "ended" | "failed" | "canceled";

/**
 * Calls `pull` once, as Bun.serve does. Bun's own reader would call it again until the body has ended.
 *
 * The body ends when the application ends it or the promise of `pull` resolves. If `pull` returns anything else than a promise,
 * the application writes later.
 */
export class DirectSource implements BodySource {
  readonly isBufferReused: boolean = false;
  readonly #source: UnderlyingDirectSource;
  #state: State = "new";
  #error: unknown;
  /** What the application has written: copied into a buffer, then, if that is full, as chunks. */
  #buffer: Buffer | undefined;
  #used = 0;
  #chunks: Uint8Array[] = [];
  #size = 0;
  /** The buffer of the last piece. It is free again when the next one is read. */
  #sentBuffer: Buffer | undefined;
  /** Ends the wait of the reader. */
  #wakeReader: (() => void) | undefined;
  /** Pending while the application should not write. */
  #space: PromiseWithResolvers<void> | undefined;

  /** @throws {TypeError} if the stream is being read */
  constructor(stream: ReadableStream, source: UnderlyingDirectSource) {
    stream.getReader(); // locks the stream; `pull` is called only by a read
    this.#source = source;
  }

  async readFirst(): Promise<void> {
    await this.#readable();
  }

  async read(): Promise<Uint8Array | undefined> {
    if (this.#sentBuffer !== undefined) releaseBodyBuffer(this.#sentBuffer);
    this.#sentBuffer = undefined;
    await this.#readable();
    if (this.#size === 0) return undefined;
    const first = this.#buffer?.subarray(0, this.#used);
    const chunks = this.#chunks;
    if (chunks.length === 0) this.#sentBuffer = this.#buffer;
    this.#clear();
    this.#resumeApplication();
    return chunks.length === 0 ? first : Buffer.concat(first === undefined ? chunks : [first, ...chunks]);
  }

  cancel(reason: unknown): void {
    if (this.#state === "ended" || this.#state === "failed" || this.#state === "canceled") return;
    this.#finish("canceled");
    this.#discard();
    try {
      const result = this.#source.cancel?.(reason);
      if (result instanceof Promise) result.catch(() => {}); // errors of the stream no longer matter
    } catch {
      // nor do these
    }
  }

  /**
   * Copies a chunk to the end of the body.
   *
   * @returns its length in bytes, or a promise of that if the application should wait before it writes more. 0 once the body
   *   is not needed.
   */
  write(chunk: unknown): number | Promise<number> {
    if (!this.#isWritable()) return 0;
    const bytes = toBytes(chunk);
    if (bytes.length === 0) return 0;
    this.#copy(bytes);
    this.#wake();
    return this.#whenSpace(bytes.length);
  }

  /** Returns how many bytes are to be sent, or a promise of that if the client receives slowly. They are sent in any case. */
  flush(): number | Promise<number> {
    return this.#isWritable() ? this.#whenSpace(this.#size) : 0;
  }

  /** Ends the body. Returns how many bytes were left to be sent; undefined if the body was not open. */
  end(): number | undefined {
    if (this.#state !== "open") return undefined;
    this.#finish("ended");
    return this.#size;
  }

  /** Lets the response fail: the connection is reset. */
  fail(error: unknown): void {
    if (this.#state !== "open") return;
    this.#error = error;
    this.#finish("failed");
    this.#discard();
  }

  /** Waits until there are bytes, or the body has ended. */
  async #readable(): Promise<void> {
    if (this.#state === "new") this.#pull();
    while (this.#size === 0 && this.#state === "open") {
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    }
    if (this.#state === "failed") throw this.#error;
  }

  #pull(): void {
    this.#state = "open";
    try {
      const { pull } = this.#source;
      const result = pull === undefined ? Promise.resolve() : pull.call(this.#source, new DirectController(this));
      if (!(result instanceof Promise)) return;
      // oxlint-disable-next-line promise/prefer-await-to-then -- the reader does not wait for it
      result.then(
        () => this.end(),
        (error) => this.fail(error),
      );
    } catch (error) {
      this.fail(error);
    }
  }

  /** @throws {TypeError} if the application has ended the body */
  #isWritable(): boolean {
    if (this.#state === "canceled") return false;
    if (this.#state === "open") return true;
    throw new TypeError(
      "the direct stream has ended: end() or close() was called, or the promise of pull has settled; write before that",
    );
  }

  #copy(bytes: Uint8Array): void {
    if (this.#chunks.length === 0 && this.#used + bytes.length <= HIGH_WATER_MARK) {
      this.#buffer ??= takeBodyBuffer(HIGH_WATER_MARK);
      this.#buffer.set(bytes, this.#used);
      this.#used += bytes.length;
    } else {
      this.#chunks.push(bytes.slice());
    }
    this.#size += bytes.length;
  }

  #clear(): void {
    this.#buffer = undefined;
    this.#chunks = [];
    this.#used = this.#size = 0;
  }

  #whenSpace(bytes: number): number | Promise<number> {
    if (this.#size < HIGH_WATER_MARK) return bytes;
    this.#space ??= Promise.withResolvers<void>();
    return this.#space.promise.then(() => bytes);
  }

  #finish(state: State): void {
    this.#state = state;
    this.#wake();
  }

  #discard(): void {
    this.#clear();
    this.#resumeApplication();
  }

  #wake(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
  }

  #resumeApplication(): void {
    const space = this.#space;
    this.#space = undefined;
    space?.resolve();
  }
}

/** The object that `pull` receives: it has the methods of Bun.serve's, and the `error` of Bun's own reader. */
class DirectController {
  readonly #body: DirectSource;

  constructor(body: DirectSource) {
    this.#body = body;
  }

  write(chunk: unknown): number | Promise<number> {
    return this.#body.write(chunk);
  }

  flush(): number | Promise<number> {
    return this.#body.flush();
  }

  end(): number | undefined {
    return this.#body.end();
  }

  close(error?: unknown): void {
    if (error === undefined) this.#body.end();
    else this.#body.fail(error);
  }

  error(error: unknown): void {
    this.#body.fail(error);
  }
}

function toBytes(chunk: unknown): Uint8Array {
  if (typeof chunk === "string") return new TextEncoder().encode(chunk);
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer || chunk instanceof SharedArrayBuffer) return new Uint8Array(chunk);
  throw invalidType("chunk", "a string, an ArrayBuffer or a view of one", chunk);
}
