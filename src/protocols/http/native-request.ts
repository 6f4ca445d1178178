// A native Request with a body that is still being received, which can be read without a detour through its stream.

import type { RequestBody } from "./request-body.ts";

/** What is overridden of a Request. */
declare abstract class OverriddenRequest {
  constructor(url: string, init: RequestInit & { duplex: "half" });
  readonly headers: Headers;
  get bodyUsed(): boolean;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  arrayBuffer(): Promise<ArrayBuffer>;
  text(): Promise<string>;
  json(): Promise<unknown>;
  blob(): Promise<Blob>;
  formData(): ReturnType<Response["formData"]>;
}

const Base: typeof OverriddenRequest = Request as unknown as typeof OverriddenRequest;

/**
 * Has the stream of the body, as any Request does, so that `new Request(request)`, `fetch(request)` and `clone()` work. The
 * methods that read the whole body take it from the server's buffer instead, as long as the stream is not used.
 */
export class NativeRequest extends Base {
  readonly #body: RequestBody;
  #isTaken = false;

  constructor(url: string, init: RequestInit & { duplex: "half" }, body: RequestBody) {
    super(url, init);
    this.#body = body;
  }

  static create(url: string, init: RequestInit & { duplex: "half" }, body: RequestBody): Request {
    return new NativeRequest(url, init, body) as unknown as Request;
  }

  override get bodyUsed(): boolean {
    return this.#isTaken || super.bodyUsed;
  }

  override async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#take()?.all() ?? super.bytes();
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#take()?.arrayBuffer() ?? super.arrayBuffer();
  }

  override async text(): Promise<string> {
    return this.#take()?.text() ?? super.text();
  }

  override async json(): Promise<unknown> {
    return this.#take()?.json() ?? super.json();
  }

  override async blob(): Promise<Blob> {
    return this.#take()?.blob(this.#type) ?? super.blob();
  }

  override async formData(): ReturnType<Response["formData"]> {
    return this.#take()?.formData(this.#type) ?? super.formData();
  }

  get #type(): string {
    return this.headers.get("content-type") ?? "";
  }

  /** Returns the body to be read as a whole; undefined if its stream is used, or was read. */
  #take(): RequestBody | undefined {
    if (this.#isTaken) throw new TypeError("Body already used");
    if (super.bodyUsed || this.#body.isReadStarted || this.#body.stream.locked) return undefined;
    this.#isTaken = true;
    this.#body.stream.getReader(); // locks it, so that copies of this request cannot be created any more
    return this.#body;
  }
}

// So that it looks like any other Request.
Object.defineProperty(NativeRequest.prototype, "constructor", { value: Request, configurable: true, writable: true });
