// HTTP responses of the inspector, all with the same security headers.

const SECURITY_HEADERS: Record<string, string> = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cache-Control": "no-store",
};

/** Returns a response that no other site can embed, sniff or cache. */
export function respond(
  status: number,
  body: string | Uint8Array | ReadableStream | null,
  type: string = "text/plain; charset=utf-8",
): Response {
  return new Response(body as string, { status, headers: { ...SECURITY_HEADERS, "Content-Type": type } });
}

export function respondJson(value: unknown, status: number = 200): Response {
  return respond(status, JSON.stringify(value), "application/json");
}
