// The server's own responses: the static response, to OPTIONS *, after a handler failure, and to rejected requests.

import type { Clock } from "../../kernel/clock.ts";
import { ALLOWED_METHODS, type RejectionReason, rejections } from "./rejection.ts";
import { SerializedResponse, type StaticResponse } from "./static-response.ts";

export class ServerResponses {
  /** The response to every request, if there is no handler. */
  readonly fixed: SerializedResponse;
  /** The response to `OPTIONS *`. */
  readonly options: SerializedResponse;
  /** The response if a handler fails. */
  readonly failure: SerializedResponse;
  /** The response if a handler responds with a file that does not exist. */
  readonly missingFile: SerializedResponse;
  readonly #rejections = new Map<string, SerializedResponse>();

  constructor(response: StaticResponse, clock: Clock) {
    this.fixed = new SerializedResponse(response, clock);
    this.options = new SerializedResponse({ status: 204, headers: { Allow: ALLOWED_METHODS } }, clock);
    this.failure = new SerializedResponse(
      { status: 500, body: "The server failed to respond to this request.\n" },
      clock,
    );
    this.missingFile = new SerializedResponse({ status: 404, body: "There is no file for this request.\n" }, clock);
    for (const [reason, { status, message }] of Object.entries(rejections)) {
      const headers = status === 405 ? { Allow: ALLOWED_METHODS } : {};
      this.#rejections.set(reason, new SerializedResponse({ status, headers, body: `${message}\n` }, clock));
    }
  }

  rejection(reason: RejectionReason): SerializedResponse {
    return this.#rejections.get(reason) as SerializedResponse;
  }

  /** Updates the Date of all responses. */
  updateDate(nowMs: number): void {
    const { fixed, options, failure, missingFile } = this;
    for (const response of [fixed, options, failure, missingFile, ...this.#rejections.values()]) {
      response.updateDate(nowMs);
    }
  }
}
