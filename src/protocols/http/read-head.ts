// Reads the head of a request: a scanner accepts plain heads. llhttp parses all others, and the rules that it leaves to the server
// are checked here.

import { Buffer } from "node:buffer";
import {
  HPE_INVALID_CONSTANT,
  HPE_INVALID_METHOD,
  HPE_INVALID_VERSION,
  HPE_PAUSED_H2_UPGRADE,
  INCOMPLETE,
  isParserReady,
  MALFORMED,
  parsedHead,
  parseFailure,
  parseHead,
} from "./llhttp.ts";
import { normalizeHead } from "./normalize-head.ts";
import { knownAuthority, plainHead, scanPlainHead, setKnownAuthority } from "./plain-head.ts";
import type { RejectionReason } from "./rejection.ts";
import { RequestHead } from "./request-head.ts";
import { isAuthority, validateTarget } from "./request-target.ts";
import { validateFields } from "./validate-fields.ts";

const CR = 13;
const LF = 10;
const SPACE = 0x20;
const DOT = 0x2e;
const ZERO = 0x30;
/** The first byte of a TLS handshake. No request begins with it. */
const TLS_HANDSHAKE = 0x16;
const PROTOCOL = Buffer.from(" HTTP/");

export interface HeadLimits {
  maxHeaderBytes: number;
  maxHeaderCount: number;
  maxTargetBytes: number;
}

/**
 * Scans the plain head that begins at `start`, and checks its limits and its host.
 *
 * @returns its size, with the details in `plainHead`; 0 if it is not plain, not complete, or to be rejected: `readHead` then tells
 */
export function scanHead(bytes: Buffer, start: number, end: number, limits: HeadLimits): number {
  const size = scanPlainHead(bytes, start, end);
  if (size === 0 || size > limits.maxHeaderBytes) return 0;
  if (plainHead.targetEnd > limits.maxTargetBytes || plainHead.fieldCount > limits.maxHeaderCount) return 0;
  if (!plainHead.hasKnownHost) {
    const { host } = plainHead;
    if (!isAuthority(host)) return 0;
    setKnownAuthority(host);
  }
  return size;
}

/** Creates the head that `scanHead` has just returned the size of. */
export function createPlainHead(size: number): RequestHead {
  const { method, targetEnd, bodyLength, isLast } = plainHead;
  const head = new RequestHead(plainHead.text(size), method, targetEnd, 1, undefined);
  head.host = knownAuthority;
  head.bodyLength = bodyLength;
  head.hasNormalTarget = plainHead.hasNormalTarget;
  head.isLast = isLast;
  head.keepAlive = !isLast;
  head.isSimple = bodyLength === 0 && method !== "HEAD";
  return head;
}

/**
 * Reads the request head that begins at `start`. Empty lines before it must have been skipped.
 *
 * @returns the head, the reason why it is rejected, or undefined if it is incomplete
 * @see RFC 9112
 */
export function readHead(
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
): RequestHead | RejectionReason | undefined {
  const size = scanHead(bytes, start, end, limits);
  return size > 0 ? createPlainHead(size) : parseAndValidate(bytes, start, end, limits);
}

/** Reads any head with llhttp. The tests compare it with the scanner. */
export function parseAndValidate(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: HeadLimits,
): RequestHead | RejectionReason | undefined {
  const { maxHeaderBytes, maxHeaderCount, maxTargetBytes } = limits;
  if (!isParserReady()) return "overloaded";
  if (bytes[start] === CR) return end - start > 1 ? "bad-request" : undefined; // not an empty line: those were skipped
  const length = Math.min(end - start, maxHeaderBytes);
  const ifIncomplete = length < maxHeaderBytes ? undefined : "header-too-large";
  const input = bytes.subarray(start, start + length);
  let parsed = input;
  let size = parseHead(input, 0, length);
  if (size === MALFORMED) {
    const normalized = normalizeHead(input);
    if (normalized !== undefined) size = parseHead((parsed = normalized), 0, length);
  }
  if (size === MALFORMED) {
    if (isBareLineFeed(parsed, parseFailure.position)) return readHeadWithBareLineFeeds(input, limits) ?? ifIncomplete;
    return malformedReason(parsed) ?? ifIncomplete;
  }
  if (parsedHead.targetEnd - parsedHead.targetStart > maxTargetBytes) return "target-too-long";
  if (parsedHead.fieldCount > maxHeaderCount) return "header-too-large";
  return size === INCOMPLETE ? ifIncomplete : createHead(input, parsed, size);
}

