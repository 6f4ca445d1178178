// The fast path: answers requests with a simple head, without a body, that get their response immediately.

import { Buffer } from "node:buffer";
import type { Syscalls } from "../../kernel/ffi.ts";
import type { ProtocolConnection } from "../protocol.ts";
import { HIGH_WATER_MARK } from "./buffer-sizes.ts";
import { Exchange } from "./exchange.ts";
import type { HttpContext, RequestReader } from "./http-context.ts";
import { plainHead } from "./plain-head.ts";
import { createPlainHead, readHead, scanHead } from "./read-head.ts";
import type { RejectionReason } from "./rejection.ts";
import { RequestHead } from "./request-head.ts";
import type { PreparedResponse } from "./response.ts";
import { ResponseBatch } from "./response-batch.ts";
import { ServerRequest } from "./server-request.ts";

const CR = 13;
/** Longer heads are not cached. */
const MAX_CACHED_BYTES = 8192;
/** After this many heads in a row that differ from the one before, only one in this many is cached. */
const RARE = 16;

/** Takes over the exchanges whose response is not available immediately, or cannot be batched. */
export interface SlowPath {
  /** Adds an exchange that is ready. */
  addReady(exchange: Exchange): void;
  /** Adds an exchange whose handler has failed. */
  addFailed(exchange: Exchange, error: unknown): void;
  /** Adds an exchange whose handler has returned a promise. */
  addPending(exchange: Exchange, result: Promise<unknown>): void;
  /** Adds an exchange whose response is being prepared. */
  addPreparing(exchange: Exchange, response: Promise<PreparedResponse>): void;
}

export class FastPath implements RequestReader {
  readonly #context: HttpContext;
  readonly #sys: Syscalls;
  readonly #slowPathOf: (connection: ProtocolConnection) => SlowPath;
  readonly #batch: ResponseBatch;
  /** The bytes of the last simple head. A request with the same bytes needs no parsing. */
  readonly #cachedBytes = Buffer.from(new ArrayBuffer(MAX_CACHED_BYTES));
  #cachedSize = 0;
  #cachedHead: RequestHead | undefined;
  #isCachedLast = false;
  /** Heads in a row that were not the cached one. */
  #misses = 0;
  // The head that `#next` has found. A RequestHead is created only if there is a handler or an onRequest.
  #head: RequestHead | undefined;
  #size = 0;
  #isLast = false;
  /** The request whose handler is being called. */
  #request: ServerRequest | undefined;
  /** Set while requests are answered: a handler may run the loop, which must not use the batch then. */
  #isAnswering = false;

  constructor(context: HttpContext, sys: Syscalls, slowPathOf: (connection: ProtocolConnection) => SlowPath) {
    this.#context = context;
    this.#sys = sys;
    this.#slowPathOf = slowPathOf;
    this.#batch = new ResponseBatch(context);
  }

