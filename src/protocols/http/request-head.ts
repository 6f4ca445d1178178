// The head of a request: what llhttp found in it, judged by the rules that llhttp leaves to the server.

import { Buffer } from "node:buffer";
import {
  failure,
  HPE_INVALID_CONSTANT,
  HPE_INVALID_METHOD,
  HPE_INVALID_VERSION,
  HPE_PAUSED_H2_UPGRADE,
  INCOMPLETE,
  MALFORMED,
  head as parsed,
  parseHead,
} from "./llhttp.ts";
import type { RejectionReason } from "./rejection.ts";

const CR = 13;
const LF = 10;
const SPACE = 0x20;
const HASH = 0x23;
const PERCENT = 0x25;
const DOT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
const PROTOCOL = Buffer.from(" HTTP/");
const KEEP_ALIVE = Buffer.from("keep-alive");
// Fields that are the server's concern: no other has a name that is as long and the same.
const HOST = Buffer.from("host");
const EXPECT = Buffer.from("expect");
const CONNECTION = Buffer.from("connection");
const CONTENT_LENGTH = Buffer.from("content-length");
const TRANSFER_ENCODING = Buffer.from("transfer-encoding");

export interface HeadLimits {
  maxHeaderBytes: number;
  maxHeaderCount: number;
  maxTargetBytes: number;
}

/** The head of a request that was accepted. Once read it never changes: requests with the same bytes share it. */
export class RequestHead {
  /** A copy of what came, from the method on. */
  readonly bytes: Buffer;
  /** How many bytes it had. */
  size: number;
  readonly method: string;
  /** Of HTTP/1.x. */
  readonly minor: number;
  /** How long the body is; -1 if it is chunked. */
  bodyLength: number = 0;
  /** The client waits for `100 Continue` before it sends the body. */
  expectsContinue: boolean = false;
  /** The connection may stay open for another request. */
  keepAlive: boolean;
  /** This is the client's last request: it has said so, or speaks HTTP/1.0. */
  isLast: boolean = false;
  /** What most requests are: without a body, not HEAD, and of HTTP/1.1 unless it is the connection's last. */
  isSimple: boolean = false;
  /** The authority that the request is for: the target's, or Host's. */
  host: string = "";

  readonly #targetEnd: number;
  readonly #fields: Int32Array;
  // Strings are what costs: made when they are asked for.
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

  /** What is asked for, as it came. */
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

  /** The first line as it came, each byte a character. */
  get line(): string {
    return `${this.method} ${this.target} ${this.version}`;
  }

  get fieldCount(): number {
    return this.#fields.length / 4;
  }

