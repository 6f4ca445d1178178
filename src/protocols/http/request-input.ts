// The input of one HTTP connection: buffers what cannot be parsed yet, and parses the rest into heads and bodies.

import type { Buffer } from "node:buffer";
import type { ProtocolConnection } from "../protocol.ts";
import type { HttpContext, RequestReader } from "./http-context.ts";
import { InputBuffer } from "./input-buffer.ts";
import { type InputEvent, type InputState, nextInputState } from "./input-state.ts";
import type { RejectionReason } from "./rejection.ts";
import { RequestBody, type RequestBodyOwner } from "./request-body.ts";
import type { RequestHead } from "./request-head.ts";
import { MAX_DISCARDED_BYTES } from "./unread-body.ts";

/** Bytes received in the state `discarding` after which the connection is no longer read. */
const MAX_IGNORED_BYTES = 65_536;
const CR = 13;
const LF = 10;

/** The value of `#unparsed` while the parser is not running. */
const NOT_PARSING = -1;

/** Called while input is parsed. */
export interface RequestInputOwner extends RequestBodyOwner {
  /** Whether a request is being handled, or its response sent. */
  readonly hasExchange: boolean;
  /** Whether the next request waits until responses were sent. */
  readonly mustWaitForResponses: boolean;
  /** A valid head was parsed. */
  onHead(head: RequestHead): void;
  /** The input is not a valid head. */
  onInvalidHead(reason: RejectionReason, input: Uint8Array): void;
  /** The body was received completely. */
  onBodyEnd(): void;
  /** The body is malformed or too large. */
  onInvalidBody(reason: RejectionReason): void;
  /** MAX_DISCARDED_BYTES of the body were discarded. */
  onBodyDiscarded(): void;
}

/** See docs/http-connection.md for the states. */
export class RequestInput {
  readonly #connection: ProtocolConnection;
  readonly #context: HttpContext;
  readonly #reader: RequestReader;
  readonly #owner: RequestInputOwner;

  #state: InputState = "head";
  /** The peer has closed its side. Buffered requests are still handled. */
  #isEnded = false;
  readonly #buffer = new InputBuffer();
  /** Bytes after the parser's position, or NOT_PARSING. Callbacks must not start the parser again. */
  #unparsed = NOT_PARSING;
  /** Bytes received in the state `discarding`. */
  #ignoredBytes = 0;

  /** The body that is being received, in the states `body` and `last-body`. */
  #body: RequestBody | undefined;
  /** Bytes of it that arrived since progress was last reported. */
  #bodyProgress = 0;
  /** Bytes of it that were discarded. */
  #discardedBytes = 0;

  constructor(connection: ProtocolConnection, context: HttpContext, reader: RequestReader, owner: RequestInputOwner) {
    this.#connection = connection;
    this.#context = context;
    this.#reader = reader;
    this.#owner = owner;
  }

