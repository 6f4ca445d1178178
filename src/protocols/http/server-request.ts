// The Request that a fetch handler gets: made of parts that are not there until somebody asks for them.

import type { ProtocolConnection } from "../protocol.ts";
import type { RequestBody } from "./request-body.ts";
import type { RequestHead } from "./request-head.ts";

/** What else a Request has: asked for seldom, and then of a real one. */
const others = [
  "cache",
  "credentials",
  "destination",
  "integrity",
  "mode",
  "redirect",
  "referrer",
  "referrerPolicy",
] as const;

/** A request as it came: looks like a Request, and costs what is read of it. */
export class ServerRequest {
  readonly #head: RequestHead;
  readonly #channel: ProtocolConnection;
  readonly #body: RequestBody | undefined;
  #headers: Headers | undefined;
  #abort: AbortController | undefined;
  #whyAborted: unknown;
  #isUsed = false;
  /** A real Request, which has taken over the body. */
  #real: Request | undefined;

  constructor(head: RequestHead, channel: ProtocolConnection, body: RequestBody | undefined) {
    this.#head = head;
    this.#channel = channel;
    this.#body = body;
  }

  /** The channel that a request came by; undefined if it is no request of a server here. */
  static channelOf(request: object): ProtocolConnection | undefined {
    return #channel in request ? request.#channel : channels.get(request);
  }

  /**
   * What a handler gets. Bun's `new Request(request, init)` loses the method of what is no Request of its own, and takes GET:
   * so only a GET can do without a real one, and a method that Bun does not know has to.
   */
  static given(request: ServerRequest): Request {
    const { method } = request;
    return method === "GET" || !isKnown(method) ? (request as unknown as Request) : ServerRequest.toReal(request);
  }

  /** The client has gone. */
  static abort(request: ServerRequest, reason: unknown): void {
    request.#whyAborted ??= reason;
    request.#abort?.abort(reason);
  }

  get url(): string {
    return this.#head.url;
  }

  get method(): string {
    return this.#head.method;
  }

  get headers(): Headers {
    if (this.#headers !== undefined) return this.#headers;
    const head = this.#head;
    const headers = new Headers();
    for (let i = 0; i < head.fieldCount; i++) headers.append(head.nameAt(i), head.valueAt(i));
    return (this.#headers = headers);
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#whyAborted !== undefined) this.#abort.abort(this.#whyAborted);
    }
    return this.#abort.signal;
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (this.#real !== undefined) return this.#real.body;
    return this.#body?.stream ?? null;
  }

  get bodyUsed(): boolean {
    return this.#real?.bodyUsed ?? (this.#isUsed || this.#body?.isTouched === true);
  }

  get keepalive(): boolean {
    return false;
  }

  get duplex(): "half" {
    return "half";
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#real !== undefined) return new Uint8Array(await this.#real.arrayBuffer());
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
    return realOf(this).clone() as Request;
  }

  /** Turn into a real Request, which has the body from now on. */
  static toReal(request: ServerRequest): Request {
    if (request.#real !== undefined) return request.#real;
    const { method, url, headers, signal, body } = request;
    const hasBody = body !== null && method !== "GET" && method !== "HEAD";
    const real = new Request(url, { method, headers, signal, ...(hasBody ? { body, duplex: "half" as const } : {}) });
    request.#headers = real.headers;
    channels.set(real, request.#channel);
    return (request.#real = real);
  }
}

const realOf = ServerRequest.toReal;

/** Of real requests. */
const channels = new WeakMap<object, ProtocolConnection>();

const known = new Map<string, boolean>();

function isKnown(method: string): boolean {
  let isSo = known.get(method);
  if (isSo === undefined) {
    isSo = new Request("http://localhost/", { method }).method === method;
    known.set(method, isSo);
  }
  return isSo;
}

for (const name of others) {
  Object.defineProperty(ServerRequest.prototype, name, {
    configurable: true,
    get(this: ServerRequest) {
      return realOf(this)[name];
    },
  });
}
// `instanceof Request` holds, and what is not defined here is Request's.
Object.setPrototypeOf(ServerRequest.prototype, Request.prototype);
