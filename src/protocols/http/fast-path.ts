// The fast path: answers requests that repeat a cached head, have no body, and get their response immediately.

import { Buffer } from "node:buffer";
import type { Syscalls } from "../../kernel/ffi.ts";
import type { ProtocolConnection } from "../protocol.ts";
import { HIGH_WATER_MARK } from "./buffer-sizes.ts";
import { Exchange } from "./exchange.ts";
import type { HttpContext, RequestReader } from "./http-context.ts";
import { readHead } from "./read-head.ts";
import type { RejectionReason } from "./rejection.ts";
import { RequestHead } from "./request-head.ts";
import type { PreparedResponse } from "./response.ts";
import { ResponseBatch } from "./response-batch.ts";
import { ServerRequest } from "./server-request.ts";

const CR = 13;

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
  /** The last simple head. A request with the same bytes needs no parsing. */
  #cachedHead: RequestHead | undefined;
  #cachedBytes: Buffer = Buffer.alloc(0);
  /** Set while requests are answered: a handler may run the loop, which must not use the batch then. */
  #isAnswering = false;

  constructor(context: HttpContext, sys: Syscalls, slowPathOf: (connection: ProtocolConnection) => SlowPath) {
    this.#context = context;
    this.#sys = sys;
    this.#slowPathOf = slowPathOf;
    this.#batch = new ResponseBatch(context);
  }

  /**
   * Answers requests until one needs the slow path.
   *
   * @returns how many bytes these requests had
   */
  receive(connection: ProtocolConnection, bytes: Uint8Array, length: number): number {
    let at = this.answerCached(connection, bytes, 0, length);
    while (at < length && connection.protocolState === undefined && this.#cacheNext(connection, bytes, at, length)) {
      at += this.answerCached(connection, bytes, at, length);
    }
    return at;
  }

  /** Reads the next head and caches it if it is simple; returns whether it is. */
  #cacheNext(connection: ProtocolConnection, bytes: Uint8Array, start: number, end: number): boolean {
    const first = bytes[start] as number;
    if (first <= CR || connection.pending >= HIGH_WATER_MARK || this.#isAnswering) return false;
    if (this.#context.budget.isExceeded) return false;
    const head = this.readHead(bytes, start, end);
    return head !== undefined && head === this.#cachedHead;
  }

  readHead(bytes: Uint8Array, start: number, end: number): RequestHead | RejectionReason | undefined {
    const head = readHead(bytes, start, end, this.#context.limits);
    if (head instanceof RequestHead && head.isSimple && head.size === head.bytes.length) {
      this.#cachedHead = head;
      this.#cachedBytes = head.bytes;
    }
    return head;
  }

  answerCached(connection: ProtocolConnection, bytes: Uint8Array, start: number, end: number): number {
    const head = this.#cachedHead;
    if (head === undefined || this.#isAnswering || this.#context.budget.isExceeded) return 0;
    this.#batch.reclaim();
    this.#isAnswering = true;
    try {
      return this.#context.application.hasHandler
        ? this.#answerByHandler(connection, head, bytes, start, end)
        : this.#answerStatically(connection, head, bytes, start, end);
    } finally {
      this.#batch.clear(); // if a callback has thrown, this connection's responses must not reach the next one
      this.#isAnswering = false;
    }
  }

  #answerStatically(
    connection: ProtocolConnection,
    head: RequestHead,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): number {
    const { application, responses } = this.#context;
    const cached = this.#cachedBytes;
    const size = cached.length;
    let at = start;
    let count = 0; // responses to be written
    let budget = HIGH_WATER_MARK - connection.pending;
    while (at + size <= end && budget > 0 && this.#sys.equal(bytes, at, cached, size) === 1) {
      at += size;
      const closes = this.#beginRequest(connection, head);
      if (application.hasRequestCallback) application.reportRequest(connection, head, "", responses.fixed.status);
      if (closes) {
        this.#writeStatic(connection, count);
        connection.write(responses.fixed.variant("close", false));
        connection.finish(at === end && head.isLast);
        return end - start; // requests after the last one are ignored
      }
      count++;
      budget -= responses.fixed.keepAliveBytes.length;
    }
    this.#writeStatic(connection, count);
    if (at > start) connection.phase = "idle";
    return at - start;
  }

  #answerByHandler(
    connection: ProtocolConnection,
    head: RequestHead,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): number {
    const cached = this.#cachedBytes;
    const size = cached.length;
    let at = start;
    let budget = HIGH_WATER_MARK - connection.pending;
    while (at + size <= end && budget > 0 && this.#sys.equal(bytes, at, cached, size) === 1) {
      at += size;
      const closes = this.#beginRequest(connection, head);
      const lengthBefore = this.#batch.length;
      if (!this.#callHandler(connection, head, closes)) return at - start;
      if (closes) {
        this.#batch.writeTo(connection);
        connection.finish(at === end && head.isLast);
        return end - start; // requests after the last one are ignored
      }
      budget -= this.#batch.length - lengthBefore;
    }
    this.#batch.writeTo(connection);
    if (at > start) connection.phase = "idle";
    return at - start;
  }

  /** Counts a request; returns whether it is the connection's last. */
  #beginRequest(connection: ProtocolConnection, head: RequestHead): boolean {
    const context = this.#context;
    connection.messages++;
    context.requests++;
    return !head.keepAlive || !context.keepAlive || connection.messages >= context.limits.maxRequestsPerConnection;
  }

  /**
   * Calls the handler for one request and batches its response.
   *
   * @returns whether the response was batched; if not, the slow path has taken over
   */
  #callHandler(connection: ProtocolConnection, head: RequestHead, closes: boolean): boolean {
    const { application } = this.#context;
    const request = new ServerRequest(head, connection, undefined);
    let result: unknown;
    let response: PreparedResponse | Promise<PreparedResponse> | undefined;
    try {
      result = application.handle(request);
      if (!(result instanceof Promise)) response = application.prepare(result);
    } catch (error) {
      const exchange = newExchange(head, request, closes);
      this.#batch.writeTo(connection);
      this.#slowPathOf(connection).addFailed(exchange, error);
      return false;
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
