// Access control: only this machine and this origin may view the page, and commands require a token.

import { randomBytes, timingSafeEqual } from "node:crypto";
import { respond } from "./responses.ts";

export class AccessControl {
  /** 128 random bits. The page gets them in the fragment of its URL, which browsers never send. */
  readonly token: string = randomBytes(16).toString("hex");
  readonly #hosts: readonly string[];

  constructor(port: number) {
    this.#hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  }

  /**
   * Returns the response to a request that must be rejected, or undefined.
   *
   * Checking Host defeats DNS rebinding. Checking Origin and Sec-Fetch-Site keeps other sites from reading anything.
   */
  rejection(request: Request): Response | undefined {
    const host = request.headers.get("host") ?? "";
    if (!this.#hosts.includes(host)) {
      return respond(403, `Unknown host: the inspector answers only at http://${this.#hosts[0]}/.\n`);
    }
    const origin = request.headers.get("origin");
    const isForeign =
      (origin !== null && origin !== `http://${host}`) ||
      /^(?:cross-site|same-site)$/.test(request.headers.get("sec-fetch-site") ?? "");
    const isNavigation = request.method === "GET" && request.headers.get("sec-fetch-mode") === "navigate";
    const isLink = isNavigation && origin === null; // following a link to the page is harmless
    return isForeign && !isLink ? respond(403, "Requests from other origins are rejected.\n") : undefined;
  }

  /** Returns whether the request carries the token. */
  canControl(request: Request): boolean {
    const received = Buffer.from(request.headers.get("authorization") ?? "");
    const expected = Buffer.from(`Bearer ${this.token}`);
    return received.length === expected.length && timingSafeEqual(received, expected);
  }
}
