// Finds the route of a request: exact paths, then `:params`, then `*`, as Bun.serve does.

import { invalidValue } from "../kernel/errors.ts";

/** The handlers of one path, by method; `any` handles every method. */
export type MethodTable<Handler> = Partial<Record<string, Handler>>;

/** A route that matches a request. */
export interface RouteMatch<Handler> {
  readonly handler: Handler;
  /** The names of the parameters in the pattern. */
  readonly names: readonly string[];
  /** The segments of the path that the parameters match, still percent-encoded. */
  readonly values: readonly string[];
}

interface Route<Handler> {
  readonly names: readonly string[];
  readonly methods: MethodTable<Handler>;
}

/** One segment of the patterns. */
class Segment<Handler> {
  readonly exact: Map<string, Segment<Handler>> = new Map<string, Segment<Handler>>();
  /** The parameters at this place, the latest route's first: if several match, that is the one that Bun.serve chooses. */
  readonly params: { name: string; segment: Segment<Handler> }[] = [];
  /** The route that ends here. */
  route: Route<Handler> | undefined;
  /** The route that ends in `/*` here. */
  wildcard: Route<Handler> | undefined;
}

export class RouteTable<Handler> {
  /** Patterns without parameters and wildcards. */
  readonly #exact = new Map<string, Route<Handler>>();
  readonly #root = new Segment<Handler>();

  /**
   * Adds a route.
   *
   * @throws {RangeError} if the pattern is invalid
   */
  add(pattern: string, methods: MethodTable<Handler>): void {
    checkPattern(pattern);
    const names: string[] = [];
    const route: Route<Handler> = { names, methods };
    const parts = pattern.slice(1).split("/");
    let segment = this.#root;
    for (const [i, part] of parts.entries()) {
      if (part === "*" && i === parts.length - 1) {
        segment.wildcard ??= route;
        return;
      }
      segment = part.startsWith(":")
        ? paramSegment(segment, part.slice(1), names, pattern)
        : exactSegment(segment, part);
    }
    if (names.length === 0) this.#exact.set(pattern, route);
    else segment.route ??= route;
  }

  /**
   * Returns the route of a request; undefined if there is none.
   *
   * @param path the path of a normalized URL, without its query
   */
  match(method: string, path: string): RouteMatch<Handler> | undefined {
    const exact = this.#exact.get(path);
    const handler = exact === undefined ? undefined : handlerOf(exact, method);
    if (handler !== undefined) return { handler, names: [], values: [] };
    return find(this.#root, path, 1, method, []);
  }
}

function exactSegment<Handler>(parent: Segment<Handler>, part: string): Segment<Handler> {
  let segment = parent.exact.get(part);
  if (segment === undefined) parent.exact.set(part, (segment = new Segment()));
  return segment;
}

function paramSegment<Handler>(
  parent: Segment<Handler>,
  name: string,
  names: string[],
  pattern: string,
): Segment<Handler> {
  if (/^\d/.test(name)) throw invalidValue(`route ${quote(pattern)}: the parameter :${name} begins with a digit`);
  if (names.includes(name)) throw invalidValue(`route ${quote(pattern)}: the parameter :${name} occurs twice`);
  names.push(name);
  const known = parent.params.find((param) => param.name === name);
  if (known !== undefined) return known.segment;
  const segment = new Segment<Handler>();
  parent.params.unshift({ name, segment });
  return segment;
}

/** @throws {RangeError} if a pattern is not a path */
function checkPattern(pattern: string): void {
  if (!pattern.startsWith("/")) throw invalidValue(`route ${quote(pattern)} must start with "/"`);
  // oxlint-disable-next-line no-control-regex -- these are the ASCII characters
  if (!/^[\x00-\x7f]*$/.test(pattern)) {
    throw invalidValue(`route ${quote(pattern)} has characters that are not ASCII: write ${quote(encodeURI(pattern))}`);
  }
}

/** Searches the routes below a segment, and goes back if they end without a handler for the method. */
function find<Handler>(
  parent: Segment<Handler>,
  path: string,
  start: number,
  method: string,
  values: string[],
): RouteMatch<Handler> | undefined {
  const slash = path.indexOf("/", start);
  const part = slash < 0 ? path.slice(start) : path.slice(start, slash);
  const exact = parent.exact.get(part);
  const found = exact === undefined ? undefined : findAfter(exact, path, slash, method, values);
  if (found !== undefined) return found;
  if (part !== "") {
    for (const { segment } of parent.params) {
      values.push(part);
      const below = findAfter(segment, path, slash, method, values);
      if (below !== undefined) return below;
      values.pop();
    }
  }
  return parent.wildcard === undefined ? undefined : matchOf(parent.wildcard, method, values);
}

/** @param slash the position of the next slash; -1 if the segment is the path's last */
function findAfter<Handler>(
  segment: Segment<Handler>,
  path: string,
  slash: number,
  method: string,
  values: string[],
): RouteMatch<Handler> | undefined {
  if (slash >= 0) return find(segment, path, slash + 1, method, values);
  return segment.route === undefined ? undefined : matchOf(segment.route, method, values);
}

function matchOf<Handler>(
  route: Route<Handler>,
  method: string,
  values: readonly string[],
): RouteMatch<Handler> | undefined {
  const handler = handlerOf(route, method);
  return handler === undefined ? undefined : { handler, names: route.names, values };
}

/** HEAD is handled as GET, unless the route has a handler for it. */
function handlerOf<Handler>({ methods }: Route<Handler>, method: string): Handler | undefined {
  return methods[method] ?? (method === "HEAD" ? methods["GET"] : undefined) ?? methods["any"];
}

/**
 * Decodes a parameter's value. Bytes that are not UTF-8, and `%` without two hexadecimal digits, become U+FFFD.
 */
export function decodeParam(value: string): string {
  if (!value.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value.replace(/(?:%[\dA-Fa-f]{2})+|%.{2}|%/gs, (encoded) => {
      const bytes = /^(?:%[\dA-Fa-f]{2})+$/.test(encoded) ? encoded.slice(1).split("%") : undefined;
      if (bytes === undefined) return "\ufffd";
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
        Uint8Array.from(bytes, (byte) => Number.parseInt(byte, 16)),
      );
    });
  }
}

function quote(pattern: string): string {
  return JSON.stringify(pattern);
}
