// A handler's Response as a reply to send: its fields as text, its body as bytes if it is in memory, and else as a source.

import { isUtf8 } from "node:buffer";
import { nodeFs } from "../../kernel/node-fs.ts";
import { shallowSizeOf } from "../../kernel/jsc.ts";
import { reasonPhrase } from "./status-codes.ts";

/** Where a reply's body comes from, piece by piece. */
export interface BodySource {
  /** Each piece is in the same buffer: it must have been sent before the next is read. */
  readonly isReused: boolean;
  /** Have the first piece ready, before it is asked for. */
  prime?(): Promise<void>;
  /** The next piece; undefined at the end. */
  read(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** Nobody wants the rest. */
  cancel(reason: unknown): void;
}

/** A reply, ready to be serialised. */
export interface PreparedResponse {
  readonly status: number;
  readonly statusText: string;
  /** Its fields, without those that are the server's: Date, Connection, and what tells the body's length. */
  readonly fields: string;
  readonly hasDate: boolean;
  /** It is the connection's last. */
  readonly closes: boolean;
  /** How long the body is; -1 if that is not known. */
  readonly length: number;
  /** The length that the handler gave a body that is not there, as in a reply to HEAD; else -1. */
  readonly declaredLength: number;
  readonly body: Uint8Array | undefined;
  readonly source: BodySource | undefined;
}

const FILE_PIECE = 262_144;

// Only a body in memory adds to what a Response weighs, beside its status text. It is the one way to tell it from a stream
// that does not begin to read the stream. Checked when it is first needed: if Bun weighs otherwise, all take the slow way.
let weightless: number | undefined;

function isInMemory(response: Response): boolean {
  weightless ??= weigh();
  if (shallowSizeOf(response) - weightless <= response.statusText.length) return false;
  return response.url === ""; // another server's: its weight has the URL, and its body may be without end
}

function weigh(): number {
  const stream = new Response(new ReadableStream(), { headers: { a: "b" }, statusText: "" });
  const empty = shallowSizeOf(stream);
  const isAsExpected =
    shallowSizeOf(new Response("abc")) === empty + 3 &&
    shallowSizeOf(new Response()) === empty &&
    shallowSizeOf(new Response(null, { statusText: "ab" })) === empty + 2;
  return isAsExpected ? empty : Infinity;
}

/** A Response as it shows when it is inspected, if its body is a stream. */
const isStream = /^ {2}ReadableStream \{/m;

/**
 * Make a reply of a Response. A stream is not read yet; all else is.
 *
 * @throws {TypeError} if it cannot be sent: it was used already, or is no final reply
 */
export function prepareResponse(response: Response): PreparedResponse | Promise<PreparedResponse> {
  if (response.bodyUsed)
    throw new TypeError("fetch returned a Response that was used already: return a new one, or clone()");
  const { status } = response;
  if (status < 200) throw new TypeError(`fetch returned a Response with status ${status}, which is no final reply`);
  if (isInMemory(response)) {
    const bytes = Bun.peek(response.bytes());
    if (bytes instanceof Promise) return bytes.then((content) => inMemory(response, content));
    return inMemory(response, bytes);
  }
  if ((response.url !== "" && response.body !== null) || isStream.test(Bun.inspect(response))) {
    return describe(response, undefined, -1, new StreamSource(response.body as ReadableStream));
  }
  const blob = Bun.peek(response.blob());
  return blob instanceof Promise ? blob.then((one) => ofBlob(response, one)) : ofBlob(response, blob);
}

const nothing = new Uint8Array(0);

function inMemory(response: Response, bytes: Uint8Array): PreparedResponse {
  return describe(response, bytes, bytes.length, undefined);
}

function ofBlob(response: Response, blob: Blob): PreparedResponse | Promise<PreparedResponse> {
  const shown = Bun.inspect(blob);
  if (shown.startsWith("FileRef")) {
    const { name } = blob as Blob & { name?: unknown };
    // Part of a file, or one without a path, Bun reads. A file from its start is read here, without a turn of Bun's loop.
    if (typeof name !== "string" || /^ {2}offset: /m.test(shown)) {
      const size = Number.isFinite(blob.size) ? blob.size : -1;
      return describe(response, undefined, size, new StreamSource(blob.stream()));
    }
    const file = FileSource.open(name, blob.size);
    return file === undefined ? inMemory(notFound(), nothing) : describe(response, undefined, file.size, file);
  }
  const bytes = Bun.peek(blob.bytes());
  return bytes instanceof Promise ? bytes.then((content) => inMemory(response, content)) : inMemory(response, bytes);
}

const notFound = (): Response => new Response(null, { status: 404 });

function describe(
  response: Response,
  body: Uint8Array | undefined,
  length: number,
  source: BodySource | undefined,
): PreparedResponse {
  const { status, statusText, headers } = response;
  // oxlint-disable-next-line no-control-regex -- exactly those would begin another line
  if (statusText !== "" && /[^\t\x20-\x7e\x80-\xff]/.test(statusText))
    throw new TypeError("fetch returned a Response whose statusText cannot be sent");
  let fields = "";
  let hasDate = false;
  let hasType = false;
  let closes = false;
  let size = length;
  let declaredLength = -1;
  if (headers.count > 0) {
    headers.forEach((value, name) => {
      switch (name) {
        case "content-length":
          if (!/^\d{1,15}$/.test(value)) return;
          if (length < 0) size = Number(value);
          if (length === 0) declaredLength = Number(value);
          return;
        case "transfer-encoding":
        case "keep-alive":
          return;
        case "connection":
          closes ||= /(?:^|,)\s*close\s*(?:,|$)/i.test(value);
          return;
        case "date":
          hasDate = true;
          break;
        case "content-type":
          hasType = true;
          break;
        default:
      }
      fields += `${name}: ${value}\r\n`;
    });
  }
  if (!hasType && body !== undefined && length > 0) {
    // Bun's Response does not say what it was made of; what is UTF-8 goes as the text that it mostly is.
    fields += isUtf8(body)
      ? "content-type: text/plain;charset=utf-8\r\n"
      : "content-type: application/octet-stream\r\n";
  }
  return {
    status,
    statusText: statusText === "" ? reasonPhrase(status) : statusText,
    fields,
    hasDate,
    closes,
    length: size,
    declaredLength,
    body,
    source,
  };
}

/** The chunks of a stream, as bytes. */
class StreamSource implements BodySource {
  readonly isReused: boolean = false;
  readonly #reader: ReadableStreamDefaultReader<unknown>;
  #first: { piece: Uint8Array | undefined } | undefined;

  constructor(stream: ReadableStream) {
    this.#reader = stream.getReader() as ReadableStreamDefaultReader<unknown>;
  }

  async prime(): Promise<void> {
    this.#first = { piece: await this.read() };
  }

  async read(): Promise<Uint8Array | undefined> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) return first.piece;
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      const bytes = bytesOf(value);
      if (bytes.length > 0) return bytes; // an empty chunk would be the last one
    }
  }

  cancel(reason: unknown): void {
    this.#reader.cancel(reason).catch(() => {}); // what its owner throws concerns nobody any more
  }
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return new TextEncoder().encode(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  throw new TypeError("a Response's stream has bytes or strings for its chunks");
}