  get state(): InputState {
    return this.#state;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** The body that is being received. */
  get body(): RequestBody | undefined {
    return this.#body;
  }

  /** Where the next bytes of the body belong, if they need not be processed first. */
  get target(): Buffer | undefined {
    return this.#body?.target;
  }

  /** Input that cannot be parsed yet. */
  get buffered(): Uint8Array {
    return this.#buffer.bytes.subarray(0, this.#buffer.length);
  }

  get hasBuffered(): boolean {
    return this.#buffer.length > 0;
  }

  get isParsing(): boolean {
    return this.#unparsed !== NOT_PARSING;
  }

  /** In a callback: whether more input follows the head or the part of a body that it reports. */
  get hasUnparsed(): boolean {
    return this.#unparsed > 0;
  }

  /** In a callback: whether it reports the last of all input so far. */
  get isConsumed(): boolean {
    return this.#unparsed === 0 && this.#buffer.length === 0;
  }

  /** Whether nothing more can be received for now, regardless of the responses. */
  get isPaused(): boolean {
    if (this.#isEnded) return true;
    return this.#state === "discarding" ? this.#ignoredBytes >= MAX_IGNORED_BYTES : this.#body?.isFull === true;
  }

  receive(bytes: Buffer, start: number, end: number): void {
    if (this.#isDiscarding) {
      this.#ignoredBytes += end - start;
    } else if (this.#buffer.length === 0) {
      const position = this.#parse(bytes, start, end);
      if (position < end && !this.#isDiscarding) this.#buffer.append(bytes, position, end);
    } else {
      this.#buffer.append(bytes, start, end);
      const isFull = this.#buffer.length >= this.#context.limits.maxHeaderBytes;
      if (isFull || this.#buffer.shouldParse(bytes, start, end)) this.parseBuffer();
    }
  }

  /** The peer has closed its side. */
  end(): void {
    this.#isEnded = true;
  }

  /** Parses buffered input, after responses were sent. */
  parseBuffer(): void {
    if (this.isParsing || this.#buffer.length === 0 || this.#isDiscarding || this.#connection.isFinished) return;
    if (this.#state === "upgraded") return;
    this.#buffer.consume(this.#parse(this.#buffer.bytes, 0, this.#buffer.length));
  }

  /** Starts to receive the body that a head has announced. */
  startBody(length: number): RequestBody {
    this.#body = new RequestBody(length, this.#context.limits.maxBodyBytes, this.#context.budget, this.#owner);
    this.#discardedBytes = this.#bodyProgress = 0;
    this.#transition("body-started");
    return this.#body;
  }

  /** Reads no further requests. The current body is still received. */
  readNoMoreRequests(): void {
    this.#transition("last-request");
  }

  /** Reads nothing more: the rest belongs to another protocol. */
  upgrade(): void {
    this.#transition("upgraded");
  }

  /** Takes the input that was not processed. */
  takeBuffered(): Buffer {
    return this.#buffer.take();
  }

  /** Reads nothing more, and fails the current body. */
  stop(reason: Error): void {
    const body = this.#body;
    this.#body = undefined;
    this.#transition("stopped");
    body?.fail(reason);
  }

  get #isDiscarding(): boolean {
    return this.#state === "discarding";
  }

  #transition(event: InputEvent): void {
    this.#state = nextInputState(this.#state, event);
  }

  /** Parses heads and bodies; returns the position of the first byte that was not processed. */
  #parse(bytes: Buffer, start: number, end: number): number {
    this.#unparsed = end - start;
    try {
      let at = start;
      while (at < end && !this.#isDiscarding && this.#state !== "upgraded") {
        const body = this.#body;
        const count = body === undefined ? this.#parseHead(bytes, at, end) : this.#parseBody(body, bytes, at, end);
        if (count === 0) break;
        at += count;
      }
      return at;
    } finally {
      this.#unparsed = NOT_PARSING;
    }
  }

  /** Parses one head, or what precedes it; returns how many bytes were processed. */
  #parseHead(bytes: Buffer, start: number, end: number): number {
    if (this.#owner.mustWaitForResponses) return 0;
    const emptyLine = emptyLineLength(bytes, start, end);
    if (emptyLine > 0) return emptyLine;
    if (!this.#owner.hasExchange && !this.#isEnded) {
      const count = this.#reader.answer(this.#connection, bytes, start, end);
      if (count > 0) return count;
    }
    const head = this.#reader.readHead(bytes, start, end);
    if (head === undefined) return 0;
    if (typeof head === "string") {
      this.#owner.onInvalidHead(head, bytes.subarray(start, end));
      return end - start;
    }
    this.#unparsed = end - start - head.size;
    this.#owner.onHead(head);
    return head.size;
  }

  /** Parses part of a body; returns how many bytes were processed. */
  #parseBody(body: RequestBody, bytes: Buffer, start: number, end: number): number {
    const count = body.feed(bytes, start, end);
    if (count < 0) {
      this.#owner.onInvalidBody(body.rejection ?? "bad-request");
      return end - start;
    }
    this.#unparsed = end - start - count;
    this.#bodyProgress += count;
    if (this.#bodyProgress >= this.#context.minBodyBytes) {
      this.#bodyProgress = 0;
      this.#connection.progress++;
    }
    if (body.isComplete) {
      this.#body = undefined;
      this.#transition("body-ended");
      this.#owner.onBodyEnd();
    } else if (body.isDiscarded && this.#context.application.hasHandler) {
      this.#discardedBytes += count;
      if (this.#discardedBytes > MAX_DISCARDED_BYTES) this.#owner.onBodyDiscarded();
    }
    return count;
  }
}

/** Returns the length of the empty line that begins here, if any. Some clients send one before a request: RFC 9112, 2.2. */
function emptyLineLength(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] === LF) return 1;
  return bytes[at] === CR && at + 1 < end && bytes[at + 1] === LF ? 2 : 0;
}
