// The Request that a fetch handler receives. Its parts are created on first use.

import type { ProtocolConnection } from "../protocol.ts";
import { NativeRequest } from "./native-request.ts";
import type { RequestBody } from "./request-body.ts";
import type { RequestHead } from "./request-head.ts";
import { RequestHeaders } from "./request-headers.ts";

/** Rarely used properties of a Request, which are read from a native one. */
const nativeProperties = [
  "cache",
  "credentials",
  "destination",
  "integrity",
  "mode",
  "redirect",
  "referrer",
  "referrerPolicy",
] as const;

/** Why a request was not upgraded to a WebSocket. */
export interface UpgradeFailure {
  response: Response;
  /** The response is sent whatever the handler returns. Otherwise it is sent if the handler returns nothing. */
  isFinal: boolean;
}

/** Behaves like a Request, but creates its headers, signal and body only when they are used. */
export class ServerRequest {
  readonly #head: RequestHead;
  readonly #connection: ProtocolConnection;
  /** Which of the connection's messages this is. */
  readonly #message: number;
  readonly #body: RequestBody | undefined;
  #headers: Headers | undefined;
  #abort: AbortController | undefined;
  #abortReason: unknown;
  #isUsed = false;
  /** A native Request, which has taken over the body. */
  #native: Request | undefined;
  #isUpgraded = false;
  #upgradeFailure: UpgradeFailure | undefined;

  constructor(head: RequestHead, connection: ProtocolConnection, body: RequestBody | undefined) {
    this.#head = head;
    this.#connection = connection;
    this.#message = connection.messages;
    this.#body = body;
  }

  /** Returns the connection of a request; undefined if it is not a request that a server received. */
  static connectionOf(request: object): ProtocolConnection | undefined {
    const serverRequest = ServerRequest.of(request);
    return serverRequest === undefined ? undefined : serverRequest.#connection;
  }

  /** Returns the ServerRequest of what a handler has received; undefined if it is not a request that a server received. */
  static of(request: object): ServerRequest | undefined {
    return #connection in request ? request : serverRequests.get(request);
  }

  static headOf(request: ServerRequest): RequestHead {
    return request.#head;
  }

  /** Returns whether all of the request was received. */
  static isComplete(request: ServerRequest): boolean {
    return request.#body === undefined || request.#body.isComplete;
  }

  /** Returns whether the request was upgraded: it gets no other response. */
  static isUpgraded(request: ServerRequest): boolean {
    return request.#isUpgraded;
  }

  static setUpgraded(request: ServerRequest): void {
    request.#isUpgraded = true;
  }

  static upgradeFailureOf(request: ServerRequest): UpgradeFailure | undefined {
    return request.#upgradeFailure;
  }

  static setUpgradeFailure(request: ServerRequest, failure: UpgradeFailure): void {
    request.#upgradeFailure = failure;
  }

  /** Sets the timeout of a request's handler and stream, if it still waits for them. */
  static setTimeout(request: object, timeoutMs: number): void {
    const own = ServerRequest.of(request);
    if (own === undefined || own.#connection.messages !== own.#message || own.#connection.isFinished) return;
    own.#connection.handlerTimeoutMs = timeoutMs;
    own.#connection.flush();
  }

  /**
   * Returns the Request to pass to a handler. Bun's `new Request(request, init)` takes the method only from native Requests
   * and otherwise assumes GET. Other methods therefore get a native Request immediately, unless Bun does not support the method.
   */
  static forHandler(request: ServerRequest): Request {
    const { method } = request;
    return method === "GET" || !isSupported(method) ? (request as unknown as Request) : ServerRequest.toNative(request);
  }

  /** Aborts the request's signal. */
  static abort(request: ServerRequest, reason: unknown): void {
    request.#abortReason ??= reason;
    request.#abort?.abort(reason);
  }

  /** Returns whether the handler has started to read the body. A native request pulls its first piece only later. */
  static isReading(request: ServerRequest): boolean {
    return request.#native?.bodyUsed === true;
  }

  get url(): string {
    return this.#head.url(this.#connection.isSecure);
  }

  get method(): string {
    return this.#head.method;
  }

  get headers(): Headers {
    return (this.#headers ??= new RequestHeaders(this.#head) as unknown as Headers);
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#abortReason !== undefined) this.#abort.abort(this.#abortReason);
    }
    return this.#abort.signal;
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (this.#native !== undefined) return this.#native.body;
    return this.#body?.stream ?? null;
  }

  get bodyUsed(): boolean {
    return this.#native?.bodyUsed ?? (this.#isUsed || this.#body?.isReadStarted === true);
  }

  get keepalive(): boolean {
    return false;
  }

  get duplex(): "half" {
    return "half";
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#native !== undefined) return new Uint8Array(await this.#native.arrayBuffer());
    if (this.#body === undefined) return new Uint8Array(0);
    if (this.bodyUsed) throw new TypeError("Body already used");
    this.#isUsed = true;
    return this.#body.all();
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const { buffer, byteOffset, byteLength } = await this.bytes();
    return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
  }

  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  async blob(): Promise<Blob> {
    return new Blob([await this.bytes()], { type: this.headers.get("content-type") ?? "" });
  }

  async formData(): ReturnType<Response["formData"]> {
    const type = this.headers.get("content-type") ?? "";
    return new Response(await this.bytes(), { headers: { "Content-Type": type } }).formData();
  }

  clone(): Request {
    if (this.bodyUsed) throw new TypeError("Body already used");
    return toNative(this).clone() as Request;
  }

  get #nativeHeaders(): Headers {
    const { headers } = this;
    return headers instanceof RequestHeaders ? RequestHeaders.toNative(headers) : headers;
  }

  /** Converts it to a native Request, which takes over the body. */
  static toNative(request: ServerRequest): Request {
    if (request.#native !== undefined) return request.#native;
    const { method, url, signal, body } = request;
    const headers = request.#nativeHeaders;
    const hasBody = body !== null && method !== "GET" && method !== "HEAD";
    const native = hasBody
      ? NativeRequest.create(url, { method, headers, signal, body, duplex: "half" }, request.#body as RequestBody)
      : new Request(url, { method, headers, signal });
    request.#headers = native.headers;
    serverRequests.set(native, request);
    return (request.#native = native);
  }
}

const { toNative } = ServerRequest;

/** The ServerRequests of native requests. */
const serverRequests = new WeakMap<object, ServerRequest>();

const supportedMethods = new Map<string, boolean>();

/** Returns whether Bun's Request keeps this method. */
function isSupported(method: string): boolean {
  let result = supportedMethods.get(method);
  if (result === undefined) {
    result = new Request("http://localhost/", { method }).method === method;
    supportedMethods.set(method, result);
  }
  return result;
}

for (const name of nativeProperties) {
  Object.defineProperty(ServerRequest.prototype, name, {
    configurable: true,
    get(this: ServerRequest) {
      return toNative(this)[name];
    },
  });
}
// So that `instanceof Request` holds, and that anything not defined here is inherited.
Object.setPrototypeOf(ServerRequest.prototype, Request.prototype);
