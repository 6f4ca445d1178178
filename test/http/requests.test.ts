// The Request that a fetch handler receives: URL, headers, body, clones, and backpressure.

import { Buffer } from "node:buffer";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readHead } from "../../src/protocols/http/read-head.ts";
import { RequestHead } from "../../src/protocols/http/request-head.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

/** Runs `find` in the handler of a request, and returns its result. */
async function found(find: (request: Request) => unknown, head: string, body = ""): Promise<unknown> {
  let what: unknown;
  using harness = new FetchHarness(async (request) => {
    what = await find(request);
    return new Response("ok");
  });
  expect((await harness.ask(head, body)).body).toBe("ok");
  return what;
}

const post = (type: string, body: string): [string, string] => [
  `POST /p HTTP/1.1\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}`,
  Buffer.from(body).toString("latin1"),
];

test("is a Request with url, method and headers", () =>
  leavesNoFd(async () => {
    const what = await found(
      (request) => [
        request instanceof Request,
        request.method,
        request.url,
        request.headers.get("x-A"),
        [...request.headers].map(([name]) => name),
        request.body,
        request.bodyUsed,
      ],
      "DELETE /a/b?c=d%20e HTTP/1.1\r\nX-a: 1\r\nx-A: \t2 \r\nEmpty:\r\nLatin: \xe4",
    );
    expect(what).toEqual([
      true,
      "DELETE",
      "http://a.test/a/b?c=d%20e",
      "1, 2",
      ["connection", "empty", "host", "latin", "x-a"],
      null,
      false,
    ]);
  }));

test("normalizes the url as URL does: dot segments, case of the host, default port", () =>
  leavesNoFd(async () => {
    const urls: Record<string, string> = {
      "/": "http://a.test/",
      "/a/../b/./c": "http://a.test/b/c",
      "/%2e%2e/x": "http://a.test/x",
      "//evil.test/x": "http://a.test//evil.test/x",
      "/a.b/c..d/.e": "http://a.test/a.b/c..d/.e",
      '/"<>`{}|^': "http://a.test/%22%3C%3E%60%7B%7D|%5E",
      "/?\\..\\x": "http://a.test/?\\..\\x",
      "/?a=../b'\"": "http://a.test/?a=../b%27%22",
      "http://B.test:80/x": "http://b.test/x",
      "https://c.test/x": "https://c.test/x",
    };
    for (const [target, url] of Object.entries(urls)) {
      expect({ target, url: await found(({ url }) => url, `GET ${target} HTTP/1.1`) }).toEqual({
        target,
        url: new URL(url).href,
      });
    }
  }));

test("reads the body as text, json, bytes, arrayBuffer, blob and formData", () =>
  leavesNoFd(async () => {
    expect(await found((request) => request.text(), ...post("text/plain", "grüß dich"))).toBe("grüß dich");
    expect(await found((request) => request.json(), ...post("application/json", '{"a":[1]}'))).toEqual({ a: [1] });
    expect(await found((request) => request.bytes(), ...post("x/y", "abc"))).toEqual(new Uint8Array([97, 98, 99]));
    const buffer = (await found((request) => request.arrayBuffer(), ...post("x/y", "abc"))) as ArrayBuffer;
    expect(new Uint8Array(buffer)).toEqual(new Uint8Array([97, 98, 99]));
    const blob = (await found((request) => request.blob(), ...post("image/png", "abc"))) as Blob;
    expect(await blob.text()).toBe("abc"); // without a type: Bun does not set it if the body of a Request is a stream
    const form = (await found(
      (request) => request.formData(),
      ...post("application/x-www-form-urlencoded", "a=b&c=d+e"),
    )) as FormData;
    expect([form.get("a"), form.get("c")]).toEqual(["b", "d e"]);
  }));

test("throws TypeError if the body is read twice", () =>
  leavesNoFd(async () => {
    const twice = async (request: Request): Promise<unknown> => {
      const before = request.bodyUsed;
      await request.text();
      return [before, request.bodyUsed, await request.text().catch((error: Error) => error.name)];
    };
    expect(await found(twice, ...post("text/plain", "abc"))).toEqual([false, true, "TypeError"]);
    const cloned = async (request: Request): Promise<unknown> => {
      await request.text();
      try {
        return request.clone();
      } catch (error) {
        return (error as Error).name;
      }
    };
    const [head, body] = post("text/plain", "abc");
    expect(await found(cloned, head, body)).toBe("TypeError");
    expect(await found(cloned, head.replace("POST", "GET"), body)).toBe("TypeError");
  }));

