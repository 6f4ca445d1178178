// One HTTP reply, serialised: the same bytes for every request of a second, since only the Date changes.

import { Buffer } from "node:buffer";
import type { Clock } from "../../kernel/clock.ts";
import { reasonPhrase } from "./status-codes.ts";

/** A reply that is the same for everyone. */
export interface StaticResponse {
  /** 200 unless given; 204 and 304 have no body. */
  status?: number | undefined;
  /** Names and values; Date, Content-Length and Connection are the server's. */
  headers?: Readonly<Record<string, string>> | undefined;
  body?: string | Uint8Array | undefined;
}

/** What the Connection field says: nothing (HTTP/1.1 goes on), `keep-alive` (HTTP/1.0 asks for it), or `close`. */
export type ConnectionField = "" | "keep-alive" | "close";

const BATCH_BYTES = 65_536;
const MAX_BODY_BYTES = 0x7fff0000; // head and body go out as one, with 32-bit offsets
const fieldName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const serversOwn = new Set(["date", "content-length", "connection", "transfer-encoding"]);

/**
 * The bytes of a reply, dated.
 *
 * Serialised when first asked for within a second, then reused. Bytes that were given out are never written again, so
 * that a slow connection can go on sending them.
 *
 * @see RFC 9110, RFC 9112
 */
export class SerializedResponse {
  readonly status: number;
  readonly #clock: Clock;
  readonly #fields: string;
  readonly #body: Buffer;
  #serialised = new Map<string, Buffer>();
  #plain: Buffer | undefined;
  #batch: Buffer | undefined;
  #staleAtMs = 0;

  /**
   * @throws {RangeError} if the status is none for a final reply
   * @throws {TypeError} if a header's name or value cannot be sent, or is the server's own
   */
  constructor(response: StaticResponse, clock: Clock) {
    const { status = 200, headers = {}, body = "" } = response;
    for (const name of Object.keys(response)) {
      if (name !== "status" && name !== "headers" && name !== "body") {
        throw new TypeError(`a response has status, headers and body, and no ${JSON.stringify(name)}`);
      }
    }
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      throw new RangeError(`a response's status is a whole number from 200 to 599, not ${String(status)}`);
    }
    if (typeof body !== "string" && !(body instanceof Uint8Array)) {
      throw new TypeError("a response's body is a string, a Buffer or a Uint8Array");
    }
    if (Object.getPrototypeOf(headers) !== Object.prototype && Object.getPrototypeOf(headers) !== null) {
      throw new TypeError(
        "a response's headers are an object of names and values, such as Object.fromEntries(headers)",
      );
    }
    if (Buffer.byteLength(body) > MAX_BODY_BYTES) throw new RangeError("a response's body has less than 2 GiB");
    this.status = status;
    this.#clock = clock;
    this.#body = Buffer.from(body);
    const hasBody = status !== 204 && status !== 304;
    if (!hasBody && this.#body.length > 0) throw new TypeError(`a response with status ${status} has no body`);
    this.#fields = serialiseFields(headers, typeof body === "string" && hasBody);
    if (hasBody) this.#fields += `Content-Length: ${this.#body.length}\r\n`;
  }

  /** An iteration begins: forget what is dated with another second. */
  startIteration(nowMs: number): void {
    if (nowMs < this.#staleAtMs) return;
    this.#staleAtMs = nowMs + 1000 - (this.#clock.wall() % 1000);
    this.#serialised = new Map();
    this.#plain = this.#batch = undefined;
  }

  /** The reply that keeps an HTTP/1.1 connection open. */
  get plain(): Uint8Array {
    return (this.#plain ??= this.#serialise("", false));
  }

  /** `plain`, as often as fits into a buffer to send at once; at least once. */
  get batch(): Uint8Array {
    if (this.#batch !== undefined) return this.#batch;
    const { plain } = this;
    const count = Math.max(1, Math.floor(BATCH_BYTES / plain.length));
    return (this.#batch = Buffer.alloc(count * plain.length, plain));
  }

  /** The reply with a Connection field, or to HEAD: without its body. */
  variant(connection: ConnectionField, isHead: boolean): Uint8Array {
    const key = isHead ? `HEAD ${connection}` : connection;
    let bytes = this.#serialised.get(key);
    if (bytes === undefined) this.#serialised.set(key, (bytes = this.#serialise(connection, isHead)));
    return bytes;
  }

  #serialise(connection: ConnectionField, isHead: boolean): Buffer {
    const { status } = this;
    const date = new Date(this.#clock.wall()).toUTCString();
    const field = connection === "" ? "" : `Connection: ${connection}\r\n`;
    const head = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\nDate: ${date}\r\n${this.#fields}${field}\r\n`;
    return Buffer.concat(isHead ? [Buffer.from(head, "latin1")] : [Buffer.from(head, "latin1"), this.#body]);
  }
}

function serialiseFields(headers: Readonly<Record<string, string>>, isText: boolean): string {
  let fields = "";
  let hasType = false;
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!fieldName.test(name)) throw new TypeError(`${JSON.stringify(name)} cannot be a header's name`);
    if (serversOwn.has(lower)) throw new TypeError(`the header ${name} is written by the server: leave it out`);
    // oxlint-disable-next-line no-control-regex -- exactly those cannot be sent
    if (typeof value !== "string" || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new TypeError(`the header ${name} has a value that cannot be sent: ${JSON.stringify(value)}`);
    }
    hasType ||= lower === "content-type";
    fields += `${name}: ${value.trim()}\r\n`;
  }
  return isText && !hasType ? `Content-Type: text/plain; charset=utf-8\r\n${fields}` : fields;
}