  /** A field's name as it came. */
  nameAt(index: number): string {
    return this.bytes.toString("latin1", this.#fields[4 * index], this.#fields[4 * index + 1]);
  }

  /** A field's value, each byte a character. */
  valueAt(index: number): string {
    return trimmed(this.bytes.toString("latin1", this.#fields[4 * index + 2], this.#fields[4 * index + 3]));
  }

  nameLengthAt(index: number): number {
    return (this.#fields[4 * index + 1] as number) - (this.#fields[4 * index] as number);
  }

  /** Whether a field's name, which is as long as this one, is it: in lower case, letters and hyphens. */
  isNamed(index: number, name: Uint8Array): boolean {
    const start = this.#fields[4 * index] as number;
    for (let i = 0; i < name.length; i++) if (((this.bytes[start + i] as number) | 0x20) !== name[i]) return false;
    return true;
  }

  /** Whether a field's value is exactly this. */
  isValue(index: number, value: Uint8Array): boolean {
    const start = this.#fields[4 * index + 2] as number;
    if ((this.#fields[4 * index + 3] as number) - start !== value.length) return false;
    for (let i = 0; i < value.length; i++) if (this.bytes[start + i] !== value[i]) return false;
    return true;
  }

  /** The target URI, as URL writes it: RFC 9112, 3.3. */
  get url(): string {
    if (this.#url !== undefined) return this.#url;
    const { target, host } = this;
    const url = target.startsWith("/") ? `http://${host}${target}` : target;
    // Most need no change: no capitals or port 80 in the host, no dot segments, nothing to be escaped.
    const isNormal =
      /^http:\/\/[a-z](?:[a-z0-9.-]*[a-z])?(?::(?!80\/)[1-9]\d*)?\/(?:[\w!$&()*+,;=:@~?/-]|%(?!2[Ee])|(?<!\/)\.)*$/;
    return (this.#url = isNormal.test(url) ? url : new URL(url).href);
  }
}

/**
 * Read the head that begins at `start`.
 *
 * @returns the head; why it is refused; or undefined if it is not complete
 * @see RFC 9112
 */
export function readHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: HeadLimits,
): RequestHead | RejectionReason | undefined {
  const { maxHeaderBytes, maxHeaderCount, maxTargetBytes } = limits;
  if (bytes[start] === CR) return end - start > 1 ? "bad-request" : undefined; // empty lines were skipped before
  const length = Math.min(end - start, maxHeaderBytes);
  const tooMuch = length < maxHeaderBytes ? undefined : "header-too-large";
  const size = parseHead(bytes, start, start + length);
  if (size === MALFORMED) {
    if (isBareLineFeed(bytes, start + failure.position, start + length)) {
      return readBareHead(bytes.subarray(start, start + length), limits) ?? tooMuch;
    }
    return whyMalformed(bytes, start, start + length) ?? tooMuch;
  }
  if (parsed.targetEnd - parsed.targetStart > maxTargetBytes) return "target-too-long";
  if (parsed.count > maxHeaderCount) return "header-too-large";
  return size === INCOMPLETE ? tooMuch : judge(bytes, start, size);
}

/** Read a head with lines that end in a line feed alone: RFC 9112, 2.2 allows that, and it is llhttp's to see them as others do. */
function readBareHead(bytes: Uint8Array, limits: HeadLimits): RequestHead | RejectionReason | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const end = /\n\r?\n/.exec(text);
  if (end === null) return undefined;
  const size = end.index + end[0].length;
  const whole = Buffer.from(text.slice(0, size).replace(/\r?\n/g, "\r\n"), "latin1");
  const head = readHead(whole, 0, whole.length, { ...limits, maxHeaderBytes: whole.length + 1 });
  if (!(head instanceof RequestHead)) return head;
  if (head.bodyLength !== 0) return "bad-request"; // others may see other fields here: so nothing may follow
  head.size = size;
  head.keepAlive = head.isSimple = false;
  return head;
}

function judge(bytes: Uint8Array, start: number, size: number): RequestHead | RejectionReason {
  const { targetStart, targetEnd, count, major, minor } = parsed;
  const copy = Buffer.allocUnsafe(size);
  copy.set(start === 0 && size === bytes.length ? bytes : bytes.subarray(start, start + size));
  // llhttp lets several spaces pass, other protocols, and a line without a version.
  const at = targetStart - 1;
  if (copy[at] !== SPACE || copy[at - 1] === SPACE || !hasVersion(copy, targetEnd, major, minor)) return "bad-request";
  if (major !== 1 || minor > 1) return "version-not-supported";
  const method = isGet(copy) ? "GET" : copy.toString("latin1", 0, at);
  const head = new RequestHead(copy, size, method, targetEnd, minor, parsed.fields.slice(0, 4 * count));
  return judgeFields(head) ?? judgeTarget(head) ?? head;
}

function isGet(bytes: Uint8Array): boolean {
  return bytes[0] === 0x47 && bytes[1] === 0x45 && bytes[2] === 0x54 && bytes[3] === SPACE;
}

/** ` HTTP/1.1` */
function hasVersion(bytes: Uint8Array, at: number, major: number, minor: number): boolean {
  for (let i = 0; i < PROTOCOL.length; i++) if (bytes[at + i] !== PROTOCOL[i]) return false;
  return bytes[at + 6] === ZERO + major && bytes[at + 7] === DOT && bytes[at + 8] === ZERO + minor;
}

function judgeFields(head: RequestHead): RejectionReason | undefined {
  let hosts = 0;
  let hasLength = false;
  let coding: string | undefined;
  let connection: string | undefined;
  let expect: string | undefined;
  for (let i = 0; i < head.fieldCount; i++) {
    switch (head.nameLengthAt(i)) {
      case 4:
        if (head.isNamed(i, HOST)) {
          head.host = head.isValue(i, knownBytes) ? known : head.valueAt(i);
          if (++hosts > 1 || !isAuthority(head.host)) return "bad-request";
        }
        break;
      case 6:
        if (head.isNamed(i, EXPECT))
          expect = `${expect === undefined ? "" : `${expect},`}${head.valueAt(i)}`.toLowerCase();
        break;
      case 10:
        if (!head.isNamed(i, CONNECTION)) break;
        if (connection === undefined && head.isValue(i, KEEP_ALIVE)) connection = "keep-alive";
        else connection = `${connection === undefined ? "" : `${connection},`}${head.valueAt(i)}`.toLowerCase();
        break;
      case 14:
        if (head.isNamed(i, CONTENT_LENGTH)) {
          if (hasLength) return "bad-request"; // the same twice, even
          hasLength = true;
          const length = head.valueAt(i);
          if (length.startsWith("0") && length !== "0") return "bad-request"; // some take 010 for 8
          head.bodyLength = Number(length);
        }
        break;
      case 17:
        if (head.isNamed(i, TRANSFER_ENCODING)) {
          coding = `${coding === undefined ? "" : `${coding},`}${head.valueAt(i)}`.toLowerCase();
        }
        break;
      default:
    }
  }
  if (hosts === 0 && head.minor === 1) return "bad-request";
  if (connection !== undefined) {
    head.isLast = connection === "close" || hasOption(connection, "close");
    head.keepAlive = !head.isLast && (head.minor === 1 || hasOption(connection, "keep-alive"));
  }
  head.isLast ||= head.minor === 0 && !head.keepAlive; // RFC 1945: a connection is for one request
  if (coding !== undefined) {
    if (hasLength || head.minor === 0) return "bad-request"; // RFC 9112, 6.1
    if (coding !== "chunked") return /[^,]*,[ \t]*chunked$/.test(coding) ? "not-implemented" : "bad-request";
    head.bodyLength = -1;
  } else if (!hasLength && head.minor === 0 && /^P(?:OST|UT|ATCH)$/.test(head.method)) {
    return "length-required"; // RFC 1945, 7.2.2
  }
  if (expect !== undefined && head.minor === 1) {
    if (expect !== "100-continue") return "expectation-failed";
    head.expectsContinue = head.bodyLength !== 0;
  }
  head.isSimple = head.bodyLength === 0 && head.method !== "HEAD" && (head.minor === 1 || !head.keepAlive);
  return undefined;
}

/** RFC 9112, 3.2: the four forms of a target, and which method may have which. */
function judgeTarget(head: RequestHead): RejectionReason | undefined {
  if (head.method === "GET" && isPlainPath(head.bytes, head.targetStart, head.targetEnd)) {
    if (head.host === "") head.host = "localhost"; // HTTP/1.0 may have none
    return undefined;
  }
  const { method, target, host } = head;
  if (method === "CONNECT") return isAuthority(target) && target.includes(":") ? "method-not-allowed" : "bad-request";
  if (target === "*") {
    head.isSimple = false;
    return method === "OPTIONS" ? undefined : "bad-request";
  }
  // A fragment is no part of it; a backslash is a slash to some, and NUL an end.
  if (/#|^[^?]*\\|%00/.test(target)) return "bad-request";
  if (!target.startsWith("/")) {
    const authority = /^https?:\/\/([^/?]*)/i.exec(target)?.[1];
    if (authority === undefined || !isAuthority(authority)) return "bad-request";
    head.host = authority; // and not Host: RFC 9112, 3.2.2
  } else if (host === "") {
    head.host = "localhost";
  }
  return method === "TRACE" ? "method-not-allowed" : undefined;
}

/** A path, and perhaps a query, without anything that has to be looked at twice. */
function isPlainPath(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== SLASH) return false;
  for (let i = start + 1; i < end; i++) {
    const byte = bytes[i];
    if (byte === HASH || byte === BACKSLASH || byte === PERCENT) return false;
  }
  return true;
}

/** The authority that was looked at last and is right. */
let known = "localhost";
let knownBytes: Uint8Array = Buffer.from(known);

/** A host, and perhaps a port: RFC 9110, 7.2; without what no host has, and one that URL takes, too. */
function isAuthority(text: string): boolean {
  if (text === known) return true;
  if (!/^(?:\[[\da-f:.]+\]|[\w.~%-]+)(?::\d{0,5})?$/i.test(text)) return false;
  if (!URL.canParse(`http://${text}/`)) return false;
  known = text;
  knownBytes = Buffer.from(text, "latin1");
  return true;
}

/** Whether a list in lower case has an option. */
function hasOption(list: string, option: string): boolean {
  return list === option || list.split(",").some((one) => one.trim() === option);
}

/** Without the white space around it; String's trim would take more than RFC 9110's OWS. */
function trimmed(value: string): string {
  let end = value.length;
  while (end > 0 && (value[end - 1] === " " || value[end - 1] === "\t")) end--;
  return end === value.length ? value : value.slice(0, end);
}

/** A parse has failed at a line feed for which a carriage return was expected. */
function isBareLineFeed(bytes: Uint8Array, position: number, end: number): boolean {
  const at = position < end && bytes[position] === LF ? position : position - 1; // it points at it, or behind it
  return bytes[at] === LF && bytes[at - 1] !== CR;
}

/** The methods of another protocol, which llhttp knows and does not take here. */
const rtsp =
  /^(?:DESCRIBE|ANNOUNCE|SETUP|PLAY|PAUSE|TEARDOWN|GET_PARAMETER|SET_PARAMETER|REDIRECT|RECORD|FLUSH) \S+ HTTP$/;

/** Why what llhttp gave up on is refused; undefined if only what comes next can tell. */
function whyMalformed(bytes: Uint8Array, start: number, end: number): RejectionReason | undefined {
  const { code, position } = failure;
  if (code === HPE_INVALID_METHOD) return whyNoMethod(bytes, start, end);
  if (code === HPE_PAUSED_H2_UPGRADE) return "version-not-supported";
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, position).toString("latin1");
  if (code === HPE_INVALID_VERSION && /HTTP\/(?!1\.[01])\d\.\d$/.test(text)) return "version-not-supported";
  // A method that llhttp knows, of another protocol.
  return code === HPE_INVALID_CONSTANT && rtsp.test(text) ? "not-implemented" : "bad-request";
}

/** RFC 9110, 15.6.2: another method than those known, or no method at all? */
function whyNoMethod(bytes: Uint8Array, start: number, end: number): RejectionReason | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
  const [, method = "", next] = /^[\r\n]*([\w!#$%&'*+.^`|~-]*)([^])?/.exec(text) ?? [];
  if (next === undefined) return undefined;
  return next === " " && method !== "" ? "not-implemented" : "bad-request";
}
