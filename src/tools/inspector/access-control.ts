// Access control: only this machine and this origin are served, viewing requires a token, and commands require another.

import { randomBytes, timingSafeEqual } from "node:crypto";
import { respond } from "./responses.ts";

/** What a request may do. `control` includes `view`. */
export type AccessLevel = "view" | "control";

export class AccessControl {
  /** 128 random bits. A page gets its token in the fragment of its URL, which browsers never send. */
  readonly viewToken: string = randomBytes(16).toString("hex");
  readonly controlToken: string = randomBytes(16).toString("hex");
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

  /** Returns what the token of a request permits; undefined if there is no token, or not one of this server. */
  levelOf(request: Request): AccessLevel | undefined {
    const received = Buffer.from(request.headers.get("authorization") ?? "");
    const has = (token: string): boolean => {
      const expected = Buffer.from(`Bearer ${token}`);
      return received.length === expected.length && timingSafeEqual(received, expected);
    };
    return has(this.controlToken) ? "control" : has(this.viewToken) ? "view" : undefined;
  }
}
