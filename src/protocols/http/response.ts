// Prepares a handler's Response for sending: header fields as text, the body as bytes if it is in memory, otherwise as a source.

import { isEncodedString, isLargeAsciiString, isStream, memorySize, recognizeString } from "./body-kind.ts";
import { type BodySource, StreamSource } from "./body-source.ts";
import { DirectSource } from "./direct-source.ts";
import { directSourceOf } from "./direct-streams.ts";
import { type FileSelection, selectFile } from "./file-response.ts";
import { directoryOf } from "./confined-file.ts";
import { type FileContent, type FileOpener, FileSource, type NeededPart, type OpenedFile } from "./file-source.ts";
import { MultipartSource } from "./multipart-source.ts";
import type { RequestHead } from "./request-head.ts";
import { reasonPhrase } from "./status-codes.ts";
import { TextSource } from "./text-source.ts";

/** A response that is ready to be serialized. */
export interface PreparedResponse {
  readonly status: number;
  readonly statusText: string;
  /** The handler's fields, without Content-Length, Transfer-Encoding and Connection (except for Upgrade). */
  readonly fields: string;
  /** The fields include a Date. */
  readonly hasDate: boolean;
  /** The handler asked for the connection to be closed afterwards. */
  readonly closes: boolean;
  /** Length of the body in bytes; -1 if it is unknown. */
  readonly length: number;
  /**
   * The Content-Length that the handler gave a response without a body, as for HEAD; -1 if none, UNKNOWN_LENGTH if the length
   * that a response to GET would have cannot be known.
   */
  readonly declaredLength: number;
  readonly body: Uint8Array | undefined;
  readonly source: BodySource | undefined;
}

/** The length that the body of a response to HEAD would have: another server's response without one, or one whose body is null. */
export const UNKNOWN_LENGTH = -2;

/** The type of a string. */
export const STRING_TYPE: string = "text/plain;charset=utf-8";
const TEXT_FIELD = `content-type: ${STRING_TYPE}\r\n`;
/** The type of bytes without a type of their own. */
export const BYTES_TYPE: string = "application/octet-stream";
const BYTES_FIELD = `content-type: ${BYTES_TYPE}\r\n`;

/** Strings of this size are encoded piece by piece. */
const MIN_SOURCE_BYTES = 65_536;

/** More than the size of any file. */
const ANY_SIZE = 2 ** 52;

/**
 * Prepares a Response. A stream is not read yet; any other body is read, or its file opened.
 *
 * @param head the request's. Without it, all of a file is sent, and large strings become bytes as well
 * @throws {TypeError} if it cannot be sent: its body was used, it is not a final response, or its file is not regular
 * @throws {FileError} if its file cannot be opened
 */
export function prepareResponse(
  response: Response,
  files: FileOpener,
  head: RequestHead | undefined,
): PreparedResponse | Promise<PreparedResponse> {
  if (response.bodyUsed) {
    throw new TypeError("fetch returned a Response that was already used; return a new one, or a clone() of it");
  }
  const { status, statusText, url } = response;
  if (status < 200) throw new TypeError(`fetch returned a Response with status ${status}, which is not a final status`);
  // oxlint-disable-next-line no-control-regex -- these are the characters that could begin another line
  if (statusText !== "" && /[^\t\x20-\x7e\x80-\xff]/.test(statusText)) {
    throw new TypeError(`fetch returned a Response whose statusText is not valid: ${JSON.stringify(statusText)}`);
  }
  const headers = readHeaders(response.headers, url);
  if (status === 205) {
    response.body?.cancel().catch(() => {});
    return prepared(response, headers, "", 0, new Uint8Array(0), undefined); // never any content: RFC 9110, 15.3.6
  }
  const size = url === "" ? memorySize(response, statusText) : 0; // another server's body may be endless
  if (size > 0) return prepareMemory(response, headers, size, head === undefined);
  if (url !== "" && response.body !== null) return prepareStream(response, headers, response.body);
  if (isStream(response, headers.contentLength))
    return prepareStream(response, headers, response.body as ReadableStream);
  const clone = headers.hasType ? undefined : (response.clone() as Response);
  return whenReady(response.blob(), (blob) => prepareBlob(response, headers, blob, clone, files, head));
}

/** Returns the type of a Blob. `blob()` gives one without a type that of a string. */
function typeOf({ type }: Blob, response: Response): string {
  return type !== STRING_TYPE || Bun.inspect(response).includes(`type: "${type}"`) ? type : "";
}

