// Routes that are directories: send their files, and `index.html` for a directory.

import { Buffer } from "node:buffer";
import { resolve } from "node:path";
import { EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR } from "../kernel/errno.ts";
import { invalidType, invalidValue, unknownOptions } from "../kernel/errors.ts";
import { nodeFs } from "../kernel/node-fs.ts";
import { confinedResponse } from "../protocols/http/confined-file.ts";
import { FileError, NotRegularFileError } from "../protocols/http/file-source.ts";
import { pathOf } from "./route-request.ts";
import type { StaticRoute } from "./static-route.ts";

const INDEX = "index.html";
/** PATH_MAX, which includes the NUL at the end. Bun.file() throws if a path is longer. */
const MAX_PATH_BYTES = 4095;
/** Errors that are due to the path. Others, such as EMFILE, are errors of the server. */
const UNAVAILABLE: ReadonlySet<number> = new Set([ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, EACCES]);

/** Returns whether the value of a route is a directory. */
export function isDirectory(value: unknown): value is { dir: unknown } {
  return typeof value === "object" && value !== null && "dir" in value;
}

/**
 * Returns the route of a directory.
 *
 * @param pattern the path of the route, which ends in `/*`
 * @param place names the route in errors
 * @throws {TypeError} if an option has the wrong type, or is unknown
 * @throws {RangeError} if the pattern cannot be that of a directory
 * @throws {ErrnoError} ENOENT, ENOTDIR, … if there is no such directory
 */
export function directoryRoute(
  options: { dir: unknown; statCache?: unknown },
  pattern: string,
  place: string,
): StaticRoute {
  const { dir, statCache } = options;
  if (typeof dir !== "string") throw invalidType(`${place}.dir`, "the path of a directory", dir);
  if (statCache !== undefined && typeof statCache !== "boolean") {
    throw invalidType(`${place}.statCache`, "a boolean", statCache);
  }
  const unknown = Object.keys(options).filter((name) => name !== "dir" && name !== "statCache");
  if (unknown.length > 0) throw unknownOptions(`${place} has unknown properties: ${unknown.join(", ")}; it takes dir`);
  if (!pattern.endsWith("/*")) throw invalidValue(`${place}: the path of a directory must end in "/*"`);
  if (pattern.includes("/:")) {
    throw invalidValue(
      `${place}: the path of a directory cannot have parameters; use a handler that responds with Bun.file(path)`,
    );
  }
  return new DirectoryRoute(existingDirectory(dir), pattern.slice(0, -1));
}

/** Returns the absolute path of a directory. @throws {ErrnoError} if there is none */
function existingDirectory(dir: string): string {
  const path = resolve(dir);
  const stat = nodeFs().statSync(path, { throwIfNoEntry: false });
  if (dir === "" || stat === undefined) throw new FileError(ENOENT, "open", dir);
  if (!stat.isDirectory()) throw new FileError(ENOTDIR, "open", dir);
  return path;
}

class DirectoryRoute implements StaticRoute {
  readonly #directory: string;
  readonly #prefix: string;

  constructor(directory: string, prefix: string) {
    this.#directory = directory;
    this.#prefix = prefix;
  }

  respond(request: Request): Response {
    const relative = filePath(pathOf(request.url).slice(this.#prefix.length));
    const path = `${this.#directory}/${relative}`;
    if (relative === undefined || Buffer.byteLength(path) > MAX_PATH_BYTES) return notFound();
    return confinedResponse(Bun.file(path), this.#directory);
  }

  onFileError(error: unknown, { url }: Request): Response | undefined {
    if (error instanceof NotRegularFileError) return error.isDirectory ? redirectInto(url) : notFound();
    return error instanceof FileError && UNAVAILABLE.has(-error.errno) ? notFound() : undefined;
  }
}

const notFound = (): Response => new Response(null, { status: 404, headers: { "Content-Length": "0" } });

/** Returns the response to a request of a directory whose path does not end in a slash: relative links would be wrong. */
function redirectInto(url: string): Response {
  const path = pathOf(url);
  if (path.endsWith("/")) return notFound(); // index.html is a directory
  return new Response(null, { status: 301, headers: { Location: `${path}/${new URL(url).search}` } });
}

/** What a segment of a path may contain without encoding: RFC 3986, 3.3. */
const LITERAL = /[\w\-.~!$&'()*+,;=:@/]/;

/** Returns whether nothing is encoded without need: otherwise a file would have further paths, which other routes do not match. */
function isCanonical(segment: string): boolean {
  const codes = segment.match(/%[\dA-Fa-f]{2}/g) ?? [];
  return !codes.some((code) => LITERAL.test(String.fromCharCode(Number.parseInt(code.slice(1), 16))));
}

/** Returns the path of a file in the directory; undefined if it is not in the one form that a path has. */
function filePath(encoded: string): string | undefined {
  const parts = encoded.split("/");
  if (parts.at(-1) === "") parts[parts.length - 1] = INDEX;
  if (parts.some((part) => part === "" || part === "." || part === ".." || !isCanonical(part))) return undefined;
  try {
    const path = decodeURIComponent(parts.join("/"));
    return path.includes("\0") ? undefined : path;
  } catch {
    return undefined; // not UTF-8
  }
}
