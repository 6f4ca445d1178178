// The responses of all servers in a benchmark: a sentence, static or from a handler; a large body; and the routes of an app.

export const SENTENCE: string = "Hello from Epoll server!";
export const LARGE: string = "x".repeat(1_048_576);
const PIECE = new Uint8Array(65_536).fill(97);

/** `static` and `large` are the same for every request; the other kinds call a handler. */
export type Kind = "static" | "large" | "fetch" | "async" | "app";

/** Returns the body if it is the same for every request, or undefined for a handler. */
export function bodyOf(kind: Kind): string | undefined {
  return kind === "static" ? SENTENCE : kind === "large" ? LARGE : undefined;
}

export function handlerOf(kind: Kind): (request: Request) => Response | Promise<Response> {
  if (kind === "fetch") return () => new Response(SENTENCE);
  if (kind === "async") return async () => new Response(SENTENCE);
  return app;
}

/** Serves `/hello`, `/collect` (the request's body) and `/stream` (endless, as fast as the client reads). */
function app(request: Request): Response | Promise<Response> {
  const { url } = request;
  if (url.endsWith("/hello")) return new Response(SENTENCE);
  if (url.endsWith("/collect")) return collect(request);
  if (url.endsWith("/stream")) {
    return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(PIECE) }));
  }
  return new Response("no such page", { status: 404 });
}

async function collect(request: Request): Promise<Response> {
  return new Response(await request.bytes());
}
