// The fast path: repeated requests on several connections never get each other's responses.

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { Socket } from "../../src/index.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";
import { leavesNoFd } from "../support/fds.ts";
import { GET } from "../support/server.ts";

setDefaultTimeout(60_000);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
const file = join(directory, "file");
writeFileSync(file, "of the file");
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));

/** By path: the request's body, the handler, and the expected response. */
const kinds: Record<string, { text: string; answer: (request: Request) => Response | Promise<Response>; due: string }> =
  {
    short: { text: "", answer: () => new Response("short"), due: "short" },
    other: { text: "", answer: () => new Response("other"), due: "other" },
    large: { text: "", answer: () => new Response("l".repeat(70_000)), due: "l".repeat(70_000) },
    soon: { text: "", answer: async () => (await Promise.resolve(), new Response("soon")), due: "soon" },
    late: { text: "", answer: async () => (await turn(), new Response("late")), due: "late" },
    file: { text: "", answer: () => new Response(Bun.file(file)), due: "of the file" },
    bad: {
      text: "",
      answer() {
        throw new Error("expected");
      },
      due: "The server failed to respond to this request.\n",
    },
    post: { text: "abc", answer: async (request) => new Response(`got ${await request.text()}`), due: "got abc" },
  };

function textOf(kind: string, isLast: boolean): string {
  const body = kinds[kind]?.text ?? "";
  const fields = `Host: a\r\n${isLast ? "Connection: close\r\n" : ""}${body === "" ? "" : `Content-Length: ${body.length}\r\n`}`;
  return `${body === "" ? "GET" : "POST"} /${kind} HTTP/1.1\r\n${fields}\r\n${body}`;
}

for (const { eager, isStarted } of [
  { eager: true, isStarted: false },
  { eager: false, isStarted: false },
  { eager: true, isStarted: true },
]) {
  test(`answers any sequence of requests on three connections; eager: ${eager}, started: ${isStarted}`, () =>
    leavesNoFd(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(fc.constantFrom(...Object.keys(kinds), "\r\n"), { minLength: 1, maxLength: 60 }), {
            minLength: 3,
            maxLength: 3,
          }),
          fc.integer({ min: 20, max: 3000 }),
          async (rows, piece) => {
            using harness = new FetchHarness(
              (request) => {
                const kind = new URL(request.url).pathname.slice(1);
                return (kinds[kind] as (typeof kinds)[string]).answer(request);
              },
              { eager },
            );
            if (isStarted) await harness.start();
            const clients = rows.map((row) => {
              const asked = [...row.filter((kind) => kind !== "\r\n"), "short"];
              const parts = row.map((kind) => (kind === "\r\n" ? kind : textOf(kind, false)));
              const text = parts.join("") + textOf("short", true);
              return { client: harness.client(), asked, text, sent: 0, received: "", isOver: false };
            });
            const read = (one: (typeof clients)[number]): void => {
              const bytes = (one.client as Socket).recv(1_000_000);
              one.received += Buffer.from(bytes ?? []).toString("latin1");
              one.isOver ||= bytes?.length === 0;
            };
            await harness.until(() => {
              for (const one of clients) {
                const next = one.text.slice(one.sent, one.sent + piece);
                if (next !== "") one.sent += Math.max(0, one.client.send(next));
                if (!one.isOver) read(one);
              }
              return clients.every(({ isOver }) => isOver);
            });
            for (const { asked, received } of clients) {
              const expected = asked.map((kind) => kinds[kind]?.due);
              expect(parseResponses(received).map(({ body }) => body)).toEqual(expected as string[]);
            }
            await harness.server.stop({ graceMs: 0 });
          },
        ),
        { numRuns: 60, seed: 4711 },
      ),
    ));
}

test("tick runs no microtasks, which could be those of the code that calls it", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(async () => (await Promise.resolve(), new Response("soon")));
    const client = harness.client(GET);
    let hasRun = false;
    queueMicrotask(() => (hasRun = true));
    while (harness.server.stats.requests === 0) harness.server.tick(100);
    expect(hasRun).toBe(false);
    expect(await harness.text(client, /soon$/)).toEndWith("soon");
  }));

test("closes the file of a response whose request body is rejected", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(() => new Response(Bun.file(file)));
    for (let i = 0; i < 20; i++) {
      const client = harness.client("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n");
      await harness.idle(2);
      client.send("aX");
      expect(await harness.rest(client)).toStartWith("HTTP/1.1 400 ");
      client.close();
    }
  }));

test("using a request body after its response does not disturb later requests", () =>
  leavesNoFd(async () => {
    const gate = Promise.withResolvers<void>();
    let first: Request | undefined;
    using harness = new FetchHarness(async (request) => {
      if (request.method === "POST") {
        first = request;
        return new Response("posted");
      }
      if (request.url.endsWith("/slow")) await gate.promise;
      return new Response(request.url);
    });
    const client = harness.client(textOf("post", false));
    await harness.text(client, /posted$/);
    client.send(textOf("slow", false));
    await harness.idle(3);
    await first?.body?.cancel();
    client.send(textOf("fast", true));
    await harness.idle(3);
    gate.resolve();
    const responses = parseResponses(await harness.rest(client)).map(({ body }) => body);
    expect(responses).toEqual(["http://a/slow", "http://a/fast"]);
  }));
