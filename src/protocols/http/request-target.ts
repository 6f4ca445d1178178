// Validates the target of a request, and the authority (host and port) in it or in Host.

import type { RejectionReason } from "./rejection.ts";
import type { RequestHead } from "./request-head.ts";

/** The host of HTTP/1.0 requests that do not name one. */
const DEFAULT_HOST = "localhost";

/**
 * Validates the target, whose form depends on the method: RFC 9112, 3.2.
 *
 * @returns why the request is rejected; undefined if it is not
 */
export function validateTarget(head: RequestHead): RejectionReason | undefined {
  const { method, target, host } = head;
  if (method === "CONNECT") return isAuthority(target) && target.includes(":") ? "method-not-allowed" : "bad-request";
  if (target === "*") {
    head.isSimple = false;
    return method === "OPTIONS" ? undefined : "bad-request";
  }
  // Fragments are not part of a target. Some servers treat NUL as the end of a path.
  if (/#|%00/.test(target)) return "bad-request";
  if (!target.startsWith("/")) {
    const authority = /^https?:\/\/([^/?]*)/i.exec(target)?.[1];
    if (authority === undefined || !isAuthority(authority)) return "bad-request";
    head.host = authority; // takes precedence over Host: RFC 9112, 3.2.2
  } else if (host === "") {
    head.host = DEFAULT_HOST;
  }
  return method === "TRACE" ? "method-not-allowed" : undefined;
}

/** Valid authorities. Almost all requests have the same few. */
const validAuthorities = new Set<string>();
const MAX_AUTHORITIES = 256;

/** Returns whether a text is a host with an optional port (RFC 9110, 7.2) that `URL` accepts, too. */
export function isAuthority(text: string): boolean {
  if (validAuthorities.has(text)) return true;
  if (!/^(?:\[[\da-f:.]+\]|[\w.~%-]+)(?::\d{0,5})?$/i.test(text)) return false;
  if (!URL.canParse(`http://${text}/`)) return false;
  if (validAuthorities.size >= MAX_AUTHORITIES) validAuthorities.clear();
  validAuthorities.add(text);
  return true;
}
