// The state of one WebSocket: passes bytes to the parser, calls the handlers, and queues frames.

import { Buffer } from "node:buffer";
import { drainMicrotasks } from "../../kernel/jsc.ts";
import { awaitHandler } from "../await-handler.ts";
import type { HttpState } from "../http/http-state.ts";
import type { ProtocolConnection } from "../protocol.ts";
import { ABNORMAL, GOING_AWAY, NO_STATUS, TRY_AGAIN_LATER } from "./close-codes.ts";
import { closeFrameData, invalidFrameReason } from "./close-frame.ts";
import type { Deflate } from "./deflate.ts";
import type { FrameHandler, FrameReceiver } from "./frame-receiver.ts";
import { CLOSE, PING, PONG } from "./opcodes.ts";
import { type OutgoingMessage, serializeFrame } from "./outgoing-message.ts";
import { ServerWebSocket } from "./server-websocket.ts";
import type { WebSocketOwner } from "./websocket-owner.ts";
import { BACKPRESSURE, DROPPED, type WebSocketContext, type WebSocketMember } from "./websocket-context.ts";
import { nextWebSocketState, type WebSocketEvent, type WebSocketState } from "./websocket-state.ts";

/** With more output than this, a callback sends it before it returns. */
const CORK_BYTES = 16_384;
/** The first allocation for a frame that arrives in pieces. It doubles, up to the size of the frame. */
const FIRST_BYTES = 65_536;

export class WebSocketConnection implements FrameHandler, HttpState, WebSocketMember, WebSocketOwner {
  readonly connection: ProtocolConnection;
  readonly deflate: Deflate | undefined;
  readonly socket: ServerWebSocket<unknown>;
  /** Set by `Topics`. */
  topics: string | Set<string> | undefined;
  readonly #context: WebSocketContext;
  #state: WebSocketState = "open";
  /** The parser, between the first and the last byte of a message. */
  #receiver: FrameReceiver | undefined;
  /** Content of a frame that arrives in pieces: collected, so that the parser gets it as one. */
  #content: Buffer | undefined;
  #contentLength = 0;
  /** Input that arrived with the request, before `open` was called. */
  #early: Buffer | undefined;
  /** The bytes of an incomplete message that are counted in the server's budget. */
  #countedBytes = 0;
  /** A `send` has returned -1. */
  #owesDrain = false;
  #isFlushScheduled = false;
  #isPaused = false;
  #hasReceivedClose = false;

  constructor(connection: ProtocolConnection, context: WebSocketContext, deflate: Deflate | undefined, data: unknown) {
    this.connection = connection;
    this.#context = context;
    this.deflate = deflate;
    this.socket = new ServerWebSocket(this, data);
  }

  /** Takes over the connection, after the response with status 101 was queued. */
  open(): void {
    const { connection } = this;
    connection.protocolState = this;
    connection.isDuplex = true;
    connection.isPaused = connection.wantsDrain = false;
    connection.receiveInto = undefined;
    connection.phase = "open";
    this.#context.connections.add(this);
    this.#scheduleFlush();
    const { open } = this.#context.handlers;
    if (open !== undefined) this.#call(() => open.call(this.#context.handlers, this.socket));
  }

  get isOpen(): boolean {
    return this.#state === "open" || this.#state === "pinged";
  }

  get isPaused(): boolean {
    return this.#isPaused && this.isOpen;
  }

  get remoteAddress(): string | undefined {
    const { peer } = this.connection;
    return "address" in peer ? peer.address : undefined;
  }

  // ---- events of the loop ----

