// HTTP/1.1: from bytes to requests, and from replies to bytes. Requests that are answered at once and keep their connection
// open go the short way, here; all others get a Conversation.

import { Buffer } from "node:buffer";
import type { Clock } from "../../kernel/clock.ts";
import type { ProtocolConnection, Protocol } from "../protocol.ts";
import type { Syscalls } from "../../kernel/ffi.ts";
import { HttpConnection } from "./http-connection.ts";
import { Exchange } from "./exchange.ts";
import { type HeadLimits, readHead, RequestHead } from "./request-head.ts";
import { requestInfo, type RequestInfo } from "./request-info.ts";
import { loadParser } from "./llhttp.ts";
import { HIGH_WATER } from "./body-writer.ts";
import { ALLOWED_METHODS, noRejections, type RejectionCounts, type RejectionReason, rejections } from "./rejection.ts";
import { SerializedResponse, type StaticResponse } from "./static-response.ts";
import { ResponseHeadCache } from "./response-head-cache.ts";
import { ServerRequest } from "./server-request.ts";
import { type PreparedResponse, prepareResponse } from "./response.ts";

export interface HttpLimits extends HeadLimits {
  maxBodyBytes: number;
  maxRequestsPerConnection: number;
  bodyTimeoutMs: number;
  minBodyRate: number;
}

export interface HttpOptions extends HttpLimits {
  response: StaticResponse;
  /** A fetch handler, and no `response`. */
  fetch: ((request: Request) => unknown) | undefined;
  /** Whether connections stay open for a next request. */
  keepAlive: boolean;
  onRequest: ((request: RequestInfo) => void) | undefined;
  onError: ((error: unknown, request: Request | undefined) => unknown) | undefined;
  clock: Clock;
  sys: Syscalls;
}

const BATCH_BYTES = 65_536;
const CR = 13;

export class HttpProtocol implements Protocol {
  readonly isDuplex: boolean = false;
  readonly lingers: boolean = true;
  /** Requests whose head was accepted. */
  requests: number = 0;
  /** Requests refused. */
  readonly rejectedBy: RejectionCounts = noRejections();

  readonly limits: HttpLimits;
  /** How much of a body has to come within `bodyTimeoutMs`. */
  readonly bodyQuota: number;
  readonly fetch: ((request: Request) => unknown) | undefined;
  /** The reply to all requests, if there is no handler. */
  readonly reply: SerializedResponse;
  /** The reply to `OPTIONS *`. */
  readonly options: SerializedResponse;
  keepAlive: boolean;

  readonly #clock: Clock;
  readonly #sys: Syscalls;
  readonly #onRequest: HttpOptions["onRequest"];
  readonly #onError: HttpOptions["onError"];
  readonly #failure: SerializedResponse;
  readonly #refusals = new Map<RejectionReason, SerializedResponse>();
  /** Those that have requests at work, and of which something was heard since they were settled last. */
  readonly unsettled: Set<HttpConnection> = new Set<HttpConnection>();
  // The last head of a simple request: one with the same bytes has the same meaning.
  #known: Buffer = Buffer.alloc(0);
  #knownHead: RequestHead | undefined;
  // The replies to one wake-up's requests, to be sent with one call.
  readonly #batch = Buffer.from(new ArrayBuffer(BATCH_BYTES));
  #batched = 0;
  #isBatching = false;
  /** Whose output is in the batch, unless it is sent. */
  #lentTo: ProtocolConnection | undefined;
  #dateLine = "";
  readonly #lastHead = new ResponseHeadCache();
  #lastLength = -1;
  #staleAtMs = 0;

