// What a server may and must do on one connection: checks each byte that it sends, how it ends the connection, and when.

import { EAGAIN, EINTR } from "../../src/kernel/errno.ts";
import { pattern } from "./pattern.ts";
import { type ExpectedFrame, MAX_HEADER_BYTES, type SimRequest, STATIC_BODY } from "./requests.ts";
import type { TcpSocket } from "./tcp.ts";

/** The timeouts of the simulated servers, in milliseconds: all different, so that a mistaken one is noticed. */
export const TIMEOUTS = {
  headerTimeoutMs: 1100,
  bodyTimeoutMs: 1700,
  idleTimeoutMs: 3100,
  handlerTimeoutMs: 2300,
  writeTimeoutMs: 1300,
} as const;
const LINGER_MS = 2000;
const HALF_CLOSED_MS = Math.min(10_000, TIMEOUTS.idleTimeoutMs, TIMEOUTS.handlerTimeoutMs);
const QUIET_MS = 250;
const WEBSOCKET_QUIET_MS = 4000;
const WEBSOCKET_PONG_MS = 4000;
/** Proxies may need the time of a head for their header, and then the client has as long for its own. */
const HIGH_WATER_MARK = 262_144;
const RECEIVE_BYTES = 65_536;

/** Thrown when the server has done something that it must not do. */
export class Violation extends Error {}

export interface OracleOptions {
  readonly isStatic: boolean;
  readonly keepAlive: boolean;
  readonly isEager: boolean;
  /** Positions in the client's stream. */
  readonly prefixEnd: number;
  /** The client's PROXY header is not valid, so the first reply is a 400. */
  readonly hasBadPrefix: boolean;
  readonly frames: readonly ExpectedFrame[];
  readonly streamEnd: number;
}

type Output = "head" | "length" | "chunk-size" | "chunk-data" | "chunk-end" | "until-close" | "frames" | "nothing";

const STATIC_BYTES = Buffer.from(STATIC_BODY);

export class Oracle {
  readonly name: string;
  readonly requests: readonly SimRequest[];
  readonly #options: OracleOptions;
  readonly #now: () => number;
  socket: TcpSocket | undefined;
  fd = -1;

  /** The number of complete replies. */
  replies = 0;
  /** Where each reply ends in the server's output. */
  readonly replyEnds: number[] = [];
  /** Where `100 Continue` ends in the server's output, by the index of the request. */
  readonly continueEnds: Map<number, number> = new Map<number, number>();
  /** Where the response with status 101 ends. */
  upgradeEnd: number = Infinity;
  /** The handler was called for requests up to this one. */
  #handled = -1;
  /** Bytes of bodies of handlers' responses in memory that are not sent yet. */
  #promised = 0;
  #largest = 0;

  // The times of what has happened.
  #acceptedMs = 0;
  #lastInMs = 0;
  #lastOutMs = 0;
  #lastReplyMs = 0;
  #headStartMs = 0;
  #prefixMs = 0;
  #blockedMs = Infinity;
  #progressMs = 0;
  #finMs = Infinity;
  /** When the server noticed that the client has closed its side: the time of the handler is limited from then on. */
  #peerClosedMs = 0;
  /** Output that the kernel has not taken. */
  #isBlocked = false;
  /** A simulated error may have ended the connection. */
  isFaulty = false;
  isClosed = false;
  /** No reply may follow. */
  #isLast = false;
  isStopping = false;
  forcedMs: number = Infinity;
  stoppedMs: number = Infinity;
  #endedBy = "";

  // The parser of the server's output.
  #output: Output = "head";
  #text = "";
  #remaining = 0;
  #position = 0;
  #current: SimRequest | undefined;
  #isRejection = false;
  #frameBytes = Buffer.alloc(0);
  #frames = 0;
  #pingMs = Infinity;
  #hasSentClose = false;

