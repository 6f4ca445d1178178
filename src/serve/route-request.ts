// What routes use of a Request: its path, and the properties `params` and `cookies`, which its handler finds there.

import { decodeParam, type RouteMatch } from "./route-table.ts";

const CONTEXT = Symbol("route");

type CookieMap = InstanceType<typeof Bun.CookieMap>;

/** The parameters and cookies of one request. */
class RouteContext {
  readonly params: Readonly<Record<string, string>>;
  readonly #request: Request;
  #cookies: CookieMap | undefined;

  constructor(request: Request, params: Readonly<Record<string, string>>) {
    this.#request = request;
    this.params = params;
  }

  get cookies(): CookieMap {
    return (this.#cookies ??= new Bun.CookieMap(this.#request.headers.get("cookie") ?? ""));
  }

  /** The values of Set-Cookie for the cookies that the handler has changed. */
  get changes(): readonly string[] {
    return this.#cookies?.toSetCookieHeaders() ?? [];
  }
}

interface RouteRequest extends Request {
  readonly [CONTEXT]?: RouteContext;
}

/** Adds `params` and `cookies` to a request, as in Bun's BunRequest. */
export function addRouteProperties(request: Request, { names, values }: RouteMatch<unknown>): void {
  const params = Object.fromEntries(names.map((name, i) => [name, decodeParam(values[i] as string)]));
  define(request, new RouteContext(request, params));
}

function define(request: Request, context: RouteContext): void {
  const clone = (): Request => {
    const copy = (Object.getPrototypeOf(request) as Request).clone.call(request) as Request;
    define(copy, new RouteContext(copy, context.params));
    return copy;
  };
  Object.defineProperties(request, {
    [CONTEXT]: { value: context },
    params: { get: () => context.params },
    cookies: { get: () => context.cookies },
    clone: { value: clone },
  });
}

/** Returns the values of Set-Cookie for the cookies that a route's handler has changed. */
export function changedCookies(request: Request | undefined): readonly string[] {
  return (request as RouteRequest | undefined)?.[CONTEXT]?.changes ?? [];
}

/** Adds the cookies that the handler of a request has changed to its response. */
export function addCookies(request: Request | undefined, response: Response): Response {
  for (const cookie of changedCookies(request)) response.headers.append("set-cookie", cookie);
  return response;
}

/** Returns the path of a normalized URL. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", "https://".length); // neither "http://" nor a host is shorter
  const query = url.indexOf("?", start);
  return query < 0 ? url.slice(start) : url.slice(start, query);
}
