// Validates the header fields that the server interprets, and derives body length, persistence and expectation from them.

import type { RejectionReason } from "./rejection.ts";
import type { RequestHead } from "./request-head.ts";
import { isAuthority } from "./request-target.ts";

/** The lengths of the names of the fields that are interpreted. */
const KNOWN_LENGTHS = new Set(
  ["host", "expect", "connection", "content-length", "transfer-encoding"].map((name) => name.length),
);

/** The values of the fields that the server interprets. A repeated field has its values joined by commas: RFC 9110, 5.3. */
interface KnownFields {
  hostCount: number;
  host: string;
  /** In lower case. */
  connection: string | undefined;
  contentLength: string | undefined;
  /** In lower case. */
  transferEncoding: string | undefined;
  /** In lower case. */
  expect: string | undefined;
}

/**
 * Validates a head's fields and sets the properties that are derived from them.
 *
 * @returns why the request is rejected; undefined if it is not
 */
export function validateFields(head: RequestHead): RejectionReason | undefined {
  const known = collectKnownFields(head);
  const reason =
    validateHost(head, known) ??
    setPersistence(head, known) ??
    setBodyLength(head, known) ??
    setExpectation(head, known);
  head.isSimple = head.bodyLength === 0 && head.method !== "HEAD" && (head.minor === 1 || !head.keepAlive);
  return reason;
}

function collectKnownFields(head: RequestHead): KnownFields {
  const known: KnownFields = {
    hostCount: 0,
    host: "",
    connection: undefined,
    contentLength: undefined,
    transferEncoding: undefined,
    expect: undefined,
  };
  for (let i = 0; i < head.fieldCount; i++) {
    if (!KNOWN_LENGTHS.has(head.nameLengthAt(i))) continue; // most fields are unknown: do not decode their names
    switch (head.nameAt(i).toLowerCase()) {
      case "host":
        known.hostCount++;
        known.host = head.valueAt(i);
        break;
      case "expect":
        known.expect = joined(known.expect, head.valueAt(i));
        break;
      case "connection":
        known.connection = joined(known.connection, head.valueAt(i));
        break;
      case "content-length":
        known.contentLength = joined(known.contentLength, head.valueAt(i));
        break;
      case "transfer-encoding":
        known.transferEncoding = joined(known.transferEncoding, head.valueAt(i));
        break;
      default:
    }
  }
  return known;
}

function joined(values: string | undefined, value: string): string {
  return (values === undefined ? value : `${values},${value}`).toLowerCase();
}

/** Exactly one valid Host, which HTTP/1.0 may omit: RFC 9112, 3.2. */
function validateHost(head: RequestHead, { hostCount, host }: KnownFields): RejectionReason | undefined {
  if (hostCount === 0) return head.minor === 1 ? "bad-request" : undefined;
  if (hostCount > 1 || !isAuthority(host)) return "bad-request";
  head.host = host;
  return undefined;
}

/** Whether the connection persists: RFC 9112, 9.3. */
function setPersistence(head: RequestHead, { connection }: KnownFields): undefined {
  if (connection !== undefined) {
    head.isLast = hasOption(connection, "close");
    head.keepAlive = !head.isLast && (head.minor === 1 || hasOption(connection, "keep-alive"));
  }
  head.isLast ||= head.minor === 0 && !head.keepAlive; // HTTP/1.0 without keep-alive: one request per connection
}

/** The body's length, from fields that must leave no doubt about it: RFC 9112, 6.3. */
function setBodyLength(
  head: RequestHead,
  { contentLength, transferEncoding }: KnownFields,
): RejectionReason | undefined {
  if (transferEncoding !== undefined) {
    // A request with both, or an HTTP/1.0 request with a transfer coding, may be an attempt at smuggling: RFC 9112, 6.1.
    if (contentLength !== undefined || head.minor === 0) return "bad-request";
    if (transferEncoding !== "chunked") {
      return /[^,]*,[ \t]*chunked$/.test(transferEncoding) ? "not-implemented" : "bad-request";
    }
    head.bodyLength = -1;
  } else if (contentLength !== undefined) {
    // No second Content-Length, and no leading zeros: some parsers read 010 as 8. llhttp rejects anything that is not a number.
    if (!/^(?:0|[1-9]\d*)$/.test(contentLength)) return "bad-request";
    head.bodyLength = Number(contentLength);
  } else if (head.minor === 0 && /^P(?:OST|UT|ATCH)$/.test(head.method)) {
    return "length-required"; // RFC 1945, 7.2.2
  }
  return undefined;
}

/** Whether the client waits for `100 Continue`: RFC 9110, 10.1.1. */
function setExpectation(head: RequestHead, { expect }: KnownFields): RejectionReason | undefined {
  if (expect === undefined || head.minor === 0) return undefined;
  if (expect !== "100-continue") return "expectation-failed";
  head.expectsContinue = head.bodyLength !== 0;
  return undefined;
}

/** Returns whether a comma-separated list in lower case contains an option. */
function hasOption(list: string, option: string): boolean {
  return list === option || list.split(",").some((item) => item.trim() === option);
}
