// The HTTP state of a connection that needs more than the fast path: bodies, asynchronous handlers, partial heads.

import { Buffer } from "node:buffer";
import type { Phase, ProtocolConnection } from "../protocol.ts";
import { HIGH_WATER_MARK } from "./buffer-sizes.ts";
import { Exchange } from "./exchange.ts";
import type { SlowPath } from "./fast-path.ts";
import type { HandlerOwner, HandlerRunner } from "./handler-runner.ts";
import type { HttpContext, RequestReader, WaitingConnection } from "./http-context.ts";
import type { HttpState, UpgradedState } from "./http-state.ts";
import type { RejectionReason } from "./rejection.ts";
import type { RequestHead } from "./request-head.ts";
import { RequestInput, type RequestInputOwner } from "./request-input.ts";
import type { PreparedResponse } from "./response.ts";
import { clientGoneError } from "./client-gone.ts";
import { ResponseSender, type ResponseSenderOwner } from "./response-sender.ts";
import { ServerRequest } from "./server-request.ts";
import { SerializedResponse } from "./static-response.ts";

/** How much of a malformed first line is reported to onRequest. */
const MAX_LINE_BYTES = 8_192;

/**
 * Connects the parts of an HTTP connection: `RequestInput` parses requests, `HandlerRunner` calls the handler, and
 * `ResponseSender` sends the responses. Requests are handled one after another. See docs/http-connection.md.
 */