  constructor(name: string, requests: readonly SimRequest[], options: OracleOptions, now: () => number) {
    this.name = name;
    this.requests = requests;
    this.#options = options;
    this.#now = now;
  }

  fail(message: string): never {
    throw new Violation(`${this.name}: ${message} (at ${this.#now()} ms, read ${this.#read}, replies ${this.replies})`);
  }

  get #read(): number {
    return this.socket?.in.read ?? 0;
  }

  get #next(): SimRequest | undefined {
    return this.requests[this.replies];
  }

  /** The client's PROXY header is not complete, or not valid. */
  get #isPrefixMissing(): boolean {
    return this.#options.hasBadPrefix || this.#read < this.#options.prefixEnd;
  }

  get isWebSocket(): boolean {
    return this.#output === "frames";
  }

  /** No further reply is to be expected. */
  get isLast(): boolean {
    return this.#isLast;
  }

  // ---- what the server does ----

  onAccepted(socket: TcpSocket, fd: number): void {
    this.socket = socket;
    this.fd = fd;
    this.#acceptedMs = this.#lastInMs = this.#lastOutMs = this.#lastReplyMs = this.#headStartMs = this.#now();
    this.#prefixMs = this.#progressMs = this.#now();
  }

  onReceived(length: number): void {
    const after = this.#read;
    const before = after - length;
    const now = this.#now();
    this.#lastInMs = now;
    if (before < this.#options.prefixEnd && after >= this.#options.prefixEnd) this.#prefixMs = now;
    const next = this.#next;
    if (next !== undefined && before <= next.start && after > next.start) this.#headStartMs = now;
    if (this.#pingMs !== Infinity) this.#pingMs = Infinity;
    this.#checkInputBound(after);
  }

  /** While a request is being answered, only a bounded part of what follows is received. */
  #checkInputBound(read: number): void {
    if (this.isWebSocket || this.#finMs !== Infinity || this.#isLast) return; // lingering: discarded, not kept
    const handled = this.requests[Math.max(this.#handled, this.replies - 1)];
    const from = handled === undefined ? 0 : handled.headEnd;
    const body = this.#options.isStatic || handled === undefined ? 0 : handled.end - handled.headEnd;
    // The handler has taken as much of the body as it wants: `text()` and `bytes()` take all of it.
    const bound = from + body + HIGH_WATER_MARK + 2 * RECEIVE_BYTES + MAX_HEADER_BYTES;
    if (!this.#options.isStatic && read > bound) this.fail(`${read - from} bytes of input are buffered`);
  }

  /** An event or a result has told the server that the client has closed its side. */
  onPeerClosed(): void {
    if (this.#peerClosedMs === 0) this.#peerClosedMs = this.#now();
  }

  onHandler(index: number): SimRequest {
    const request = this.requests[index] as SimRequest;
    if (this.#read < request.headEnd) this.fail(`the handler got request ${index} before all of its head was received`);
    if (request.isHandled) this.fail(`the handler got request ${index} twice`);
    for (let i = this.#handled + 1; i < index; i++) {
      if ((this.requests[i] as SimRequest).rejections.length === 0) this.fail(`the handler did not get request ${i}`);
    }
    request.isHandled = true;
    request.handledMs = this.#progressMs = this.#now();
    this.#handled = index;
    if (request.plan.kind === "get") {
      this.#promised += request.replySize;
      this.#largest = Math.max(this.#largest, request.replySize);
      if (this.#promised > HIGH_WATER_MARK + RECEIVE_BYTES + 2 * this.#largest) {
        this.fail(`${this.#promised} bytes of responses are in memory`);
      }
    }
    return request;
  }

  /** The application has supplied something. */
  onProgress(): void {
    this.#progressMs = this.#now();
  }

  onSent(bytes: Uint8Array, offset: number, result: number, wanted: number): void {
    if (this.#finMs !== Infinity) this.fail("send after shutdown");
    const now = this.#now();
    const sent = Math.max(0, result);
    if (sent > 0) this.#lastOutMs = now;
    if (sent < wanted && (result >= 0 || result === -EAGAIN || result === -EINTR)) {
      this.onSendPostponed();
    } else if (sent === wanted) {
      this.#isBlocked = false;
    }
    const { socket } = this;
    const base = (socket?.out.written ?? 0) - sent;
    let at = offset;
    const end = offset + sent;
    while (at < end) at = this.#consume(bytes, at, end, base - offset);
  }

  /** The server has something to send, and waits until it can. */
  onSendPostponed(): void {
    if (!this.#isBlocked) this.#blockedMs = this.#now();
    this.#isBlocked = true;
  }

  onShutdown(): void {
    if (this.#finMs !== Infinity) return;
    this.#onEnd(false);
    this.#finMs = this.#now();
  }

  onClosing(isReset: boolean): void {
    if (this.#finMs === Infinity) {
      this.#onEnd(isReset);
      // Closing with unread input is a reset, and the client may lose what it has not read (RFC 9112, 9.6).
      const losesReply = this.#endedBy === "last reply" && (this.socket?.in.unread ?? 0) > 0;
      if (losesReply && !isReset) this.fail("closed with unread input after the last reply");
    }
    if (this.#finMs !== Infinity && isReset && !this.isFaulty && !this.isStopping) this.fail("reset while lingering");
    this.isClosed = true;
  }

  // ---- the bytes that it sends ----

  #consume(bytes: Uint8Array, at: number, end: number, base: number): number {
    switch (this.#output) {
      case "head":
        return this.#consumeHead(bytes, at, end, base);
      case "length":
      case "chunk-data":
      case "until-close": {
        const n = Math.min(end - at, this.#remaining);
        if (n === 0) this.fail("bytes after the end of the body");
        this.#checkBody(bytes, at, n);
        this.#remaining -= n;
        if (this.#remaining === 0) {
          if (this.#output === "length") this.#onReplied(base + at + n);
          else if (this.#output === "chunk-data") this.#output = "chunk-end";
        }
        return at + n;
      }
      case "chunk-end":
      case "chunk-size":
        return this.#consumeChunkLine(bytes, at, end, base);
      case "frames":
        this.#frameBytes = Buffer.concat([this.#frameBytes, bytes.subarray(at, end)]);
        while (this.#consumeFrame());
        return end;
      case "nothing":
        return this.fail(`bytes after the last reply: ${quote(bytes, at, end)}`);
    }
  }

  #checkBody(bytes: Uint8Array, at: number, n: number): void {
    const request = this.#current as SimRequest;
    if (!this.#isRejection) {
      const expected = this.#options.isStatic
        ? STATIC_BYTES.subarray(this.#position, this.#position + n)
        : pattern(request.id, this.#position, n);
      if (Buffer.compare(expected, bytes.subarray(at, at + n)) !== 0) {
        this.fail(
          `wrong bytes at ${this.#position} of the reply to request ${request.id}: ${quote(bytes, at, at + n)}`,
        );
      }
      if (request.plan.kind === "get") this.#promised -= n;
    }
    this.#position += n;
  }

  #consumeChunkLine(bytes: Uint8Array, at: number, end: number, base: number): number {
    const newline = bytes.indexOf(10, at);
    const stop = newline < 0 || newline >= end ? end : newline + 1;
    this.#text += latin1(bytes, at, stop);
    if (!this.#text.endsWith("\n")) return stop;
    const line = this.#text;
    this.#text = "";
    if (this.#output === "chunk-end") {
      if (line !== "\r\n") this.fail(`a chunk does not end with CRLF: ${JSON.stringify(line)}`);
      if (this.#remaining < 0) this.#onReplied(base + stop);
      else this.#output = "chunk-size";
      return stop;
    }
    if (!/^[0-9a-f]+\r\n$/.test(line)) this.fail(`malformed chunk size ${JSON.stringify(line)}`);
    this.#remaining = parseInt(line, 16);
    this.#output = this.#remaining === 0 ? "chunk-end" : "chunk-data";
    if (this.#remaining === 0) this.#remaining = -1;
    return stop;
  }

  #consumeHead(bytes: Uint8Array, at: number, end: number, base: number): number {
    const found = indexOfHeadEnd(this.#text, bytes, at, end);
    const stop = found < 0 ? end : found;
    if (this.#text === "") this.#onReplyBegins();
    this.#text += latin1(bytes, at, stop);
    if (found < 0) return stop;
    const head = this.#text;
    this.#text = "";
    this.#onHead(head, base + stop);
    return stop;
  }

  /** The first byte of a reply: there must be something to reply to. */
  #onReplyBegins(): void {
    const read = this.#read;
    const next = this.#next;
    if (this.#isPrefixMissing) {
      if (read === 0) this.fail("a reply although nothing was received");
    } else if (next === undefined) {
      this.fail("a reply without a request");
    } else if (read <= next.start) {
      this.fail(`a reply to request ${this.replies}, of which nothing was received`);
    }
  }

  #onHead(head: string, end: number): void {
    const now = this.#now();
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? this.fail(`not a head: ${JSON.stringify(head)}`));
    const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)\r$`, "im").exec(head)?.[1];
    const request = this.#next;
    this.#current = request;
    this.#position = 0;
    if (status === 100) {
      if (request?.expectsContinue !== true) this.fail("100 Continue without Expect");
      if (this.continueEnds.has(this.replies)) this.fail("100 Continue twice");
      this.continueEnds.set(this.replies, end);
      return;
    }
    if (status === 101) {
      if (request?.status !== 101) this.fail("an upgrade without a request");
      this.#output = "frames";
      this.upgradeEnd = end;
      this.#lastReplyMs = now;
      return;
    }
    const closes = field("connection") === "close";
    if (closes) this.#isLast = true;
    const id = field("x-id");
    this.#isRejection = id === undefined && !(this.#options.isStatic && status === 200);
    if (this.#isRejection) {
      this.#checkRejection(status, request);
      if (!closes) this.fail(`a rejection (${status}) that does not close the connection`);
    } else if (request === undefined) {
      this.fail("a reply without a request");
    } else {
      if (request.rejections.length > 0 && request.plan.kind !== "bad-chunk")
        this.fail("an invalid request was accepted");
      if (this.#read < request.headEnd) this.fail(`a reply before the head of request ${this.replies} was received`);
      if (!this.#options.isStatic && Number(id) !== request.id) {
        this.fail(`the reply to request ${id} in place of that to request ${request.id}`);
      }
      const isRefused = request.status === 101 && status === 200 && this.isStopping; // no upgrade while the server stops
      if (status !== request.status && !isRefused) this.fail(`status ${status} instead of ${request.status}`);
      const mayClose = request.closes || request.mayClose || this.isStopping || !this.#options.keepAlive;
      if (closes && !mayClose) this.fail("a reply closes the connection without a reason");
      if (request.closes && !closes) this.fail("a reply does not close the connection");
    }
    const length = field("content-length");
    if (!this.#isRejection && length !== undefined && Number(length) !== request?.replySize) {
      this.fail(`Content-Length ${length} instead of ${request?.replySize}`);
    }
    // A rejection has a body if the server cannot know yet that the method is HEAD.
    const isKnown = !this.#isRejection || (this.#read >= (request?.start ?? 0) + 5 && !this.#isPrefixMissing);
    if (request?.isHead === true && isKnown) {
      this.#onReplied(end);
    } else if (field("transfer-encoding") === "chunked") {
      this.#output = "chunk-size";
    } else if (length !== undefined) {
      this.#remaining = Number(length);
      this.#output = "length";
      if (this.#remaining === 0) this.#onReplied(end);
    } else {
      this.#remaining = Infinity;
      this.#output = "until-close";
      if (!closes) this.fail("a reply without a length does not close the connection");
    }
  }

  #checkRejection(status: number, request: SimRequest | undefined): void {
    const now = this.#now();
    const read = this.#read;
    if (this.#options.hasBadPrefix && this.replies === 0) {
      if (status !== 400) this.fail(`status ${status} for an invalid PROXY header`);
      return;
    }
    if (read < this.#options.prefixEnd && status === 400) {
      const isLate = now - this.#acceptedMs >= TIMEOUTS.headerTimeoutMs;
      if (!isLate && this.socket?.hasReceivedFin !== true)
        this.fail("a PROXY header was rejected before it was complete");
      return;
    }
    if (request === undefined) return this.fail(`status ${status} without a request`);
    if (request.rejections.includes(status)) return;
    if (status === 408) {
      const isComplete = read >= request.end;
      if (isComplete) this.fail("408 although the whole request was received");
      const since = read < request.headEnd ? Math.max(this.#headStartMs, this.#lastReplyMs) : this.#lastInMs;
      const needed = read < request.headEnd ? TIMEOUTS.headerTimeoutMs : TIMEOUTS.bodyTimeoutMs;
      // The time of the first head begins when the connection is accepted.
      const from = this.replies === 0 && read < request.headEnd ? Math.min(this.#acceptedMs, since) : since;
      if (read < request.headEnd ? now - from < needed : now - this.#progressOfBody() < needed) {
        this.fail(`408 after ${now - from} ms`);
      }
      return;
    }
    if (status === 400) {
      if (this.socket?.hasReceivedFin !== true || read >= request.end) this.fail("400 for a valid request");
      return;
    }
    if (status === 503) {
      if (now - request.handledMs < TIMEOUTS.handlerTimeoutMs) this.fail(`503 after ${now - request.handledMs} ms`);
      return;
    }
    this.fail(`status ${status} for a valid request (${request.plan.kind})`);
  }

  /** minBodyRate: the last byte may be much later than the last progress, so this is a lower bound of the time. */
  #progressOfBody(): number {
    return Math.min(this.#lastInMs, Math.max(this.#headStartMs, this.#lastReplyMs, this.#prefixMs));
  }

  #onReplied(end: number): void {
    const request = this.#current;
    if (!this.#isRejection && request !== undefined && !request.isHead) {
      const size = this.#position;
      if (size !== request.replySize) this.fail(`a reply of ${size} bytes instead of ${request.replySize}`);
    }
    this.replies++;
    this.replyEnds.push(end);
    this.#lastReplyMs = this.#now();
    this.#output = this.#isLast ? "nothing" : "head";
    const next = this.#next;
    if (next !== undefined && this.#read > next.start) this.#headStartMs = this.#now();
  }

  #consumeFrame(): boolean {
    const bytes = this.#frameBytes;
    if (bytes.length < 2) return false;
    const code = (bytes[1] as number) & 0x7f;
    const start = code < 126 ? 2 : code === 126 ? 4 : 10;
    if (bytes.length < start) return false;
    const length = code < 126 ? code : code === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < start + length) return false;
    const opcode = (bytes[0] as number) & 15;
    const payload = bytes.subarray(start, start + length);
    this.#frameBytes = bytes.subarray(start + length);
    if (this.#hasSentClose) this.fail("a frame after a Close frame");
    const expected = this.#options.frames[this.#frames];
    if (opcode === 9 && length === 0) {
      if (
        this.#now() - Math.max(this.#lastInMs, this.upgradeEnd === Infinity ? 0 : this.#lastReplyMs) <
        WEBSOCKET_QUIET_MS
      ) {
        this.fail("a ping although the peer was not quiet");
      }
      this.#pingMs = this.#now();
      return true;
    }
    if (opcode === 8) {
      this.#hasSentClose = true;
      const isExpected = expected?.opcode === 8 && payload.subarray(0, 2).equals(expected.payload.subarray(0, 2));
      if (!isExpected && !this.isStopping) this.fail(`an unexpected Close frame ${payload.toString("latin1")}`);
      this.#frames++;
      return true;
    }
    if (expected === undefined) return this.fail("a frame that answers nothing");
    if (this.#read < expected.end) this.fail("an echo before its message was received");
    if (opcode !== expected.opcode || !payload.equals(expected.payload)) {
      this.fail(`frame ${this.#frames} is wrong: opcode ${opcode} instead of ${expected.opcode}, ${length} bytes`);
    }
    this.#frames++;
    return true;
  }

  // ---- how it ends ----

  /** Whether a request was received completely and not answered. */
  get isOwed(): boolean {
    const next = this.#next;
    if (this.#isLast || next === undefined || this.isWebSocket) return false;
    return this.#read >= next.end && !this.#options.hasBadPrefix;
  }

  #onEnd(isReset: boolean): void {
    const reason = this.#reasonToEnd(isReset);
    if (reason === undefined) this.fail(`${isReset ? "reset" : "closed"} without a reason`);
    this.#endedBy = reason;
  }

  get endedBy(): string {
    return this.#endedBy;
  }

  #reasonToEnd(isReset: boolean): string | undefined {
    const { socket } = this;
    const now = this.#now();
    if (socket === undefined) return "never accepted";
    if (this.isFaulty) return "fault";
    if (socket.isDead || socket.error !== 0) return "reset by the peer";
    if (this.isStopping && now >= this.forcedMs) return "stopped";
    if (this.#isBlocked) {
      // Unless it is eager, the server first waits for room, and tries to send only once more when the time is over.
      const waitsSince = this.#options.isEager
        ? this.#blockedMs
        : Math.min(this.#blockedMs, Math.max(this.#lastInMs, this.#progressMs));
      const isLate = now - Math.max(this.#lastOutMs, waitsSince) >= TIMEOUTS.writeTimeoutMs;
      if (isLate && isReset) return "write timeout";
      if (!isReset) return undefined;
    }
    const isInReply = this.#text !== "" || !["head", "nothing", "frames"].includes(this.#output);
    if (this.#output === "until-close" && !isReset) {
      const complete = this.#position === this.#current?.replySize;
      return complete || this.#isRejection ? "end of the body" : undefined;
    }
    const quietMs = now - Math.max(this.#progressMs, this.#lastOutMs);
    const isPeerClosed = socket.hasReceivedFin;
    if (isInReply) {
      const request = this.#current;
      if (isReset && request?.plan.kind === "bad-chunk") return "malformed body";
      if (isReset && quietMs >= TIMEOUTS.handlerTimeoutMs) return "handler timeout";
      if (isReset && isPeerClosed && quietMs >= QUIET_MS) return "half-closed";
      if (isReset && isPeerClosed && (request === undefined || this.#read < request.end)) return "incomplete body";
      if (isReset && isPeerClosed && this.isStopping && now - this.stoppedMs >= 1000) return "stopped";
      return undefined;
    }
    if (this.#isLast && this.#output === "nothing") return isReset ? undefined : "last reply";
    if (this.isWebSocket) return this.#reasonToEndWebSocket();
    if (this.isOwed) {
      const next = this.#next as SimRequest;
      if (isReset && isPeerClosed && now - Math.max(next.handledMs, this.#lastReplyMs, 0) >= HALF_CLOSED_MS)
        return "half-closed";
      if (isReset && isPeerClosed && this.isStopping && now - this.stoppedMs >= 1000) return "stopped";
      return undefined;
    }
    if (isPeerClosed) return "closed by the peer";
    if (this.isStopping) return "stopped";
    const read = this.#read;
    const next = this.#next;
    if (read <= (next?.start ?? 0) || next === undefined) {
      if (this.replies === 0 && read <= this.#options.prefixEnd) {
        return now - this.#acceptedMs >= TIMEOUTS.headerTimeoutMs ? "header timeout" : undefined;
      }
      return now - Math.max(this.#lastReplyMs, this.#lastInMs) >= TIMEOUTS.idleTimeoutMs ? "idle timeout" : undefined;
    }
    if (read >= next.headEnd && next.isHandled && now - this.#lastInMs >= 0 && isReset === false) {
      // The rest of a body that is not needed arrives too slowly.
      return now - this.#progressOfBody() >= TIMEOUTS.bodyTimeoutMs ? "body timeout" : undefined;
    }
    return undefined;
  }

  #reasonToEndWebSocket(): string | undefined {
    if (this.#hasSentClose) return "Close frame";
    if (this.socket?.hasReceivedFin === true) return "closed by the peer";
    if (this.#now() - this.#pingMs >= WEBSOCKET_PONG_MS) return "no pong";
    return undefined;
  }

  // ---- when it must act ----

  /** Returns the time by which the server must have done something; Infinity if it need not. */
  deadlineMs(): number {
    const { socket } = this;
    if (socket === undefined || this.isClosed) return Infinity;
    if (this.#finMs !== Infinity) return this.#finMs + LINGER_MS;
    if (this.#isBlocked) return Math.max(this.#lastOutMs, this.#blockedMs) + TIMEOUTS.writeTimeoutMs;
    if (this.isWebSocket) {
      if (this.#pingMs !== Infinity) return this.#pingMs + WEBSOCKET_PONG_MS;
      return Math.max(this.#lastInMs, this.#lastReplyMs, this.#lastOutMs) + WEBSOCKET_QUIET_MS;
    }
    const read = this.#read;
    const next = this.#next;
    if (this.#output !== "head" || this.#text !== "") {
      return (
        Math.max(this.#progressMs, this.#lastOutMs, this.#lastInMs, this.#peerClosedMs) + TIMEOUTS.handlerTimeoutMs
      );
    }
    if (read <= this.#options.prefixEnd) {
      return Math.max(this.#acceptedMs, this.#prefixMs) + TIMEOUTS.headerTimeoutMs;
    }
    if (next === undefined || read <= next.start) {
      return Math.max(this.#lastReplyMs, this.#lastInMs) + TIMEOUTS.idleTimeoutMs;
    }
    const begunMs = Math.max(this.#headStartMs, this.#lastReplyMs, this.#prefixMs);
    if (read < next.headEnd) return begunMs + TIMEOUTS.headerTimeoutMs;
    const since = Math.max(begunMs, this.#lastInMs, this.#progressMs, this.#peerClosedMs);
    return since + Math.max(TIMEOUTS.handlerTimeoutMs, read < next.end ? TIMEOUTS.bodyTimeoutMs : 0);
  }

  describe(): string {
    return `output ${this.#output}, blocked ${this.#isBlocked}, in ${this.#lastInMs}, out ${this.#lastOutMs}, progress ${this.#progressMs}`;
  }
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

function quote(bytes: Uint8Array, start: number, end: number): string {
  return JSON.stringify(latin1(bytes, start, Math.min(end, start + 80)));
}

/** Returns the position after the first empty line, which may have begun in `before`; -1 if there is none. */
function indexOfHeadEnd(before: string, bytes: Uint8Array, at: number, end: number): number {
  if (before !== "") {
    const joined = before.slice(-3) + latin1(bytes, at, Math.min(end, at + 3));
    const found = joined.indexOf("\r\n\r\n");
    if (found >= 0) return at + found + 4 - Math.min(3, before.length);
  }
  for (let i = at; (i = bytes.indexOf(13, i)) >= 0 && i + 4 <= end; i++) {
    if (bytes[i + 1] === 10 && bytes[i + 2] === 13 && bytes[i + 3] === 10) return i + 4;
  }
  return -1;
}
