// Dispatches the requests of an app with Bun.serve's options to its routes, its fetch handler and its error handler.

import { invalidValue } from "../kernel/errors.ts";
import { isThenable, NotAResponseError } from "../protocols/http/application.ts";
import type { TlsOptions } from "../protocols/tls/tls-options.ts";
import { loadWebSocketOptions } from "../server/optional-protocols.ts";
import type { EpollServerOptions } from "../server/options.ts";
import type { EpollServer } from "../server/server.ts";
import { AppServer } from "./app-server.ts";
import { developmentPage } from "./development-page.ts";
import { type Handlers, resolveHandlers } from "./resolve-handlers.ts";
import {
  type GivenOptions,
  givenOptions,
  portNumber,
  resolveServeOptions,
  type ServeSettings,
} from "./resolve-serve-options.ts";
import { addCookies, addRouteProperties, pathOf } from "./route-request.ts";
import type { StaticRoute } from "./static-route.ts";

/** Receives the errors that the app does not handle. */
export type ErrorReporter = (error: unknown, request: Request | undefined) => void;

export class ServeApp {
  /** The options of the EpollServer that serves the app. */
  readonly options: EpollServerOptions;
  readonly settings: ServeSettings;
  /** The server object that the handlers receive. */
  readonly server: AppServer;
  readonly #report: ErrorReporter;
  readonly #onError: EpollServerOptions["onError"];
  #handlers: Handlers;
  /** Inherits everything from the `websocket` option, which reload can replace. */
  readonly #webSocketHandlers: object | undefined;
  /** The static routes of requests whose file may not be there. */
  readonly #fileRoutes = new WeakMap<Request, StaticRoute>();

  /**
   * @param options the options of `serve`
   * @param report called for errors that neither `error` nor `onError` handles
   * @param defaults options that differ from Bun.serve's defaults
   * @throws {TypeError} if options are unknown, not supported, exclude each other, or have the wrong type
   * @throws {RangeError} if a value is out of range
   */
  constructor(options: unknown, report: ErrorReporter, defaults: GivenOptions = {}) {
    const given = { ...defaults, ...givenOptions(options) };
    this.settings = resolveServeOptions(given);
    this.#handlers = resolveHandlers(given);
    this.#report = report;
    this.#onError = this.settings.options.onError;
    this.server = new AppServer(this, this.settings.options.hostname !== undefined);
    const { websocket } = this.settings.options;
    this.#webSocketHandlers = websocket === undefined ? undefined : (Object.create(websocket) as object);
    this.options = {
      ...this.settings.options,
      websocket: this.#webSocketHandlers,
      fetch: (request, server) => {
        this.server.attach(server as EpollServer);
        return this.#handle(request) as Response;
      },
      onError: (error, request) => this.#handleError(error, request),
    };
  }

  get hasWebSockets(): boolean {
    return this.#webSocketHandlers !== undefined;
  }

