// Servers whose callbacks throw or reject, each with a request that makes them do so.

import type { EpollServerOptions } from "../../src/index.ts";

export const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const post = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";

type Fetch = NonNullable<EpollServerOptions["fetch"]>;

/** Handlers that fail, so that onError is called. */
const failing: Record<string, Fetch> = {
  throws: () => {
    throw new Error("the handler's");
  },
  "rejects immediately": () => Promise.reject(new Error("the handler's")),
  "rejects later": async () => {
    await Bun.sleep(1);
    throw new Error("the handler's");
  },
  "returns no Response": () => 1 as never,
  "returns a Response that was used": async () => {
    const response = new Response("x");
    await response.text();
    return response;
  },
};

/** Handlers that respond, so that onRequest is called. */
const responding: Record<string, Fetch> = {
  "responds immediately": () => new Response("x"),
  "responds later": async () => {
    await Bun.sleep(1);
    return new Response("x");
  },
  "responds with a stream": () => new Response(new ReadableStream({ start: (controller) => controller.close() })),
  "responds after reading the body": async (request) => {
    await request.text();
    await Bun.sleep(1);
    return new Response("x");
  },
  fails: failing["rejects later"] as Fetch,
};

const streams: Record<string, Fetch> = {
  "a stream that fails": () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          await Bun.sleep(1);
          controller.error(new Error("the stream's"));
        },
      }),
    ),
  "a stream that is too long": () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue("too long");
          controller.close();
        },
      }),
      { headers: { "Content-Length": "3" } },
    ),
};

const thrown = (): never => {
  throw new Error("the callback's");
};
const rejected = (): Promise<never> => Promise.reject(new Error("the callback's"));
const rejectedLater = async (): Promise<never> => {
  await Bun.sleep(1);
  return thrown();
};

/** A case in which a callback fails with `the callback's`. */
export interface CallbackErrorCase {
  name: string;
  input?: string;
  options: EpollServerOptions;
}

export const callbackErrorCases: CallbackErrorCase[] = [
  ...Object.entries(failing).flatMap(([how, fetch]) => [
    { name: `onError throws after a handler that ${how}`, options: { fetch, onError: thrown } },
    { name: `onError rejects after a handler that ${how}`, options: { fetch, onError: rejected } },
    { name: `onError rejects later after a handler that ${how}`, options: { fetch, onError: rejectedLater } },
  ]),
  ...Object.entries(streams).flatMap(([what, fetch]) => [
    { name: `onError throws after ${what}`, options: { fetch, onError: thrown } },
    { name: `onError rejects after ${what}`, options: { fetch, onError: rejectedLater } },
  ]),
  ...Object.entries(responding).map(([how, fetch]) => ({
    name: `onRequest throws for a handler that ${how}`,
    input: `${post}abc`,
    options: { fetch, onRequest: thrown },
  })),
  ...Object.entries(responding).map(([how, fetch]) => ({
    name: `onRequest throws for a GET whose handler ${how}`,
    options: { fetch, onRequest: thrown },
  })),
  { name: "onRequest throws for a rejected request", input: "nonsense\r\n\r\n", options: { onRequest: thrown } },
  { name: "onRequest throws for a static response", options: { onRequest: thrown } },
];
