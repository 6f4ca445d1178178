// Detection of the kind of a Response's body, without reading the body. Bun has no API for that.

import { Buffer, isAscii, isUtf8 } from "node:buffer";
import { freeMemory } from "../../kernel/free-memory.ts";
import { shallowSizeOf } from "../../kernel/jsc.ts";

// Only a body in memory and the status text add to the shallow size of a Response. The size of a Response without a body
// is measured on first use; if Bun does not behave as expected, no body counts as being in memory.
let emptyResponseBytes: number | undefined;
/** Whether a clone of a Response shares a string, but not bytes: see `isSharedString`. */
let doClonesShareStrings = false;

function measure(): number {
  const empty = shallowSizeOf(new Response(new ReadableStream(), { headers: { a: "b" }, statusText: "" }));
  const isAsExpected =
    shallowSizeOf(new Response("abc")) === empty + 3 &&
    shallowSizeOf(new Response()) === empty &&
    shallowSizeOf(new Response(null, { statusText: "ab" })) === empty + 2;
  doClonesShareStrings =
    isAsExpected &&
    shallowSizeOf(new Response("abc").clone()) === empty + 3 &&
    shallowSizeOf(new Response(new Uint8Array(3)).clone()) === empty;
  return isAsExpected ? empty : Infinity;
}

/**
 * Returns the size in memory of a body that is a string or bytes: for a string, 1 or 2 bytes per UTF-16 code unit.
 * Returns 0 for any other body.
 *
 * @param response one without a URL, which would add to its size
 */
export function memorySize(response: Response, statusText: string): number {
  return Math.max(0, shallowSizeOf(response) - bodilessBytes(statusText));
}

/** Returns the shallow size that a Response with this status text would have without a body. */
function bodilessBytes(statusText: string): number {
  return (emptyResponseBytes ??= measure()) + statusText.length;
}

/** Returns whether a body in memory, of which this is a clone, is an ASCII string. */
function isSharedString(response: Response, clone: Response): boolean {
  // The clone shares such a string. Other strings and bytes become a Blob, whose size is not part of the Response's.
  return shallowSizeOf(clone) > bodilessBytes(response.statusText);
}

/** Frees the content of a clone of a large body, which would otherwise wait for the collector. */
function freeClone(clone: Response): void {
  const bytes = Bun.peek(clone.bytes());
  if (bytes instanceof Uint8Array) freeMemory(bytes);
}

/** Returns whether these are the bytes of a string that a clone does not share, by the size that it had in memory. */
export function isEncodedString(size: number, bytes: Uint8Array): boolean {
  if (doClonesShareStrings && size !== bytes.length) return true; // bytes have their own size
  if ((doClonesShareStrings && isAscii(bytes)) || !isUtf8(bytes)) return false;
  // A UTF-16 string may have as many bytes as its UTF-8 form, as Cyrillic and Greek text does. So may bytes.
  return !doClonesShareStrings || 2 * new TextDecoder().decode(bytes).length === bytes.length;
}

/** How often a string must have been the body in succession before it is recognized by its bytes. */
const MIN_REPEATS = 8;
const MAX_REPEATED_BYTES = 4096;
/** The last string, and how often it was the body in succession. */
let repeated = Buffer.alloc(0);
let repeats = 0;

/**
 * Recognizes strings among the small bodies in memory.
 *
 * Cloning every Response would take as long as preparing it. So if a handler keeps responding with the same string, the
 * clone is omitted. The first other body of that size counts as a string if it is UTF-8, even if it is not one.
 *
 * @param size the result of `memorySize`
 * @returns a function that takes the bytes of the body, once they are read, and returns whether they are a string's
 */
export function recognizeString(response: Response, size: number): (bytes: Uint8Array) => boolean {
  const isExpected = repeats >= MIN_REPEATS && repeated.length === size;
  const clone = isExpected || !doClonesShareStrings ? undefined : (response.clone() as Response);
  const isShared = clone !== undefined && isSharedString(response, clone);
  return (bytes) => {
    if (repeated.equals(bytes) && (isExpected || isShared)) {
      repeats++;
      return true;
    }
    const isRemembered = isShared && size <= MAX_REPEATED_BYTES;
    repeated = Buffer.from(isRemembered ? bytes : []);
    repeats = isRemembered ? 1 : 0;
    return isExpected ? isUtf8(bytes) : isShared || isEncodedString(size, bytes);
  };
}

/** After a large body of bytes, only one in this many is tested for a string. */
const RARE = 16;
/** Large bodies since the last string. */
let largeBytes = 0;

/**
 * Returns whether a large body in memory is an ASCII string, as far as that is worth its cost: it takes a clone of the Response,
 * which shares a string but copies bytes.
 *
 * @param mayMiss whether false may be returned for a string
 */
export function isLargeAsciiString(response: Response, mayMiss: boolean): boolean {
  if (!doClonesShareStrings) return false;
  if (mayMiss && largeBytes > 0 && largeBytes++ % RARE !== 0) return false;
  const clone = response.clone() as Response;
  const isString = isSharedString(response, clone);
  if (!isString) freeClone(clone);
  largeBytes = isString ? 0 : largeBytes + 1;
  return isString;
}

/** Bun.serve as it was when its behavior was checked: an application may replace it, for example to monitor its servers. */
let serve: typeof Bun.serve | undefined;
let doesServeCheckRoutes = false;

/**
 * Returns whether the body is a stream that only reading can exhaust. The stream of a Blob or a file, as in
 * `new Response(response.body, response)`, is not: this function turns the body back into the Blob.
 *
 * @param contentLength the Response's Content-Length; -1 if it has none
 */
export function isStream(response: Response, contentLength: number): boolean {
  if (serve === undefined) {
    ({ serve } = Bun);
    doesServeCheckRoutes = isRefused(new Response(new ReadableStream())) && !isRefused(new Response(new Blob(["a"])));
  }
  if (!doesServeCheckRoutes) return /^ {2}ReadableStream \{/m.test(Bun.inspect(response));
  const isStream = isRefused(response);
  if (contentLength >= 0) response.headers.set("content-length", String(contentLength)); // the check removes it
  return isStream;
}

const STOP = Symbol("stop");
let isAccepted = false;

/** The second route is read if the first one is accepted. It throws, so that no server is started. */
const routes = {
  "/": undefined as unknown,
  get "/next"(): never {
    isAccepted = true;
    throw STOP;
  },
};
const serveOptions = { port: -1, routes } as unknown as Parameters<typeof Bun.serve>[0];

/**
 * Returns whether Bun.serve refuses the Response as a route because its body is a stream. It decides that without reading
 * the stream or accessing the file.
 */
function isRefused(response: Response): boolean {
  isAccepted = false;
  routes["/"] = response;
  try {
    serve?.(serveOptions);
  } catch (error) {
    // It also refuses a file that has a descriptor instead of a path.
    return !isAccepted && !/file descriptor/.test(String((error as Error | undefined)?.message));
  } finally {
    routes["/"] = undefined;
  }
  return false;
}
