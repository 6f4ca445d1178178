// A strict parser of responses: it accepts what RFC 9112 and RFC 9110 allow a server to send, and nothing else.

import type { Expected } from "./case.ts";

export interface ParsedResponse {
  status: number;
  /** By lower-case name. */
  fields: Map<string, string>;
  body: Buffer;
  /** The position after it. */
  end: number;
}

/** The bytes are not a valid response. */
export class ResponseError extends Error {}

/** What must be known about a request to parse its response. */
export type Asked = Pick<Expected, "isHead" | "isHttp10">;

/**
 * Parses the response that begins at `start`.
 *
 * @param isEnded whether the connection has closed, which ends a body without a length
 * @returns undefined if it is incomplete
 * @throws {ResponseError} if it is malformed
 */
export function parseResponse(
  bytes: Buffer,
  start: number,
  asked: Asked,
  isEnded: boolean,
): ParsedResponse | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n", start);
  if (headEnd < 0) {
    const begin = bytes.toString("latin1", start, start + 9);
    if (!"HTTP/1.1 ".startsWith(begin)) throw new ResponseError(`not a status line: ${JSON.stringify(begin)}`);
    return undefined;
  }
  const text = bytes.toString("latin1", start, headEnd);
  const status = statusOf(text);
  const fields = fieldsOf(text);
  const bodyStart = headEnd + 4;
  checkFraming(status, fields, asked);

  const whole = (end: number, body: Buffer = bytes.subarray(bodyStart, end)): ParsedResponse | undefined =>
    end > bytes.length ? undefined : { status, fields, body, end };
  if (status < 200 || status === 204 || status === 304 || asked.isHead === true) return whole(bodyStart);
  if (fields.has("transfer-encoding")) return readChunks(bytes, bodyStart, whole);
  const length = fields.get("content-length");
  if (length !== undefined) return whole(bodyStart + Number(length));
  return isEnded ? whole(bytes.length) : undefined;
}

/** RFC 9112, 4 */
function statusOf(text: string): number {
  const [line = ""] = text.split("\r\n");
  const match = /^HTTP\/1\.1 ([1-5]\d\d) [\t\x20-\x7e]*$/.exec(line);
  if (match === null) throw new ResponseError(`not a status line: ${JSON.stringify(line.slice(0, 100))}`);
  return Number(match[1]);
}

const singletons = new Set(["content-length", "transfer-encoding", "date", "connection", "content-type"]);

/** RFC 9112, 5 */
function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\r\n").slice(1)) {
    const match =
      /^([!#$%&'*+.^_`|~\w-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/.exec(
        line,
      );
    if (match === null) throw new ResponseError(`not a field: ${JSON.stringify(line)}`);
    const [, name = "", value = ""] = match;
    const key = name.toLowerCase();
    if (fields.has(key) && singletons.has(key)) throw new ResponseError(`${name} twice`);
    fields.set(key, fields.has(key) ? `${fields.get(key)}, ${value}` : value);
  }
  return fields;
}

/** RFC 9112, 6; RFC 9110, 6.6.1 and 8.6 */
function checkFraming(status: number, fields: Map<string, string>, { isHead, isHttp10 }: Asked): void {
  const length = fields.get("content-length");
  const coding = fields.get("transfer-encoding");
  const fail = (what: string): never => {
    throw new ResponseError(`${status}: ${what}`);
  };
  if (length !== undefined && !/^(?:0|[1-9]\d*)$/.test(length)) fail(`Content-Length: ${length}`);
  if (coding !== undefined && coding !== "chunked") fail(`Transfer-Encoding: ${coding}`);
  if (length !== undefined && coding !== undefined) fail("Content-Length and Transfer-Encoding");
  if (coding !== undefined && isHttp10 === true) fail("Transfer-Encoding for HTTP/1.0");
  if ((status < 200 || status === 204) && (length ?? coding) !== undefined)
    fail("a length for a response without a body");
  if (status < 200 && fields.has("connection")) fail("Connection in an interim response");
  if (status < 200) return;
  if (!/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/.test(fields.get("date") ?? "")) fail("no Date");
  const isFramed = (length ?? coding) !== undefined || status === 204 || status === 304 || isHead === true;
  if (!isFramed && isHttp10 !== true && fields.get("connection") !== "close") fail("a body of undefined length");
}

/** RFC 9112, 7.1: plain chunks, without extensions and trailers, which this server has no reason to send. */
function readChunks(
  bytes: Buffer,
  start: number,
  whole: (end: number, body: Buffer) => ParsedResponse | undefined,
): ParsedResponse | undefined {
  const chunks: Buffer[] = [];
  for (let at = start; ;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const line = bytes.toString("latin1", at, lineEnd);
    if (!/^[\da-f]+$/i.test(line)) throw new ResponseError(`not a chunk size: ${JSON.stringify(line)}`);
    const size = Number.parseInt(line, 16);
    const end = lineEnd + 2 + size + 2;
    if (end > bytes.length) return undefined;
    if (bytes.toString("latin1", end - 2, end) !== "\r\n") throw new ResponseError("a chunk does not end with CRLF");
    if (size === 0) return whole(end, Buffer.concat(chunks));
    chunks.push(bytes.subarray(lineEnd + 2, end - 2));
    at = end;
  }
}
