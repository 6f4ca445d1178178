// The head of one request: its method, target and fields, decoded from the received bytes on demand.

import { findInPlainHead, listPlainFields } from "./plain-head.ts";

const VERSION_BYTES = "HTTP/1.1".length;

/** A request's head. It never changes once it has been validated, so requests with the same bytes share one. */
export class RequestHead {
  /** The head as received, one character per byte, starting with the method. */
  readonly text: string;
  /** Bytes that the head took in the input. It differs from the text's length if lines ended in a bare LF. */
  size: number;
  readonly method: string;
  readonly targetEnd: number;
  /** The minor version: 0 for HTTP/1.0, 1 for HTTP/1.1 and later ones. */
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
  /** `URL` would not change the target. */
  hasNormalTarget: boolean = false;
  /** The authority the request is for: from the target if it has one, otherwise from Host. */
  host: string = "";

  /** Four offsets per field, as in `parsedHead.fields`. Undefined until they are needed, if the head is plain. */
  #fields: Int32Array | undefined;
  #url: string | undefined;

  constructor(text: string, method: string, targetEnd: number, minor: number, fields: Int32Array | undefined) {
    this.text = text;
    this.size = text.length;
    this.method = method;
    this.targetEnd = targetEnd;
    this.minor = minor;
    this.keepAlive = minor === 1;
    this.#fields = fields;
  }

  /** The request target as received. */
  get target(): string {
    return this.text.slice(this.method.length + 1, this.targetEnd);
  }

  /** The version as received: `"HTTP/1.1"`. */
  get version(): string {
    return this.text.slice(this.targetEnd + 1, this.targetEnd + VERSION_BYTES + 1);
  }

  /** The request line as received, one character per byte. */
  get line(): string {
    return this.text.slice(0, this.targetEnd + VERSION_BYTES + 1);
  }

  get fieldCount(): number {
    return this.#offsets.length / 4;
  }

  /** Returns a field's name as received. */
  nameAt(index: number): string {
    return this.text.slice(this.#offsets[4 * index], this.#offsets[4 * index + 1]);
  }

  /** Returns a field's value without surrounding white space, one character per byte. */
  valueAt(index: number): string {
    return withoutTrailingSpace(this.text.slice(this.#offsets[4 * index + 2], this.#offsets[4 * index + 3]));
  }

  nameLengthAt(index: number): number {
    return (this.#offsets[4 * index + 1] as number) - (this.#offsets[4 * index] as number);
  }

  /**
   * Returns the value of a field without looking at all fields. Only plain heads support that.
   *
   * @param name in any case
   * @returns null if there is no such field; undefined if the head is not plain or has several fields with this name
   */
  find(name: string): string | null | undefined {
    return this.#fields === undefined ? findInPlainHead(this.text, this.targetEnd, name) : undefined;
  }

  /**
   * Returns the value of a field; several with this name are joined by commas: RFC 9110, 5.3.
   *
   * @param name in lower case
   * @returns undefined if there is none
   */
  field(name: string): string | undefined {
    const found = this.find(name);
    if (found !== undefined) return found ?? undefined;
    let joined: string | undefined;
    for (let i = 0; i < this.fieldCount; i++) {
      if (this.nameLengthAt(i) !== name.length || this.nameAt(i).toLowerCase() !== name) continue;
      joined = joined === undefined ? this.valueAt(i) : `${joined}, ${this.valueAt(i)}`;
    }
    return joined;
  }

  /**
   * Returns the target URI, normalized as `URL` does it: RFC 9112, 3.3.
   *
   * @param isSecure whether the connection has TLS. It must be the same in all calls
   */
  url(isSecure: boolean): string {
    return (this.#url ??= this.hasNormalTarget
      ? originOf(isSecure ? HTTPS : HTTP, this.host) + this.target
      : this.#normalizedUrl(isSecure ? HTTPS : HTTP));
  }

  #normalizedUrl({ prefix, isNormal }: Scheme): string {
    const { target, host } = this;
    const url = target.startsWith("/") ? `${prefix}${host}${target}` : target;
    return isNormal.test(url) ? url : new URL(escapeTarget(url)).href;
  }

  get #offsets(): Int32Array {
    return (this.#fields ??= listPlainFields(this.text, this.targetEnd));
  }
}

interface Scheme {
  readonly prefix: string;
  /** Most URLs are normalized already: no capitals or default port in the host, no dot segments, nothing to escape. */
  readonly isNormal: RegExp;
  lastHost: string;
  lastOrigin: string;
}

const HTTP: Scheme = {
  prefix: "http://",
  isNormal:
    /^http:\/\/[a-z](?:[a-z0-9.-]*[a-z])?(?::(?!80\/)[1-9]\d*)?\/(?:[\w!$&()*+,;=:@~?/-]|%(?!2[Ee])|(?<!\/)\.)*$/,
  lastHost: "",
  lastOrigin: "",
};

const HTTPS: Scheme = {
  prefix: "https://",
  isNormal:
    /^https:\/\/[a-z](?:[a-z0-9.-]*[a-z])?(?::(?!443\/)[1-9]\d*)?\/(?:[\w!$&()*+,;=:@~?/-]|%(?!2[Ee])|(?<!\/)\.)*$/,
  lastHost: "",
  lastOrigin: "",
};

/**
 * Escapes what `URL` would change into something else than was sent: bytes above 127, and backslashes in the path. To `URL`, a
 * backslash is a slash. To proxies it is not, and they may have checked the path: `/public\..\admin` must not become `/admin`.
 */
function escapeTarget(url: string): string {
  const pathEnd = url.indexOf("?");
  return url.replace(/[\\\x80-\xff]/g, (character, at: number) => {
    if (character === "\\" && pathEnd >= 0 && at > pathEnd) return character;
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
}

/** Returns the origin of a URL with this host. Most requests have the same, so the last one is cached. */
function originOf(scheme: Scheme, host: string): string {
  if (host !== scheme.lastHost) {
    const origin = scheme.prefix + host;
    scheme.lastOrigin = scheme.isNormal.test(`${origin}/`) ? origin : new URL(`${origin}/`).origin;
    scheme.lastHost = host;
  }
  return scheme.lastOrigin;
}

/** llhttp skips the white space before a value, but not after it. `String.trim` would remove more than RFC 9110's OWS. */
function withoutTrailingSpace(value: string): string {
  let end = value.length;
  while (end > 0 && (value[end - 1] === " " || value[end - 1] === "\t")) end--;
  return end === value.length ? value : value.slice(0, end);
}
