// The program of FetchServer: fetch handlers by path. Its argument is JSON, and it prints messages as lines of JSON.

import { heapStats } from "bun:jsc";
import { writeSync } from "node:fs";
import { EpollServer, type EpollServerOptions, type FetchHandler, type ServerHandle } from "../../src/index.ts";
import { killWithParent } from "./kill-with-parent.ts";
import { pattern } from "./pattern.ts";

export interface FetchServeOptions {
  options?: EpollServerOptions;
  /** Use run(), which blocks Bun's event loop, instead of start(). */
  blocks?: boolean;
  /** The file that /file sends. */
  file?: string;
}

const { options = {}, blocks = false, file = "" } = JSON.parse(process.argv[2] ?? "{}") as FetchServeOptions;

const print = (message: object): unknown => writeSync(1, `${JSON.stringify(message)}\n`);

killWithParent();

/** Resolves when the first request to `wait` is handled. */
const isWaiting = Promise.withResolvers<void>();

const type = (request: Request): string => request.headers.get("content-type") ?? "application/octet-stream";

const handlers: Record<
  string,
  (request: Request, server: ServerHandle, query: URLSearchParams) => ReturnType<FetchHandler>
> = {
  hello: () => new Response("hello"),
  /** Streams the body back. */
  echo: (request) => new Response(request.body, { headers: { "Content-Type": type(request) } }),
  /** Sends the body back once it is complete. */
  collect: async (request) => new Response(await request.bytes(), { headers: { "Content-Type": type(request) } }),
  /** Responds with the length and hash of the body. */
  async hash(request) {
    const hasher = new Bun.CryptoHasher("sha256");
    let bytes = 0;
    for await (const chunk of request.body ?? new Blob().stream()) {
      hasher.update(chunk);
      bytes += chunk.length;
    }
    return Response.json({ method: request.method, bytes, sha256: hasher.digest("hex") });
  },
  /** Responds without reading the body. */
  ignore: () => new Response("ignored"),
  /** Streams a number of bytes, generated on demand. */
  stream(_, __, query) {
    const [total, piece] = [Number(query.get("bytes")), Number(query.get("piece") ?? 65_536)];
    let at = 0;
    return new Response(
      new ReadableStream({
        pull(controller) {
          const end = Math.min(total, at + piece);
          if (at < end) controller.enqueue(pattern(at, end));
          at = end;
          if (at === total) controller.close();
        },
      }),
    );
  },
  /** Sends a number of bytes from memory. */
  bytes: (_, __, query) => new Response(pattern(0, Number(query.get("bytes")))),
  file: () => new Response(Bun.file(file)),
  async slow(_, __, query) {
    await Bun.sleep(Number(query.get("ms")));
    return new Response(`after ${query.get("ms")} ms`);
  },
  /** Streams pieces with pauses between them. */
  drip(_, __, query) {
    let left = Number(query.get("pieces"));
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await Bun.sleep(2);
          controller.enqueue(`piece ${left--}\n`);
          if (left === 0) controller.close();
        },
      }),
      { headers: { "Content-Type": "text/plain" } },
    );
  },
  /** Reports when the client leaves. */
  async wait(request) {
    print({ waiting: true });
    isWaiting.resolve();
    await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
    print({ aborted: true });
    return new Response("too late");
  },
  /** Responds when a request to `wait` is being handled. */
  async waiting() {
    await isWaiting.promise;
    return new Response();
  },
  /** Responds with the memory in use after garbage collection. */
  live() {
    Bun.gc(true);
    const { heapSize, extraMemorySize, objectCount } = heapStats();
    return Response.json({ heapSize, extraMemorySize, objectCount, rss: process.memoryUsage.rss() });
  },
  headers: ({ headers }) => Response.json(Object.fromEntries(headers)),
  ip: (request, server) => Response.json(server.requestIP(request)),
  async form(request) {
    const form = await request.formData();
    return Response.json([...form].map(([name, value]) => [name, typeof value === "string" ? value : value.size]));
  },
  throw() {
    throw new Error("thrown by the handler");
  },
  page: () =>
    new Response('<!doctype html><title>A page</title><p>Hello</p><img src="/image.svg" alt="">', {
      headers: { "Content-Type": "text/html; charset=utf-8" },
    }),
  "image.svg": () =>
    new Response('<svg xmlns="http://www.w3.org/2000/svg" width="7" height="5"/>', {
      headers: { "Content-Type": "image/svg+xml" },
    }),
};

/** Errors of handlers, reported at the end, because the test may not be reading the output earlier. */
const thrown = new Set<string>();

const server = new EpollServer({
  ...options,
  fetch(request, server) {
    const { pathname, searchParams } = new URL(request.url);
    const handler = Object.hasOwn(handlers, pathname.slice(1)) ? handlers[pathname.slice(1)] : undefined;
    return handler?.(request, server, searchParams) ?? new Response("no such page", { status: 404 });
  },
  onError: (error) => void thrown.add(String(error)),
  onWarning: ({ code, message }) => print({ warning: code, message }),
});

const serving = { serving: server.address };
if (blocks) {
  server.run(() => print(serving));
} else {
  const stopped = new Promise((resolve) => process.on("SIGTERM", () => resolve(server.stop())));
  await server.start();
  print(serving);
  await stopped;
}
print({ ended: { ...server.stats, thrown: [...thrown] } });
process.exit(0);
