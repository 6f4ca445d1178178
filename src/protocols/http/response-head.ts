// Serializes the head of a handler's response: the status line, the handler's fields, and the server's fields.

import type { RequestHead } from "./request-head.ts";
import { type PreparedResponse, UNKNOWN_LENGTH } from "./response.ts";

/**
 * Serializes a head.
 *
 * @param head the request's
 * @param dateLine a Date field, used if the handler did not set one
 * @param closes whether the response is the connection's last
 * @param isBodyOmitted whether the response is sent without its body
 */
export function serializeHead(
  response: PreparedResponse,
  head: RequestHead | undefined,
  dateLine: string,
  closes: boolean,
  isBodyOmitted: boolean,
): string {
  const { status, statusText, fields, hasDate, declaredLength } = response;
  let length = "";
  if (status === 304) {
    // Optional, and the length of the body that 200 would have: RFC 9110, 8.6.
    if (declaredLength >= 0) length = `Content-Length: ${declaredLength}\r\n`;
  } else if (!isBodiless(status) && !(isBodyOmitted && declaredLength === UNKNOWN_LENGTH)) {
    const size = isBodyOmitted && declaredLength >= 0 ? declaredLength : response.length;
    if (size >= 0) length = `Content-Length: ${size}\r\n`;
    else if (head?.minor === 1) length = "Transfer-Encoding: chunked\r\n";
  }
  const connection = closes ? "Connection: close\r\n" : head?.minor === 0 ? "Connection: keep-alive\r\n" : "";
  return `HTTP/1.1 ${status} ${statusText}\r\n${hasDate ? "" : dateLine}${fields}${length}${connection}\r\n`;
}

/** Returns whether responses with this status have no body: RFC 9110, 6.4.1. */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}
