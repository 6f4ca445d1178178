// Responses of fetch() that a handler returns: their encoding, their framing, and when they are sent.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { FetchHarness, parseResponses, type ReceivedResponse } from "../support/fetch-harness.ts";

setDefaultTimeout(60_000);

const text = "hello ".repeat(1000);
const plain = Buffer.from(text);
const encoders: Record<string, (bytes: Buffer) => Buffer> = {
  gzip: gzipSync,
  "x-gzip": gzipSync,
  GZIP: gzipSync,
  "gzip, identity": gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
  identity: (bytes) => bytes,
  "gzip, br": (bytes) => brotliCompressSync(gzipSync(bytes)),
};

let upstream: ReturnType<typeof Bun.serve>;
beforeAll(() => {
  upstream = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      const encoding = searchParams.get("encoding") ?? "identity";
      const encoded = (encoders[encoding] as (bytes: Buffer) => Buffer)(plain);
      const headers = new Headers({ "Content-Encoding": encoding, "Content-Type": "a/b", ETag: '"abc"' });
      headers.append("Set-Cookie", "a=1");
      headers.append("Set-Cookie", "b=2");
      if (pathname === "/304") return new Response(null, { status: 304, headers });
      if (pathname === "/204") return new Response(null, { status: 204, headers });
      if (pathname === "/range") {
        headers.delete("Content-Encoding");
        headers.set("Content-Range", `bytes 0-4/${plain.length}`);
        return new Response(plain.subarray(0, 5), { status: 206, headers });
      }
      return new Response(encoded, { headers });
    },
  });
});
afterAll(() => upstream.stop(true));

async function proxied(path: string, encoding: string, method = "GET", options = {}): Promise<ReceivedResponse> {
  const url = new URL(`${path}?encoding=${encodeURIComponent(encoding)}`, upstream.url);
  using harness = new FetchHarness(() => fetch(url, { method, keepalive: false, ...options }));
  const client = harness.client(`${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  return parseResponses(await harness.rest(client), method === "HEAD")[0] as ReceivedResponse;
}

test("a body that fetch has decoded is sent without Content-Encoding, and with a weak ETag", async () => {
  for (const encoding of Object.keys(encoders)) {
    const isDecoded = encoding !== "identity" && encoding !== "gzip, br";
    const { status, headers, body } = await proxied("/", encoding);
    expect({ encoding, status, header: headers["content-encoding"], etag: headers["etag"] }).toEqual({
      encoding,
      status: 200,
      header: isDecoded ? undefined : encoding,
      etag: isDecoded ? 'W/"abc"' : '"abc"',
    });
    const expected = encoding === "gzip, br" ? (encoders[encoding] as (bytes: Buffer) => Buffer)(plain) : plain;
    expect(body).toBe(expected.toString("latin1"));
    expect(headers["content-length"]).toBe(isDecoded ? undefined : String(expected.length));
    expect([headers["content-type"], headers["set-cookie"]]).toEqual(["a/b", "a=1, b=2"]);
  }
});

test("HEAD, 204, 304 and 206 are forwarded without a body that does not belong to them", async () => {
  const head = await proxied("/", "gzip", "HEAD");
  expect([head.status, head.headers["content-encoding"], head.headers["content-length"], head.body]).toEqual([
    200,
    undefined, // as for GET
    undefined,
    "",
  ]);
  const plainHead = await proxied("/", "identity", "HEAD");
  expect([plainHead.headers["content-length"], plainHead.body]).toEqual([String(plain.length), ""]);
  for (const status of [204, 304]) {
    const response = await proxied(`/${status}`, "identity");
    expect([response.status, response.headers["set-cookie"], response.body]).toEqual([status, "a=1, b=2", ""]);
    expect(response.headers["transfer-encoding"]).toBeUndefined();
  }
  const range = await proxied("/range", "identity", "GET", { headers: { Range: "bytes=0-4" } });
  expect([range.status, range.headers["content-range"], range.headers["content-length"], range.body]).toEqual([
    206,
    `bytes 0-4/${plain.length}`,
    "5",
    "hello",
  ]);
});

test("a new Response made of a fetched one is sent with the headers it has", async () => {
  const url = new URL("/?encoding=gzip", upstream.url);
  // The application knows that the body is still encoded.
  using harness = new FetchHarness(async () => {
    const response = await fetch(url, { decompress: false, keepalive: false } as RequestInit);
    return new Response(response.body, response);
  });
  const { headers, body } = await harness.ask("GET / HTTP/1.1");
  expect(headers["content-encoding"]).toBe("gzip");
  expect(Buffer.from(Bun.gunzipSync(Buffer.from(body, "latin1"))).toString()).toBe(text);
  // The application has removed what is no longer true.
  using decoded = new FetchHarness(async () => {
    const response = await fetch(url, { keepalive: false });
    const fields = new Headers(response.headers);
    fields.delete("Content-Encoding");
    fields.delete("Content-Length");
    return new Response(response.body, { headers: fields });
  });
  expect((await decoded.ask("GET / HTTP/1.1")).body).toBe(text);
});

test("a fetched Response is sent when it arrives, not after what the upstream answers later", async () => {
  using harness = new FetchHarness(() => fetch(upstream.url, { keepalive: false }));
  for (let round = 0; round < 5; round++) {
    const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let received = "";
    // Bun's fetch, on its own thread, handles requests in order. A few later ones leave time for the handler's.
    for (let later = 0; later < 20 && !received.endsWith(text); later++) {
      await harness.idle(5);
      received += Buffer.from(client.recv(1_000_000) ?? []).toString("latin1");
      await (await fetch(upstream.url, { keepalive: false })).text();
    }
    expect(received).toEndWith(text);
    client.close();
  }
});
