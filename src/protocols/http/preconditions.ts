// Conditional requests: RFC 9110, 13.

import { parseHttpDate } from "./http-date.ts";

/** The validators of what would be sent, as they are in the response. */
export interface Validators {
  /** `"a"` or `W/"a"`; undefined if there is none. */
  readonly etag: string | undefined;
  /** In milliseconds, full seconds; undefined if there is none. */
  readonly modifiedMs: number | undefined;
}

/** Returns the value of a request's field; undefined if there is none. */
export type FieldReader = (name: string) => string | undefined;

/**
 * Evaluates the preconditions of a GET or HEAD request, in the order of RFC 9110, 13.2.2.
 *
 * @returns the status that replaces 200; undefined if the request is to be answered as usual
 */
export function failedPrecondition(field: FieldReader, { etag, modifiedMs }: Validators): 304 | 412 | undefined {
  const ifMatch = field("if-match");
  if (ifMatch !== undefined) {
    if (!isListed(etag, ifMatch, false)) return 412;
  } else if (modifiedMs !== undefined) {
    const since = parseHttpDate(field("if-unmodified-since") ?? "");
    if (since !== undefined && modifiedMs > since) return 412;
  }
  const ifNoneMatch = field("if-none-match");
  if (ifNoneMatch !== undefined) return isListed(etag, ifNoneMatch, true) ? 304 : undefined;
  if (modifiedMs === undefined) return undefined;
  const since = parseHttpDate(field("if-modified-since") ?? "");
  return since !== undefined && modifiedMs <= since ? 304 : undefined;
}

/** Returns whether an If-Range allows a partial response: RFC 9110, 13.1.5. */
export function isRangeCurrent(ifRange: string, { etag, modifiedMs }: Validators): boolean {
  if (/^(?:W\/)?"/.test(ifRange)) return ifRange === etag && !etag.startsWith("W/");
  return modifiedMs !== undefined && parseHttpDate(ifRange) === modifiedMs;
}

/**
 * Returns whether a list of entity tags contains this one, or is `*`.
 *
 * @param isWeak a weak tag equals a strong one with the same text; otherwise weak tags equal nothing: RFC 9110, 8.8.3.2
 */
function isListed(etag: string | undefined, list: string, isWeak: boolean): boolean {
  if (list === "*") return true;
  if (etag === undefined || (!isWeak && etag.startsWith("W/"))) return false;
  const tags = list.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return tags.some((tag) => (isWeak ? withoutWeakness(tag) === withoutWeakness(etag) : tag === etag));
}

function withoutWeakness(etag: string): string {
  return etag.startsWith("W/") ? etag.slice(2) : etag;
}