export class HttpConnection
  implements HandlerOwner, HttpState, RequestInputOwner, ResponseSenderOwner, SlowPath, WaitingConnection
{
  readonly connection: ProtocolConnection;
  readonly #context: HttpContext;
  readonly #input: RequestInput;
  readonly #handlers: HandlerRunner;
  readonly #responses: ResponseSender;
  /** The protocol that a request has changed to: it handles the connection from now on. */
  #successor: UpgradedState | undefined;

  constructor(connection: ProtocolConnection, context: HttpContext, reader: RequestReader, handlers: HandlerRunner) {
    this.connection = connection;
    this.#context = context;
    this.#input = new RequestInput(connection, context, reader, this);
    this.#handlers = handlers;
    this.#responses = new ResponseSender(connection, context, this);
  }

  // ---- events of the loop ----

  receive(bytes: Buffer, start: number, end: number): void {
    this.#input.receive(bytes, start, end);
    this.#update();
  }

  end(): void {
    const input = this.#input;
    input.end();
    // An incomplete request is malformed: RFC 9112, 8.
    if (input.body !== undefined) this.#rejectBody("bad-request", clientGoneError());
    else if (input.hasBuffered && !this.mustWaitForResponses) this.onInvalidHead("bad-request", input.buffered);
    this.peerClosed();
  }

  /**
   * The client has closed its side. It may still read the response, which is therefore sent, within a time limit. It may also
   * have left, so the signal aborts.
   */
  peerClosed(): void {
    const request = this.#responses.exchange?.request;
    if (request !== undefined) ServerRequest.abort(request, clientGoneError());
    this.#update();
  }

  drain(): void {
    this.#responses.exchange?.writer?.onDrain();
    this.#responses.sendReady();
    this.#input.parseBuffer();
    this.#update();
  }

  timeout(): void {
    const input = this.#input;
    const { phase } = this.connection;
    if (phase === "handler" || phase === "streaming") this.#onHandlerTimeout();
    else if (input.body !== undefined) this.onInvalidBody("body-timeout");
    else if (input.hasBuffered) this.onInvalidHead("header-timeout", input.buffered);
    else this.connection.finish(false);
    this.#update();
  }

  closed(): void {
    const reason = clientGoneError();
    this.#context.waiting.delete(this);
    this.#input.stop(reason);
    this.#responses.cancel(reason);
  }

  /** Fails a handler or stream that waits for a timer or I/O, which cannot complete while `run()` blocks Bun's event loop. */
  failBlockedRequests(): boolean {
    const { exchange } = this.#responses;
    if (exchange?.isBlocked !== true) return false;
    if (exchange.state === "streaming") {
      this.connection.abort();
      this.#context.application.reportError(blockedError(), exchange.request, (thrown) => this.onCallbackError(thrown));
    } else {
      this.#attempt(() => this.#handlers.fail(exchange, this, blockedError()));
      this.resume();
    }
    return true;
  }

  #onHandlerTimeout(): void {
    const { exchange } = this.#responses;
    if (exchange === undefined) return this.connection.finish(false);
    const error = new DOMException("The request was not answered within handlerTimeoutMs.", "TimeoutError");
    if (exchange.request !== undefined) ServerRequest.abort(exchange.request, error);
    if (exchange.state === "streaming") {
      this.connection.abort(); // only a reset tells the client that the response is not complete
      this.#context.application.reportError(error, exchange.request, (thrown) => this.onCallbackError(thrown));
    } else {
      exchange.closesConnection = true;
      this.#input.stop(error);
      this.#handlers.fail(exchange, this, error, this.#context.reject("handler-timeout"));
      this.#responses.sendReady();
    }
  }

  // ---- exchanges that the fast path hands over ----

  addReady(exchange: Exchange): void {
    this.#add(exchange);
    this.#responses.sendReady();
    this.#update();
  }

  addFailed(exchange: Exchange, error: unknown): void {
    this.#add(exchange);
    this.#handlers.fail(exchange, this, error);
    this.#responses.sendReady();
    this.#update();
  }

  addPending(exchange: Exchange, result: Promise<unknown>): void {
    this.#add(exchange);
    this.#handlers.awaitResult(exchange, this, result);
    this.#update();
  }

  addPreparing(exchange: Exchange, response: Promise<PreparedResponse>): void {
    this.#add(exchange);
    this.#handlers.awaitResponse(exchange, this, response);
    this.#update();
  }

  #add(exchange: Exchange): void {
    this.#responses.start(exchange);
    if (exchange.closesConnection) this.#input.readNoMoreRequests();
    if (this.connection.hasPeerClosed && exchange.request !== undefined) {
      ServerRequest.abort(exchange.request, clientGoneError());
    }
  }

  // ---- the change to another protocol ----

  /** Returns whether the handler of a request has not responded yet. */
  isHandling(request: ServerRequest): boolean {
    const { exchange } = this.#responses;
    return exchange?.request === request && exchange.state === "handling" && !exchange.hasFailed;
  }

  /** Leaves the connection to another protocol, which gets the rest of the input. */
  upgrade(open: () => UpgradedState): void {
    const input = this.#input;
    input.upgrade();
    this.#responses.release();
    this.#context.waiting.delete(this);
    this.#successor = open();
    if (!input.isParsing && input.hasBuffered) this.#successor.receiveEarly(input.takeBuffered());
  }

  #handOver(successor: UpgradedState): void {
    if (this.#input.isParsing || !this.#input.hasBuffered) return;
    const rest = this.#input.takeBuffered();
    successor.receive(rest, 0, rest.length);
  }

  // ---- events of the input ----

  get hasExchange(): boolean {
    return this.#responses.exchange !== undefined;
  }

  get mustWaitForResponses(): boolean {
    if (this.connection.pending >= HIGH_WATER_MARK) return true;
    return this.#input.body === undefined && this.hasExchange;
  }

  onHead(head: RequestHead): void {
    const connection = this.connection;
    const input = this.#input;
    const { limits, application, responses, keepAlive } = this.#context;
    connection.messages++;
    this.#context.requests++;
    if (head.bodyLength > limits.maxBodyBytes) return this.#rejectRequest("body-too-large", head);
    if (this.#context.budget.isExceeded) return this.#rejectRequest("overloaded", head);
    const body = head.bodyLength === 0 ? undefined : input.startBody(head.bodyLength);
    const exchange = new Exchange(head, body);
    if (input.hasUnparsed && exchange.expectation === "expected") exchange.expectation = "none"; // the body is arriving
    exchange.closesConnection = !head.keepAlive || !keepAlive || connection.messages >= limits.maxRequestsPerConnection;
    this.#responses.start(exchange);
    if (head.target === "*") exchange.respond(responses.options);
    else if (application.hasHandler) this.#handlers.run(exchange, this);
    else exchange.respond(responses.fixed);
    if (exchange.response instanceof SerializedResponse) {
      body?.discard();
      if (exchange.expectation === "expected") exchange.expectation = "due";
    }
    if (exchange.closesConnection) input.readNoMoreRequests();
    this.#responses.sendReady();
  }

  /** Rejects input that is not a valid head. */
  onInvalidHead(reason: RejectionReason, bytes: Uint8Array): void {
    this.#input.stop(rejectionError(reason));
    this.#addRejection(reason, undefined, firstLine(bytes));
    this.#responses.sendReady();
  }

  /** Rejects a request with a valid head, before its handler is called. */
  #rejectRequest(reason: RejectionReason, head: RequestHead): void {
    this.#input.stop(rejectionError(reason));
    this.#addRejection(reason, head);
    this.#responses.sendReady();
  }

  onBodyEnd(): void {
    this.#responses.sendReady();
  }

  onInvalidBody(reason: RejectionReason): void {
    this.#rejectBody(reason, rejectionError(reason));
  }

  /** Rejects the body that is being received, and with it the request, as far as the state of its response allows. */
  #rejectBody(reason: RejectionReason, error: Error): void {
    const { exchange } = this.#responses;
    const isAnswered = exchange === undefined || exchange.body !== this.#input.body;
    this.#input.stop(error);
    if (isAnswered) {
      this.#context.rejectedBy[reason]++;
      this.connection.finish(false);
    } else if (exchange.state === "streaming") {
      this.#context.rejectedBy[reason]++;
      this.connection.abort(); // only a reset tells the client that the response is not complete
    } else {
      this.#responses.cancel(error);
      this.#addRejection(reason, exchange.head);
      this.#responses.sendReady();
    }
  }

  #addRejection(reason: RejectionReason, head: RequestHead | undefined, line = ""): void {
    const exchange = new Exchange(head, undefined);
    exchange.line = line;
    exchange.respond(this.#context.reject(reason));
    exchange.closesConnection = true;
    this.#responses.start(exchange);
  }

  /** Discarding the rest of the body would cost more than a new connection, so this one closes after the pending responses. */
  onBodyDiscarded(): void {
    this.abandonBody();
    const { exchange } = this.#responses;
    if (exchange === undefined) this.connection.finish(false);
    else exchange.closesConnection = true;
    this.#responses.sendReady();
  }

  // ---- events of bodies, handlers and responses, which may occur outside of the loop's calls ----

  onReadStarted(): void {
    const { exchange } = this.#responses;
    const { body } = this.#input;
    if (body === undefined || exchange?.body !== body || exchange.expectation !== "expected") return;
    if (body.bytesIn > 0) {
      exchange.expectation = "none"; // the client did not wait
      return;
    }
    exchange.expectation = "due";
    this.#attempt(() => {
      this.#responses.sendReady();
      this.#update();
      this.connection.flush();
    });
  }

  onBodyDrain(): void {
    if (!this.#isAttached) return;
    this.#update();
    this.connection.flush();
  }

  onStreamed(): void {
    this.resume();
  }

  resume(): void {
    try {
      this.#responses.sendReady();
      this.#input.parseBuffer();
      this.#update();
      this.connection.flush();
    } catch (error) {
      this.onCallbackError(error);
    }
  }

  onCallbackError(error: unknown): void {
    this.connection.fail(error);
  }

  /** Runs steps that may call the application's callbacks, outside of the run loop's calls. Their errors are passed to the loop. */
  #attempt(steps: () => void): void {
    try {
      steps();
    } catch (error) {
      this.onCallbackError(error);
    }
  }

  get isInputConsumed(): boolean {
    return this.#input.isConsumed;
  }

  onLastResponse(): void {
    this.#input.readNoMoreRequests();
  }

  abandonBody(): void {
    this.#input.stop(new Error("the rest of the request body was not received, because the handler did not read it"));
  }

  // ---- the properties that the loop reads ----

  /** Whether this object is still the connection's state. A handler may use a body even after it no longer is. */
  get #isAttached(): boolean {
    return !this.connection.isClosed && this.connection.protocolState === this;
  }

  /** Whether no exchange is open and no input is buffered. */
  get #isIdle(): boolean {
    return !this.hasExchange && this.#input.body === undefined && !this.#input.hasBuffered;
  }

  /** Whether the client waits for `100 Continue` before it sends the body. */
  get #isContinueDue(): boolean {
    const { exchange } = this.#responses;
    const { body } = this.#input;
    if (body === undefined || exchange?.body !== body || body.bytesIn > 0) return false;
    return exchange.expectation === "expected" || exchange.expectation === "due";
  }

  #phase(isPaused: boolean): Phase {
    const { body, hasBuffered, state } = this.#input;
    if (body !== undefined && !isPaused && !this.#isContinueDue) return "body";
    if (hasBuffered && !isPaused && state === "head") return "head";
    if (this.hasExchange) return this.#responses.exchange?.state === "streaming" ? "streaming" : "handler";
    return this.#isIdle && this.connection.messages === 0 ? "new" : "idle"; // new: only empty lines were received
  }

  /** Derives the properties that the loop reads from the state. Called at the end of every event. */
  #update(): void {
    if (this.#successor !== undefined) return this.#handOver(this.#successor);
    const connection = this.connection;
    const input = this.#input;
    connection.receiveInto = input.target;
    if (connection.isFinished || !this.#isAttached) return;
    if (this.hasExchange) this.#context.waiting.add(this);
    else this.#context.waiting.delete(this);
    const isFull = connection.pending >= HIGH_WATER_MARK;
    if (input.isEnded && !this.hasExchange && !(isFull && input.hasBuffered)) return connection.finish(true);
    const isPaused = input.isPaused || isFull || (input.hasBuffered && this.mustWaitForResponses);
    connection.isPaused = isPaused;
    connection.wantsDrain = isFull || this.#responses.exchange?.writer?.isWaitingForDrain === true;
    connection.phase = this.#phase(isPaused);
    // Back to the fast path.
    if (this.#isIdle && !isPaused && !input.isParsing && input.state === "head") connection.protocolState = undefined;
  }
}

/** Returns the first line of malformed input, for onRequest. */
function firstLine(bytes: Uint8Array): string {
  const length = Math.min(bytes.byteLength, MAX_LINE_BYTES);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("latin1");
  return /^[\r\n]*([^\r\n]*)/.exec(text)?.[1] ?? "";
}

const rejectionError = (reason: RejectionReason): Error => new Error(`the request body was rejected: ${reason}`);

const blockedError = (): Error =>
  new Error(
    "fetch waits for a timer or I/O, which cannot complete while run() blocks Bun's event loop; " +
      "respond without waiting, or use start()",
  );
