// Runs the fetch handler and onError, and waits for their results.

import type { ProtocolConnection } from "../protocol.ts";
import { isThenable } from "./application.ts";
import { clientGoneError } from "./client-gone.ts";
import type { Exchange } from "./exchange.ts";
import { FileError } from "./file-source.ts";
import type { HttpContext } from "./http-context.ts";
import type { RequestHead } from "./request-head.ts";
import type { PreparedResponse } from "./response.ts";
import { ServerRequest } from "./server-request.ts";
import type { SerializedResponse } from "./static-response.ts";

/** The connection of an exchange. */
export interface HandlerOwner {
  readonly connection: ProtocolConnection;
  /** Called when a promise has settled, outside of the loop's calls. Does not throw. */
  resume(): void;
  /** Called when onError has thrown, or its promise was rejected, outside of the loop's calls. */
  onCallbackError(error: unknown): void;
}

export class HandlerRunner {
  readonly #context: HttpContext;

  constructor(context: HttpContext) {
    this.#context = context;
  }

  /**
   * Calls the handler for an exchange, which gets its response immediately or later.
   *
   * @throws what onError throws
   */
  run(exchange: Exchange, owner: HandlerOwner): void {
    const { application } = this.#context;
    const request = new ServerRequest(exchange.head as RequestHead, owner.connection, exchange.body);
    exchange.request = request;
    if (owner.connection.hasPeerClosed) ServerRequest.abort(request, clientGoneError());
    try {
      const result = application.handle(request);
      if (exchange.body !== undefined && ServerRequest.isReading(request)) exchange.body.startReading();
      if (result instanceof Promise) this.awaitResult(exchange, owner, result);
      else if (exchange.state === "handling") this.#prepare(exchange, owner, result);
    } catch (error) {
      if (ServerRequest.isUpgraded(request)) this.#report(exchange, owner, error);
      else this.fail(exchange, owner, error);
    }
  }

  /** Waits for the result of a handler that was called. */
  awaitResult(exchange: Exchange, owner: HandlerOwner, promise: Promise<unknown>): void {
    this.#context.onPending?.(owner.connection.fd, promise);
    promise.then(
      (result) => this.#onResult(exchange, owner, result),
      (error) => this.#onError(exchange, owner, error),
    );
  }

  /** Waits for a response that is being prepared. */
  awaitResponse(exchange: Exchange, owner: HandlerOwner, promise: Promise<PreparedResponse>): void {
    promise.then(
      (response) => this.#onResponse(exchange, owner, response),
      (error) => {
        if (exchange.state === "handling") this.#onError(exchange, owner, error);
      },
    );
  }

  /**
   * Responds to an error of the handler: with what onError returns, immediately or later, otherwise with `fallback`.
   *
   * @param fallback the default is 500, or 404 if a file does not exist
   * @throws what onError throws
   */
  fail(
    exchange: Exchange,
    owner: HandlerOwner,
    error: unknown,
    fallback: SerializedResponse = this.#fallbackFor(error),
  ): void {
    if (exchange.hasFailed) return exchange.respond(fallback); // onError failed, or its promise is still pending
    exchange.hasFailed = true;
    const result = this.#context.application.handleError(error, exchange.request);
    if (isThenable(result)) {
      result.then(
        (response) => this.#onErrorResult(exchange, owner, response, fallback),
        (thrown) => owner.onCallbackError(thrown),
      );
    } else {
      this.#respondToError(exchange, owner, result, fallback);
    }
  }

  #fallbackFor(error: unknown): SerializedResponse {
    const { failure, missingFile } = this.#context.responses;
    return error instanceof FileError && error.isNotFound ? missingFile : failure;
  }

  #onErrorResult(exchange: Exchange, owner: HandlerOwner, result: unknown, fallback: SerializedResponse): void {
    if (exchange.state !== "handling") return cancelUnused(result);
    this.#context.updateDate();
    this.#respondToError(exchange, owner, result, fallback);
    owner.resume();
  }

  /** @param result what onError has returned */
  #respondToError(exchange: Exchange, owner: HandlerOwner, result: unknown, fallback: SerializedResponse): void {
    if (!(result instanceof Response)) return exchange.respond(fallback);
    try {
      const response = this.#context.application.prepare(result, undefined);
      if (response instanceof Promise) this.awaitResponse(exchange, owner, response);
      else exchange.respond(response);
    } catch (unusable) {
      exchange.respond(fallback);
      this.#context.application.reportError(unusable, exchange.request, (thrown) => owner.onCallbackError(thrown));
    }
  }

  #onResponse(exchange: Exchange, owner: HandlerOwner, response: PreparedResponse): void {
    if (exchange.state !== "handling") return response.source?.cancel(clientGoneError());
    this.#context.updateDate();
    exchange.respond(response);
    owner.resume();
  }

  #onResult(exchange: Exchange, owner: HandlerOwner, result: unknown): void {
    if (exchange.state !== "handling") return cancelUnused(result);
    this.#context.updateDate();
    try {
      this.#prepare(exchange, owner, result);
    } catch (error) {
      return this.#onError(exchange, owner, error);
    }
    owner.resume();
  }

  #onError(exchange: Exchange, owner: HandlerOwner, error: unknown): void {
    if (exchange.state !== "handling") {
      // The request was upgraded, the client closed the connection, or the time was up. Report the error, unless the signal caused it.
      if (!exchange.hasFailed && !isAbort(error)) this.#report(exchange, owner, error);
      return;
    }
    this.#context.updateDate();
    try {
      this.fail(exchange, owner, error);
    } catch (thrown) {
      return owner.onCallbackError(thrown);
    }
    owner.resume();
  }

  /** Reports an error that cannot be answered. */
  #report(exchange: Exchange, owner: HandlerOwner, error: unknown): void {
    this.#context.application.reportError(error, exchange.request, (thrown) => owner.onCallbackError(thrown));
  }

  #prepare(exchange: Exchange, owner: HandlerOwner, result: unknown): void {
    const response = this.#context.application.prepare(result, exchange.request);
    if (response instanceof Promise) {
      this.awaitResponse(exchange, owner, response);
    } else if (response.source?.readFirst !== undefined && isUnread(exchange)) {
      // The stream may be derived from the request's body. If so, reading its first piece starts to read that body, which
      // must be known before the response begins.
      this.awaitResponse(
        exchange,
        owner,
        response.source.readFirst().then(() => response),
      );
    } else {
      exchange.respond(response);
    }
  }
}

function isUnread({ body }: Exchange): boolean {
  return body !== undefined && !body.isComplete && !body.isReadStarted;
}

function isAbort(error: unknown): boolean {
  return (error as Error | undefined)?.name === "AbortError";
}

/** Cancels the body of a Response that came too late. */
function cancelUnused(result: unknown): void {
  if (result instanceof Response && !result.bodyUsed) void result.body?.cancel().catch(() => {});
}