function withType(headers: Readonly<ResponseHeaders>, type: string): Readonly<ResponseHeaders> {
  return type === "" ? headers : { ...headers, fields: `${headers.fields}content-type: ${type}\r\n`, hasType: true };
}

/** Calls back with the value of a promise: immediately, if it is known. */
function whenReady<T, R>(promise: T | Promise<T>, callback: (value: T) => R | Promise<R>): R | Promise<R> {
  const value = Bun.peek(promise);
  // oxlint-disable-next-line no-callback-in-promise -- that is what it is for
  return value instanceof Promise ? value.then(callback) : callback(value as T);
}

/**
 * Prepares a body that is a string or bytes.
 *
 * @param isBodyNeeded whether large strings become bytes as well, instead of a source
 */
function prepareMemory(
  response: Response,
  headers: Readonly<ResponseHeaders>,
  size: number,
  isBodyNeeded: boolean,
): PreparedResponse | Promise<PreparedResponse> {
  const isLarge = size >= MIN_SOURCE_BYTES;
  const isAscii = isLarge && isLargeAsciiString(response, headers.hasType);
  if (isAscii && !isBodyNeeded) {
    return whenReady(response.text(), (text) =>
      prepared(response, headers, headers.hasType ? "" : TEXT_FIELD, text.length, undefined, new TextSource(text)),
    );
  }
  const isString = headers.hasType || isLarge ? undefined : recognizeString(response, size);
  return whenReady(response.bytes(), (bytes) => {
    // By the Fetch standard, a string has this type. Bytes have none, and without one, browsers would guess.
    const type = headers.hasType
      ? ""
      : (isString?.(bytes) ?? (isAscii || isEncodedString(size, bytes)))
        ? TEXT_FIELD
        : BYTES_FIELD;
    return prepared(response, headers, type, bytes.length, bytes, undefined);
  });
}

function prepareStream(
  response: Response,
  headers: Readonly<ResponseHeaders>,
  stream: ReadableStream,
): PreparedResponse {
  const direct = directSourceOf(stream);
  const source = direct === undefined ? new StreamSource(stream) : new DirectSource(stream, direct);
  return prepared(response, headers, "", -1, undefined, source);
}

/**
 * Prepares a Blob, which may be a file or empty.
 *
 * @param clone of the Response, if that has no Content-Type
 */
function prepareBlob(
  response: Response,
  headers: Readonly<ResponseHeaders>,
  blob: Blob,
  clone: Response | undefined,
  files: FileOpener,
  head: RequestHead | undefined,
): PreparedResponse | Promise<PreparedResponse> {
  const inspected = Bun.inspect(blob);
  const isFile = inspected.startsWith("FileRef");
  if (clone !== undefined) headers = withType(headers, isFile ? blob.type : typeOf(blob, clone));
  if (!isFile) {
    return whenReady(blob.bytes(), (bytes) => {
      const type = headers.hasType || bytes.length === 0 ? "" : BYTES_FIELD;
      const answer = prepared(response, headers, type, bytes.length, bytes, undefined);
      // Frameworks answer HEAD by dropping the body of what they would respond to GET, and with it its length.
      const isLengthUnknown = head?.method === "HEAD" && answer.declaredLength < 0 && response.body === null;
      return isLengthUnknown ? { ...answer, declaredLength: UNKNOWN_LENGTH } : answer;
    });
  }
  const { name } = blob as Blob & { name?: unknown };
  if (typeof name !== "string" || !inspected.startsWith(`FileRef ("${name}")`)) {
    // The file has no path, or the application has given it another name.
    const size = Number.isFinite(blob.size) ? blob.size : -1;
    return prepared(response, headers, "", size, undefined, new StreamSource(blob.stream()));
  }
  const start = Number(/^ {2}offset: (\d+)/m.exec(inspected)?.[1] ?? 0);
  const isSelectable = response.status === 200 && /^(?:GET|HEAD)$/.test(head?.method ?? "") && !headers.hasRange;
  let selected: SelectedPart | undefined;
  const select = (file: OpenedFile): NeededPart => {
    const selection = selectFile(head as RequestHead, response.headers, file);
    selected = { ...selection, file };
    const [part = { start: 0, length: 0 }, second] = selection.ranges;
    return { ...part, isSource: second !== undefined };
  };
  const opened = files.open(name, start, sliceLength(blob), isSelectable ? select : undefined, directoryOf(response));
  return whenReady(opened, (content: FileContent) => {
    const [source, body] = content instanceof FileSource ? [content, undefined] : [undefined, content];
    const whole = prepared(response, headers, "", source?.size ?? body?.length ?? 0, body, source);
    return selected === undefined ? whole : withSelection(whole, selected);
  });
}

