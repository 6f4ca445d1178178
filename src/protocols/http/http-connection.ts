// One connection's requests and replies while they are not simply one after the other: bodies, handlers that wait, pieces of heads.

import { Buffer } from "node:buffer";
import type { ProtocolConnection } from "../protocol.ts";
import { type BodyOwner, RequestBody } from "./request-body.ts";
import { Exchange } from "./exchange.ts";
import type { RequestHead } from "./request-head.ts";
import { InputBuffer } from "./input-buffer.ts";
import type { HttpProtocol } from "./http-protocol.ts";
import { HIGH_WATER, BodyWriter } from "./body-writer.ts";
import type { RejectionReason } from "./rejection.ts";
import { SerializedResponse } from "./static-response.ts";
import { ServerRequest } from "./server-request.ts";
import type { PreparedResponse } from "./response.ts";

/** How many requests of one connection are at work at once: more wait their turn. */
const MAX_PIPELINED = 32;
/** How much of a body that nobody reads is thrown away, for the sake of the request after it. */
const DISCARD_BYTES = 262_144;
const IGNORED_BYTES = 65_536;
/** How much is shown of a line that is no request's. */
const LINE_BYTES = 8_192;
const CR = 13;
const LF = 10;

const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

export class HttpConnection implements BodyOwner {
  readonly #channel: ProtocolConnection;
  readonly #http: HttpProtocol;
  /** In the order of the requests, and so of the replies. */
  readonly #exchanges: Exchange[] = [];
  /** The body that is just coming, and whose it is, if that one still waits for its reply. */
  #incoming: RequestBody | undefined;
  #discarded = 0;
  #bodyProgress = 0;

  readonly #held = new InputBuffer();

  /** No more requests are taken: the connection ends with the replies that are due. */
  #isDeaf = false;
  /** What came all the same: it is read for the sake of the end behind it, within a bound. */
  #ignored = 0;
  /** The peer will send no more. */
  #isInputOver = false;
  /** What is being taken ends where the input does. */
  #isAtEnd = false;
  /** Input is being taken: whatever a handler sets off meanwhile, no other is, and this object stays. */
  #isTaking = false;

  constructor(channel: ProtocolConnection, http: HttpProtocol) {
    this.#channel = channel;
    this.#http = http;
  }

  // ---- what the loop tells ----

