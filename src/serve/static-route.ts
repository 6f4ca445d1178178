// Routes that are Responses: sent to every request of their path, with an ETag if their body is in memory.

import { invalidValue } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { isStream, memorySize, recognizeString } from "../protocols/http/body-kind.ts";
import { FileError, FileOpener } from "../protocols/http/file-source.ts";
import { BYTES_TYPE, type PreparedResponse, prepareResponse, STRING_TYPE } from "../protocols/http/response.ts";

/** Responds to a request without calling the application. */
export interface StaticRoute {
  respond(request: Request): Response | Promise<Response>;
  /**
   * For a route with a file: returns the response if it cannot be opened; `"no-route"` if the request is handled as if there were no
   * route; undefined if the error is handled like that of a handler.
   */
  onFileError?(error: unknown, request: Request): Response | "no-route" | undefined;
}

/** The routes of Responses: the same Response may be used several times. */
const routes = new WeakMap<Response, StaticRoute>();

/**
 * Returns the route of a Response, whose body may be anything but a stream.
 *
 * @param place names the route in errors
 * @throws {RangeError} if the body is a stream, or was used
 */
export function staticRoute(response: Response, place: string): StaticRoute {
  let route = routes.get(response);
  if (route === undefined) routes.set(response, (route = createRoute(response, place)));
  return route;
}

function createRoute(response: Response, place: string): StaticRoute {
  if (response.bodyUsed) throw invalidValue(`${place}: the body of the Response was already used`);
  if (memorySize(response, response.statusText) === 0) {
    if (isStream(response, Number(response.headers.get("content-length") ?? -1))) {
      throw invalidValue(
        `${place}: the body of the Response is a stream, which can be sent only once; use a handler that returns a new one`,
      );
    }
    if (isFile(Bun.peek((response.clone() as Response).blob()))) return new FileRoute(response);
  }
  return new MemoryRoute(response);
}

/** Returns the route of a file. */
export function fileRoute(file: Blob): StaticRoute {
  return new FileRoute(new Response(file));
}

/** Returns whether a value is the result of `Bun.file()`. */
export function isFile(value: unknown): value is Blob {
  return value instanceof Blob && Bun.inspect(value).startsWith("FileRef");
}

class FileRoute implements StaticRoute {
  readonly #response: Response;

  constructor(response: Response) {
    this.#response = response;
  }

  respond(): Response {
    return this.#response.clone() as Response;
  }

  onFileError(error: unknown): "no-route" | undefined {
    return error instanceof FileError && error.isNotFound ? "no-route" : undefined;
  }
}

class MemoryRoute implements StaticRoute {
  #snapshot: Snapshot | Promise<Snapshot>;

  constructor(response: Response) {
    const size = memorySize(response, response.statusText);
    // Before the Response is cloned, which hides whether its body is a string.
    const isString = size > 0 ? recognizeString(response, size) : (): boolean => false;
    const prepared = prepareResponse(response.clone() as Response, new FileOpener(syscalls()), undefined);
    if (prepared instanceof Promise) {
      this.#snapshot = prepared.then((result) => (this.#snapshot = new Snapshot(result, isString)));
    } else {
      this.#snapshot = new Snapshot(prepared, isString);
    }
  }

  respond(request: Request): Response | Promise<Response> {
    const snapshot = this.#snapshot;
    return snapshot instanceof Snapshot ? snapshot.respond(request) : snapshot.then((one) => one.respond(request));
  }
}

/** A Response's bytes and header fields. */
class Snapshot {
  readonly #bytes: Uint8Array<ArrayBuffer> | null;
  readonly #init: { status: number; statusText: string; headers: Headers };
  readonly #etag: string | null;

  /** @param isString whether the bytes are those of a string */
  constructor({ status, statusText, fields, body }: PreparedResponse, isString: (bytes: Uint8Array) => boolean) {
    this.#bytes = body === undefined || body.length === 0 ? null : new Uint8Array(body);
    const headers = new Headers(
      fields
        .split("\r\n")
        .slice(0, -1)
        .map((field): [string, string] => [field.slice(0, field.indexOf(":")), field.slice(field.indexOf(":") + 2)]),
    );
    if (headers.get("content-type") === BYTES_TYPE && this.#bytes !== null && isString(this.#bytes)) {
      headers.set("content-type", STRING_TYPE);
    }
    if (!headers.has("etag") && this.#bytes !== null) {
      headers.set("etag", `"${Bun.hash.xxHash64(this.#bytes).toString(16).padStart(16, "0")}"`);
    }
    this.#etag = headers.get("etag");
    this.#init = { status, statusText, headers };
  }

  respond({ method, headers }: Request): Response {
    const isUnchanged =
      this.#etag !== null &&
      this.#init.status === 200 &&
      (method === "GET" || method === "HEAD") &&
      matchesTag(headers.get("if-none-match"), this.#etag);
    if (isUnchanged) return new Response(null, { status: 304, headers: this.#init.headers });
    return new Response(this.#bytes, this.#init);
  }
}

/** Compares weakly, as If-None-Match requires: RFC 9110, 13.1.2. */
function matchesTag(field: string | null, etag: string): boolean {
  if (field === null) return false;
  if (field.trim() === "*") return true;
  const opaque = etag.replace(/^W\//, "");
  return field.split(",").some((tag) => tag.trim().replace(/^W\//, "") === opaque);
}
