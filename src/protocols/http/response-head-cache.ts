// The head of the last reply of a handler: a next one that says the same has the same bytes.

import type { PreparedResponse } from "./response.ts";

export class ResponseHeadCache {
  bytes: Uint8Array = new Uint8Array(0);
  #reply: PreparedResponse | undefined;
  #isEmpty = false;
  #minor = 0;
  #closes = false;
  #date = "";

  /** Whether this is the head of that reply to a request of HTTP/1.`minor`. */
  isOf(reply: PreparedResponse, isEmpty: boolean, minor: number, closes: boolean, date: string): boolean {
    const last = this.#reply;
    return (
      last !== undefined &&
      reply.length === last.length &&
      reply.status === last.status &&
      reply.declaredLength === last.declaredLength &&
      reply.hasDate === last.hasDate &&
      isEmpty === this.#isEmpty &&
      minor === this.#minor &&
      closes === this.#closes &&
      date === this.#date &&
      reply.statusText === last.statusText &&
      reply.fields === last.fields
    );
  }

  /** @param bytes only lent: copied */
  remember(
    reply: PreparedResponse,
    isEmpty: boolean,
    minor: number,
    closes: boolean,
    date: string,
    bytes: Uint8Array,
  ): void {
    this.#reply = { ...reply, body: undefined, source: undefined };
    this.#isEmpty = isEmpty;
    this.#minor = minor;
    this.#closes = closes;
    this.#date = date;
    this.bytes = new Uint8Array(bytes);
  }
}
