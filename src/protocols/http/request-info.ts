// Request details for `onRequest` and access logs.

import type { Address } from "../../kernel/address.ts";

/** An answered or rejected request, as `onRequest` receives it. */
export interface RequestInfo {
  /**
   * The request line as received, one character per byte. It comes from the client, so escape control characters before
   * you write it to a terminal or a log.
   */
  readonly line: string;
  /** The method: `"GET"`. */
  readonly method: string;
  /** The request target as received: `"/path?query"`. */
  readonly target: string;
  /** The version as received, such as `"HTTP/1.1"`; `""` if the line is not a request line. */
  readonly version: string;
  /** The status of the response. */
  readonly status: number;
  /** The address of the client. */
  readonly peer: Address;
}

/** Splits a line that may not be a valid request line. */
export function requestInfo(line: string): Omit<RequestInfo, "status" | "peer"> {
  const [method = "", target = "", version = ""] = line.split(" ", 3);
  return { line, method, target, version: /^HTTP\/\d\.\d$/.test(version) ? version : "" };
}
