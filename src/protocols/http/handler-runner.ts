// Runs the fetch handler for the requests of one connection, and waits for its results.

import type { ProtocolConnection } from "../protocol.ts";
import type { Exchange } from "./exchange.ts";
import type { HttpContext } from "./http-context.ts";
import type { RequestHead } from "./request-head.ts";
import type { PreparedResponse } from "./response.ts";
import { clientGoneError } from "./response-queue.ts";
import { ServerRequest } from "./server-request.ts";

export class HandlerRunner {
  readonly #connection: ProtocolConnection;
  readonly #context: HttpContext;
  readonly #resume: () => void;

  /** @param resume called when a promise has settled, outside of the loop's calls */
  constructor(connection: ProtocolConnection, context: HttpContext, resume: () => void) {
    this.#connection = connection;
    this.#context = context;
    this.#resume = resume;
  }

  /** Calls the handler for an exchange, which gets its response now or later. */
  run(exchange: Exchange): void {
    const { application } = this.#context;
    const request = new ServerRequest(exchange.head as RequestHead, this.#connection, exchange.body);
    exchange.request = request;
    try {
      const result = application.handle(request);
      if (result instanceof Promise) this.awaitResult(exchange, result);
      else if (exchange.state === "handling") this.#prepare(exchange, result);
    } catch (error) {
      application.respondWithError(exchange, error);
    }
  }

  /** Waits for the result of a handler that was called. */
  awaitResult(exchange: Exchange, promise: Promise<unknown>): void {
    promise.then(
      (result) => this.#onResult(exchange, result),
      (error) => this.#onError(exchange, error),
    );
  }

  /** Waits for a response that is being prepared. */
  awaitResponse(exchange: Exchange, promise: Promise<PreparedResponse>): void {
    promise.then(
      (response) => this.#onResponse(exchange, response),
      (error) => {
        if (exchange.state === "handling") this.#onError(exchange, error);
      },
    );
  }

  #onResponse(exchange: Exchange, response: PreparedResponse): void {
    if (exchange.state !== "handling") return response.source?.cancel(clientGoneError());
    this.#context.updateDate();
    exchange.respond(response);
    this.#resume();
  }

  #onResult(exchange: Exchange, result: unknown): void {
    if (exchange.state !== "handling") {
      if (result instanceof Response && !result.bodyUsed) result.body?.cancel().catch(() => {});
      return;
    }
    this.#context.updateDate();
    try {
      this.#prepare(exchange, result);
    } catch (error) {
      this.#context.application.respondWithError(exchange, error);
    }
    this.#resume();
  }

  #onError(exchange: Exchange, error: unknown): void {
    const { application } = this.#context;
    if (exchange.state !== "handling") {
      // The client closed the connection. Report the error, unless that is its cause.
      if ((error as Error | undefined)?.name !== "AbortError") application.reportError(error, exchange.request);
      return;
    }
    this.#context.updateDate();
    application.respondWithError(exchange, error);
    this.#resume();
  }

  #prepare(exchange: Exchange, result: unknown): void {
    const response = this.#context.application.prepare(result);
    if (response instanceof Promise) {
      this.awaitResponse(exchange, response);
    } else if (response.source?.readFirst !== undefined && isUnread(exchange)) {
      // The stream may be made from the request's body. If so, reading its first piece starts to read that body, which
      // must be known before the response begins.
      this.awaitResponse(
        exchange,
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
