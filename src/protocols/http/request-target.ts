// Validates the target of a request, and the authority (host and port) in it or in Host.

import { Buffer } from "node:buffer";
import type { RejectionReason } from "./rejection.ts";
import type { RequestHead } from "./request-head.ts";

const HASH = 0x23;
const PERCENT = 0x25;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;

/** The host of HTTP/1.0 requests that do not name one. */
const DEFAULT_HOST = "localhost";

/**
 * Validates the target, whose form depends on the method: RFC 9112, 3.2.
 *
 * @returns why the request is rejected; undefined if it is not
 */
export function validateTarget(head: RequestHead): RejectionReason | undefined {
  if (head.method === "GET" && isPlainPath(head.bytes, head.targetStart, head.targetEnd)) {
    if (head.host === "") head.host = DEFAULT_HOST;
    return undefined;
  }
  const { method, target, host } = head;
  if (method === "CONNECT") return isAuthority(target) && target.includes(":") ? "method-not-allowed" : "bad-request";
  if (target === "*") {
    head.isSimple = false;
    return method === "OPTIONS" ? undefined : "bad-request";
  }
  // Fragments are not part of a target. Some servers treat a backslash as a slash, and NUL as the end of a path.
  if (/#|^[^?]*\\|%00/.test(target)) return "bad-request";
  if (!target.startsWith("/")) {
    const authority = /^https?:\/\/([^/?]*)/i.exec(target)?.[1];
    if (authority === undefined || !isAuthority(authority)) return "bad-request";
    head.host = authority; // takes precedence over Host: RFC 9112, 3.2.2
  } else if (host === "") {
    head.host = DEFAULT_HOST;
  }
  return method === "TRACE" ? "method-not-allowed" : undefined;
}

/** Returns whether the target is a path, possibly with a query, without any byte that needs further validation. */
function isPlainPath(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== SLASH) return false;
  for (let i = start + 1; i < end; i++) {
    const byte = bytes[i];
    if (byte === HASH || byte === BACKSLASH || byte === PERCENT) return false;
  }
  return true;
}

// Host is the same in almost all requests, so the last valid authority is cached.
let cached = "localhost";
let cachedBytes: Uint8Array = Buffer.from(cached);

/** Returns the last authority that was valid. */
export function lastAuthority(): string {
  return cached;
}

/** Returns whether a field's value is the last authority that was valid. */
export function isLastAuthority(head: RequestHead, index: number): boolean {
  return head.isValue(index, cachedBytes);
}

/** Returns whether a text is a host with an optional port (RFC 9110, 7.2) that `URL` accepts, too. */
export function isAuthority(text: string): boolean {
  if (text === cached) return true;
  if (!/^(?:\[[\da-f:.]+\]|[\w.~%-]+)(?::\d{0,5})?$/i.test(text)) return false;
  if (!URL.canParse(`http://${text}/`)) return false;
  cached = text;
  cachedBytes = Buffer.from(text, "latin1");
  return true;
}
