// The response queue of one connection: sends the responses to its requests in the order of the requests.

import { Buffer } from "node:buffer";
import type { ProtocolConnection } from "../protocol.ts";
import { BodyWriter } from "./body-writer.ts";
import type { Exchange } from "./exchange.ts";
import type { HttpContext } from "./http-context.ts";
import type { PreparedResponse } from "./response.ts";
import { isBodiless, serializeHead } from "./response-head.ts";
import { SerializedResponse } from "./static-response.ts";
import { unreadBodyPolicy } from "./unread-body.ts";

const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

export interface ResponseQueueOwner {
  /** Whether all input so far was processed, while the parser is running. */
  readonly isInputConsumed: boolean;
  /** The connection closes after a response: no further request is read. */
  onLastResponse(): void;
  /** The rest of the current request body is not needed. */
  abandonBody(): void;
  /** A streamed response was sent completely. */
  onStreamed(): void;
}

export class ResponseQueue {
  readonly #connection: ProtocolConnection;
  readonly #context: HttpContext;
  readonly #owner: ResponseQueueOwner;
  readonly #exchanges: Exchange[] = [];

  constructor(connection: ProtocolConnection, context: HttpContext, owner: ResponseQueueOwner) {
    this.#connection = connection;
    this.#context = context;
    this.#owner = owner;
  }

  get length(): number {
    return this.#exchanges.length;
  }

  /** The exchange whose response is next. */
  get first(): Exchange | undefined {
    return this.#exchanges[0];
  }

  get last(): Exchange | undefined {
    return this.#exchanges[this.#exchanges.length - 1];
  }

  [Symbol.iterator](): Iterator<Exchange> {
    return this.#exchanges[Symbol.iterator]();
  }

  push(exchange: Exchange): void {
    this.#exchanges.push(exchange);
  }

  /** Cancels the last exchange and removes it. */
  cancelLast(reason: Error): void {
    this.#exchanges.pop()?.cancel(reason);
  }

  /** Cancels all exchanges and removes them. */
  cancelAll(reason: Error): void {
    for (const exchange of this.#exchanges) exchange.cancel(reason);
    this.#exchanges.length = 0;
  }

  /** Sends the responses at the front of the queue that are ready. */
  sendReady(): void {
    while (!this.#connection.isFinished) {
      const exchange = this.#exchanges[0];
      if (exchange === undefined) return;
      if (exchange.expectation === "due") this.#sendContinue(exchange);
      if (!this.#canSend(exchange)) return;
      this.#send(exchange);
      if (exchange.state === "streaming") return;
      if (exchange.state === "ready") this.#onSent(exchange); // otherwise a callback has closed the connection
    }
  }

  #sendContinue(exchange: Exchange): void {
    // If the handler's response is ready already, the body is not needed, and 100 Continue is not sent.
    const isBodyNeeded = exchange.response === undefined || !this.#context.application.hasHandler;
    exchange.expectation = isBodyNeeded ? "sent" : "expected";
    if (isBodyNeeded) this.#connection.write(CONTINUE);
  }

  #canSend(exchange: Exchange): boolean {
    if (exchange.state !== "ready") return false;
    switch (unreadBodyPolicy(exchange, this.#context.application.hasHandler)) {
      case "send":
        return true;
      case "wait":
        exchange.body?.discard();
        return false;
      case "abandon":
        exchange.closesConnection = true;
        this.#owner.abandonBody();
        return true;
    }
  }

  #send(exchange: Exchange): void {
    const { head, line } = exchange;
    const response = exchange.response as SerializedResponse | PreparedResponse;
    // Before the head is serialized: the callback may stop the server, and then the response says `Connection: close`.
    this.#context.application.reportRequest(this.#connection, head, line, response.status);
    if (exchange.state === "done") return; // the callback has closed the connection
    if (mustClose(exchange, response, this.#context.keepAlive)) exchange.closesConnection = true;
    if (exchange.expectation === "expected") exchange.expectation = "none"; // too late for 100 Continue
    if (exchange.closesConnection) this.#owner.onLastResponse();
    if (response instanceof SerializedResponse) this.#sendStatic(exchange, response);
    else this.#sendPrepared(exchange, response);
  }

  #sendStatic({ head, line, closesConnection }: Exchange, response: SerializedResponse): void {
    const field = closesConnection ? "close" : head?.minor === 0 ? "keep-alive" : "";
    const isHead = head?.method === "HEAD" || line.startsWith("HEAD ");
    this.#connection.write(response.variant(field, isHead));
  }

  #sendPrepared(exchange: Exchange, response: PreparedResponse): void {
    const { head } = exchange;
    const { source, body, length } = response;
    const isBodyOmitted = omitsBody(exchange, response);
    const dateLine = this.#context.date.line;
    const text = serializeHead(response, head, dateLine, exchange.closesConnection, isBodyOmitted);
    this.#connection.write(Buffer.from(text, "latin1"));
    if (isBodyOmitted) {
      source?.cancel(undefined);
    } else if (source !== undefined) {
      const writer = new BodyWriter(this.#connection, source, length, isChunked(exchange, response));
      exchange.startStreaming(writer);
      void this.#stream(exchange, writer);
    } else if (body !== undefined) {
      this.#connection.write(body);
    }
  }

  async #stream(exchange: Exchange, writer: BodyWriter): Promise<void> {
    try {
      if (!(await writer.run())) return;
    } catch (error) {
      if (exchange.state === "done") return;
      writer.cancel(error);
      this.#context.application.reportError(error, exchange.request);
      return this.#connection.abort(); // a reset tells the client that the response is incomplete
    }
    this.#context.updateDate();
    this.#onSent(exchange);
    this.#owner.onStreamed();
  }

  /** The response of the first exchange was sent completely. */
  #onSent(exchange: Exchange): void {
    this.#exchanges.shift();
    exchange.complete();
    const { body, head } = exchange;
    if (exchange.closesConnection) {
      this.#owner.onLastResponse();
      // The peer sends nothing more if it announced that, and if everything it sent was received.
      const isBodyReceived = body === undefined || body.isComplete;
      const isPeerDone = head?.isLast === true && isBodyReceived && this.#owner.isInputConsumed;
      this.cancelAll(clientGoneError());
      this.#connection.finish(isPeerDone);
    } else if (body !== undefined && !body.isComplete) {
      body.discard();
    }
  }
}

/** Returns whether the connection closes after this response. */
function mustClose(
  exchange: Exchange,
  response: SerializedResponse | PreparedResponse,
  isKeepAliveEnabled: boolean,
): boolean {
  if (exchange.closesConnection || !isKeepAliveEnabled) return true;
  if (exchange.expectation === "expected") return true; // without 100 Continue, the client may or may not send the body
  if (response instanceof SerializedResponse) return false;
  if (response.closes) return true;
  // A body of unknown length that is not chunked ends when the connection does.
  return response.length < 0 && !isChunked(exchange, response) && !omitsBody(exchange, response);
}

function isChunked({ head }: Exchange, response: PreparedResponse): boolean {
  return response.length < 0 && head?.minor === 1;
}

function omitsBody({ head }: Exchange, response: PreparedResponse): boolean {
  return head?.method === "HEAD" || isBodiless(response.status);
}

/** Returns the reason for aborting a request's signal and canceling a response's stream after the client disconnected. */
export const clientGoneError = (): Error => new DOMException("The client closed the connection.", "AbortError");
