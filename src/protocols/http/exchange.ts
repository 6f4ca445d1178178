// One request and its response.

import type { BodyWriter } from "./body-writer.ts";
import type { RequestBody } from "./request-body.ts";
import type { RequestHead } from "./request-head.ts";
import type { PreparedResponse } from "./response.ts";
import { ServerRequest } from "./server-request.ts";
import { SerializedResponse } from "./static-response.ts";

/**
 * The progress of an exchange:
 *
 * - `handling`: the handler has not produced a response yet
 * - `ready`: the response is available; it may have to wait for the rest of the request's body
 * - `streaming`: the head was sent, and the body is being streamed
 * - `done`: the response was sent completely, or the exchange was canceled
 */
export type ExchangeState = "handling" | "ready" | "streaming" | "done";

/**
 * The state of `Expect: 100-continue`:
 *
 * - `none`: the client does not wait for `100 Continue`, or no longer
 * - `expected`: it waits, and the handler has not asked for the body yet
 * - `due`: `100 Continue` is to be sent
 * - `sent`: `100 Continue` was sent
 */
export type Expectation = "none" | "expected" | "due" | "sent";

export class Exchange {
  /** undefined if the input was rejected before it was recognized as a request. */
  readonly head: RequestHead | undefined;
  readonly body: RequestBody | undefined;
  /** The request as the handler receives it. */
  request: ServerRequest | undefined;
  /** The first line of the input, if there is no head. */
  line: string = "";
  expectation: Expectation;
  /** onError was called for an error of the handler. */
  hasFailed: boolean = false;
  /** The connection closes after the response. */
  closesConnection: boolean = false;
  #state: ExchangeState = "handling";
  #response: SerializedResponse | PreparedResponse | undefined;
  #writer: BodyWriter | undefined;

  constructor(head: RequestHead | undefined, body: RequestBody | undefined) {
    this.head = head;
    this.body = body;
    this.expectation = head?.expectsContinue === true ? "expected" : "none";
  }

  get state(): ExchangeState {
    return this.#state;
  }

  /** Undefined while the state is `handling`. */
  get response(): SerializedResponse | PreparedResponse | undefined {
    return this.#response;
  }

  /** Defined while the state is `streaming`. */
  get writer(): BodyWriter | undefined {
    return this.#writer;
  }

  /** Sets the response, or replaces one that was not sent yet: handling or ready → ready. */
  respond(response: SerializedResponse | PreparedResponse): void {
    if (this.#state === "streaming" || this.#state === "done") return;
    this.#response = response;
    this.#state = "ready";
  }

  /** Starts streaming the body: ready → streaming. */
  startStreaming(writer: BodyWriter): void {
    this.#writer = writer;
    this.#state = "streaming";
  }

  /** The response was sent completely: ready or streaming → done. */
  complete(): void {
    this.body?.leaveBudget();
    this.#writer = undefined;
    this.#state = "done";
  }

  /** Aborts the request's signal and releases the response's body: any state → done. */
  cancel(reason: Error): void {
    this.#state = "done";
    this.body?.leaveBudget();
    if (this.request !== undefined) ServerRequest.abort(this.request, reason);
    const response = this.#response;
    if (this.#writer !== undefined) this.#writer.cancel(reason);
    else if (response !== undefined && !(response instanceof SerializedResponse)) response.source?.cancel(reason);
  }

  /**
   * Whether the exchange waits for the application, which cannot continue while `run()` blocks Bun's event loop. An exchange that
   * waits for its request's body, or for the client to receive more, can continue.
   */
  get isBlocked(): boolean {
    if (this.#writer !== undefined) return !this.#writer.isWaitingForDrain && !this.#isReadingBody;
    return this.#response === undefined && !this.#isReadingBody;
  }

  get #isReadingBody(): boolean {
    const { body } = this;
    return body !== undefined && body.isReadStarted && !body.isComplete && body.error === undefined;
  }
}
