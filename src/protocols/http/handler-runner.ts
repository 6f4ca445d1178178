// Runs the fetch handler, and waits for its results.

import type { ProtocolConnection } from "../protocol.ts";
import type { Exchange } from "./exchange.ts";
import type { HttpContext } from "./http-context.ts";
import type { RequestHead } from "./request-head.ts";
import type { PreparedResponse } from "./response.ts";
import { clientGoneError } from "./response-queue.ts";
import { ServerRequest } from "./server-request.ts";

/** The connection of an exchange. */
export interface HandlerOwner {
  readonly connection: ProtocolConnection;
  /** Called when a promise has settled, outside of the loop's calls. */
  resume(): void;
}

export class HandlerRunner {
  readonly #context: HttpContext;

  constructor(context: HttpContext) {
    this.#context = context;
  }

  /** Calls the handler for an exchange, which gets its response immediately or later. */
  run(exchange: Exchange, owner: HandlerOwner): void {
    const { application } = this.#context;
    const request = new ServerRequest(exchange.head as RequestHead, owner.connection, exchange.body);
    exchange.request = request;
    try {
      const result = application.handle(request);
      if (result instanceof Promise) this.awaitResult(exchange, owner, result);
      else if (exchange.state === "handling") this.#prepare(exchange, owner, result);
    } catch (error) {
      application.respondWithError(exchange, error);
    }
  }

  /** Waits for the result of a handler that was called. */
  awaitResult(exchange: Exchange, owner: HandlerOwner, promise: Promise<unknown>): void {
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

  #onResponse(exchange: Exchange, owner: HandlerOwner, response: PreparedResponse): void {
    if (exchange.state !== "handling") return response.source?.cancel(clientGoneError());
    this.#context.updateDate();
    exchange.respond(response);
    owner.resume();
  }

  #onResult(exchange: Exchange, owner: HandlerOwner, result: unknown): void {
    if (exchange.state !== "handling") {
      if (result instanceof Response && !result.bodyUsed) result.body?.cancel().catch(() => {});
      return;
    }
    this.#context.updateDate();
    try {
      this.#prepare(exchange, owner, result);
    } catch (error) {
      this.#context.application.respondWithError(exchange, error);
    }
    owner.resume();
  }

  #onError(exchange: Exchange, owner: HandlerOwner, error: unknown): void {
    const { application } = this.#context;
    if (exchange.state !== "handling") {
      // The client closed the connection. Report the error, unless the closing caused it.
      if ((error as Error | undefined)?.name !== "AbortError") application.reportError(error, exchange.request);
      return;
    }
    this.#context.updateDate();
    application.respondWithError(exchange, error);
    owner.resume();
  }

  #prepare(exchange: Exchange, owner: HandlerOwner, result: unknown): void {
    const response = this.#context.application.prepare(result);
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
