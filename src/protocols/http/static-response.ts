// A static response, serialized once per second: only its Date changes.

import { Buffer } from "node:buffer";
import type { Clock } from "../../kernel/clock.ts";
import { incompatibleOptions, invalidType, invalidValue, outOfRange, unknownOptions } from "../../kernel/errors.ts";
import { BATCH_BYTES } from "./buffer-sizes.ts";
import { DateHeader } from "./date-header.ts";
import { isBodiless } from "./response-head.ts";
import { reasonPhrase } from "./status-codes.ts";

/** The same response to every request, as the option `response` of a server takes it. */
export interface StaticResponse {
  /** From 200 to 599. Default: 200. With 204, 205 and 304, there must be no body. */
  status?: number | undefined;
  /**
   * Header names and values. The server sets Date, Content-Length, Connection and Transfer-Encoding itself, and if the
   * body is a string, it adds `Content-Type: text/plain; charset=utf-8` unless you give another one.
   */
  headers?: Readonly<Record<string, string>> | undefined;
  /** Default: no content. A string is sent as UTF-8. */
  body?: string | Uint8Array | undefined;
}

/** The Connection header of a response: none (HTTP/1.1 persists), `keep-alive` (for HTTP/1.0), or `close`. */
export type ConnectionField = "" | "keep-alive" | "close";

const MAX_BODY_BYTES = 0x7fff0000; // head and body are one buffer with 32-bit offsets
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const SERVER_FIELDS = new Set(["date", "content-length", "connection", "transfer-encoding"]);

/**
 * The bytes of a static response.
 *
 * They are serialized when they are first needed within a second, and reused until the next one. Returned bytes are
 * never overwritten, so a slow connection can continue to send them.
 *
 * @see RFC 9110, RFC 9112
 */
export class SerializedResponse {
  readonly status: number;
  readonly #date: DateHeader;
  readonly #fields: string;
  readonly #body: Buffer;
  #variants = new Map<string, Buffer>();
  #keepAliveBytes: Buffer | undefined;
  #batch: Buffer | undefined;

  /**
   * @throws {RangeError} if the status is not from 200 to 599, or the body has 2 GiB or more
   * @throws {TypeError} if a property does not exist or has the wrong type, if a header cannot be sent or is set by the
   *   server, or if the status forbids a body
   */
  constructor(response: StaticResponse, clock: Clock) {
    validate(response);
    const { status = 200, headers = {}, body = "" } = response;
    this.status = status;
    this.#date = new DateHeader(clock);
    this.#body = Buffer.from(body);
    const hasBody = !isBodiless(status);
    this.#fields = serializeFields(headers, typeof body === "string" && hasBody);
    if (hasBody) this.#fields += `Content-Length: ${this.#body.length}\r\n`;
  }

  /** Drops the serialized bytes if the second has changed. */
  updateDate(nowMs: number): void {
    if (!this.#date.update(nowMs)) return;
    this.#variants = new Map();
    this.#keepAliveBytes = this.#batch = undefined;
  }

  /** The response that keeps an HTTP/1.1 connection open. */
  get keepAliveBytes(): Uint8Array {
    return (this.#keepAliveBytes ??= this.#serialize("", false));
  }

  /** `keepAliveBytes`, repeated as often as fits into BATCH_BYTES; at least once. */
  get batch(): Uint8Array {
    if (this.#batch !== undefined) return this.#batch;
    const { keepAliveBytes } = this;
    const count = Math.max(1, Math.floor(BATCH_BYTES / keepAliveBytes.length));
    return (this.#batch = Buffer.alloc(count * keepAliveBytes.length, keepAliveBytes));
  }

  /**
   * Returns the response with a Connection header.
   *
   * @param isHead whether it answers HEAD: then it is sent without its body
   */
  variant(connection: ConnectionField, isHead: boolean): Uint8Array {
    const key = isHead ? `HEAD ${connection}` : connection;
    let bytes = this.#variants.get(key);
    if (bytes === undefined) this.#variants.set(key, (bytes = this.#serialize(connection, isHead)));
    return bytes;
  }

  #serialize(connection: ConnectionField, isHead: boolean): Buffer {
    const { status } = this;
    const field = connection === "" ? "" : `Connection: ${connection}\r\n`;
    const head = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${this.#date.line}${this.#fields}${field}\r\n`;
    return Buffer.concat(isHead ? [Buffer.from(head, "latin1")] : [Buffer.from(head, "latin1"), this.#body]);
  }
}

function validate(response: StaticResponse): void {
  const unknown = Object.keys(response).filter((name) => !["status", "headers", "body"].includes(name));
  if (unknown.length > 0) {
    const names = unknown.map((name) => JSON.stringify(name)).join(", ");
    throw unknownOptions(`response has unknown properties: ${names}; it takes status, headers and body`);
  }
  const { status = 200, headers = {}, body = "" } = response;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw outOfRange("response.status", "an integer from 200 to 599", status);
  }
  if (typeof body !== "string" && !(body instanceof Uint8Array)) {
    throw invalidType("response.body", "a string, a Buffer or a Uint8Array", body);
  }
  if (Object.getPrototypeOf(headers) !== Object.prototype && Object.getPrototypeOf(headers) !== null) {
    throw invalidType("response.headers", "a plain object, such as Object.fromEntries(headers)", headers);
  }
  const size = Buffer.byteLength(body);
  if (size > MAX_BODY_BYTES) {
    throw invalidValue(`response.body has ${size} bytes; the maximum is ${MAX_BODY_BYTES}`);
  }
  if ((isBodiless(status) || status === 205) && size > 0) {
    throw incompatibleOptions(["response.status", "response.body"], `a ${status} response has no body`);
  }
}

function serializeFields(headers: Readonly<Record<string, string>>, isText: boolean): string {
  let fields = "";
  let hasType = false;
  for (const [name, value] of Object.entries(headers)) {
    const lowerCase = name.toLowerCase();
    if (!TOKEN.test(name)) throw invalidType("a name in response.headers", "a token (RFC 9110, 5.6.2)", name);
    if (SERVER_FIELDS.has(lowerCase)) {
      throw invalidType(
        "a name in response.headers",
        `none of ${[...SERVER_FIELDS].join(", ")}, which the server sets`,
        name,
      );
    }
    // oxlint-disable-next-line no-control-regex -- these are the characters that cannot be sent
    if (typeof value !== "string" || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw invalidType(
        `response.headers.${name}`,
        "a string without control characters or characters above U+00FF",
        value,
      );
    }
    hasType ||= lowerCase === "content-type";
    fields += `${name}: ${value.trim()}\r\n`;
  }
  return isText && !hasType ? `Content-Type: text/plain; charset=utf-8\r\n${fields}` : fields;
}
