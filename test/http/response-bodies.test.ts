// Content-Type and Content-Length of each kind of body, side by side with Bun.serve.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";
import { runBun } from "../support/children.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
const path = (name: string): string => join(directory, name);
let fd = -1;
beforeAll(() => {
  for (const name of ["a.html", "a.css", "a.ts", "a.json", "a.unknown", "none"])
    writeFileSync(path(name), "<p>hello</p>");
  writeFileSync(path("empty.txt"), "");
  fd = openSync(path("a.html"), "r");
});
afterAll(() => {
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

const encode = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const rewrap = (response: Response): Response => new Response(response.body, response);
const form = (): FormData => {
  const data = new FormData();
  data.append("a", "b");
  return data;
};

const same: Record<string, () => Response> = {
  string: () => new Response("hello"),
  "string of one character": () => new Response("h"),
  "string, Latin-1": () => new Response("grüß"),
  "string, UTF-16": () => new Response("10 €"),
  "string, Cyrillic": () => new Response("привет"),
  "string, long": () => new Response("x".repeat(100_000)),
  "string, empty": () => new Response(""),
  "string with a type": () => new Response("hello", { headers: { "Content-Type": "a/b" } }),
  "string object": () => new Response(new String("abc") as string),
  "string, cloned": () => new Response("hello").clone() as Response,
  Uint8Array: () => new Response(encode("hello")),
  "Uint8Array, not UTF-8": () => new Response(new Uint8Array([0, 255])),
  "Uint8Array, Latin-1 as UTF-8": () => new Response(encode("grüß")),
  "Uint8Array, empty": () => new Response(new Uint8Array(0)),
  "Uint8Array, long": () => new Response(encode("x".repeat(100_000))),
  "Uint8Array with a type": () => new Response(encode("hello"), { headers: { "Content-Type": "a/b" } }),
  "Uint8Array, cloned": () => new Response(encode("hello")).clone() as Response,
  Uint16Array: () => new Response(new Uint16Array([0x4142])),
  DataView: () => new Response(new DataView(encode("abc").buffer)),
  ArrayBuffer: () => new Response(encode("hello").buffer),
  "Blob with a type": () => new Response(new Blob(["hello"], { type: "image/png" })),
  "Blob of text with a type": () => new Response(new Blob(["hello"], { type: "text/plain" })),
  "Blob of bytes": () => new Response(new Blob([encode("hello")])),
  "Blob, empty": () => new Response(new Blob([])),
  "Blob, empty, with a type": () => new Response(new Blob([], { type: "a/b" })),
  "Blob slice with a type": () => new Response(new Blob(["hello"]).slice(1, 3, "x/y")),
  "File with a type": () => new Response(new File(["abc"], "a.txt", { type: "a/b" })),
  URLSearchParams: () => new Response(new URLSearchParams("a=b")),
  null: () => new Response(null),
  undefined: () => new Response(),
  "Response.json": () => Response.json({ a: 1 }),
  "Bun.file, html": () => new Response(Bun.file(path("a.html"))),
  "Bun.file, css": () => new Response(Bun.file(path("a.css"))),
  "Bun.file, ts": () => new Response(Bun.file(path("a.ts"))),
  "Bun.file, json": () => new Response(Bun.file(path("a.json"))),
  "Bun.file, unknown extension": () => new Response(Bun.file(path("a.unknown"))),
  "Bun.file, no extension": () => new Response(Bun.file(path("none"))),
  "Bun.file with a type": () => new Response(Bun.file(path("a.html"), { type: "x/y" })),
  "Bun.file, type by a header": () => new Response(Bun.file(path("a.html")), { headers: { "Content-Type": "x/y" } }),
  "Bun.file, empty": () => new Response(Bun.file(path("empty.txt"))),
  "Bun.file, cloned": () => new Response(Bun.file(path("a.html"))).clone() as Response,
  "Bun.file slice": () => new Response(Bun.file(path("a.html")).slice(2, 5)),
  "Bun.file slice from the start": () => new Response(Bun.file(path("a.html")).slice(0, 5)),
  "Bun.file slice to the end": () => new Response(Bun.file(path("a.html")).slice(5)),
  "Bun.file slice of a slice": () => new Response(Bun.file(path("a.html")).slice(2, 10).slice(1, 3)),
  "Bun.file slice beyond the end": () => new Response(Bun.file(path("a.html")).slice(5, 1000)),
  "stream of a Bun.file": () => new Response(Bun.file(path("a.html")).stream()),
  "stream of a Blob": () => new Response(new Blob(["hello"], { type: "a/b" }).stream()),
  "re-wrapped Bun.file": () => rewrap(new Response(Bun.file(path("a.html")))),
  "re-wrapped slice": () => rewrap(new Response(Bun.file(path("a.html")).slice(2, 5))),
  "re-wrapped Blob": () => rewrap(new Response(new Blob(["hello"], { type: "a/b" }))),
  "re-wrapped Blob of text": () => rewrap(new Response(new Blob(["hello"], { type: "text/plain" }))),
  "re-wrapped bytes": () => rewrap(new Response(encode("hello"))),
  "re-wrapped string": () => rewrap(new Response("hello")),
  "re-wrapped JSON": () => rewrap(Response.json({ a: 1 })),
  "twice re-wrapped Bun.file": () => rewrap(rewrap(new Response(Bun.file(path("a.css"))))),
  "re-wrapped with a type": () =>
    new Response(new Response(Bun.file(path("a.html"))).body, { headers: { "Content-Type": "x/y" } }),
};

/** Bodies that Bun.serve sends otherwise, with the Content-Type that is right. */
const different: Record<string, [make: () => Response, type: string | null]> = {
  // Bun guesses the type of a Blob from its bytes, and sends even an image type that the application did not set.
  "Blob without a type": [() => new Response(new Blob(["hello"])), "application/octet-stream"],
  "Blob that begins as a BMP": [() => new Response(new Blob(["BM______"])), "application/octet-stream"],
  "Blob slice without a type": [() => new Response(new Blob(["hello"]).slice(1, 3)), "application/octet-stream"],
  "File without a type": [() => new Response(new File(["abc"], "a.txt")), "application/octet-stream"],
};

interface Seen {
  type: string | null;
  length: string | null;
  body: string;
}

async function byBun(make: () => Response): Promise<Seen> {
  await using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: make });
  const response = await fetch(server.url, { keepalive: false });
  const type = response.headers.get("content-type");
  return {
    type,
    length: response.headers.get("content-length"),
    body: Buffer.from(await response.bytes()).toString("latin1"),
  };
}

