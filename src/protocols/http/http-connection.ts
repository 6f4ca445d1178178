// The HTTP state of a connection that needs more than the fast path: bodies, asynchronous handlers, partial heads.

import { Buffer } from "node:buffer";
import type { Phase, ProtocolConnection } from "../protocol.ts";
import { HIGH_WATER_MARK } from "./buffer-sizes.ts";
import { Exchange } from "./exchange.ts";
import type { SlowPath } from "./fast-path.ts";
import { HandlerRunner } from "./handler-runner.ts";
import type { HttpContext, RequestReader, WaitingConnection } from "./http-context.ts";
import { InputBuffer } from "./input-buffer.ts";
import { type InputEvent, type InputState, nextInputState } from "./input-state.ts";
import type { RejectionReason } from "./rejection.ts";
import { RequestBody, type RequestBodyOwner } from "./request-body.ts";
import type { RequestHead } from "./request-head.ts";
import type { PreparedResponse } from "./response.ts";
import { clientGoneError, ResponseQueue, type ResponseQueueOwner } from "./response-queue.ts";
import { ServerRequest } from "./server-request.ts";
import { SerializedResponse } from "./static-response.ts";
import { MAX_DISCARDED_BYTES } from "./unread-body.ts";

/** Requests of one connection that are handled at the same time; further ones stay in the buffer. */
const MAX_PIPELINED = 32;
/** Bytes received in the state `discarding` after which the connection is no longer read. */
const MAX_IGNORED_BYTES = 65_536;
/** How much of a malformed first line is reported to onRequest. */
const MAX_LINE_BYTES = 8_192;
const CR = 13;
const LF = 10;

/** The value of `#unparsed` while the parser is not running. */
const NOT_PARSING = -1;

/**
 * The input side: it reads requests from the received bytes. The `ResponseQueue` is the output side, the `HandlerRunner`
 * is between them. docs/http-connection.md describes the states.
 */
export class HttpConnection implements RequestBodyOwner, ResponseQueueOwner, SlowPath, WaitingConnection {
  readonly #connection: ProtocolConnection;
  readonly #context: HttpContext;
  readonly #reader: RequestReader;
  readonly #responses: ResponseQueue;
  readonly #handlers: HandlerRunner;

  #input: InputState = "head";
  /** The peer has closed its side. Buffered requests are still handled. */
  #isInputEnded = false;
  readonly #buffer = new InputBuffer();
  /** Bytes after the parser's position, or NOT_PARSING. Callbacks that it runs must not start it again. */
  #unparsed = NOT_PARSING;
  /** Bytes received in the state `discarding`. */
  #ignoredBytes = 0;

  /** The body that is being received, in the states `body` and `last-body`. */
  #body: RequestBody | undefined;
  /** Bytes of it that arrived since progress was last reported. */
  #bodyProgress = 0;
  /** Bytes of it that were discarded. */
  #discardedBytes = 0;

  constructor(connection: ProtocolConnection, context: HttpContext, reader: RequestReader) {
    this.#connection = connection;
    this.#context = context;
    this.#reader = reader;
    this.#responses = new ResponseQueue(connection, context, this);
    this.#handlers = new HandlerRunner(connection, context, () => this.#resume());
  }

  // ---- events of the loop ----