  constructor(options: HttpOptions) {
    const { response, fetch, keepAlive, onRequest, onError, clock, sys } = options;
    loadParser(); // now, and not at the first request that needs it: then there may be no descriptor left to read it by
    this.limits = options;
    this.bodyQuota = Math.max(1, Math.min((options.minBodyRate * options.bodyTimeoutMs) / 1000, 2 ** 53));
    this.fetch = fetch;
    this.keepAlive = keepAlive;
    this.#clock = clock;
    this.#sys = sys;
    this.#onRequest = onRequest;
    this.#onError = onError;
    this.reply = new SerializedResponse(response, clock);
    this.options = new SerializedResponse({ status: 204, headers: { Allow: ALLOWED_METHODS } }, clock);
    this.#failure = new SerializedResponse(
      { status: 500, body: "The server has failed to answer this request.\n" },
      clock,
    );
    for (const [reason, { status, message }] of Object.entries(rejections)) {
      const headers = status === 405 ? { Allow: ALLOWED_METHODS } : {};
      this.#refusals.set(
        reason as RejectionReason,
        new SerializedResponse({ status, headers, body: `${message}\n` }, clock),
      );
    }
  }

  // ---- what the loop tells ----

  startIteration(nowMs: number): void {
    if (nowMs < this.#staleAtMs) return;
    this.#staleAtMs = nowMs + 1000 - (this.#clock.wall() % 1000);
    this.#dateLine = `Date: ${new Date(this.#clock.wall()).toUTCString()}\r\n`;
    for (const reply of [this.reply, this.options, this.#failure, ...this.#refusals.values()])
      reply.startIteration(nowMs);
  }

  open(): void {}

  receive(channel: ProtocolConnection, bytes: Uint8Array, length: number): void {
    if (channel.protocolState !== undefined) return (channel.protocolState as HttpConnection).receive(bytes, 0, length);
    let taken = this.answerKnown(channel, bytes, 0, length);
    while (taken < length && channel.protocolState === undefined && this.#isSimpleNext(channel, bytes, taken, length)) {
      taken += this.answerKnown(channel, bytes, taken, length);
    }
    if (taken < length) this.#conversation(channel).receive(bytes, taken, length);
  }

  /** Whether a simple request comes next, which is known from now on. */
  #isSimpleNext(channel: ProtocolConnection, bytes: Uint8Array, start: number, end: number): boolean {
    const first = bytes[start] as number;
    if (first <= CR || channel.pending >= HIGH_WATER || this.#isBatching) return false;
    const head = this.read(bytes, start, end);
    return head !== undefined && head === this.#knownHead;
  }

  end(channel: ProtocolConnection): void {
    if (channel.protocolState === undefined) channel.finish(true);
    else (channel.protocolState as HttpConnection).end();
  }

  drain(channel: ProtocolConnection): void {
    (channel.protocolState as HttpConnection | undefined)?.drain();
  }

  timeout(channel: ProtocolConnection): void {
    if (channel.protocolState === undefined) channel.finish(false);
    else (channel.protocolState as HttpConnection).timeout();
  }

  reject(channel: ProtocolConnection): void {
    this.rejectedBy["too-many-connections"]++;
    channel.write(this.refusal("too-many-connections").variant("close", false));
    channel.finish(false);
  }

  closed(channel: ProtocolConnection): void {
    (channel.protocolState as HttpConnection | undefined)?.closed();
    channel.protocolState = undefined;
  }

  stop(): void {
    this.keepAlive = false;
  }

  failBlocked(): boolean {
    if (this.unsettled.size === 0) return false;
    const unsettled = [...this.unsettled];
    this.unsettled.clear(); // who waits for its peer now is not looked at again before it has heard from it
    let hasSettled = false;
    for (const conversation of unsettled) hasSettled = conversation.settle() || hasSettled;
    return hasSettled;
  }

  // ---- requests ----

  /**
   * Answer simple requests, as long as they have the same bytes as the last one.
   *
   * @returns how many bytes they had; all there are if one of them was the connection's last
   */
  answerKnown(channel: ProtocolConnection, bytes: Uint8Array, start: number, end: number): number {
    const head = this.#knownHead;
    if (head === undefined || this.#isBatching) return 0;
    this.#lentTo?.copyBorrowed(); // its output may still be in the batch
    this.#lentTo = undefined;
    this.#isBatching = true;
    try {
      return this.#answerAll(channel, head, bytes, start, end);
    } finally {
      this.#batched = 0; // a callback may have thrown: what was meant for this connection is not for the next
      this.#isBatching = false;
    }
  }

  #answerAll(channel: ProtocolConnection, head: RequestHead, bytes: Uint8Array, start: number, end: number): number {
    const known = this.#known;
    const size = known.length;
    let at = start;
    let plain = 0; // static replies that are owed
    let budget = HIGH_WATER - channel.pending;
    while (at + size <= end && budget > 0 && this.#sys.equal(bytes, at, known, size) === 1) {
      at += size;
      channel.messages++;
      this.requests++;
      const closes = !head.keepAlive || !this.keepAlive || channel.messages >= this.limits.maxRequestsPerConnection;
      if (this.fetch === undefined) {
        if (this.#onRequest !== undefined) this.#log(channel, head, "", this.reply.status);
        if (closes) {
          this.#writePlain(channel, plain);
          channel.write(this.reply.variant("close", false));
          channel.finish(at === end && head.isLast);
          return end - start; // what is behind it concerns nobody
        }
        plain++;
        budget -= this.reply.plain.length;
      } else {
        const batched = this.#batched;
        if (!this.#answerNow(channel, head, closes)) return at - start;
        if (closes) {
          this.#writeBatch(channel);
          channel.finish(at === end && head.isLast);
          return end - start;
        }
        budget -= this.#batched - batched;
      }
    }
    this.#writePlain(channel, plain);
    this.#writeBatch(channel);
    if (at > start) channel.phase = "idle";
    return at - start;
  }

  /** Read the head at `start`, and remember it if it is simple. */
  read(bytes: Uint8Array, start: number, end: number): RequestHead | RejectionReason | undefined {
    const head = readHead(bytes, start, end, this.limits);
    if (head instanceof RequestHead && head.isSimple && head.size === head.bytes.length) {
      this.#known = head.bytes;
      this.#knownHead = head;
    }
    return head;
  }

  /** Call the handler: what it returned, or a promise of it. If it throws, the exchange has its reply. */
  call(exchange: Exchange, channel: ProtocolConnection): unknown {
    const request = new ServerRequest(exchange.head as RequestHead, channel, exchange.body);
    exchange.request = request;
    try {
      return this.#handle(request);
    } catch (error) {
      this.failed(exchange, error, request);
      return undefined;
    }
  }

  #handle(request: ServerRequest): unknown {
    const result = (this.fetch as (request: Request) => unknown)(ServerRequest.given(request));
    if (result instanceof Response) return result;
    if (result instanceof Promise) return Bun.peek.status(result) === "fulfilled" ? Bun.peek(result) : result;
    return isThenable(result) ? Promise.resolve(result) : result;
  }

  /** @throws {TypeError} if it is no Response, or none that can be sent */
  prepare(result: unknown): PreparedResponse | Promise<PreparedResponse> {
    if (result instanceof Response) return prepareResponse(result);
    throw new TypeError(`fetch returned ${result === null ? "null" : typeof result}, and no Response`);
  }

  /** The handler has thrown: the reply is onError's, or 500. */
  failed(exchange: Exchange, error: unknown, request: ServerRequest | undefined): void {
    exchange.reply = this.#failure;
    const result = this.report(error, request);
    if (!(result instanceof Response)) return;
    try {
      const reply = prepareResponse(result);
      if (!(reply instanceof Promise)) exchange.reply = reply;
    } catch (unusable) {
      this.report(unusable, request);
    }
  }

  /** Tell the application of an error of its own. */
  report(error: unknown, request: ServerRequest | undefined): unknown {
    return this.#onError?.(error, request === undefined ? undefined : ServerRequest.given(request));
  }

  /** A request gets its reply. */
  answered({ head, line }: Exchange, status: number, channel: ProtocolConnection): void {
    if (this.#onRequest !== undefined) this.#log(channel, head, line, status);
  }

  // ---- replies ----

  refusal(reason: RejectionReason): SerializedResponse {
    return this.#refusals.get(reason) as SerializedResponse;
  }

  /** Outside of an iteration: the time may have gone on. */
  refresh(): void {
    this.startIteration(this.#clock.now());
  }

  /** The head of a reply. */
  serialise(reply: PreparedResponse, head: RequestHead | undefined, closes: boolean, hasNoBody: boolean): string {
    const { status, statusText, fields, hasDate, declaredLength } = reply;
    let length = "";
    if (status !== 204 && status !== 304) {
      const size = hasNoBody && declaredLength >= 0 ? declaredLength : reply.length;
      if (size >= 0) length = `Content-Length: ${size}\r\n`;
      else if (head?.minor === 1) length = "Transfer-Encoding: chunked\r\n";
    }
    const connection = closes ? "Connection: close\r\n" : head?.minor === 0 ? "Connection: keep-alive\r\n" : "";
    return `HTTP/1.1 ${status} ${statusText}\r\n${hasDate ? "" : this.#dateLine}${fields}${length}${connection}\r\n`;
  }

  /** Call the handler for a simple request, and batch its reply if it is there at once and in memory. */
  #answerNow(channel: ProtocolConnection, head: RequestHead, closes: boolean): boolean {
    const request = new ServerRequest(head, channel, undefined);
    let exchange: Exchange | undefined;
    try {
      const result = this.#handle(request);
      const reply = result instanceof Promise ? undefined : this.prepare(result);
      if (reply !== undefined && !(reply instanceof Promise) && this.#batchReply(channel, reply, head, closes)) {
        if (this.#onRequest !== undefined) this.#log(channel, head, "", reply.status);
        return true;
      }
      exchange = exchangeOf(head, request, closes);
      this.#writeBatch(channel);
      if (result instanceof Promise) {
        this.#conversation(channel).await(exchange, result);
        return false;
      }
      if (reply instanceof Promise) {
        this.#conversation(channel).awaitReply(exchange, reply);
        return false;
      }
      exchange.reply = reply;
    } catch (error) {
      exchange ??= exchangeOf(head, request, closes);
      this.failed(exchange, error, request);
      this.#writeBatch(channel);
    }
    this.#conversation(channel).answer(exchange);
    return false;
  }

  #batchReply(channel: ProtocolConnection, reply: PreparedResponse, head: RequestHead, closes: boolean): boolean {
    const { body } = reply;
    if (body === undefined || (!closes && (reply.closes || !this.keepAlive))) return false;
    const hasNoBody = reply.status === 204 || reply.status === 304;
    const last = this.#lastHead;
    const isAgain = last.isOf(reply, hasNoBody, head.minor, closes, this.#dateLine);
    const text = isAgain ? "" : this.serialise(reply, head, closes, hasNoBody);
    const headSize = isAgain ? last.bytes.length : text.length;
    const size = headSize + (hasNoBody ? 0 : body.length);
    if (size > BATCH_BYTES - this.#batched) {
      if (size > BATCH_BYTES) return false;
      this.#keepBatch(channel);
    }
    const batch = this.#batch;
    const start = this.#batched;
    this.#batched += headSize;
    if (isAgain) {
      batch.set(last.bytes, start);
    } else {
      batch.write(text, start, "latin1");
      // Only what comes twice in a row is worth it: replies of all lengths would be remembered in vain.
      if (reply.length === this.#lastLength) {
        last.remember(reply, hasNoBody, head.minor, closes, this.#dateLine, batch.subarray(start, this.#batched));
      }
      this.#lastLength = reply.length;
    }
    if (hasNoBody) return true;
    batch.set(body, this.#batched);
    this.#batched += body.length;
    return true;
  }

  #writeBatch(channel: ProtocolConnection): void {
    if (this.#batched === 0) return;
    channel.write(this.#batch, this.#batched, true);
    this.#lentTo = channel;
    this.#batched = 0;
  }

  /** More replies come than fit into one batch: what is in it gets a place of its own. */
  #keepBatch(channel: ProtocolConnection): void {
    if (this.#batched > 0) channel.write(Buffer.from(this.#batch.subarray(0, this.#batched)));
    this.#batched = 0;
  }

  #writePlain(channel: ProtocolConnection, count: number): void {
    if (count === 0) return;
    const { plain } = this.reply;
    if (count === 1) return channel.write(plain);
    const { batch } = this.reply;
    for (let left = count * plain.length; left > 0; left -= batch.length) {
      channel.write(batch, Math.min(left, batch.length));
    }
  }

  #conversation(channel: ProtocolConnection): HttpConnection {
    return ((channel.protocolState as HttpConnection | undefined) ??= new HttpConnection(channel, this));
  }

  #log({ peer }: ProtocolConnection, head: RequestHead | undefined, raw: string, status: number): void {
    const { line, method, target, version } = head ?? requestInfo(raw);
    this.#onRequest?.({ line, method, target, version, status, peer });
  }
}

function exchangeOf(head: RequestHead, request: ServerRequest, closes: boolean): Exchange {
  const exchange = new Exchange(head, undefined);
  exchange.request = request;
  exchange.closes = closes;
  return exchange;
}

function isThenable(result: unknown): result is PromiseLike<unknown> {
  return typeof (result as PromiseLike<unknown> | null | undefined)?.then === "function";
}
