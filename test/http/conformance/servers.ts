// The three servers that the suite asks: a static reply, a handler that tells what it got, and one that touches no body.

import { Stage } from "../../support/server.ts";
import type { EpollServerOptions } from "../../../src/index.ts";
import type { Kind } from "./case.ts";

/** What the echoing handler replies with. */
export interface Echo {
  method: string;
  url: string;
  /** By lower-case name. */
  headers: Record<string, string>;
  /** Each byte a character. */
  body: string;
}

/** A stage, and the targets of the requests that its handler was called for. */
export interface Served {
  stage: Stage;
  seen: string[];
}

export function serve(kind: Kind, options: EpollServerOptions = {}): Served {
  const seen: string[] = [];
  if (kind === "static") return { stage: new Stage(options), seen };
  const fetch = (request: Request): Response | Promise<Response> => {
    const target = targetOf(request.url);
    seen.push(target);
    return kind === "echo" ? echo(request, target) : (special(request, target) ?? new Response("deaf"));
  };
  return { stage: new Stage({ fetch, ...options }), seen };
}

async function echo(request: Request, target: string): Promise<Response> {
  if (target.startsWith("/body/")) return special(request, target) as Promise<Response>;
  const body = Buffer.from(await request.arrayBuffer()).toString("latin1");
  const { method, url } = request;
  const told: Echo = { method, url, headers: Object.fromEntries(request.headers), body };
  return special(request, target) ?? Response.json(told);
}

/** The path and the query. */
export function targetOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

/** What the handlers do when they are asked for it by the target. */
function special(request: Request, target: string): Response | Promise<Response> | undefined {
  const [, what = "", count = "1"] = target.split("/");
  switch (what) {
    case "body":
      return withBody(request, count);
    case "204":
    case "304":
      return new Response(null, { status: Number(what), headers: { "X-Status": what } });
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
      return slowly(Number(count));
    case "stream":
      return new Response(stream());
    case "throw":
      return Promise.reject(new Error("on purpose"));
    default:
      return undefined;
  }
}

/** What can be done with a body other than reading all of it. */
async function withBody(request: Request, how: string): Promise<Response> {
  if (how === "pipe") return new Response(request.body);
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  if (how === "cancel") await reader.cancel();
  return new Response(how);
}

/** After so many turns of Bun's loop. */
async function slowly(turns: number): Promise<Response> {
  for (let left = turns; left > 0; left--) await new Promise(setImmediate);
  return new Response(`after ${turns}`);
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
