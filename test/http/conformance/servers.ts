// The servers under test: a static response, a handler that echoes the request, and one that ignores bodies.

import { ServerHarness } from "../../support/server.ts";
import type { EpollServerOptions } from "../../../src/index.ts";
import type { Kind } from "./case.ts";

/** What the `echo` handler received, and responds with as JSON. */
export interface Echo {
  method: string;
  url: string;
  /** Keyed by name in lower case. */
  headers: Record<string, string>;
  /** One character per byte. */
  body: string;
}

/** A running server, and the targets of the requests that its handler was called with. */
export interface Served {
  harness: ServerHarness;
  seen: string[];
}

export function serve(kind: Kind, options: EpollServerOptions = {}): Served {
  const seen: string[] = [];
  if (kind === "static") return { harness: new ServerHarness(options), seen };
  const fetch = (request: Request): Response | Promise<Response> => {
    const target = targetOf(request.url);
    seen.push(target);
    return kind === "echo" ? echo(request, target) : (respondTo(request, target) ?? new Response("ignore"));
  };
  return { harness: new ServerHarness({ fetch, ...options }), seen };
}

async function echo(request: Request, target: string): Promise<Response> {
  if (target.startsWith("/body/")) return respondTo(request, target) as Promise<Response>;
  const body = Buffer.from(await request.arrayBuffer()).toString("latin1");
  const { method, url } = request;
  const received: Echo = { method, url, headers: Object.fromEntries(request.headers), body };
  return respondTo(request, target) ?? Response.json(received);
}

/** Returns the path and the query of a URL. */
export function targetOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

/** Responds to targets that request special behavior: `/204`, `/stream`, `/slow/3`, … */
function respondTo(request: Request, target: string): Response | Promise<Response> | undefined {
  const [, action = "", argument = "1"] = target.split("/");
  switch (action) {
    case "body":
      return withBody(request, argument);
    case "204":
    case "304":
      return new Response(null, { status: Number(action), headers: { "X-Status": action } });
    case "404":
      return new Response("not here", { status: 404 });
    case "close":
      return new Response("closing", { headers: { Connection: "close" } });
    case "close-stream":
      return new Response(stream(), { headers: { Connection: "close" } });
    case "empty":
      return new Response(null);
    case "fixed":
      return new Response("of ten byt");
    case "large":
      return new Response("x".repeat(500_000));
    case "slow":
      return slowly(Number(argument));
    case "stream":
      return new Response(stream());
    case "throw":
      return Promise.reject(new Error("on purpose"));
    default:
      return undefined;
  }
}

/** Responds after doing something with the body other than reading all of it. */
async function withBody(request: Request, how: string): Promise<Response> {
  if (how === "pipe") return new Response(request.body);
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  if (how === "cancel") await reader.cancel();
  return new Response(how);
}

/** Responds after the given number of iterations of Bun's event loop. */
async function slowly(iterations: number): Promise<Response> {
  for (let left = iterations; left > 0; left--) await new Promise(setImmediate);
  return new Response(`after ${iterations}`);
}

function stream(): ReadableStream<Uint8Array> {
  const pieces = ["first,", "second,", "third"];
  return new ReadableStream({
    async pull(controller): Promise<void> {
      await new Promise(setImmediate);
      const piece = pieces.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(Buffer.from(piece));
    },
  });
}
