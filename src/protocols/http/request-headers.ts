// The headers of a Request that a fetch handler receives. A native Headers is created only when more than `get` and `has` is used.

import type { RequestHead } from "./request-head.ts";

/** Behaves like a Headers, but looks up single fields in the received bytes. */
export class RequestHeaders {
  readonly #head: RequestHead;
  #native: Headers | undefined;

  constructor(head: RequestHead) {
    this.#head = head;
  }

  get(name: string): string | null {
    const found = this.#native === undefined ? this.#head.find(name) : undefined;
    return found === undefined ? toNative(this).get(name) : found;
  }

  has(name: string): boolean {
    const found = this.#native === undefined ? this.#head.find(name) : undefined;
    return found === undefined ? toNative(this).has(name) : found !== null;
  }

  get count(): number {
    return toNative(this).count;
  }

  [Symbol.iterator](): ReturnType<Headers["entries"]> {
    return toNative(this).entries();
  }

  static toNative(headers: RequestHeaders): Headers {
    if (headers.#native !== undefined) return headers.#native;
    const head = headers.#head;
    const native = new Headers();
    for (let i = 0; i < head.fieldCount; i++) native.append(head.nameAt(i), head.valueAt(i));
    return (headers.#native = native);
  }
}

const { toNative } = RequestHeaders;

const delegated = [
  "append",
  "delete",
  "entries",
  "forEach",
  "getAll",
  "getSetCookie",
  "keys",
  "set",
  "toJSON",
  "values",
] as const;

for (const name of delegated) {
  Object.defineProperty(RequestHeaders.prototype, name, {
    configurable: true,
    writable: true,
    value(this: RequestHeaders, ...args: unknown[]): unknown {
      const native = toNative(this) as unknown as Record<string, (...args: unknown[]) => unknown>;
      return native[name]?.(...args);
    },
  });
}
Object.defineProperty(RequestHeaders.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  configurable: true,
  value(this: RequestHeaders): Headers {
    return toNative(this);
  },
});
// So that `instanceof Headers` holds, and that anything not defined here is inherited.
Object.setPrototypeOf(RequestHeaders.prototype, Headers.prototype);