async function byEpollServer(make: () => Response): Promise<Seen> {
  using harness = new FetchHarness(make);
  const { headers, body } = await harness.ask("GET / HTTP/1.1");
  return { type: headers["content-type"] ?? null, length: headers["content-length"] ?? null, body };
}

describe("the same as Bun.serve", () => {
  for (const [name, make] of Object.entries(same)) {
    test(name, async () => {
      const expected = await byBun(make);
      await leavesNoFd(async () => expect(await byEpollServer(make)).toEqual(expected));
    });
  }
});

describe("different from Bun.serve", () => {
  for (const [name, [make, type]] of Object.entries(different)) {
    test(name, async () => {
      const expected = await byBun(make);
      expect(await byEpollServer(make)).toEqual({ ...expected, type });
      expect(expected.type).not.toBe(type);
    });
  }
});

test("a Bun.file of an fd has a length", async () => {
  expect(await byEpollServer(() => new Response(Bun.file(fd)))).toEqual({
    type: "application/octet-stream",
    length: "12",
    body: "<p>hello</p>",
  });
});

test("FormData keeps its boundary", async () => {
  const { type, body } = await byEpollServer(() => new Response(form()));
  expect(type).toStartWith("multipart/form-data; boundary=");
  expect(body).toContain((type as string).replace(/.*boundary=/, ""));
});

test("a stream has no Content-Type and no Content-Length of the server", async () => {
  const make = (): Response =>
    new Response(
      new ReadableStream({
        pull(controller) {
          controller.enqueue("a");
          controller.close();
        },
      }),
    );
  expect(await byEpollServer(make)).toEqual({ type: null, length: null, body: "a" });
});

test("strings and bytes with the same content keep their types, in any order and number", async () => {
  let isText = true;
  using harness = new FetchHarness(() => new Response(isText ? "hello" : encode("hello")));
  for (const [repeats, text] of [
    [3, true],
    [2, false],
    [1, true],
    [5, false],
    [7, true],
    [1, false],
  ] as const) {
    isText = text;
    const requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(repeats - 1);
    const client = harness.client(`${requests}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const types = parseResponses(await harness.rest(client)).map(({ headers }) => headers["content-type"]);
    expect(types).toEqual(Array(repeats).fill(text ? "text/plain;charset=utf-8" : "application/octet-stream"));
  }
});

test("a string that is sent often keeps its type, and so does another body of its size", async () => {
  let body: string | Uint8Array<ArrayBuffer> = "hello";
  using harness = new FetchHarness(() => new Response(body));
  const type = async (): Promise<string | undefined> => (await harness.ask("GET / HTTP/1.1")).headers["content-type"];
  for (let i = 0; i < 20; i++) expect(await type()).toBe("text/plain;charset=utf-8");
  body = "world";
  expect(await type()).toBe("text/plain;charset=utf-8");
  body = "hello";
  for (let i = 0; i < 20; i++) expect(await type()).toBe("text/plain;charset=utf-8");
  body = new Uint8Array([1, 2, 3, 4, 255]);
  expect(await type()).toBe("application/octet-stream");
  body = encode("bytes");
  expect(await type()).toBe("application/octet-stream");
});

test("a stream of a Response that is only inspected is neither read nor locked", async () => {
  let pulls = 0;
  const make = (): ReadableStream => new ReadableStream({ pull: () => void pulls++ }, { highWaterMark: 0 });
  const { isStream } = await import("../../src/protocols/http/body-kind.ts");
  const stream = make();
  expect(isStream(new Response(stream), -1)).toBe(true);
  expect([stream.locked, pulls]).toEqual([false, 0]);
});

describe("in a process that replaces Bun.serve", () => {
  // As libraries for monitoring do, which look at all routes.
  const replace = `
    const { serve } = Bun;
    Bun.serve = (options) => {
      for (const route of Object.values(options.routes ?? {})) void route;
      return serve(options);
    };`;
  const program = (before: string, after: string): string => `
    import { EpollServer } from "./src/index.ts";
    ${before}
    const makes = [
      () => new Response(new ReadableStream({ pull(c) { c.enqueue("stream"); c.close(); } })),
      () => new Response(Bun.file("package.json")),
      () => new Response(new Blob(["blob"])),
    ];
    let make;
    const server = new EpollServer({ hostname: "127.0.0.1", fetch: () => make() });
    await server.start();
    const seen = [];
    const ask = async () => {
      for (make of makes) {
        const response = await fetch(server.url);
        seen.push(response.headers.has("content-length"), (await response.text()).length > 0);
      }
    };
    await ask();
    ${after}
    await ask();
    console.log(JSON.stringify(seen));
    process.exit();`;
  const once = [false, true, true, true, true, true];
  for (const [name, before, after] of [
    ["before the first response", replace, ""],
    ["after it", "", replace],
  ] as const) {
    test(name, async () => {
      expect((await runBun(program(before, after))).output).toEqual([...once, ...once]);
    });
  }
});