/** A regular file, read from its start. */
class FileSource implements BodySource {
  readonly isReused: boolean = true;
  readonly size: number;
  readonly #fd: number;
  #left: number;
  #buffer: Uint8Array | undefined;
  #isClosed = false;

  private constructor(fd: number, size: number) {
    this.#fd = fd;
    this.size = this.#left = size;
  }

  /**
   * @param size how much of it, at most
   * @returns undefined if there is no such file
   * @throws {Error} EACCES, EISDIR, …: Node's, if it cannot be read
   */
  static open(path: string, size: number): FileSource | undefined {
    let fd: number;
    try {
      fd = nodeFs().openSync(path, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const stat = nodeFs().fstatSync(fd);
    if (stat.isFile()) return new FileSource(fd, Math.min(size, stat.size));
    nodeFs().closeSync(fd);
    throw new TypeError(`${path} is no regular file: its length is not known`);
  }

  read(): Uint8Array | undefined {
    if (this.#left === 0) {
      this.cancel();
      return undefined;
    }
    this.#buffer ??= new Uint8Array(Math.min(this.#left, FILE_PIECE));
    const count = nodeFs().readSync(this.#fd, this.#buffer, 0, Math.min(this.#buffer.length, this.#left), null);
    if (count === 0) throw new Error("the file has become shorter while it was sent");
    this.#left -= count;
    return this.#buffer.subarray(0, count);
  }

  cancel(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    nodeFs().closeSync(this.#fd);
  }
}