  receive(bytes: Buffer, start: number, end: number): void {
    if (this.#early !== undefined) this.deliverEarly();
    if (!this.isOpen) return;
    this.#transition("received");
    this.connection.progress++;
    this.#setPhase();
    this.#feed(bytes, start, end);
    this.#countInput();
  }

  end(): void {
    if (this.#early !== undefined) this.deliverEarly();
    this.#finish(ABNORMAL, "", true);
  }

  peerClosed(): void {} // while paused: its input comes first

  drain(): void {
    const { connection } = this;
    connection.wantsDrain = false;
    if (!this.#owesDrain) return;
    this.#owesDrain = false;
    const { drain } = this.#context.handlers;
    if (drain !== undefined && this.isOpen) this.#call(() => drain.call(this.#context.handlers, this.socket));
  }

  /** The peer has been quiet for too long. */
  timeout(): void {
    if (!this.isOpen) return this.connection.finish(false);
    if (this.#context.settings.sendPings && this.#state === "open") {
      this.#transition("quiet");
      this.#setPhase();
      this.control(PING, new Uint8Array(0));
    } else {
      this.#finish(ABNORMAL, "WebSocket timed out from inactivity", true);
    }
  }

  closed(): void {
    this.#finish(ABNORMAL, "", true);
    this.#transition("closed");
    this.#releaseInput();
    this.deflate?.close();
  }

  /** Handlers of a WebSocket that wait for Bun's event loop do not delay anything else. */
  failBlockedRequests(): boolean {
    return false;
  }

  // ---- input ----

  /** Keeps input that arrived with the request. It is delivered after the handler that has called `upgrade` returns. */
  receiveEarly(bytes: Buffer): void {
    this.#early = bytes;
    queueMicrotask(() => {
      this.deliverEarly();
      this.connection.flush();
    });
  }

  deliverEarly(): void {
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) this.receive(early, 0, early.length);
  }

  #feed(bytes: Buffer, start: number, end: number): void {
    let at = start;
    if (this.#content !== undefined) {
      at += this.#collect(bytes, start, end);
      if (this.#contentLength < this.#missing) return;
      this.#feedContent();
    }
    if (at < end && this.isOpen) this.#parse(bytes.subarray(at, end));
  }

  #parse(chunk: Buffer): void {
    const hasDeflate = this.deflate !== undefined;
    const receiver = (this.#receiver ??= this.#context.takeReceiver(hasDeflate));
    receiver.owner = this;
    receiver.feed(chunk);
    if (this.#receiver !== receiver) return; // a handler has closed the connection
    if (receiver.isDone || !this.isOpen) return this.#releaseInput();
    if (receiver.isIdle) {
      this.#receiver = undefined;
      this.#context.returnReceiver(receiver, hasDeflate);
    } else if (receiver.missingBytes > 0) {
      this.#content = Buffer.allocUnsafeSlow(Math.min(receiver.missingBytes, FIRST_BYTES));
      this.#contentLength = 0;
    }
  }

  /** How many bytes are missing from the frame that is being received, not counting those that were collected. */
  get #missing(): number {
    return this.#receiver?.missingBytes ?? 0;
  }

  /** Collects content of the current frame; returns how many bytes of the input that were. */
  #collect(bytes: Buffer, start: number, end: number): number {
    const count = Math.min(end - start, this.#missing - this.#contentLength);
    const needed = this.#contentLength + count;
    let content = this.#content as Buffer;
    if (needed > content.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#missing, Math.max(needed, 2 * content.length)));
      content.copy(larger, 0, 0, this.#contentLength);
      this.#content = content = larger;
    }
    bytes.copy(content, this.#contentLength, start, start + count);
    this.#contentLength = needed;
    return count;
  }

  #feedContent(): void {
    const content = (this.#content as Buffer).subarray(0, this.#contentLength);
    this.#content = undefined;
    this.#parse(content);
  }

  #releaseInput(): void {
    if (this.#receiver !== undefined) this.#receiver.owner = undefined;
    this.#receiver = this.#content = this.#early = undefined;
    this.#context.budget.add(-this.#countedBytes);
    this.#countedBytes = 0;
  }

  /** Counts the bytes of an incomplete message. If the server has no memory left for it, the connection is closed. */
  #countInput(): void {
    const kept = (this.#receiver?.keptBytes ?? 0) + (this.#content?.length ?? 0);
    if (kept === this.#countedBytes) return;
    this.#context.budget.add(kept - this.#countedBytes);
    this.#countedBytes = kept;
    if (kept > FIRST_BYTES && this.#context.budget.isExceeded) {
      this.close(TRY_AGAIN_LATER, "the server has no memory for this message", ABNORMAL);
    }
  }

  // ---- events of the parser ----

  get isTraced(): boolean {
    return this.#context.onFrame !== undefined;
  }

  onFrame(opcode: number, fin: boolean, length: number, compressed: boolean): void {
    this.#context.onFrame?.(this.connection.fd, { direction: "in", opcode, fin, length, compressed });
  }

  onMessage(data: Buffer, isBinary: boolean): void {
    const { message } = this.#context.handlers;
    if (message === undefined || !this.isOpen) return;
    const content = isBinary ? ServerWebSocket.binary(this.socket, data) : data.toString();
    this.#call(() => message.call(this.#context.handlers, this.socket, content as string));
  }

  onPing(data: Buffer): void {
    if (!this.isOpen) return;
    this.control(PONG, data);
    const { ping } = this.#context.handlers;
    if (ping !== undefined && this.isOpen) {
      this.#call(() => ping.call(this.#context.handlers, this.socket, ServerWebSocket.binary(this.socket, data)));
    }
  }

  onPong(data: Buffer): void {
    const { pong } = this.#context.handlers;
    if (pong === undefined || !this.isOpen) return;
    this.#call(() => pong.call(this.#context.handlers, this.socket, ServerWebSocket.binary(this.socket, data)));
  }

  onCloseFrame(code: number, reason: Buffer): void {
    this.#hasReceivedClose = true;
    this.close(code, reason.toString(), code);
  }

  onInvalidFrame(code: number, message: string): void {
    const reason = invalidFrameReason(message);
    this.close(code, reason, ABNORMAL);
  }

  // ---- output ----

  /**
   * Sends a message.
   *
   * @returns the size of its content; -1 if it is queued, and so is what follows, until `drain` is called; 0 if it was dropped
   */
  send(message: OutgoingMessage, isCompressed: boolean): number {
    if (!this.#canSend()) return DROPPED;
    const deflate = isCompressed ? this.deflate : undefined;
    const frame = message.frameFor(deflate);
    return this.#write(frame, message.opcode, message.size);
  }

  /** Sends a ping or a pong. */
  control(opcode: number, data: Uint8Array): number {
    if (!this.#canSend()) return DROPPED;
    return this.#write(serializeFrame(opcode, data, false), opcode, data.length);
  }

  /** The number of bytes that the kernel has not taken. */
  get bufferedAmount(): number {
    const { connection } = this;
    if (!connection.isFinished) connection.sendNow();
    return connection.pending;
  }

  // ---- topics ----

  get subscriptions(): string[] {
    return this.#context.topics.topicsOf(this);
  }

  subscribe(topic: string): boolean {
    if (this.isOpen) this.#context.topics.subscribe(this, topic);
    return this.isOpen;
  }

  unsubscribe(topic: string): boolean {
    return this.#context.topics.unsubscribe(this, topic);
  }

  isSubscribed(topic: string): boolean {
    return this.#context.topics.isSubscribed(this, topic);
  }

  publish(topic: string, message: OutgoingMessage, isCompressed: boolean): number {
    if (!this.isOpen) return DROPPED;
    const except = this.#context.settings.publishToSelf ? undefined : this;
    return this.#context.publish(topic, message, isCompressed, except);
  }

  // ---- writing ----

  #canSend(): boolean {
    if (!this.isOpen) return false;
    const { backpressureLimit, closeOnBackpressureLimit } = this.#context.settings;
    if (this.connection.pending <= backpressureLimit) return true;
    if (closeOnBackpressureLimit) this.terminate();
    return false;
  }

  #write(frame: Buffer, opcode: number, length: number): number {
    const { connection } = this;
    if (this.isTraced) this.#traceOutput(frame, opcode);
    connection.write(frame);
    if (connection.pending > CORK_BYTES) connection.sendNow();
    if (connection.isBlocked || connection.pending > CORK_BYTES) {
      this.#owesDrain = connection.wantsDrain = true;
      this.#scheduleFlush();
      return BACKPRESSURE;
    }
    this.#scheduleFlush();
    return length;
  }

  #traceOutput(frame: Buffer, opcode: number): void {
    const byte = frame[1] as number;
    const length = byte === 126 ? frame.readUInt16BE(2) : byte === 127 ? frame.readUIntBE(4, 6) : byte;
    const compressed = ((frame[0] as number) & 0x40) !== 0;
    this.#context.onFrame?.(this.connection.fd, { direction: "out", opcode, fin: true, length, compressed });
  }

  /** Output of a callback is sent when it returns. */
  #scheduleFlush(): void {
    if (this.connection.isInCallback || this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    this.#context.scheduleFlush(this);
  }

  flush(): void {
    this.#isFlushScheduled = false;
    this.connection.flush();
  }

  // ---- the end ----

  /**
   * Sends a Close frame, and ends the connection.
   *
   * @param code for the peer; 0, 1005 and 1006 stand for none
   * @param reported the code for the `close` handler
   */
  close(code: number, reason: string, reported: number): void {
    if (!this.isOpen) return;
    const { data, text } = closeFrameData(code, reason);
    const frame = serializeFrame(CLOSE, data, false);
    if (this.isTraced) this.#traceOutput(frame, CLOSE);
    this.connection.write(frame);
    this.#finish(reported, reported === NO_STATUS ? "" : text, false);
  }

  /** The server stops. */
  goAway(): void {
    this.close(GOING_AWAY, "", GOING_AWAY);
  }

  /** Ends the connection without a Close frame, after what was queued, as far as the kernel takes it. */
  terminate(): void {
    if (!this.isOpen) return;
    this.connection.sendNow();
    if (this.connection.pending > 0) this.connection.abort();
    else this.#finish(ABNORMAL, "", true);
  }

  setPaused(isPaused: boolean): void {
    if (!this.isOpen || this.#isPaused === isPaused) return;
    this.#isPaused = this.connection.isPaused = isPaused;
    this.#setPhase();
    this.connection.flush();
  }

  /** Ends the connection once everything is sent, and calls the `close` handler. */
  #finish(code: number, reason: string, isPeerDone: boolean): void {
    if (!this.isOpen) return;
    this.#transition("ended");
    this.#context.connections.delete(this);
    this.#context.topics.unsubscribeAll(this);
    const { connection } = this;
    connection.isPaused = connection.wantsDrain = false;
    if (!connection.isClosed) {
      connection.finish(isPeerDone || this.#hasReceivedClose);
      this.#scheduleFlush();
    }
    const { close } = this.#context.handlers;
    if (close !== undefined) this.#call(() => close.call(this.#context.handlers, this.socket, code, reason));
  }

  #transition(event: WebSocketEvent): void {
    this.#state = nextWebSocketState(this.#state, event);
  }

  #setPhase(): void {
    this.connection.phase = this.#isPaused ? "paused" : this.#state === "pinged" ? "pinged" : "open";
  }

  /** Calls a handler. Its error goes to the `error` handler. If there is none, the run loop resets the connection and throws it. */
  #call(handler: () => unknown): void {
    try {
      const result = handler();
      // As with Bun.serve, an async handler continues with what is there already before the next message is delivered.
      if (result instanceof Promise && this.#context.mayRunMicrotasks) drainMicrotasks();
      awaitHandler(result, (error) => this.#onError(error));
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Does not throw: a handler may have called a method that calls another handler. */
  #onError(error: unknown): void {
    const { handlers } = this.#context;
    if (handlers.error === undefined) return this.connection.fail(error);
    try {
      awaitHandler(handlers.error(error as Error, this.socket), (own) => this.connection.fail(own));
    } catch (own) {
      this.connection.fail(own);
    }
  }
}