/** Reads a head with lines that end in LF alone. RFC 9112, 2.2 allows them; llhttp does not, so they are rewritten for it. */
function readHeadWithBareLineFeeds(bytes: Uint8Array, limits: HeadLimits): RequestHead | RejectionReason | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const end = /\n\r?\n/.exec(text);
  if (end === null) return undefined;
  const size = end.index + end[0].length;
  const rewritten = Buffer.from(text.slice(0, size).replace(/\r?\n/g, "\r\n"), "latin1");
  const head = readHead(rewritten, 0, rewritten.length, { ...limits, maxHeaderBytes: rewritten.length + 1 });
  if (!(head instanceof RequestHead)) return head;
  // A proxy may split these lines differently. To be safe, such a request has no body and is the connection's last.
  if (head.bodyLength !== 0) return "bad-request";
  head.size = size;
  head.keepAlive = head.isSimple = false;
  return head;
}

/**
 * Creates the head that llhttp has just parsed, or returns the reason why it is rejected.
 *
 * @param input the head as received
 * @param head the same, or what llhttp parsed instead
 */
function createHead(input: Uint8Array, head: Uint8Array, size: number): RequestHead | RejectionReason {
  const { targetStart, targetEnd, fieldCount, major, minor } = parsedHead;
  // llhttp accepts repeated spaces, names of other protocols, and request lines without a version.
  const methodEnd = targetStart - 1;
  if (head[methodEnd] !== SPACE || head[methodEnd - 1] === SPACE) return "bad-request";
  if (!hasVersionAt(head, targetEnd, major, minor)) return "bad-request";
  if (major !== 1 || minor > 1) return "version-not-supported";
  const text = Buffer.from(input.buffer, input.byteOffset, size).toString("latin1");
  const created = new RequestHead(
    text,
    text.slice(0, methodEnd),
    targetEnd,
    minor,
    parsedHead.fields.slice(0, 4 * fieldCount),
  );
  return validateFields(created) ?? validateTarget(created) ?? created;
}

/** Returns whether ` HTTP/major.minor` is at this position. */
function hasVersionAt(bytes: Uint8Array, at: number, major: number, minor: number): boolean {
  for (let i = 0; i < PROTOCOL.length; i++) if (bytes[at + i] !== PROTOCOL[i]) return false;
  return bytes[at + 6] === ZERO + major && bytes[at + 7] === DOT && bytes[at + 8] === ZERO + minor;
}

/** Returns whether llhttp failed at an LF because it expected a CR before it. */
function isBareLineFeed(bytes: Uint8Array, position: number): boolean {
  const at = bytes[position] === LF ? position : position - 1; // llhttp stops at the LF or after it
  return bytes[at] === LF && bytes[at - 1] !== CR;
}

/** A request line with an RTSP method. llhttp knows these methods, but does not accept them for HTTP. */
const rtspRequest =
  /^(?:DESCRIBE|ANNOUNCE|SETUP|PLAY|PAUSE|TEARDOWN|GET_PARAMETER|SET_PARAMETER|REDIRECT|RECORD|FLUSH) \S+ HTTP$/;

/** Returns why the head that llhttp has just failed to parse is rejected; undefined if more bytes are needed to decide. */
function malformedReason(bytes: Uint8Array): RejectionReason | undefined {
  const { code, position } = parseFailure;
  if (code === HPE_INVALID_METHOD) return invalidMethodReason(bytes);
  if (code === HPE_PAUSED_H2_UPGRADE) return "version-not-supported";
  const parsed = Buffer.from(bytes.buffer, bytes.byteOffset, position).toString("latin1");
  if (code === HPE_INVALID_VERSION && /HTTP\/(?!1\.)\d\.\d$/.test(parsed)) return "version-not-supported";
  return code === HPE_INVALID_CONSTANT && rtspRequest.test(parsed) ? "not-implemented" : "bad-request";
}

/** Distinguishes an unknown method (501: RFC 9110, 15.6.2) from input that does not begin with a method. */
function invalidMethodReason(bytes: Uint8Array): RejectionReason | undefined {
  if (bytes[0] === TLS_HANDSHAKE) return "unexpected-tls";
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const [, method = "", next] = /^[\r\n]*([\w!#$%&'*+.^`|~-]*)([^])?/.exec(text) ?? [];
  if (next === undefined) return undefined;
  return next === " " && method !== "" ? "not-implemented" : "bad-request";
}
