// Who may look, and who may touch: a page on this machine's own address, asked for by that name, and for orders the token.

import { randomBytes, timingSafeEqual } from "node:crypto";

const SAFE_HEADERS: Record<string, string> = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cache-Control": "no-store",
};

export class AccessControl {
  /** 128 bits; it goes to the page in the fragment of its address, which browsers keep to themselves. */
  readonly token: string = randomBytes(16).toString("hex");
  readonly #hosts: readonly string[];

  constructor(port: number) {
    this.#hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  }

  /** What is wrong with a request, as the reply to it. A page of somebody else's, under whatever name, learns nothing. */
  refusal(request: Request): Response | undefined {
    const host = request.headers.get("host") ?? "";
    if (!this.#hosts.includes(host)) {
      return answer(403, `This page is http://${this.#hosts[0]}/ and has no other name.\n`);
    }
    const origin = request.headers.get("origin");
    const isForeign =
      (origin !== null && origin !== `http://${host}`) ||
      /^(?:cross-site|same-site)$/.test(request.headers.get("sec-fetch-site") ?? "");
    const isNavigation = request.method === "GET" && request.headers.get("sec-fetch-mode") === "navigate";
    if (isForeign && !(isNavigation && origin === null)) return answer(403, "Not from another page.\n");
    return undefined;
  }

  /** Whether it has the token. */
  mayControl(request: Request): boolean {
    const given = Buffer.from(request.headers.get("authorization") ?? "");
    const wanted = Buffer.from(`Bearer ${this.token}`);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }
}

/** A reply that nothing else can use for its own ends. */
export function answer(
  status: number,
  body: string | Uint8Array | ReadableStream | null,
  type: string = "text/plain; charset=utf-8",
): Response {
  return new Response(body as string, { status, headers: { ...SAFE_HEADERS, "Content-Type": type } });
}

export function answerJson(value: unknown, status: number = 200): Response {
  return answer(status, JSON.stringify(value), "application/json");
}
