// What is told of a request: once it is answered, or refused.

import type { Address } from "../../kernel/address.ts";

/** A request that was answered, for a log. */
export interface RequestInfo {
  /** The request's first line as it came, each byte a character; escape it before a terminal sees it. */
  readonly line: string;
  readonly method: string;
  readonly target: string;
  /** `"HTTP/1.1"`, `"HTTP/1.0"`, or `""` if the line is no request's. */
  readonly version: string;
  /** The reply's status. */
  readonly status: number;
  /** Where it came from. */
  readonly peer: Address;
}

/** What a line tells that is no request's, or not known to be one. */
export function requestInfo(line: string): Omit<RequestInfo, "status" | "peer"> {
  const [method = "", target = "", version = ""] = line.split(" ", 3);
  return { line, method, target, version: /^HTTP\/\d\.\d$/.test(version) ? version : "" };
}