test("streams the body as it arrives, chunked or not", () =>
  leavesNoFd(async () => {
    const sum = async (request: Request): Promise<unknown> => {
      let text = "";
      for await (const chunk of request.body as ReadableStream<Uint8Array>) text += Buffer.from(chunk).toString();
      return text;
    };
    expect(await found(sum, ...post("text/plain", "x".repeat(100_000)))).toBe("x".repeat(100_000));
    const chunked = "5\r\nhello\r\n1;a=b\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n";
    expect(await found(sum, "POST /p HTTP/1.1\r\nTransfer-Encoding: chunked", chunked)).toBe("hello world");
  }));

test("clone() and new Request(request) return native Requests with the whole body", () =>
  leavesNoFd(async () => {
    const both = async (request: Request): Promise<unknown> => {
      const clone = request.clone();
      return [await clone.text(), await request.text(), clone.method, clone.url, clone.headers.get("content-type")];
    };
    expect(await found(both, ...post("a/b", "abc"))).toEqual(["abc", "abc", "POST", "http://a.test/p", "a/b"]);
    const again = async (request: Request): Promise<unknown> => {
      const real = new Request(request);
      return [await real.text(), real.method, real.url, real.headers.get("content-type"), real.redirect, request.mode];
    };
    const expected = ["abc", "POST", "http://a.test/p", "a/b", "follow", "cors"];
    expect(await found(again, ...post("a/b", "abc"))).toEqual(expected);
  }));

test("requestIP() returns the client's address", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness((request, server) => Response.json(server.requestIP(request)));
    const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const [response] = parseResponses(await harness.text(client, /\}$/));
    expect(JSON.parse(response?.body ?? "")).toEqual(client.getsockname());
    expect(harness.server.requestIP(new Request("http://a/"))).toBeNull();
  }));

test("distinguishes heads of the same length that differ in one byte", () =>
  leavesNoFd(async () => {
    const seen: string[] = [];
    using harness = new FetchHarness((request) => {
      seen.push(`${new URL(request.url).pathname} ${request.headers.get("x")}`);
      return new Response("ok");
    });
    const paths = ["/a", "/a", "/b", "/b", "/a"];
    const text = paths.map((path, i) => `GET ${path} HTTP/1.1\r\nHost: a\r\nX: ${i % 2}\r\n\r\n`);
    await harness.text(harness.client(text.join("")), /(HTTP[^]*){5}ok$/);
    for (const one of text) await harness.text(harness.client(one), /ok$/);
    const expected = paths.map((path, i) => `${path} ${i % 2}`);
    expect(seen).toEqual([...expected, ...expected]);
  }));

