// The responses of all servers in a benchmark: static ones, and those of handlers.

export const SENTENCE: string = "Hello from Epoll server!";
export const LARGE: string = "x".repeat(1_048_576);
const PIECE = new Uint8Array(65_536).fill(97);
const PIECES = 16;
const ROUTER = "./router.ts"; // a variable, because the other servers start, and are compiled, without Hono

/** `static` and `large` are the same for every request; the other kinds call a handler. */
export type Kind =
  | "static"
  | "large"
  | "fetch"
  | "async"
  | "json"
  | "jsonAsync"
  | "router"
  | "form"
  | "largeFetch"
  | "stream"
  | "upload"
  | "app";

type Handler = (request: Request) => Response | Promise<Response>;

/** Returns the body if it is the same for every request, or undefined for a handler. */
export function bodyOf(kind: Kind): string | undefined {
  return kind === "static" ? SENTENCE : kind === "large" ? LARGE : undefined;
}

export async function handlerOf(kind: Kind): Promise<Handler> {
  if (kind === "router") return ((await import(ROUTER)) as typeof import("./router.ts")).router;
  return handlers[kind as keyof typeof handlers];
}

const handlers = {
  fetch: () => new Response(SENTENCE),
  async: async () => new Response(SENTENCE),
  json: (request) => Response.json(summary(request)),
  async jsonAsync(request) {
    const content = await Promise.resolve(summary(request));
    return new Response(JSON.stringify(content), { headers: { "Content-Type": "application/json" } });
  },
  async form(request) {
    const form = await request.formData();
    const fields: Record<string, number> = {};
    for (const [name, value] of form) fields[name] = typeof value === "string" ? value.length : value.size;
    return Response.json({ fields, topic: form.get("topic") });
  },
  largeFetch: () => new Response(LARGE),
  stream: () => new Response(pieces(PIECES)),
  async upload(request) {
    return new Response(String((await request.bytes()).length));
  },
  app,
} satisfies Record<string, Handler>;

/** Reads the URL and one header. */
function summary(request: Request): object {
  const { pathname, searchParams } = new URL(request.url);
  return {
    path: pathname,
    query: searchParams.get("q"),
    page: Number(searchParams.get("page") ?? 1),
    agent: request.headers.get("user-agent"),
  };
}

/** Serves `/hello`, `/collect` (the request's body) and `/stream` (endless, as fast as the client reads). */
function app(request: Request): Response | Promise<Response> {
  const { url } = request;
  if (url.endsWith("/hello")) return new Response(SENTENCE);
  if (url.endsWith("/collect")) return collect(request);
  if (url.endsWith("/stream")) return new Response(pieces(Infinity));
  return new Response("no such page", { status: 404 });
}

async function collect(request: Request): Promise<Response> {
  return new Response(await request.bytes());
}

function pieces(count: number): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(PIECE);
      if (++sent === count) controller.close();
    },
  });
}