  receive(bytes: Uint8Array, start: number, end: number): void {
    if (this.#input === "discarding") {
      this.#ignoredBytes += end - start;
    } else if (this.#buffer.length === 0) {
      const position = this.#parse(bytes, start, end);
      if (position < end && !this.#isDiscarding) this.#buffer.append(bytes, position, end);
    } else {
      this.#buffer.append(bytes, start, end);
      const isFull = this.#buffer.length >= this.#context.limits.maxHeaderBytes;
      if (isFull || this.#buffer.shouldParse(bytes, start, end)) this.#parseBuffer();
    }
    this.#update();
  }

  end(): void {
    this.#isInputEnded = true;
    // An incomplete request is malformed: RFC 9112, 8.
    if (this.#body !== undefined) this.#rejectBody("bad-request");
    else if (this.#buffer.length > 0 && !this.#mustWaitForResponses) this.#rejectInput("bad-request", this.#buffered);
    if (this.#responses.length === 0) this.#connection.finish(true);
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
    this.#parseBuffer();
    this.#update();
  }

  timeout(): void {
    if (this.#body !== undefined) this.#rejectBody("body-timeout");
    else if (this.#buffer.length > 0) this.#rejectInput("header-timeout", this.#buffered);
    else this.#connection.finish(false);
    this.#update();
  }

  closed(): void {
    const reason = clientGoneError();
    this.#context.waiting.delete(this);
    this.#stopReading(reason);
    this.#responses.cancelAll(reason);
  }

  /** Fails what cannot continue while `run()` blocks Bun's event loop: a handler or stream that waits for a timer or I/O. */
  failBlocked(): boolean {
    const { application } = this.#context;
    const { first } = this.#responses;
    if (first === undefined) return false;
    if (first.state === "streaming" && first.isBlocked) {
      application.reportError(blockedError(), first.request);
      this.#connection.abort();
      return true;
    }
    const blocked = [...this.#responses].filter(({ state, isBlocked }) => state !== "streaming" && isBlocked);
    for (const exchange of blocked) {
      if (exchange.state === "done") continue; // an earlier one has closed the connection
      application.respondWithError(exchange, blockedError());
      this.#responses.sendReady();
      this.#update();
    }
    if (blocked.length > 0) this.#resume();
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
    this.#handlers.awaitResult(exchange, result);
    this.#update();
  }

  addPreparing(exchange: Exchange, response: Promise<PreparedResponse>): void {
    this.#add(exchange);
    this.#handlers.awaitResponse(exchange, response);
    this.#update();
  }

  #add(exchange: Exchange): void {
    this.#responses.push(exchange);
    if (exchange.closesConnection) this.#transition("last-request");
  }

  // ---- parsing ----

  #transition(event: InputEvent): void {
    this.#input = nextInputState(this.#input, event);
  }

  get #isDiscarding(): boolean {
    return this.#input === "discarding";
  }

  get isInputConsumed(): boolean {
    return this.#unparsed === 0 && this.#buffer.length === 0;
  }

  get #buffered(): Uint8Array {
    return this.#buffer.bytes.subarray(0, this.#buffer.length);
  }

  #parseBuffer(): void {
    const isParsing = this.#unparsed !== NOT_PARSING;
    if (isParsing || this.#buffer.length === 0 || this.#isDiscarding || this.#connection.isFinished) return;
    this.#buffer.consume(this.#parse(this.#buffer.bytes, 0, this.#buffer.length));
  }

  /** Parses requests and bodies; returns the position of the first byte that was not processed. */
  #parse(bytes: Uint8Array, start: number, end: number): number {
    this.#unparsed = end - start;
    try {
      let at = start;
      while (at < end && !this.#isDiscarding) {
        const count =
          this.#body === undefined ? this.#parseHead(bytes, at, end) : this.#parseBody(this.#body, bytes, at, end);
        if (count === 0) break;
        at += count;
      }
      return at;
    } finally {
      this.#unparsed = NOT_PARSING;
    }
  }

  /** Parses one head, or what precedes it; returns how many bytes were processed. */
  #parseHead(bytes: Uint8Array, start: number, end: number): number {
    if (this.#mustWaitForResponses) return 0;
    const emptyLine = emptyLineLength(bytes, start, end);
    if (emptyLine > 0) return emptyLine;
    if (this.#responses.length === 0 && !this.#isInputEnded) {
      const count = this.#reader.answerCached(this.#connection, bytes, start, end);
      if (count > 0) return count;
    }
    const head = this.#reader.readHead(bytes, start, end);
    if (head === undefined) return 0;
    if (typeof head === "string") {
      this.#rejectInput(head, bytes.subarray(start, end));
      return end - start;
    }
    this.#unparsed = end - start - head.size;
    this.#beginExchange(head);
    return head.size;
  }

  /** Parses part of a body; returns how many bytes were processed. */
  #parseBody(body: RequestBody, bytes: Uint8Array, start: number, end: number): number {
    const count = body.feed(bytes, start, end);
    if (count < 0) {
      this.#rejectBody(body.rejection ?? "bad-request");
      return end - start;
    }
    this.#unparsed = end - start - count;
    this.#onBodyBytes(body, count);
    return count;
  }

  #beginExchange(head: RequestHead): void {
    const connection = this.#connection;
    const { limits, application, responses, keepAlive } = this.#context;
    connection.messages++;
    this.#context.requests++;
    if (head.bodyLength > limits.maxBodyBytes) return this.#rejectRequest("body-too-large", head);
    const body = head.bodyLength === 0 ? undefined : this.#beginBody(head.bodyLength);
    const exchange = new Exchange(head, body);
    if (this.#unparsed > 0 && exchange.expectation === "expected") exchange.expectation = "none"; // the body is arriving
    this.#responses.push(exchange);
    exchange.closesConnection = !head.keepAlive || !keepAlive || connection.messages >= limits.maxRequestsPerConnection;
    if (exchange.closesConnection && body !== undefined) this.#transition("last-request");
    if (head.target === "*") exchange.respond(responses.options);
    else if (application.hasHandler) this.#handlers.run(exchange);
    else exchange.respond(responses.fixed);
    if (exchange.response instanceof SerializedResponse) {
      body?.discard();
      if (exchange.expectation === "expected") exchange.expectation = "due";
    }
    if (exchange.closesConnection && body === undefined) this.#transition("last-request");
    this.#responses.sendReady();
  }

  #beginBody(length: number): RequestBody {
    this.#body = new RequestBody(length, this.#context.limits.maxBodyBytes, this);
    this.#discardedBytes = this.#bodyProgress = 0;
    this.#transition("body-started");
    return this.#body;
  }

  #onBodyBytes(body: RequestBody, count: number): void {
    this.#bodyProgress += count;
    if (this.#bodyProgress >= this.#context.minBodyBytes) {
      this.#bodyProgress = 0;
      this.#connection.progress++;
    }
    if (body.isComplete) {
      this.#body = undefined;
      this.#transition("body-ended");
      this.#responses.sendReady();
    } else if (body.isDiscarded && this.#context.application.hasHandler) {
      this.#discardedBytes += count;
      if (this.#discardedBytes > MAX_DISCARDED_BYTES) this.#closeWithoutBody();
    }
  }

  /** Discarding the rest of the body would cost more than a new connection, so this one closes after the pending responses. */
  #closeWithoutBody(): void {
    this.abandonBody();
    const { last } = this.#responses;
    if (last === undefined) this.#connection.finish(false);
    else last.closesConnection = true;
    this.#responses.sendReady();
  }

