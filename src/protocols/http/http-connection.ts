// The HTTP state of a connection that needs more than the fast path: bodies, asynchronous handlers, partial heads.

import { Buffer } from "node:buffer";
import type { Phase, ProtocolConnection } from "../protocol.ts";
import { HIGH_WATER_MARK } from "./buffer-sizes.ts";
import { Exchange } from "./exchange.ts";
import type { SlowPath } from "./fast-path.ts";
import type { HandlerOwner, HandlerRunner } from "./handler-runner.ts";
import type { HttpContext, RequestReader, WaitingConnection } from "./http-context.ts";
import type { RejectionReason } from "./rejection.ts";
import type { RequestHead } from "./request-head.ts";
import { RequestInput, type RequestInputOwner } from "./request-input.ts";
import type { PreparedResponse } from "./response.ts";
import { clientGoneError, ResponseQueue, type ResponseQueueOwner } from "./response-queue.ts";
import { ServerRequest } from "./server-request.ts";
import { SerializedResponse } from "./static-response.ts";

/** Requests of one connection that are handled at the same time; further ones stay in the buffer. */
const MAX_PIPELINED = 32;
/** How much of a malformed first line is reported to onRequest. */
const MAX_LINE_BYTES = 8_192;

/**
 * Connects the parts of an HTTP connection: `RequestInput` parses requests, `HandlerRunner` calls the handler, and
 * `ResponseQueue` sends the responses. See docs/http-connection.md.
 */
