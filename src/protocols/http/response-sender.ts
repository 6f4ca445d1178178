// The response sender of one connection: sends the response to the request that is being handled.

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

export interface ResponseSenderOwner {
  /** Whether all input so far was processed, while the parser is running. */
  readonly isInputConsumed: boolean;
  /** The connection closes after a response: no further request is read. */
  onLastResponse(): void;
  /** The rest of the current request body is not needed. */
  abandonBody(): void;
  /** A streamed response was sent completely. */
  onStreamed(): void;
  /** A callback has thrown outside of the loop's calls. */
  onCallbackError(error: unknown): void;
}

export class ResponseSender {
  readonly #connection: ProtocolConnection;
  readonly #context: HttpContext;
  readonly #owner: ResponseSenderOwner;
  #exchange: Exchange | undefined;

  constructor(connection: ProtocolConnection, context: HttpContext, owner: ResponseSenderOwner) {
    this.#connection = connection;
    this.#context = context;
    this.#owner = owner;
  }

  /** The exchange whose response is next; undefined if no request is being handled. */
  get exchange(): Exchange | undefined {
    return this.#exchange;
  }

  /** Starts the next exchange. The previous one must be complete. */
  start(exchange: Exchange): void {
    if (this.#exchange === undefined) this.#context.pendingRequests++;
    this.#exchange = exchange;
  }

  /** Ends the exchange without a response: its request was upgraded. */
  release(): void {
    const exchange = this.#exchange;
    this.#clear();
    exchange?.complete();
  }

  /** Cancels the exchange, if there is one. */
  cancel(reason: Error): void {
    const exchange = this.#exchange;
    this.#clear();
    exchange?.cancel(reason);
  }

  #clear(): void {
    if (this.#exchange !== undefined) this.#context.pendingRequests--;
    this.#exchange = undefined;
  }

  /** Sends the response if it is ready. */
  sendReady(): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#connection.isFinished) return;
    if (exchange.expectation === "due") this.#sendContinue(exchange);
    if (!this.#canSend(exchange)) return;
    this.#send(exchange);
    if (exchange.state === "ready") this.#onSent(exchange); // otherwise it is streaming, or a callback has closed the connection
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
      this.#connection.writeOnce(body);
    }
  }

  async #stream(exchange: Exchange, writer: BodyWriter): Promise<void> {
    try {
      if (!(await writer.run())) return;
    } catch (error) {
      if (exchange.state !== "done") this.#failStream(exchange, writer, error);
      return;
    }
    this.#context.updateDate();
    try {
      this.#onSent(exchange);
      this.#owner.onStreamed();
    } catch (error) {
      this.#owner.onCallbackError(error);
    }
  }

  #failStream(exchange: Exchange, writer: BodyWriter, error: unknown): void {
    writer.cancel(error);
    writer.flush();
    this.#connection.abort(); // a reset tells the client that the response is incomplete
    this.#context.application.reportError(error, exchange.request, (thrown) => this.#owner.onCallbackError(thrown));
  }

  /** The response was sent completely. */
  #onSent(exchange: Exchange): void {
    this.#clear();
    exchange.complete();
    const { body, head } = exchange;
    if (exchange.closesConnection) {
      this.#owner.onLastResponse();
      // The peer sends nothing more if it announced that, and if everything it sent was received.
      const isBodyReceived = body === undefined || body.isComplete;
      this.#connection.finish(head?.isLast === true && isBodyReceived && this.#owner.isInputConsumed);
    } else if (body !== undefined && !body.isComplete) {
      body.discardWhenFull();
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