test("discards an unread body before it responds, and finds the next request after it", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(({ url }) => new Response(new URL(url).pathname));
    const body = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
    const head = `POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`;
    const client = harness.client(head);
    await harness.idle();
    expect(client.recv(1000)).toBeNull(); // the body may still turn out to be malformed
    client.send(`${body}GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(parseResponses(await harness.rest(client)).map(({ body }) => body)).toEqual(["/1", "/2"]);
  }));

test("responds immediately and closes if an unread body is long", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(() => new Response("no", { status: 401 }));
    const client = harness.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
    const [response] = parseResponses(await harness.rest(client));
    expect([response?.status, response?.headers["connection"]]).toEqual([401, "close"]);
    const chunked = harness.client("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (let i = 0; i < 300; i++) {
      chunked.send(`400\r\n${"x".repeat(1024)}\r\n`);
      harness.server.tick(0);
    }
    const [late] = parseResponses(await harness.rest(chunked));
    expect([late?.status, late?.headers["connection"]]).toEqual([401, "close"]);
  }));

test("sends 100 Continue only if the handler reads the body", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(async (request) =>
      request.url.endsWith("/read") ? new Response(await request.text()) : new Response("no", { status: 403 }),
    );
    const head = (path: string): string =>
      `PUT ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n`;
    const client = harness.client(head("/read"));
    expect(await harness.text(client, /\r\n\r\n$/)).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc");
    expect(await harness.text(client, /\r\n\r\nabc$/)).toStartWith("HTTP/1.1 200 OK\r\n");
    const eager = harness.client(`${head("/read")}abc`); // this client does not wait
    expect(await harness.text(eager, /\r\n\r\nabc$/)).toStartWith("HTTP/1.1 200 OK\r\n");
    const [response] = parseResponses(await harness.rest(harness.client(head("/no"))));
    expect([response?.status, response?.headers["connection"]]).toEqual([403, "close"]);
  }));

test("a handler that reads slowly slows down the client, and memory stays bounded", () =>
  leavesNoFd(async () => {
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    const done = Promise.withResolvers<Response>();
    using harness = new FetchHarness(
      (request) => {
        reader = request.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
        return done.promise;
      },
      { maxBodyBytes: 1e9 },
    );
    const total = 40_000_000;
    const client = harness.client(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
    const piece = Buffer.alloc(65_536, "x");
    let sent = 0;
    const send = (): void => {
      for (let n; sent < total && (n = client.send(piece.subarray(0, Math.min(piece.length, total - sent)))) > 0;) {
        sent += n;
      }
    };
    await harness.until(() => (send(), reader !== undefined));
    let before = -1;
    for (let quiet = 0; quiet < 20; quiet = sent === before ? quiet + 1 : 0) {
      before = sent;
      await harness.idle(5);
      send();
    }
    expect(sent).toBeLessThan(20_000_000); // the socket buffers, and not much more
    expect(harness.server.stats.bytesIn).toBeLessThan(600_000);
    let received = 0;
    const read = (async () => {
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true };
        if (done) return;
        received += value?.length ?? 0;
      }
    })();
    await harness.until(() => (send(), received === total));
    await read;
    done.resolve(new Response("all of it"));
    expect(await harness.text(client, /it$/)).toContain("200 OK");
  }));

test("a request body can be the response body, with 100 Continue if it is expected", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness((request) => new Response(request.body));
    const post = (fields: string): string => `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n\r\n`;
    for (const pieces of [["abc"], ["a", "b", "c"]]) {
      for (const fields of ["Content-Length: 3", "Content-Length: 3\r\nExpect: 100-continue"]) {
        const client = harness.client(post(fields));
        if (fields.includes("Expect")) {
          expect(await harness.text(client, /\r\n\r\n$/)).toBe("HTTP/1.1 100 Continue\r\n\r\n");
        }
        for (const piece of pieces) {
          client.send(piece);
          await harness.idle(3);
        }
        expect(parseResponses(await harness.rest(client)).map(({ body }) => body)).toEqual(["abc"]);
      }
    }
    const large = "x".repeat(1_000_000);
    const client = harness.client(post(`Content-Length: ${large.length}`));
    let sent = 0;
    let text = "";
    await harness.until(() => {
      if (sent < large.length) sent += Math.max(0, client.send(large.slice(sent, sent + 50_000)));
      const bytes = client.recv(1_000_000);
      text += Buffer.from(bytes ?? []).toString("latin1");
      return bytes?.length === 0;
    });
    expect(parseResponses(text)[0]?.body === large).toBe(true);
  }));

test("no field of a request affects the next one, whether the request is accepted or rejected", () => {
  const limits = { maxHeaderBytes: 16_384, maxHeaderCount: 100, maxTargetBytes: 8_192 };
  const read = (fields: string, line = "GET / HTTP/1.1"): unknown => {
    const bytes = Buffer.from(`${line}\r\n${fields}\r\n`, "latin1");
    const head = readHead(bytes, 0, bytes.length, limits);
    if (!(head instanceof RequestHead)) return head;
    const { host, bodyLength, expectsContinue, keepAlive, isLast, isSimple } = head;
    return { host, bodyLength, expectsContinue, keepAlive, isLast, isSimple };
  };
  const plain = { host: "a", bodyLength: 0, expectsContinue: false, keepAlive: true, isLast: false, isSimple: true };
  const others: [fields: string, expected: unknown][] = [
    ["Host: b\r\nConnection: close\r\n", { ...plain, host: "b", keepAlive: false, isLast: true }],
    [
      "Host: b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n",
      { ...plain, host: "b", bodyLength: 5, expectsContinue: true, isSimple: false },
    ],
    ["Host: b\r\nTransfer-Encoding: chunked\r\n", { ...plain, host: "b", bodyLength: -1, isSimple: false }],
    ["Host: b\r\nExpect: something\r\n", "expectation-failed"],
    ["Host: b\r\nHost: c\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n", "bad-request"],
    ["Host: b\r\nTransfer-Encoding: gzip, chunked\r\n", "not-implemented"],
    ["Connection: close\r\n", "bad-request"],
  ];
  for (const [fields, expected] of others) {
    expect(read(fields)).toEqual(expected);
    expect(read("Host: a\r\n")).toEqual(plain);
    expect(read("", "GET / HTTP/1.0")).toEqual({ ...plain, host: "localhost", keepAlive: false, isLast: true });
  }
});
