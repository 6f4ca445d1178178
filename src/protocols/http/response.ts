// Prepares a handler's Response for sending: header fields as text, the body as bytes if it is in memory, otherwise as a source.

import { isUtf8 } from "node:buffer";
import { shallowSizeOf } from "../../kernel/jsc.ts";
import { type BodySource, FileSource, StreamSource } from "./body-source.ts";
import { reasonPhrase } from "./status-codes.ts";

/** A response that is ready to be serialized. */
export interface PreparedResponse {
  readonly status: number;
  readonly statusText: string;
  /** The handler's fields, without Connection, Content-Length and Transfer-Encoding, which the server sets. */
  readonly fields: string;
  /** The fields include a Date. */
  readonly hasDate: boolean;
  /** The handler asked for the connection to be closed afterwards. */
  readonly closes: boolean;
  /** Length of the body in bytes; -1 if it is unknown. */
  readonly length: number;
  /** The Content-Length that the handler gave a response without a body, as for HEAD; -1 if none. */
  readonly declaredLength: number;
  readonly body: Uint8Array | undefined;
  readonly source: BodySource | undefined;
}

/**
 * Prepares a Response. A stream is not read yet; any other body is read, or its file opened.
 *
 * @throws {TypeError} if it cannot be sent: its body was used, or it is not a final response
 */
export function prepareResponse(response: Response): PreparedResponse | Promise<PreparedResponse> {
  if (response.bodyUsed) {
    throw new TypeError("fetch returned a Response that was already used; return a new one, or a clone() of it");
  }
  const { status } = response;
  if (status < 200) throw new TypeError(`fetch returned a Response with status ${status}, which is not a final status`);
  if (isInMemory(response)) {
    const bytes = Bun.peek(response.bytes());
    return bytes instanceof Promise ? bytes.then((content) => inMemory(response, content)) : inMemory(response, bytes);
  }
  if ((response.url !== "" && response.body !== null) || isStream(response)) {
    return prepared(response, undefined, -1, new StreamSource(response.body as ReadableStream));
  }
  const blob = Bun.peek(response.blob());
  return blob instanceof Promise ? blob.then((content) => fromBlob(response, content)) : fromBlob(response, blob);
}

// Only a body in memory and the status text add to the shallow size of a Response. Comparing sizes is the only way to
// distinguish such a body from a stream without starting to read the stream. The size of a Response without a body is
// measured on first use; if Bun does not behave as expected, all responses take the slow path.
let emptyResponseBytes: number | undefined;

function isInMemory(response: Response): boolean {
  emptyResponseBytes ??= measureEmptyResponse();
  if (shallowSizeOf(response) - emptyResponseBytes <= response.statusText.length) return false;
  return response.url === ""; // otherwise it came from another server: its size includes the URL, and its body may be endless
}

function measureEmptyResponse(): number {
  const stream = new Response(new ReadableStream(), { headers: { a: "b" }, statusText: "" });
  const empty = shallowSizeOf(stream);
  const isAsExpected =
    shallowSizeOf(new Response("abc")) === empty + 3 &&
    shallowSizeOf(new Response()) === empty &&
    shallowSizeOf(new Response(null, { statusText: "ab" })) === empty + 2;
  return isAsExpected ? empty : Infinity;
}

/** Returns whether the body is a stream. `Bun.inspect` shows that without creating one, which reading `body` would do. */
function isStream(response: Response): boolean {
  return /^ {2}ReadableStream \{/m.test(Bun.inspect(response));
}

function inMemory(response: Response, bytes: Uint8Array): PreparedResponse {
  return prepared(response, bytes, bytes.length, undefined);
}

function fromBlob(response: Response, blob: Blob): PreparedResponse | Promise<PreparedResponse> {
  const inspected = Bun.inspect(blob);
  if (inspected.startsWith("FileRef")) {
    const { name } = blob as Blob & { name?: unknown };
    // Bun reads slices of files, and files without a path. A file from its start is read here, without Bun's event loop.
    if (typeof name !== "string" || /^ {2}offset: /m.test(inspected)) {
      const size = Number.isFinite(blob.size) ? blob.size : -1;
      return prepared(response, undefined, size, new StreamSource(blob.stream()));
    }
    const file = FileSource.open(name, blob.size);
    if (file === undefined) return inMemory(new Response(null, { status: 404 }), new Uint8Array(0));
    return prepared(response, undefined, file.size, file);
  }
  const bytes = Bun.peek(blob.bytes());
  return bytes instanceof Promise ? bytes.then((content) => inMemory(response, content)) : inMemory(response, bytes);
}

/** @param length the length of the body in bytes; -1 if it is unknown */
function prepared(
  response: Response,
  body: Uint8Array | undefined,
  length: number,
  source: BodySource | undefined,
): PreparedResponse {
  const { status, statusText } = response;
  // oxlint-disable-next-line no-control-regex -- these are the characters that could begin another line
  if (statusText !== "" && /[^\t\x20-\x7e\x80-\xff]/.test(statusText)) {
    throw new TypeError(`fetch returned a Response whose statusText is not valid: ${JSON.stringify(statusText)}`);
  }
  const headers = readHeaders(response.headers);
  let { fields } = headers;
  if (!headers.hasType && body !== undefined && length > 0) fields += defaultContentType(body);
  return {
    status,
    statusText: statusText === "" ? reasonPhrase(status) : statusText,
    fields,
    hasDate: headers.hasDate,
    closes: headers.closes,
    length: length < 0 ? headers.contentLength : length,
    declaredLength: length === 0 ? headers.contentLength : -1,
    body,
    source,
  };
}

/** The header fields of a Response, without those that the server sets. */
interface ResponseHeaders {
  fields: string;
  hasDate: boolean;
  hasType: boolean;
  closes: boolean;
  /** -1 if there is none. */
  contentLength: number;
}

const noHeaders: Readonly<ResponseHeaders> = {
  fields: "",
  hasDate: false,
  hasType: false,
  closes: false,
  contentLength: -1,
};

function readHeaders(headers: Headers): Readonly<ResponseHeaders> {
  if (headers.count === 0) return noHeaders;
  const read: ResponseHeaders = { ...noHeaders };
  headers.forEach((value, name) => {
    switch (name) {
      case "content-length":
        if (/^\d{1,15}$/.test(value)) read.contentLength = Number(value);
        return;
      case "transfer-encoding":
      case "keep-alive":
        return;
      case "connection":
        read.closes ||= /(?:^|,)\s*close\s*(?:,|$)/i.test(value);
        return;
      case "date":
        read.hasDate = true;
        break;
      case "content-type":
        read.hasType = true;
        break;
      default:
    }
    read.fields += `${name}: ${value}\r\n`;
  });
  return read;
}

/** Bun's Response does not say whether its body was a string. If it is UTF-8, it is sent as text. */
function defaultContentType(body: Uint8Array): string {
  return isUtf8(body) ? "content-type: text/plain;charset=utf-8\r\n" : "content-type: application/octet-stream\r\n";
}
