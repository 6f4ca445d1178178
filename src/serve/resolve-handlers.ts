// The handlers of `serve`: fetch, error and routes, checked and translated.

import { invalidType, unknownOptions } from "../kernel/errors.ts";
import { directoryRoute, isDirectory } from "./directory-route.ts";
import { RouteTable } from "./route-table.ts";
import { fileRoute, isFile, type StaticRoute, staticRoute } from "./static-route.ts";

/** A handler of fetch or of a route. */
export type Handler = (this: unknown, request: Request, server: unknown) => unknown;

/** What a route does: calls a handler, sends a Response, or, if it is false, leaves the request to fetch. */
export type RouteValue = Handler | StaticRoute | false;

type RouteEntry = readonly [path: string, methods: Record<string, RouteValue>];

export interface HandlerOptions {
  fetch?: unknown;
  routes?: unknown;
  error?: unknown;
}

/** What `reload` replaces. */
export interface Handlers {
  readonly fetch: Handler | undefined;
  /** undefined if there are none. */
  readonly routes: RouteTable<RouteValue> | undefined;
  readonly entries: readonly RouteEntry[];
  readonly error: ((this: unknown, error: unknown) => unknown) | undefined;
}

/** The methods that a route may have handlers for. */
const METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE"];

/**
 * Checks the handlers.
 *
 * @param current the handlers to replace, if the server is running
 * @throws {TypeError} if one has the wrong type, or if nothing could respond to requests
 * @throws {RangeError} if the path of a route is invalid
 */
export function resolveHandlers({ fetch, routes, error }: HandlerOptions, current?: Handlers): Handlers {
  if (fetch !== undefined && typeof fetch !== "function") throw invalidType("fetch", "a function", fetch);
  if (error !== undefined && typeof error !== "function") throw invalidType("error", "a function", error);
  const entries = routes === undefined ? (current?.entries ?? []).flatMap(withoutResponses) : routeEntries(routes);
  const handlers: Handlers = {
    fetch: (fetch as Handler | undefined) ?? current?.fetch,
    routes: tableOf(entries),
    entries,
    error: (error as Handlers["error"]) ?? current?.error,
  };
  if (handlers.fetch === undefined && handlers.routes === undefined) {
    throw invalidType("fetch", 'a function, or "routes" must have at least one route', fetch);
  }
  return handlers;
}

/** Returns what a reload without routes keeps of a route: its handlers, but not its Responses. That is what Bun.serve does. */
function withoutResponses([path, methods]: RouteEntry): RouteEntry[] {
  const kept = Object.entries(methods).filter(([, value]) => typeof value !== "object");
  return kept.length === 0 ? [] : [[path, Object.fromEntries(kept)]];
}

function tableOf(entries: readonly RouteEntry[]): RouteTable<RouteValue> | undefined {
  if (entries.length === 0) return undefined;
  const table = new RouteTable<RouteValue>();
  for (const [path, methods] of entries) table.add(path, methods);
  return table;
}

function routeEntries(routes: unknown): RouteEntry[] {
  if (typeof routes !== "object" || routes === null) throw invalidType("routes", "an object", routes);
  return Object.entries(routes).map(([path, value]) => [
    path,
    routeMethods(`routes[${JSON.stringify(path)}]`, path, value),
  ]);
}

/** @param place names the route in errors */
function routeMethods(place: string, path: string, value: unknown): Record<string, RouteValue> {
  const any = routeValue(place, path, value);
  if (any !== undefined) return { any };
  if (isBundle(value)) {
    const remedy = "run bun build, and serve the files that it writes";
    throw unknownOptions(`${place}: only Bun.serve bundles HTML imports; ${remedy}`);
  }
  const entries = typeof value === "object" && value !== null ? Object.entries(value) : [];
  if (entries.length === 0) throw invalidRoute(place, value);
  return Object.fromEntries(
    entries.map(([method, handler]) => {
      if (!METHODS.includes(method)) throw unknownMethod(place, method);
      const resolved = routeValue(`${place}.${method}`, path, handler);
      if (resolved === undefined) throw invalidRoute(`${place}.${method}`, handler);
      return [method, resolved];
    }),
  );
}

function routeValue(place: string, path: string, value: unknown): RouteValue | undefined {
  if (value === false || typeof value === "function") return value as RouteValue;
  if (value instanceof Response) return staticRoute(value, place);
  if (isFile(value)) return fileRoute(value);
  return isDirectory(value) ? directoryRoute(value, path, place) : undefined;
}

/** Returns whether a value is what `import page from "./page.html"` gives. */
function isBundle(value: unknown): boolean {
  return Object.prototype.toString.call(value) === "[object HTMLBundle]";
}

function invalidRoute(place: string, value: unknown): TypeError {
  return invalidType(
    place,
    "a function, a Response, false, a Bun.file(), a directory { dir }, or an object of these by method",
    value,
  );
}

function unknownMethod(place: string, name: string): TypeError {
  return unknownOptions(`${place}: ${JSON.stringify(name)} is not one of the methods ${METHODS.join(", ")}`);
}
