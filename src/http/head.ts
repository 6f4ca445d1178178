// The head of a request, as far as a server with one reply needs it: where it ends, and whether another may follow.

import { Buffer } from "node:buffer";

const LF = 10;
const CR = 13;

/** A request's first line and what follows from its head. */
export interface RequestHead {
  /** The first line as it came, each byte a character. */
  readonly line: string;
  readonly method: string;
  readonly target: string;
  /** `"HTTP/1.1"`; `""` where the line has none. */
  readonly version: string;
  /** The connection may stay open for another request. */
  readonly keepAlive: boolean;
  /** What most requests are: HTTP/1.1, not HEAD, and the connection stays open. */
  readonly isPlain: boolean;
  /** The client said that this is its last request. */
  readonly isLast: boolean;
}

/**
 * Find the end of a head: `\n\n` or `\n\r\n`, the document's rule.
 *
 * @param from where to start, at least; two bytes before what is new is enough
 * @returns the position behind it, or -1
 */
export function findHeadEnd(bytes: Uint8Array, from: number, length: number): number {
  for (let i = from; i < length - 1; i++) {
    if (bytes[i] !== LF) continue;
    if (bytes[i + 1] === LF) return i + 2;
    if (bytes[i + 1] === CR && i + 2 < length && bytes[i + 2] === LF) return i + 3;
  }
  return -1;
}

// A request that another can follow: a method, a target, a version that is known.
const requestLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/1\.([01])\r?$/;
// What announces a body, or bytes of another protocol: the next request's place is not known then.
const bodyField = /^(?:content-length[ \t]*:(?![ \t]*0[ \t]*\r?$)|transfer-encoding[ \t]*:|upgrade[ \t]*:)/im;
const connectionField = /^connection[ \t]*:(.*)$/gim;

/** Read a head. Anything that is not plainly a request without a body is answered as the last one. */
export function parseHead(bytes: Uint8Array): RequestHead {
  // Each byte a character, which TextDecoder's "latin1" is not; without empty lines before it: RFC 9112, 2.2.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString("latin1")
    .replace(/^[\r\n]+/, "");
  const end = text.includes("\n") ? text.indexOf("\n") : text.length;
  const match = requestLine.exec(text.slice(0, end));
  if (match === null) {
    const line = text.slice(0, end).replace(/\r$/, "");
    const [method = "", target = ""] = line.split(" ", 2);
    return { line, method, target, version: "", keepAlive: false, isPlain: false, isLast: false };
  }
  const [, method = "", target = "", minor] = match;
  const fields = text.slice(end + 1);
  const options = new Set(
    [...fields.matchAll(connectionField)].flatMap(([, value = ""]) =>
      value.split(",").map((option) => option.trim().toLowerCase()),
    ),
  );
  const isLast = options.has("close");
  const wantsMore = minor === "1" ? !isLast : options.has("keep-alive") && !isLast;
  const hasBody = method === "CONNECT" || bodyField.test(fields);
  return {
    line: `${method} ${target} HTTP/1.${minor}`,
    method,
    target,
    version: `HTTP/1.${minor}`,
    keepAlive: wantsMore && !hasBody,
    isPlain: wantsMore && !hasBody && minor === "1" && method !== "HEAD",
    isLast: isLast && !hasBody,
  };
}