  readHead(bytes: Buffer, start: number, end: number): RequestHead | RejectionReason | undefined {
    return readHead(bytes, start, end, this.#context.limits);
  }

  answer(connection: ProtocolConnection, bytes: Buffer, start: number, end: number): number {
    if (this.#isAnswering || this.#context.budget.isExceeded) return 0;
    this.#batch.reclaim();
    this.#isAnswering = true;
    try {
      return this.#context.application.hasHandler
        ? this.#answerByHandler(connection, bytes, start, end)
        : this.#answerStatically(connection, bytes, start, end);
    } finally {
      this.#batch.clear(); // if a callback has thrown, this connection's responses must not reach the next one
      this.#isAnswering = false;
    }
  }

  /** Returns whether the handler of a request is being called. */
  isHandling(request: ServerRequest): boolean {
    return this.#request === request;
  }

  /** Writes the responses to a connection's earlier requests, before something else is written. */
  writeBatch(connection: ProtocolConnection): void {
    this.#batch.writeTo(connection);
  }

  /** Finds the next head; returns whether there is one that is simple. */
  #next(connection: ProtocolConnection, bytes: Buffer, at: number, end: number): boolean {
    if (this.#cachedSize > 0 && this.#isCached(bytes, at, end)) return true;
    const first = bytes[at] as number;
    if (first <= CR) return false;
    this.#misses++;
    if (this.#scanNext(bytes, at, end)) return true;
    return connection.protocolState === undefined && this.#parseNext(bytes, at, end); // otherwise the slow path parses it
  }

  #isCached(bytes: Buffer, at: number, end: number): boolean {
    const size = this.#cachedSize;
    if (at + size > end || this.#sys.equal(bytes, at, this.#cachedBytes, size) !== 1) return false;
    this.#misses = 0;
    this.#head = this.#cachedHead;
    this.#size = size;
    this.#isLast = this.#isCachedLast;
    return true;
  }

  /** Accepts a plain head. */
  #scanNext(bytes: Buffer, at: number, end: number): boolean {
    const size = scanHead(bytes, at, end, this.#context.limits);
    if (size === 0 || plainHead.bodyLength > 0 || plainHead.method === "HEAD") return false;
    const { hasHandler, hasRequestCallback } = this.#context.application;
    this.#head = hasHandler || hasRequestCallback ? createPlainHead(size) : undefined;
    this.#size = size;
    this.#isLast = plainHead.isLast;
    this.#cache(bytes, at);
    return true;
  }

  /** Accepts any other simple head. */
  #parseNext(bytes: Buffer, at: number, end: number): boolean {
    const head = this.readHead(bytes, at, end);
    if (!(head instanceof RequestHead) || !head.isSimple || head.size !== head.text.length) return false;
    this.#head = head;
    this.#size = head.size;
    this.#isLast = head.isLast;
    this.#cache(bytes, at);
    return true;
  }

  /** Caches the head, unless the last ones were all different. */
  #cache(bytes: Buffer, at: number): void {
    const size = this.#size;
    if (size > MAX_CACHED_BYTES || (this.#misses > RARE && this.#misses % RARE !== 0)) return;
    bytes.copy(this.#cachedBytes, 0, at, at + size);
    this.#cachedSize = size;
    this.#cachedHead = this.#head;
    this.#isCachedLast = this.#isLast;
  }

  #answerStatically(connection: ProtocolConnection, bytes: Buffer, start: number, end: number): number {
    const { application, responses } = this.#context;
    let at = start;
    let count = 0; // responses to be written
    let budget = HIGH_WATER_MARK - connection.pending;
    while (at < end && budget > 0 && this.#next(connection, bytes, at, end)) {
      at += this.#size;
      const isLast = this.#isLast;
      const closes = this.#beginRequest(connection);
      if (application.hasRequestCallback) {
        application.reportRequest(connection, this.#head, "", responses.fixed.status);
      }
      if (closes) {
        this.#writeStatic(connection, count);
        connection.write(responses.fixed.variant("close", false));
        connection.finish(at === end && isLast);
        return end - start; // requests after the last one are ignored
      }
      count++;
      budget -= responses.fixed.keepAliveBytes.length;
    }
    this.#writeStatic(connection, count);
    if (at > start) connection.phase = "idle";
    return at - start;
  }

  #answerByHandler(connection: ProtocolConnection, bytes: Buffer, start: number, end: number): number {
    let at = start;
    let budget = HIGH_WATER_MARK - connection.pending;
    while (at < end && budget > 0 && this.#next(connection, bytes, at, end)) {
      at += this.#size;
      const isLast = this.#isLast;
      const closes = this.#beginRequest(connection);
      if (!this.#callHandler(connection, this.#head as RequestHead, closes)) return at - start;
      if (closes) {
        this.#batch.writeTo(connection);
        connection.finish(at === end && isLast);
        return end - start; // requests after the last one are ignored
      }
      budget = HIGH_WATER_MARK - connection.pending - this.#batch.length; // a full batch has been written meanwhile
    }
    this.#batch.writeTo(connection);
    if (at > start) connection.phase = "idle";
    return at - start;
  }

  /** Counts a request; returns whether it is the connection's last. */
  #beginRequest(connection: ProtocolConnection): boolean {
    const context = this.#context;
    connection.messages++;
    context.requests++;
    return this.#isLast || !context.keepAlive || connection.messages >= context.limits.maxRequestsPerConnection;
  }

  /**
   * Calls the handler for one request and batches its response.
   *
   * @returns whether the response was batched; if not, the slow path has taken over, or the request was upgraded
   */
  #callHandler(connection: ProtocolConnection, head: RequestHead, closes: boolean): boolean {
    const { application, mayRunMicrotasks } = this.#context;
    const request = new ServerRequest(head, connection, undefined);
    let result: unknown;
    let response: PreparedResponse | Promise<PreparedResponse> | undefined;
    this.#context.pendingRequests++;
    try {
      this.#request = request;
      result = application.handle(request);
      if (mayRunMicrotasks && result instanceof Promise) result = application.settle(result);
      this.#request = undefined;
      if (ServerRequest.isUpgraded(request)) {
        if (result instanceof Promise) void result.catch((error) => this.#reportError(connection, request, error));
        return false;
      }
      if (!(result instanceof Promise)) response = application.prepare(result, request);
    } catch (error) {
      this.#request = undefined;
      if (ServerRequest.isUpgraded(request)) {
        this.#reportError(connection, request, error);
        return false;
      }
      const exchange = newExchange(head, request, closes);
      this.#batch.writeTo(connection);
      this.#slowPathOf(connection).addFailed(exchange, error);
      return false;
    } finally {
      this.#context.pendingRequests--;
    }
    if (
      response !== undefined &&
      !(response instanceof Promise) &&
      this.#batch.add(connection, response, head, closes)
    ) {
      if (application.hasRequestCallback) application.reportRequest(connection, head, "", response.status);
      return true;
    }
    const exchange = newExchange(head, request, closes);
    this.#batch.writeTo(connection);
    const slowPath = this.#slowPathOf(connection);
    if (response === undefined) {
      slowPath.addPending(exchange, result as Promise<unknown>);
    } else if (response instanceof Promise) {
      slowPath.addPreparing(exchange, response);
    } else {
      exchange.respond(response);
      slowPath.addReady(exchange);
    }
    return false;
  }

  /** Reports the error of a handler that has upgraded its request. */
  #reportError(connection: ProtocolConnection, request: ServerRequest, error: unknown): void {
    this.#context.application.reportError(error, request, (thrown) => connection.fail(thrown));
  }

  /** Writes the static response `count` times. */
  #writeStatic(connection: ProtocolConnection, count: number): void {
    if (count === 0) return;
    const { fixed } = this.#context.responses;
    const { keepAliveBytes } = fixed;
    if (count === 1) return connection.write(keepAliveBytes);
    const { batch } = fixed;
    for (let left = count * keepAliveBytes.length; left > 0; left -= batch.length) {
      connection.write(batch, Math.min(left, batch.length));
    }
  }
}

function newExchange(head: RequestHead, request: ServerRequest, closes: boolean): Exchange {
  const exchange = new Exchange(head, undefined);
  exchange.request = request;
  exchange.closesConnection = closes;
  return exchange;
}
