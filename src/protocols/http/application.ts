// The application's callbacks: the fetch handler, onError and onRequest.

import { drainMicrotasks } from "../../kernel/jsc.ts";
import type { ProtocolConnection } from "../protocol.ts";
import { rememberDirectStreams } from "./direct-streams.ts";
import type { FileOpener } from "./file-source.ts";
import type { RequestHead } from "./request-head.ts";
import { requestInfo, type RequestInfo } from "./request-info.ts";
import { type PreparedResponse, prepareResponse } from "./response.ts";
import { ServerRequest } from "./server-request.ts";

/** Thrown if a handler returns something other than a Response. */
export class NotAResponseError extends TypeError {
  constructor(result: unknown) {
    super(`fetch must return a Response; it returned ${result === null ? "null" : typeof result}`);
  }
}

export interface ApplicationCallbacks {
  fetch: ((request: Request) => unknown) | undefined;
  onRequest: ((request: RequestInfo) => void) | undefined;
  onError: ((error: unknown, request: Request | undefined) => unknown) | undefined;
}

export class Application {
  /** Whether requests are answered by a fetch handler, or by a static response. */
  readonly hasHandler: boolean;
  /** Whether `reportRequest` has a callback to call. */
  readonly hasRequestCallback: boolean;
  readonly #callbacks: ApplicationCallbacks;
  readonly #files: FileOpener;

  constructor(callbacks: ApplicationCallbacks, files: FileOpener) {
    this.hasHandler = callbacks.fetch !== undefined;
    this.hasRequestCallback = callbacks.onRequest !== undefined;
    this.#callbacks = callbacks;
    if (this.hasHandler) rememberDirectStreams();
    this.#files = files;
  }

  /**
   * Calls the fetch handler.
   *
   * @returns the handler's result; if that is a promise that is still pending or was rejected, the promise
   */
  handle(request: ServerRequest): unknown {
    const fetch = this.#callbacks.fetch as (request: Request) => unknown;
    const result = fetch(ServerRequest.forHandler(request));
    if (result instanceof Response) return result;
    if (result instanceof Promise) return ifFulfilled(result);
    return isThenable(result) ? Promise.resolve(result) : result;
  }

  /** Runs microtasks, and returns the value of a handler's promise if it is fulfilled then, otherwise the promise. */
  settle(promise: Promise<unknown>): unknown {
    drainMicrotasks();
    return ifFulfilled(promise);
  }

  /**
   * Prepares a handler's result for sending.
   *
   * @param request the request that it responds to. If it is undefined, because the result is that of onError, all of a file is sent
   * @throws {NotAResponseError} if it is not a Response
   * @throws {TypeError} if it is one that cannot be sent
   */
  prepare(result: unknown, request: ServerRequest | undefined): PreparedResponse | Promise<PreparedResponse> {
    const failure = request === undefined ? undefined : ServerRequest.upgradeFailureOf(request);
    if (failure !== undefined && (failure.isFinal || result === undefined)) {
      return prepareResponse(failure.response, this.#files, undefined);
    }
    if (result instanceof Response) {
      return prepareResponse(result, this.#files, request === undefined ? undefined : ServerRequest.headOf(request));
    }
    throw new NotAResponseError(result);
  }

  /**
   * Calls onError.
   *
   * @returns its result: a Response, a promise, or anything else if it has no response
   * @throws what onError throws
   */
  handleError(error: unknown, request: ServerRequest | undefined): unknown {
    return this.#callbacks.onError?.(error, request === undefined ? undefined : ServerRequest.forHandler(request));
  }

  /**
   * Calls onError for an error that it cannot answer, because a response has begun or the client has left.
   *
   * @param onThrown receives what onError throws, or what its promise rejects with
   */
  reportError(failure: unknown, request: ServerRequest | undefined, onThrown: (thrown: unknown) => void): void {
    try {
      const result = this.handleError(failure, request);
      if (isThenable(result)) result.then(undefined, onThrown);
    } catch (thrown) {
      onThrown(thrown);
    }
  }

  /**
   * Calls onRequest for a request that is about to be answered.
   *
   * @param line the first line of the input, if there is no head
   */
  reportRequest(connection: ProtocolConnection, head: RequestHead | undefined, line: string, status: number): void {
    if (this.#callbacks.onRequest === undefined) return;
    const { line: requestLine, method, target, version } = head ?? requestInfo(line);
    this.#callbacks.onRequest({ line: requestLine, method, target, version, status, peer: connection.peer });
  }
}

function ifFulfilled(promise: Promise<unknown>): unknown {
  return Bun.peek.status(promise) === "fulfilled" ? Bun.peek(promise) : promise;
}

/** Returns whether a value has a method `then`. */
export function isThenable(result: unknown): result is PromiseLike<unknown> {
  return typeof (result as PromiseLike<unknown> | null | undefined)?.then === "function";
}