  /**
   * Replaces the handlers and the certificates, as far as they are given. All other options keep their values.
   *
   * @param reloadTls replaces the certificates
   * @throws {TypeError} as the constructor does
   */
  reload(options: unknown, reloadTls: (tls: TlsOptions) => void): void {
    const given: GivenOptions = givenOptions(options);
    if (given.port !== undefined && given.port !== "") portNumber(given.port);
    const handlers = resolveHandlers(given, this.#handlers);
    if (given.tls !== undefined && given.tls !== false) reloadTls(given.tls as TlsOptions); // first: it throws if a value is not valid
    if (given.websocket !== undefined) this.#replaceWebSocketHandlers(given.websocket);
    this.#handlers = handlers;
  }

  #replaceWebSocketHandlers(websocket: unknown): void {
    if (this.#webSocketHandlers === undefined) {
      throw invalidValue("reload cannot add websocket to a server that was started without it");
    }
    loadWebSocketOptions().resolveWebSocketOptions(websocket); // checks the handlers
    Object.setPrototypeOf(this.#webSocketHandlers, websocket as object);
  }

  /**
   * Calls the fetch handler.
   *
   * @throws {TypeError} if there is none
   */
  callFetch(request: Request): unknown {
    if (this.#handlers.fetch === undefined) throw new TypeError("fetch() requires the server to have a fetch handler");
    return this.#handlers.fetch.call(this.server, request, this.server);
  }

  #handle(request: Request): unknown {
    const { routes } = this.#handlers;
    const match = routes?.match(request.method, pathOf(request.url));
    if (match === undefined || match.handler === false) return this.#handleUnrouted(request);
    const { handler } = match;
    if (typeof handler === "object") return this.#respondStatically(handler, request);
    addRouteProperties(request, match);
    const result = handler.call(this.server, request, this.server);
    if (result instanceof Response) return addCookies(request, result);
    return isThenable(result) ? result.then((response) => withCookies(request, response)) : result;
  }

  /** Handles a request that has no route. */
  #handleUnrouted(request: Request): unknown {
    const { fetch } = this.#handlers;
    return fetch === undefined ? new Response(null, { status: 404 }) : fetch.call(this.server, request, this.server);
  }

  #respondStatically(route: StaticRoute, request: Request): Response | Promise<Response> {
    if (route.onFileError !== undefined) this.#fileRoutes.set(request, route);
    return route.respond(request);
  }

  /** Called when a handler throws or rejects, takes too long, or returns no Response, and when a body fails. */
  #handleError(failure: unknown, request: Request | undefined): Response | void | Promise<Response | void> {
    const routed = request === undefined ? undefined : this.#handleFileError(failure, request);
    if (routed !== undefined) return routed;
    if (failure instanceof NotAResponseError) {
      this.#reportError(failure, request);
      return new Response(null, { status: 204 });
    }
    const handler = this.#handlers.error;
    if (handler === undefined) return this.#failureFor(failure, request);
    let result: unknown;
    try {
      result = handler.call(this.server, failure);
    } catch (thrown) {
      return this.#failureFor(thrown, request);
    }
    if (!isThenable(result)) return this.#errorResponse(result, failure, request);
    const response = result.then(
      (value) => this.#errorResponse(value, failure, request),
      (thrown) => this.#failureFor(thrown, request),
    );
    return response as Promise<Response | void>;
  }

  /** Handles the error of a static route whose file cannot be opened; returns undefined if that is not the case. */
  #handleFileError(failure: unknown, request: Request): Response | Promise<Response> | undefined {
    const result = this.#fileRoutes.get(request)?.onFileError?.(failure, request);
    if (result === undefined) return undefined;
    this.#fileRoutes.delete(request);
    return result === "no-route" ? (this.#handleUnrouted(request) as Response | Promise<Response>) : result;
  }

  /** @param result what the error handler has returned */
  #errorResponse(
    result: unknown,
    error: unknown,
    request: Request | undefined,
  ): Response | void | Promise<Response | void> {
    return result instanceof Response ? addCookies(request, result) : this.#failureFor(error, request);
  }

  /** Reports an error that the app has not handled, and returns the response; nothing for the server's own. */
  #failureFor(error: unknown, request: Request | undefined): Response | void | Promise<Response | void> {
    if (this.#onError !== undefined) return this.#onError(error, request);
    this.#report(error, request);
    if (this.settings.isDevelopment && !isTimeout(error)) return addCookies(request, developmentPage(error));
  }

  #reportError(error: unknown, request: Request | undefined): void {
    if (this.#onError === undefined) this.#report(error, request);
    else void this.#onError(error, request);
  }
}

function withCookies(request: Request, response: unknown): unknown {
  return response instanceof Response ? addCookies(request, response) : response;
}

/** The server itself responds to a timeout, with 503. */
function isTimeout(error: unknown): boolean {
  return (error as Error | undefined)?.name === "TimeoutError";
}
