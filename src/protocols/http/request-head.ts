// The head of one request: its method, target and fields, decoded from the received bytes on demand.

import type { Buffer } from "node:buffer";

/** A request's head. It never changes once it has been validated, so requests with the same bytes share one. */
export class RequestHead {
  /** A copy of the received bytes, starting with the method. */
  readonly bytes: Buffer;
  /** Bytes that the head took in the input. It differs from the copy's length if lines ended in a bare LF. */
  size: number;
  readonly method: string;
  /** The minor version: 0 for HTTP/1.0, 1 for HTTP/1.1. */
  readonly minor: number;
  /** Length of the body in bytes; -1 if it is chunked. */
  bodyLength: number = 0;
  /** The client waits for `100 Continue` before it sends the body. */
  expectsContinue: boolean = false;
  /** The client allows the connection to stay open for another request. */
  keepAlive: boolean;
  /** The client sends no further request: it said `Connection: close`, or it uses HTTP/1.0 without keep-alive. */
  isLast: boolean = false;
  /** The fast path can answer it: no body, not HEAD, and if it is HTTP/1.0, then the last on its connection. */
  isSimple: boolean = false;
  /** The authority the request is for: from the target if it has one, otherwise from Host. */
  host: string = "";

  readonly #targetEnd: number;
  /** Four offsets per field, as in `parsedHead.fields`. */
  readonly #fields: Int32Array;
  // Decoding strings is most of the cost of a request, so they are made on first use.
  #target: string | undefined;
  #url: string | undefined;

  constructor(bytes: Buffer, size: number, method: string, targetEnd: number, minor: number, fields: Int32Array) {
    this.bytes = bytes;
    this.size = size;
    this.method = method;
    this.minor = minor;
    this.keepAlive = minor === 1;
    this.#targetEnd = targetEnd;
    this.#fields = fields;
  }

  /** The request target as received. */
  get target(): string {
    return (this.#target ??= this.bytes.toString("latin1", this.targetStart, this.#targetEnd));
  }

  get targetStart(): number {
    return this.method.length + 1;
  }

  get targetEnd(): number {
    return this.#targetEnd;
  }

  /** `"HTTP/1.1"` */
  get version(): string {
    return `HTTP/1.${this.minor}`;
  }

  /** The request line as received, one character per byte. */
  get line(): string {
    return `${this.method} ${this.target} ${this.version}`;
  }

  get fieldCount(): number {
    return this.#fields.length / 4;
  }

  /** Returns a field's name as received. */
  nameAt(index: number): string {
    return this.bytes.toString("latin1", this.#fields[4 * index], this.#fields[4 * index + 1]);
  }

  /** Returns a field's value without surrounding white space, one character per byte. */
  valueAt(index: number): string {
    return withoutTrailingSpace(
      this.bytes.toString("latin1", this.#fields[4 * index + 2], this.#fields[4 * index + 3]),
    );
  }

  nameLengthAt(index: number): number {
    return (this.#fields[4 * index + 1] as number) - (this.#fields[4 * index] as number);
  }

  /**
   * Returns whether a field has this name.
   *
   * @param name in lower case, only letters and hyphens, and as long as the field's name
   */
  isNamed(index: number, name: Uint8Array): boolean {
    const start = this.#fields[4 * index] as number;
    for (let i = 0; i < name.length; i++) if (((this.bytes[start + i] as number) | 0x20) !== name[i]) return false;
    return true;
  }

  /** Returns whether a field has exactly this value. */
  isValue(index: number, value: Uint8Array): boolean {
    const start = this.#fields[4 * index + 2] as number;
    if ((this.#fields[4 * index + 3] as number) - start !== value.length) return false;
    for (let i = 0; i < value.length; i++) if (this.bytes[start + i] !== value[i]) return false;
    return true;
  }

  /** The target URI, normalized as `URL` does it: RFC 9112, 3.3. */
  get url(): string {
    if (this.#url !== undefined) return this.#url;
    const { target, host } = this;
    const url = target.startsWith("/") ? `http://${host}${target}` : target;
    // Most are normalized already: no capitals or port 80 in the host, no dot segments, nothing to escape.
    const isNormal =
      /^http:\/\/[a-z](?:[a-z0-9.-]*[a-z])?(?::(?!80\/)[1-9]\d*)?\/(?:[\w!$&()*+,;=:@~?/-]|%(?!2[Ee])|(?<!\/)\.)*$/;
    return (this.#url = isNormal.test(url) ? url : new URL(url).href);
  }
}

/** llhttp skips the white space before a value, but not after it. `String.trim` would remove more than RFC 9110's OWS. */
function withoutTrailingSpace(value: string): string {
  let end = value.length;
  while (end > 0 && (value[end - 1] === " " || value[end - 1] === "\t")) end--;
  return end === value.length ? value : value.slice(0, end);
}