  abandonBody(): void {
    this.#stopReading(new Error("the rest of the request body was not received, because the handler did not read it"));
  }

  onLastResponse(): void {
    this.#transition("last-request");
  }

  /** Reads no further request, and fails the body that is being received. */
  #stopReading(reason: Error): void {
    const body = this.#body;
    this.#body = undefined;
    this.#transition("stopped");
    body?.fail(reason);
  }

  // ---- rejections ----

  /** Rejects input that is not a valid head. The response comes after those to the requests before it. */
  #rejectInput(reason: RejectionReason, input: Uint8Array): void {
    this.#transition("stopped");
    this.#addRejection(reason, undefined, firstLine(input));
    this.#responses.sendReady();
  }

  /** Rejects a request with a valid head, before its handler is called. */
  #rejectRequest(reason: RejectionReason, head: RequestHead): void {
    this.#transition("stopped");
    this.#addRejection(reason, head);
    this.#responses.sendReady();
  }

  /** Rejects the body that is being received, and with it the request, as far as the state of its response allows that. */
  #rejectBody(reason: RejectionReason): void {
    const error = new Error(`the request body was rejected: ${reason}`);
    const { last } = this.#responses;
    const exchange = last?.body === this.#body ? last : undefined;
    this.#stopReading(error);
    if (exchange === undefined) {
      this.#context.rejectedBy[reason]++;
      this.#connection.finish(false); // its response was sent before
    } else if (exchange.state === "streaming") {
      this.#context.rejectedBy[reason]++;
      this.#connection.abort(); // only a reset tells the client that the response is not complete
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

  // ---- events of bodies, handlers and streams, which may occur outside of the loop's calls ----

  onReadStarted(): void {
    const exchange = this.#responses.last;
    if (exchange?.body === undefined || exchange.body !== this.#body || exchange.expectation !== "expected") return;
    if (exchange.body.bytesIn > 0) {
      exchange.expectation = "none"; // the client did not wait
      return;
    }
    exchange.expectation = "due";
    if (this.#responses.first !== exchange) return;
    this.#responses.sendReady();
    this.#update();
    this.#connection.flush();
  }

  onBodyDrain(): void {
    if (!this.#isAttached) return;
    this.#update();
    this.#connection.flush();
  }

  onStreamed(): void {
    this.#resume();
  }

  #resume(): void {
    this.#responses.sendReady();
    this.#parseBuffer();
    this.#update();
    this.#connection.flush();
  }

  // ---- the properties that the loop reads ----

  /** Whether this object is still the connection's state. A handler may use a body after it is not. */
  get #isAttached(): boolean {
    return !this.#connection.isClosed && this.#connection.state === this;
  }

  /** Whether the next request waits until responses were sent. */
  get #mustWaitForResponses(): boolean {
    if (this.#connection.pending >= HIGH_WATER_MARK) return true;
    if (this.#body !== undefined) return false;
    // The response to an HTTP/1.0 request may have to close the connection, so the next request waits for it.
    return this.#responses.length >= MAX_PIPELINED || this.#responses.last?.head?.minor === 0;
  }

  /** Whether the client waits for `100 Continue` before it sends the body. */
  get #isContinueDue(): boolean {
    const { last } = this.#responses;
    if (last?.body === undefined || last.body !== this.#body || last.body.bytesIn > 0) return false;
    return last.expectation === "expected" || last.expectation === "due";
  }

  /** Whether nothing is received for now. */
  get #isPaused(): boolean {
    if (this.#isInputEnded || this.#mustWaitForResponses) return true;
    return this.#isDiscarding ? this.#ignoredBytes >= MAX_IGNORED_BYTES : this.#body?.isFull === true;
  }

  /** Whether no exchange is open and no input is buffered. */
  get #isIdle(): boolean {
    return this.#responses.length === 0 && this.#body === undefined && this.#buffer.length === 0;
  }

  #phase(isPaused: boolean): Phase {
    if (this.#body !== undefined && !isPaused && !this.#isContinueDue) return "body";
    if (this.#buffer.length > 0 && !isPaused && this.#input === "head") return "head";
    if (this.#responses.length > 0) return "handler";
    return this.#isIdle && this.#connection.messages === 0 ? "new" : "idle"; // new: only empty lines were received
  }

  /** Derives the properties that the loop reads from the state. Called at the end of every event. */
  #update(): void {
    const connection = this.#connection;
    if (connection.isFinished || !this.#isAttached) return;
    if (this.#responses.length > 0) this.#context.waiting.add(this);
    else this.#context.waiting.delete(this);
    if (this.#isInputEnded && this.#responses.length === 0) return connection.finish(true);
    const isPaused = this.#isPaused;
    connection.isPaused = isPaused;
    connection.wantsDrain =
      this.#responses.first?.writer?.isWaitingForDrain === true || connection.pending >= HIGH_WATER_MARK;
    connection.phase = this.#phase(isPaused);
    const isParsing = this.#unparsed !== NOT_PARSING;
    if (this.#isIdle && !isPaused && !isParsing && this.#input === "head") connection.state = undefined; // fast path again
  }
}

/** Returns the length of the empty line that begins here, if any. Some clients send one before a request: RFC 9112, 2.2. */
function emptyLineLength(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] === LF) return 1;
  return bytes[at] === CR && at + 1 < end && bytes[at + 1] === LF ? 2 : 0;
}

/** Returns the first line of malformed input, for a log. */
function firstLine(bytes: Uint8Array): string {
  const length = Math.min(bytes.byteLength, MAX_LINE_BYTES);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("latin1");
  return /^[\r\n]*([^\r\n]*)/.exec(text)?.[1] ?? "";
}

const blockedError = (): Error =>
  new Error(
    "fetch waits for a timer or I/O, which cannot complete while run() blocks Bun's event loop; " +
      "respond without waiting, or use start()",
  );
