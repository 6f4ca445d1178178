// Unchanged Hono and Elysia apps: under EpollServer they respond as under Bun.serve.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type FetchHandler } from "../../src/index.ts";
import elysia from "./apps/elysia.ts";
import hono from "./apps/hono.ts";

setDefaultTimeout(60_000);

/** Headers that the server sets, not the app. */
const OWN = new Set(["connection", "content-length", "date", "keep-alive", "transfer-encoding"]);

const json = { "Content-Type": "application/json" };
const form = new FormData();
form.append("name", "näme");
form.append("file", new File([new Uint8Array(100_000)], "a.bin"));

type Body = Bun.BodyInit;
type Asked = readonly [target: string, init?: Omit<RequestInit, "body"> & { body?: Body | (() => Body) }];

/** Requests by name. */
const common: Record<string, Asked> = {
  hello: ["/"],
  "a HEAD": ["/", { method: "HEAD" }],
  "a route with params": ["/users/%C3%A4/books/42?page=3"],
  "a param that does not match": ["/users/1/books/x"],
  "a JSON body": ["/json", { method: "POST", body: '{"a":[1,2,3]}', headers: json }],
  "an invalid JSON body": ["/json", { method: "POST", body: "{", headers: json }],
  "a JSON body of another shape": ["/json", { method: "POST", body: '{"a":"b"}', headers: json }],
  "a text body": ["/text", { method: "PUT", body: "text, and ünicode" }],
  "a body of a megabyte": ["/text", { method: "PUT", body: "x".repeat(1_000_000) }],
  "a chunked body": ["/text", { method: "PUT", body: () => chunks(10) }],
  "a form with a file": ["/form", { method: "POST", body: form }],
  "a body of bytes": ["/bytes", { method: "POST", body: new Uint8Array([0, 1, 255, 128]) }],
  "headers and cookies": ["/headers", { headers: { "X-Own": "value" } }],
  "a guard that rejects": ["/guarded/door"],
  "a guard that accepts": ["/guarded/door", { headers: { Authorization: "Bearer secret" } }],
  "no such page": ["/nowhere"],
  "no such method": ["/", { method: "DELETE" }],
  "a thrown error": ["/throw"],
  "an async handler": ["/async"],
  "an async handler that throws": ["/late-throw"],
  "a redirect": ["/redirect"],
  "a response without a body": ["/nothing"],
  "a stream with pauses between its lines": ["/stream"],
  "a stream of two megabytes": ["/large"],
  "a body that is echoed as it arrives": ["/raw", { method: "POST", body: "there and back" }],
  "an empty body that is echoed": ["/raw"],
};

const honoOnly: typeof common = {
  "a body within its limit": ["/limited", { method: "POST", body: "short" }],
  "a chunked body within its limit": ["/limited", { method: "POST", body: () => chunks(1) }],
  "a body over its limit": ["/limited", { method: "POST", body: "x".repeat(100_000) }],
  "a chunked body over its limit": ["/limited", { method: "POST", body: () => chunks(10) }],
  "server-sent events": ["/events"],
  "a Request created from the request": ["/again", { method: "POST", body: "once" }],
  "a clone of the request": ["/clone", { method: "POST", body: "twice" }],
  "an app in an app": ["/mounted/room", { method: "POST", body: "inside" }],
};

const apps: [string, { fetch: FetchHandler }, typeof common][] = [
  ["Hono", hono, { ...common, ...honoOnly }],
  ["Elysia", elysia, common],
];

for (const [name, app, requests] of apps) {
  describe(name, () => {
    let ours: EpollServer;
    let theirs: Bun.Server<undefined>;

    beforeAll(async () => {
      ours = new EpollServer({ hostname: "127.0.0.1", fetch: app.fetch });
      theirs = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => app.fetch(request, ours) as Response });
      await ours.start();
    });

    afterAll(async () => {
      await Promise.all([ours.stop({ graceMs: 1000 }), theirs.stop(true)]);
    });

    for (const [what, asked] of Object.entries(requests)) {
      test(what, async () => {
        const [got, expected] = [await ask(ours.port, asked), await ask(theirs.port, asked)];
        expect(got).toEqual(expected);
      });
    }

    test("answers all requests concurrently", async () => {
      const all = Object.values(requests);
      const got = await Promise.all(all.map((asked) => ask(ours.port, asked)));
      const expected = await Promise.all(all.map((asked) => ask(theirs.port, asked)));
      expect(got).toEqual(expected);
    });
  });
}

/** A body of unknown length. */
function chunks(count: number): ReadableStream<Uint8Array> {
  let left = count;
  return new ReadableStream({
    async pull(controller) {
      await Bun.sleep(1);
      controller.enqueue(Buffer.from("a chunk"));
      if (--left === 0) controller.close();
    },
  });
}

async function ask(port: number | undefined, [target, asked = {}]: Asked): Promise<object> {
  const { body, ...init } = asked;
  const response = await fetch(`http://127.0.0.1:${port}${target}`, {
    ...init,
    body: (typeof body === "function" ? body() : body) ?? null,
    redirect: "manual",
  });
  // application/octet-stream carries no information; Bun.serve sends it for some bodies in memory.
  const isUntyped = response.headers.get("content-type") === "application/octet-stream";
  if (isUntyped) response.headers.delete("content-type");
  const headers = [...response.headers].filter(([name]) => !OWN.has(name)).sort();
  return { status: response.status, text: response.statusText, headers, body: await response.text() };
}
