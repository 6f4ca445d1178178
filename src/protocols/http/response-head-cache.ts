// Caches the serialized head of a handler's last response, because the next one is often the same.

import type { PreparedResponse } from "./response.ts";

export class ResponseHeadCache {
  /** The serialized head. */
  bytes: Uint8Array = new Uint8Array(0);
  #response: PreparedResponse | undefined;
  #minor = 0;
  #closes = false;
  #dateLine = "";

  /**
   * Returns whether the cached head is also that of this response.
   *
   * @param minor the minor version of the request
   */
  matches(response: PreparedResponse, minor: number, closes: boolean, dateLine: string): boolean {
    const cached = this.#response;
    return (
      cached !== undefined &&
      response.length === cached.length &&
      response.status === cached.status &&
      response.declaredLength === cached.declaredLength &&
      response.hasDate === cached.hasDate &&
      minor === this.#minor &&
      closes === this.#closes &&
      dateLine === this.#dateLine &&
      response.statusText === cached.statusText &&
      response.fields === cached.fields
    );
  }

  /** @param bytes the serialized head; copied */
  set(response: PreparedResponse, minor: number, closes: boolean, dateLine: string, bytes: Uint8Array): void {
    this.#response = { ...response, body: undefined, source: undefined };
    this.#minor = minor;
    this.#closes = closes;
    this.#dateLine = dateLine;
    this.bytes = new Uint8Array(bytes);
  }
}