export class HttpConnection
  implements HandlerOwner, RequestInputOwner, ResponseQueueOwner, SlowPath, WaitingConnection
{
  readonly connection: ProtocolConnection;
  readonly #context: HttpContext;
  readonly #input: RequestInput;
  readonly #handlers: HandlerRunner;
  readonly #responses: ResponseQueue;

  constructor(connection: ProtocolConnection, context: HttpContext, reader: RequestReader, handlers: HandlerRunner) {
    this.connection = connection;
    this.#context = context;
    this.#input = new RequestInput(connection, context, reader, this);
    this.#handlers = handlers;
    this.#responses = new ResponseQueue(connection, context, this);
  }

  // ---- events of the loop ----

  receive(bytes: Uint8Array, start: number, end: number): void {
    this.#input.receive(bytes, start, end);
    this.#update();
  }

  end(): void {
    const input = this.#input;
    input.end();
    // An incomplete request is malformed: RFC 9112, 8.
    if (input.body !== undefined) this.onInvalidBody("bad-request");
    else if (input.hasBuffered && !this.mustWaitForResponses) this.onInvalidHead("bad-request", input.buffered);
    if (this.#responses.length === 0) this.connection.finish(true);
    // A client that has closed its side may still read the responses, so they are sent. It may also have closed the whole
    // connection, so the signals abort.
    for (const { request } of this.#responses) {
      if (request !== undefined) ServerRequest.abort(request, clientGoneError());
    }
    this.#update();
  }

  drain(): void {
    this.#responses.first?.writer?.onDrain();
    this.#responses.sendReady();
    this.#input.parseBuffer();
    this.#update();
  }

  timeout(): void {
    const input = this.#input;
    if (input.body !== undefined) this.onInvalidBody("body-timeout");
    else if (input.hasBuffered) this.onInvalidHead("header-timeout", input.buffered);
    else this.connection.finish(false);
    this.#update();
  }

  closed(): void {
    const reason = clientGoneError();
    this.#context.waiting.delete(this);
    this.#input.stop(reason);
    this.#responses.cancelAll(reason);
  }

  /** Fails handlers and streams that wait for a timer or I/O, which cannot complete while `run()` blocks Bun's event loop. */
  failBlockedRequests(): boolean {
    const { application } = this.#context;
    const { first } = this.#responses;
    if (first === undefined) return false;
    if (first.state === "streaming" && first.isBlocked) {
      application.reportError(blockedError(), first.request);
      this.connection.abort();
      return true;
    }
    const blocked = [...this.#responses].filter(({ state, isBlocked }) => state !== "streaming" && isBlocked);
    for (const exchange of blocked) {
      if (exchange.state === "done") continue; // an earlier one has closed the connection
      application.respondWithError(exchange, blockedError());
      this.#responses.sendReady();
      this.#update();
    }
    if (blocked.length > 0) this.resume();
    return blocked.length > 0;
  }

  // ---- exchanges that the fast path hands over ----

  addReady(exchange: Exchange): void {
    this.#add(exchange);
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
    this.#responses.push(exchange);
    if (exchange.closesConnection) this.#input.readNoMoreRequests();
  }

  // ---- events of the input ----

  get hasExchanges(): boolean {
    return this.#responses.length > 0;
  }

  get mustWaitForResponses(): boolean {
    if (this.connection.pending >= HIGH_WATER_MARK) return true;
    if (this.#input.body !== undefined) return false;
    // The response to an HTTP/1.0 request may have to close the connection, so the next request waits for it.
    return this.#responses.length >= MAX_PIPELINED || this.#responses.last?.head?.minor === 0;
  }

  onHead(head: RequestHead): void {
    const connection = this.connection;
    const input = this.#input;
    const { limits, application, responses, keepAlive } = this.#context;
    connection.messages++;
    this.#context.requests++;
    if (head.bodyLength > limits.maxBodyBytes) return this.#rejectRequest("body-too-large", head);
    const body = head.bodyLength === 0 ? undefined : input.startBody(head.bodyLength);
    const exchange = new Exchange(head, body);
    if (input.hasUnparsed && exchange.expectation === "expected") exchange.expectation = "none"; // the body is arriving
    exchange.closesConnection = !head.keepAlive || !keepAlive || connection.messages >= limits.maxRequestsPerConnection;
    this.#responses.push(exchange);
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

  /** Rejects input that is not a valid head. The response follows those to the requests before it. */
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

  /** Rejects the body that is being received, and with it the request, as far as the state of its response allows. */
  onInvalidBody(reason: RejectionReason): void {
    const { last } = this.#responses;
    const exchange = last?.body === this.#input.body ? last : undefined;
    const error = rejectionError(reason);
    this.#input.stop(error);
    if (exchange === undefined) {
      this.#context.rejectedBy[reason]++;
      this.connection.finish(false); // its response was sent before
    } else if (exchange.state === "streaming") {
      this.#context.rejectedBy[reason]++;
      this.connection.abort(); // only a reset tells the client that the response is not complete
    } else {
      this.#responses.cancelLast(error);
      this.#addRejection(reason, exchange.head);
      this.#responses.sendReady();
    }
  }

  #addRejection(reason: RejectionReason, head: RequestHead | undefined, line = ""): void {
    const exchange = new Exchange(head, undefined);
    exchange.line = line;
    exchange.respond(this.#context.reject(reason));
    exchange.closesConnection = true;
    this.#responses.push(exchange);
  }

  /** Discarding the rest of the body would cost more than a new connection, so this one closes after the pending responses. */
  onBodyDiscarded(): void {
    this.abandonBody();
    const { last } = this.#responses;
    if (last === undefined) this.connection.finish(false);
    else last.closesConnection = true;
    this.#responses.sendReady();
  }

  // ---- events of bodies, handlers and responses, which may occur outside of the loop's calls ----

  onReadStarted(): void {
    const exchange = this.#responses.last;
    const { body } = this.#input;
    if (body === undefined || exchange?.body !== body || exchange.expectation !== "expected") return;
    if (body.bytesIn > 0) {
      exchange.expectation = "none"; // the client did not wait
      return;
    }
    exchange.expectation = "due";
    if (this.#responses.first !== exchange) return;
    this.#responses.sendReady();
    this.#update();
    this.connection.flush();
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
    this.#responses.sendReady();
    this.#input.parseBuffer();
    this.#update();
    this.connection.flush();
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
    return this.#responses.length === 0 && this.#input.body === undefined && !this.#input.hasBuffered;
  }

  /** Whether the client waits for `100 Continue` before it sends the body. */
  get #isContinueDue(): boolean {
    const { last } = this.#responses;
    const { body } = this.#input;
    if (body === undefined || last?.body !== body || body.bytesIn > 0) return false;
    return last.expectation === "expected" || last.expectation === "due";
  }

  #phase(isPaused: boolean): Phase {
    const { body, hasBuffered, state } = this.#input;
    if (body !== undefined && !isPaused && !this.#isContinueDue) return "body";
    if (hasBuffered && !isPaused && state === "head") return "head";
    if (this.#responses.length > 0) return "handler";
    return this.#isIdle && this.connection.messages === 0 ? "new" : "idle"; // new: only empty lines were received
  }

  /** Derives the properties that the loop reads from the state. Called at the end of every event. */
  #update(): void {
    const connection = this.connection;
    const input = this.#input;
    if (connection.isFinished || !this.#isAttached) return;
    if (this.#responses.length > 0) this.#context.waiting.add(this);
    else this.#context.waiting.delete(this);
    if (input.isEnded && this.#responses.length === 0) return connection.finish(true);
    const isPaused = input.isPaused || this.mustWaitForResponses;
    connection.isPaused = isPaused;
    connection.wantsDrain =
      this.#responses.first?.writer?.isWaitingForDrain === true || connection.pending >= HIGH_WATER_MARK;
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