interface SelectedPart extends FileSelection {
  readonly file: OpenedFile;
}

/**
 * Returns a response with a file as the response with what the request selects of that file, which has been opened.
 */
function withSelection(response: PreparedResponse, { status, fields, ranges, file }: SelectedPart): PreparedResponse {
  const selected = { ...response, status, fields: response.fields + fields };
  if (status === 200) return selected;
  selected.statusText = reasonPhrase(status);
  const typeLine = /^content-type: .*\r\n/m.exec(response.fields)?.[0] ?? "";
  // Without a body, the type and the length of the file say nothing.
  if (status >= 300) return { ...selected, fields: selected.fields.replace(typeLine, ""), declaredLength: -1 };
  if (ranges.length < 2 || !(response.source instanceof FileSource)) return selected;
  const source = new MultipartSource(response.source, file.start, ranges, file.size, typeLine);
  selected.fields = `${selected.fields.replace(typeLine, "")}content-type: ${source.type}\r\n`;
  return { ...selected, length: source.size, source };
}

/** Returns the length of a slice of a file, or Infinity if it extends to the end of the file. */
function sliceLength(blob: Blob): number {
  // `blob.size` would look up the file, and keep the size that it has now for later responses.
  return blob.slice(1, ANY_SIZE).size >= ANY_SIZE / 2 ? Infinity : blob.size;
}

/**
 * @param type the line of a Content-Type to add
 * @param length the length of the body in bytes; -1 if it is unknown
 */
function prepared(
  response: Response,
  headers: Readonly<ResponseHeaders>,
  type: string,
  length: number,
  body: Uint8Array | undefined,
  source: BodySource | undefined,
): PreparedResponse {
  const { status, statusText, url } = response;
  return {
    status,
    statusText: statusText === "" ? reasonPhrase(status) : statusText,
    fields: headers.fields + type,
    hasDate: headers.hasDate,
    closes: headers.closes,
    length: length < 0 ? headers.contentLength : length,
    declaredLength:
      length !== 0 ? -1 : headers.contentLength < 0 && url !== "" ? UNKNOWN_LENGTH : headers.contentLength,
    body,
    source,
  };
}

/** The header fields of a Response, without those that the server sets. */
interface ResponseHeaders {
  fields: string;
  hasDate: boolean;
  hasType: boolean;
  /** There is a Content-Range. */
  hasRange: boolean;
  closes: boolean;
  /** -1 if there is none. */
  contentLength: number;
}

const noHeaders: Readonly<ResponseHeaders> = {
  fields: "",
  hasDate: false,
  hasType: false,
  hasRange: false,
  closes: false,
  contentLength: -1,
};

function readHeaders(headers: Headers, url: string): Readonly<ResponseHeaders> {
  if (headers.count === 0) return noHeaders;
  const isDecoded = url !== "" && isDecodedByFetch(headers.get("content-encoding"));
  const read: ResponseHeaders = { ...noHeaders };
  headers.forEach((value, name) => {
    switch (name) {
      case "content-length":
        if (!isDecoded && /^\d{1,15}$/.test(value)) read.contentLength = Number(value);
        return;
      case "content-encoding":
        if (isDecoded) return;
        break;
      case "etag":
        // The tag is that of the encoded bytes: RFC 9110, 8.8.3.3.
        if (isDecoded && value.startsWith('"')) value = `W/${value}`;
        break;
      case "transfer-encoding":
      case "keep-alive":
        return;
      case "connection":
        read.closes ||= /(?:^|,)\s*close\s*(?:,|$)/i.test(value);
        // A 426 response, for example, names the protocol in Upgrade, which requires this: RFC 9110, 7.8.
        if (/(?:^|,)\s*upgrade\s*(?:,|$)/i.test(value)) read.fields += "connection: upgrade\r\n";
        return;
      case "date":
        read.hasDate = true;
        break;
      case "content-type":
        read.hasType = true;
        break;
      case "content-range":
        read.hasRange = true;
        break;
      default:
    }
    read.fields += `${name}: ${value}\r\n`;
  });
  return read;
}

/** Returns whether Bun's fetch has decoded a body with this Content-Encoding. It keeps the header field. */
function isDecodedByFetch(encoding: string | null): boolean {
  const codings = encoding?.toLowerCase().split(",") ?? [];
  const applied = codings.map((coding) => coding.trim()).filter((coding) => coding !== "identity");
  return applied.length === 1 && ["gzip", "x-gzip", "deflate", "br", "zstd"].includes(applied[0] as string);
}