  receive(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isDeaf && this.#incoming === undefined) {
      this.#ignored += end - start;
      return this.#update();
    }
    if (this.#held.length === 0) {
      const taken = this.#take(bytes, start, end);
      if (taken < end && !this.#isDeaf) this.#held.append(bytes, taken, end);
    } else {
      this.#held.append(bytes, start, end);
      const isFull = this.#held.length >= this.#http.limits.maxHeaderBytes;
      if (isFull || this.#held.isWorthALook(bytes, start, end)) this.#takeHeld();
    }
    this.#update();
  }

  end(): void {
    this.#isInputOver = true;
    if (this.#incoming !== undefined || (this.#held.length > 0 && !this.#mustWait)) {
      this.#refuse("bad-request"); // RFC 9112, 8
    }
    if (this.#exchanges.length === 0) this.#channel.finish(true);
    // A client that wants no reply any more says no more than this; one that does, gets it all the same.
    for (const { request } of this.#exchanges) if (request !== undefined) ServerRequest.abort(request, gone());
    this.#update();
  }

  drain(): void {
    this.#exchanges[0]?.pump?.drained();
    this.#advance();
    this.#takeHeld();
    this.#update();
  }

  timeout(): void {
    if (this.#incoming !== undefined) this.#refuse("body-timeout");
    else if (this.#held.length > 0) this.#refuse("header-timeout");
    else this.#channel.finish(false);
    this.#update();
  }

  closed(): void {
    const reason = gone();
    this.#http.unsettled.delete(this);
    this.#isDeaf = true;
    for (const exchange of this.#exchanges) this.#kill(exchange, reason);
    this.#exchanges.length = 0;
    this.#incoming?.fail(reason);
    this.#incoming = undefined;
  }

  /** Bun's loop does not turn: an application that waits for it waits for ever. */
  settle(): boolean {
    const first = this.#exchanges[0];
    if (first === undefined) return false;
    if (first.pump !== undefined && first.isStuck) {
      this.#http.report(cannotWait(), first.request);
      this.#channel.abort();
      return true;
    }
    const stuck = this.#exchanges.filter((exchange) => exchange.pump === undefined && exchange.isStuck);
    for (const exchange of stuck) if (!exchange.isDead) this.fail(exchange, cannotWait());
    if (stuck.length > 0) this.#goOn();
    return stuck.length > 0;
  }

  // ---- requests ----

  /** Begin with a request whose handler was called already, and waits. */
  await(exchange: Exchange, promise: Promise<unknown>): void {
    this.#enter(exchange);
    this.#watch(exchange, promise);
    this.#update();
  }

  /** Begin with a request whose handler has returned, and its reply is not ready. */
  awaitReply(exchange: Exchange, reply: Promise<PreparedResponse>): void {
    this.#enter(exchange);
    this.#await(exchange, reply);
    this.#update();
  }

  /** Begin with a request whose reply is known, but cannot be sent at once. */
  answer(exchange: Exchange): void {
    this.#enter(exchange);
    this.#advance();
    this.#update();
  }

  #enter(exchange: Exchange): void {
    this.#exchanges.push(exchange);
    if (exchange.closes) this.#isDeaf = true;
  }

  #take(bytes: Uint8Array, start: number, end: number): number {
    this.#isTaking = true;
    try {
      return this.#takeAll(bytes, start, end);
    } finally {
      this.#isTaking = this.#isAtEnd = false;
    }
  }

  #takeAll(bytes: Uint8Array, start: number, end: number): number {
    const channel = this.#channel;
    let at = start;
    while (at < end && (!this.#isDeaf || this.#incoming !== undefined)) {
      if (this.#incoming !== undefined) {
        const count = this.#incoming.feed(bytes, at, end);
        if (count < 0) {
          this.#refuse(this.#incoming.refusal ?? "bad-request");
          return end;
        }
        at += count;
        this.#isAtEnd = at === end;
        this.#moved(this.#incoming, count);
        continue;
      }
      if (this.#mustWait) break;
      const skipped = emptyLine(bytes, at, end);
      if (skipped > 0) {
        at += skipped;
        continue;
      }
      if (this.#exchanges.length === 0 && !this.#isInputOver) {
        const known = this.#http.answerKnown(channel, bytes, at, end);
        at += known;
        if (known > 0) continue;
      }
      const head = this.#http.read(bytes, at, end);
      if (head === undefined) break;
      if (typeof head === "string") {
        this.#refuse(head, undefined, bytes.subarray(at, end));
        return end;
      }
      at += head.size;
      this.#isAtEnd = at === end;
      this.#begin(head);
    }
    return at;
  }

  #begin(head: RequestHead): void {
    const http = this.#http;
    this.#channel.messages++;
    http.requests++;
    let body: RequestBody | undefined;
    if (head.bodyLength !== 0) {
      if (head.bodyLength > http.limits.maxBodyBytes) return this.#refuse("body-too-large", head);
      this.#incoming = body = new RequestBody(head.bodyLength, http.limits.maxBodyBytes, this);
      this.#discarded = this.#bodyProgress = 0;
    }
    const exchange = new Exchange(head, body);
    if (!this.#isAtEnd && exchange.continues === "awaited") exchange.continues = "no"; // the body has begun to come
    this.#exchanges.push(exchange);
    if (this.#channel.messages >= http.limits.maxRequestsPerConnection) exchange.closes = true;
    if (!head.keepAlive || !http.keepAlive || exchange.closes) exchange.closes = true;
    if (head.target === "*") exchange.reply = http.options;
    else if (http.fetch === undefined) exchange.reply = http.reply;
    else this.#call(exchange);
    if (exchange.reply instanceof SerializedResponse) {
      body?.discard();
      if (exchange.continues === "awaited") exchange.continues = "due";
    }
    if (exchange.closes && body === undefined) this.#isDeaf = true;
    this.#advance();
  }

  /** Some of a body has come. */
  #moved(body: RequestBody, count: number): void {
    const channel = this.#channel;
    this.#bodyProgress += count;
    if (this.#bodyProgress >= this.#http.bodyQuota) {
      this.#bodyProgress = 0;
      channel.progress++;
    }
    if (body.isComplete) {
      this.#incoming = undefined;
      const last = this.#exchanges.at(-1);
      if (last?.body === body && last.closes) this.#isDeaf = true;
      this.#advance();
    } else if (body.isDiscarded && this.#http.fetch !== undefined) {
      this.#discarded += count;
      if (this.#discarded > DISCARD_BYTES) this.#giveUp(body);
    }
  }

  /** More of a body that nobody reads has come than is worth it: the connection ends with the replies that are due. */
  #giveUp(body: RequestBody): void {
    this.#incoming = undefined;
    this.#isDeaf = true;
    body.fail(new Error("The rest of the request's body is not received."));
    const last = this.#exchanges.at(-1);
    if (last === undefined) this.#channel.finish(false);
    else last.closes = true;
    this.#advance();
  }

  /** Take no more, and say why after the replies that are due. */
  #refuse(
    reason: RejectionReason,
    head?: RequestHead,
    bytes: Uint8Array = this.#held.bytes.subarray(0, this.#held.length),
  ): void {
    const http = this.#http;
    const body = this.#incoming;
    this.#isDeaf = true;
    this.#incoming = undefined;
    http.rejectedBy[reason]++;
    const last = this.#exchanges.at(-1);
    if (body !== undefined) {
      const error = new Error(`The request's body is refused: ${reason}`);
      body.fail(error);
      if (last?.body === body && last.pump === undefined) {
        this.#kill(last, error); // to its handler
        this.#exchanges.pop();
        this.#push(reason, last.head, bytes);
      } else if (last?.body === body) {
        return this.#channel.abort(); // in the midst of its reply: there is no other way to say that
      } else if (last === undefined) {
        this.#channel.finish(false); // its reply has gone
      } else {
        last.closes = true;
      }
    } else {
      this.#push(reason, head, bytes);
    }
    this.#advance();
  }

  #push(reason: RejectionReason, head: RequestHead | undefined, bytes: Uint8Array): void {
    const exchange = new Exchange(head, undefined);
    if (head === undefined) exchange.line = firstLine(bytes);
    exchange.reply = this.#http.refusal(reason);
    exchange.closes = true;
    this.#exchanges.push(exchange);
  }

  // ---- handlers ----

  #call(exchange: Exchange): void {
    const result = this.#http.call(exchange, this.#channel);
    if (result instanceof Promise) this.#watch(exchange, result);
    else if (exchange.reply === undefined) this.#prepare(exchange, result);
  }

  #watch(exchange: Exchange, promise: Promise<unknown>): void {
    promise.then(
      (result) =>
        this.#later(
          exchange,
          () => this.#prepare(exchange, result),
          () => void (result instanceof Response && !result.bodyUsed && result.body?.cancel().catch(() => {})),
        ),
      (error) =>
        this.#later(
          exchange,
          () => this.fail(exchange, error),
          () => {
            // Nobody is there for a reply; but unless that is what it says itself, it is to be heard of.
            if ((error as Error | undefined)?.name !== "AbortError") this.#http.report(error, exchange.request);
          },
        ),
    );
  }

  /** A handler returned. */
  #prepare(exchange: Exchange, result: unknown): void {
    const { request } = exchange;
    try {
      const reply = this.#http.prepare(result);
      if (reply instanceof Promise) this.#await(exchange, reply);
      else if (reply.source?.prime === undefined || !isUnread(exchange.body)) exchange.reply = reply;
      // Its pieces may come from the request's body. Then that is wanted, which has to be said before the reply is begun.
      else
        this.#await(
          exchange,
          reply.source.prime().then(() => reply),
        );
    } catch (error) {
      this.#http.failed(exchange, error, request);
    }
  }

  #await(exchange: Exchange, reply: Promise<PreparedResponse>): void {
    reply.then(
      (ready) =>
        this.#later(
          exchange,
          () => void (exchange.reply = ready),
          () => ready.source?.cancel(gone()),
        ),
      (error) => this.#later(exchange, () => this.fail(exchange, error)),
    );
  }

  fail(exchange: Exchange, error: unknown): void {
    this.#http.failed(exchange, error, exchange.request);
    this.#advance();
    this.#update();
  }

  /** Go on, outside of the loop's calls. */
  #later(exchange: Exchange, goOn: () => void, orElse?: () => void): void {
    if (exchange.isDead || exchange.reply !== undefined) return orElse?.();
    this.#http.refresh();
    goOn();
    this.#goOn();
  }

  #goOn(): void {
    this.#advance();
    this.#takeHeld();
    this.#update();
    this.#channel.flush();
  }

  touched(): void {
    const exchange = this.#exchanges.find(({ body }) => body !== undefined && body === this.#incoming);
    if (exchange?.continues !== "awaited") return;
    if ((exchange.body?.bytesIn ?? 0) > 0) {
      exchange.continues = "no";
      return;
    }
    exchange.continues = "due";
    if (this.#exchanges[0] !== exchange) return;
    this.#advance();
    this.#update();
    this.#channel.flush();
  }

  drained(): void {
    if (this.#channel.isClosed || this.#channel.protocolState !== this) return;
    this.#update();
    this.#channel.flush();
  }

  // ---- replies ----

  /** Send what is ready, in order. */
  #advance(): void {
    const channel = this.#channel;
    while (!channel.isFinished) {
      const exchange = this.#exchanges[0];
      if (exchange === undefined) break;
      if (exchange.continues === "due") {
        const isWanted = exchange.reply === undefined || this.#http.fetch === undefined;
        exchange.continues = isWanted ? "sent" : "awaited"; // answered before its turn came: the body is not wanted
        if (isWanted) channel.write(CONTINUE);
      }
      if (exchange.pump !== undefined || exchange.reply === undefined || this.#withholds(exchange)) break;
      this.#send(exchange, exchange.reply);
      if (exchange.pump !== undefined) break;
      if (!exchange.isDead) this.#sent(exchange); // a short file may be all sent already
    }
  }

  /** Until a body that nobody reads has come to its end: only then it is known whether the request was well-formed. */
  #withholds(exchange: Exchange): boolean {
    const { body } = exchange;
    if (body === undefined || body.isComplete || body.error !== undefined) return false;
    if (exchange.reply instanceof SerializedResponse && body.isDiscarded && this.#http.fetch === undefined) return true;
    if (!(exchange.reply instanceof SerializedResponse) && exchange.reply?.source?.prime !== undefined) return false;
    const isUnwanted = exchange.head?.expectsContinue === true && exchange.continues !== "sent";
    const isUnread = !body.isTouched || body.isDiscarded;
    if (isUnwanted || (isUnread && body.left !== Infinity && body.left > DISCARD_BYTES)) {
      if (this.#incoming === body) this.#incoming = undefined;
      body.fail(new Error("The request was answered before its body came."));
      this.#isDeaf = true;
      exchange.closes = true;
      return false;
    }
    if (body.isTouched && !body.isDiscarded) return false;
    body.discard();
    return true;
  }

  #send(exchange: Exchange, reply: SerializedResponse | PreparedResponse): void {
    const http = this.#http;
    const { head } = exchange;
    http.answered(exchange, reply.status, this.#channel); // first: a callback may stop the server
    if (!http.keepAlive || (!(reply instanceof SerializedResponse) && reply.closes)) exchange.closes = true;
    if (exchange.continues === "awaited") {
      exchange.continues = "no"; // it is too late for that, and nobody knows whether the body will come
      exchange.closes = true;
    }
    if (exchange.closes) this.#isDeaf = true; // what is behind it concerns nobody
    if (reply instanceof SerializedResponse) {
      const field = exchange.closes ? "close" : head?.minor === 0 ? "keep-alive" : "";
      const isHead = head?.method === "HEAD" || exchange.line.startsWith("HEAD ");
      this.#channel.write(reply.variant(field, isHead));
      return;
    }
    const { source } = reply;
    const hasNoBody = head?.method === "HEAD" || reply.status === 204 || reply.status === 304;
    const isChunked = reply.length < 0 && head?.minor === 1;
    if (reply.length < 0 && !isChunked && !hasNoBody) exchange.closes = this.#isDeaf = true; // its end is the connection's
    this.#channel.write(Buffer.from(http.serialise(reply, head, exchange.closes, hasNoBody), "latin1"));
    if (hasNoBody) {
      source?.cancel(undefined);
    } else if (source !== undefined) {
      exchange.pump = new BodyWriter(this.#channel, source, reply.length, isChunked);
      void this.#stream(exchange, exchange.pump);
    } else if (reply.body !== undefined) {
      this.#channel.write(reply.body);
    }
  }

  /** The first exchange's reply is complete. */
  #sent(exchange: Exchange): void {
    this.#exchanges.shift();
    exchange.isDead = true;
    const { body } = exchange;
    if (exchange.closes) {
      this.#isDeaf = true;
      // It is kept in mind only as long as nothing more can have come.
      const isWhole = this.#isAtEnd && (body === undefined || body.isComplete);
      for (const other of this.#exchanges) this.#kill(other, gone());
      this.#exchanges.length = 0;
      this.#channel.finish(isWhole && exchange.head?.isLast === true && this.#held.length === 0);
    } else if (body !== undefined && !body.isComplete) {
      body.discard(); // its handler has answered, and reads on in vain
    }
  }

  async #stream(exchange: Exchange, pump: BodyWriter): Promise<void> {
    try {
      if (!(await pump.run())) return;
    } catch (error) {
      if (exchange.isDead) return;
      pump.cancel(error);
      this.#http.report(error, exchange.request);
      return this.#channel.abort(); // so that the client takes it for no whole reply
    }
    exchange.pump = undefined;
    this.#http.refresh();
    this.#sent(exchange);
    this.#goOn();
  }

  #kill(exchange: Exchange, reason: Error): void {
    exchange.isDead = true;
    if (exchange.request !== undefined) ServerRequest.abort(exchange.request, reason);
    const { reply, pump } = exchange;
    if (pump !== undefined) pump.cancel(reason);
    else if (reply !== undefined && !(reply instanceof SerializedResponse)) reply.source?.cancel(reason);
  }

  // ---- input that has to wait ----

  /** No further request is begun for now; a body that is coming may go on, unless output piles up. */
  get #mustWait(): boolean {
    if (this.#channel.pending >= HIGH_WATER) return true;
    if (this.#incoming !== undefined) return false;
    const { length } = this.#exchanges;
    // The reply to HTTP/1.0 may have to end the connection: its next request waits for that.
    return length >= MAX_PIPELINED || (length > 0 && this.#exchanges[length - 1]?.head?.minor === 0);
  }

  /** The client waits for us before it sends the body that is due. */
  get #owesContinue(): boolean {
    const last = this.#exchanges[this.#exchanges.length - 1];
    if (last?.body === undefined || last.body !== this.#incoming || last.body.bytesIn > 0) return false;
    return last.continues === "awaited" || last.continues === "due";
  }

  #takeHeld(): void {
    if (this.#isTaking || this.#held.length === 0 || this.#isDeaf || this.#channel.isFinished) return;
    this.#held.drop(this.#take(this.#held.bytes, 0, this.#held.length));
  }

  /** Tell the loop what this connection waits for. */
  #update(): void {
    const channel = this.#channel;
    // A body may be touched long after all was answered, and this object forgotten.
    if (channel.isFinished || channel.isClosed || channel.protocolState !== this) return;
    const { length } = this.#exchanges;
    if (length > 0) this.#http.unsettled.add(this);
    else this.#http.unsettled.delete(this);
    const incoming = this.#incoming;
    const mustWait = this.#mustWait;
    if (this.#isInputOver && length === 0) return channel.finish(true);
    const isDeafened = this.#isDeaf && this.#ignored >= IGNORED_BYTES;
    channel.isPaused = isDeafened || this.#isInputOver || mustWait || incoming?.isFull === true;
    channel.wantsDrain = this.#exchanges[0]?.pump?.isAwaitingRoom === true || channel.pending >= HIGH_WATER;
    if (incoming !== undefined && !channel.isPaused && !this.#owesContinue) channel.phase = "body";
    else if (this.#held.length > 0 && !channel.isPaused && !this.#isDeaf) channel.phase = "head";
    else if (length > 0) channel.phase = "handler";
    else channel.phase = "idle";
    const isAtRest = length === 0 && incoming === undefined && this.#held.length === 0;
    if (isAtRest && channel.messages === 0) channel.phase = "new"; // only empty lines have come
    if (isAtRest && !channel.isPaused && !this.#isDeaf && !this.#isTaking) channel.protocolState = undefined;
  }
}

function isUnread(body: RequestBody | undefined): boolean {
  return body !== undefined && !body.isComplete && !body.isTouched;
}

/** How long the empty line is that begins here: some clients send one too many, RFC 9112, 2.2. */
function emptyLine(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] === LF) return 1;
  return bytes[at] === CR && at + 1 < end && bytes[at + 1] === LF ? 2 : 0;
}

/** What stands for a request's line in a log, if it is none: as much of it as is bearable. */
function firstLine(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, LINE_BYTES)).toString("latin1");
  return /^[\r\n]*([^\r\n]*)/.exec(text)?.[1] ?? "";
}

const gone = (): Error => new DOMException("The client has gone.", "AbortError");

const cannotWait = (): Error =>
  new Error(
    "fetch has to wait for something that cannot happen while run() blocks Bun's event loop (a timer, I/O): " +
      "answer from what is in memory, or serve by start()",
  );
