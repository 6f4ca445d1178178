// Limits that a client can exceed: the response at the limit and just over it, and the next client's.

import { expect, setDefaultTimeout, spyOn, test } from "bun:test";
import type { EpollServerOptions, RejectionReason } from "../../src/index.ts";
import { FastPath } from "../../src/protocols/http/fast-path.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const post = (field: string, body = ""): string => `POST / HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n${body}`;
const long = (length: number): string => "x".repeat(length);

/** A request exactly at each limit, and one just over it. */
const limits: [
  options: EpollServerOptions,
  atLimit: string,
  overLimit: string,
  status: number,
  reason: RejectionReason,
][] = [
  [
    { maxHeaderBytes: 100 },
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${long(100 - 32)}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${long(101 - 32)}\r\n\r\n`,
    431,
    "header-too-large",
  ],
  [
    { maxHeaderCount: 3 },
    "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
    431,
    "header-too-large",
  ],
  [
    { maxTargetBytes: 10 },
    `GET /${long(9)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    `GET /${long(10)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    414,
    "target-too-long",
  ],
  [
    { maxBodyBytes: 10 },
    post("Content-Length: 10", long(10)),
    post("Content-Length: 11", long(11)),
    413,
    "body-too-large",
  ],
  [
    { maxBodyBytes: 10 },
    post("Transfer-Encoding: chunked", `5\r\n${long(5)}\r\n5\r\n${long(5)}\r\n0\r\n\r\n`),
    post("Transfer-Encoding: chunked", `5\r\n${long(5)}\r\n6\r\n${long(6)}\r\n0\r\n\r\n`),
    413,
    "body-too-large",
  ],
];

for (const [options, atLimit, overLimit, status, reason] of limits) {
  for (const kind of ["response", "fetch"]) {
    test(`${JSON.stringify(options)}, ${JSON.stringify(atLimit.slice(0, 40))}…, ${kind}: ${status} over the limit`, () =>
      leavesNoFd(async () => {
        const served = "Hello from Epoll server!";
        using harness =
          kind === "fetch"
            ? new FetchHarness(() => new Response(served), options)
            : new FetchHarness(undefined, options);
        const good = await harness.text(harness.client(atLimit), complete);
        expect(good).toStartWith("HTTP/1.1 200 OK\r\n");
        for (const pieces of [[overLimit], [...overLimit]]) {
          const client = harness.client();
          const before = harness.server.stats.rejected;
          for (const piece of pieces) {
            client.send(piece);
            harness.server.tick(0);
            if (harness.server.stats.rejected > before) break;
          }
          const [response, more] = parseResponses(await harness.rest(client));
          expect([response?.status, response?.headers["connection"], more]).toEqual([status, "close", undefined]);
        }
        expect(harness.server.stats.rejectedBy[reason]).toBe(2);
        expect(harness.server.stats.rejected).toBe(2);
        expect(await harness.text(harness.client(GET), complete)).toContain("200 OK");
      }));
  }
}

test("does not parse a long head again at every byte", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(undefined, { maxHeaderBytes: 16_384 });
    const head = `GET / HTTP/1.1\r\nHost: a\r\nX: ${long(12_000)}\r\n\r\n`;
    const client = harness.client();
    using parse = spyOn(FastPath.prototype, "readHead");
    for (const byte of head) {
      client.send(byte);
      harness.server.tick(0);
    }
    expect(await harness.text(client, complete)).toContain("200 OK");
    expect(parse.mock.calls.length).toBeLessThan(4200); // at every byte of the first 4096, then as the length doubles
  }));

test("rejects endless chunk extensions and trailers without buffering them", () =>
  leavesNoFd(async () => {
    for (const begin of ["1;a=", "0\r\nT: "]) {
      using harness = new FetchHarness(() => new Response("x"));
      const client = harness.client(post("Transfer-Encoding: chunked", begin));
      let text = "";
      for (let sent = 0; text === "" && sent < 1_000_000; sent += 1000) {
        client.send(long(1000));
        harness.server.tick(0);
        text = Buffer.from(client.recv(1000) ?? []).toString();
      }
      expect(text).toStartWith("HTTP/1.1 431 ");
    }
  }));

test("responds with 408 if a body arrives more slowly than minBodyRate within bodyTimeoutMs", () =>
  leavesNoFd(async () => {
    for (const kind of ["response", "fetch"]) {
      const options = { bodyTimeoutMs: 1000, minBodyRate: 100 };
      const read = async (request: Request): Promise<Response> => new Response(await request.text());
      using harness = new FetchHarness(kind === "fetch" ? read : undefined, options);
      const fast = harness.client(post("Content-Length: 1000"));
      const slow = harness.client(post("Content-Length: 1000"));
      const silent = harness.client(post("Content-Length: 1000"));
      await harness.idle();
      const ended = new Set<unknown>();
      for (let i = 0; i < 8; i++) {
        harness.clock.ms += 600;
        fast.send(long(100));
        if (!ended.has(slow)) slow.send(long(10));
        await harness.idle(4);
        for (const client of [slow, silent]) if (!ended.has(client) && client.recv(1000) !== null) ended.add(client);
      }
      expect(ended.size).toBe(2);
      expect(fast.recv(1000)).toBeNull();
      fast.send(long(200));
      expect(await harness.text(fast, kind === "fetch" ? /x{1000}$/ : complete)).toContain("200 OK");
      expect(harness.server.stats).toMatchObject({ timeouts: 2, rejectedBy: { "body-timeout": 2 } });
    }
  }));

test("does not count the time that a handler takes to read a body toward the client's timeout", () =>
  leavesNoFd(async () => {
    const gate = Promise.withResolvers<void>();
    using harness = new FetchHarness(
      async (request) => {
        const reader = (request.body as ReadableStream).getReader();
        await reader.read();
        await gate.promise;
        for (;;) if ((await reader.read()).done) return new Response("all");
      },
      { bodyTimeoutMs: 1000 },
    );
    const total = 1_000_000;
    const client = harness.client(post(`Content-Length: ${total}`));
    let sent = 0;
    const send = (): void => {
      for (let n; sent < total && (n = client.send(long(Math.min(65_536, total - sent)))) > 0;) sent += n;
    };
    await harness.until(() => (send(), harness.server.stats.bytesIn > 262_144));
    for (let i = 0; i < 5; i++) {
      harness.clock.ms += 1000;
      await harness.idle(3);
    }
    gate.resolve();
    await harness.until(() => (send(), sent === total));
    expect(await harness.text(client, /all$/)).toContain("200 OK");
  }));

test("maxRequestsPerConnection: the last response says Connection: close", () =>
  leavesNoFd(async () => {
    for (const fetch of [undefined, () => new Response("Hello from Epoll server!")]) {
      using harness = new FetchHarness(fetch, { maxRequestsPerConnection: 3 });
      const responses = parseResponses(await harness.rest(harness.client(GET.repeat(5))));
      expect(responses.map(({ headers }) => headers["connection"])).toEqual([undefined, undefined, "close"]);
      const client = harness.client(GET);
      await harness.text(client, complete);
      client.send(GET);
      await harness.text(client, complete);
      client.send(GET);
      expect(await harness.rest(client)).toContain("Connection: close");
    }
  }));

test("maxConnectionsPerAddress: responds with 503 over the limit, until a connection closes; other addresses are not affected", () =>
  leavesNoFd(async () => {
    for (const eager of [true, false]) {
      using harness = new ServerHarness({ hostname: "0.0.0.0", maxConnectionsPerAddress: 2, eager });
      const first = harness.client(GET);
      const second = harness.client(GET);
      harness.receive(first, complete);
      harness.receive(second, complete);
      const third = harness.client(GET);
      expect(harness.receive(third, /\.\n$/)).toStartWith("HTTP/1.1 503 ");
      third.close();
      harness.settle();
      expect(harness.server.stats).toMatchObject({ rejectedBy: { "too-many-connections": 1 }, open: 2 });
      const elsewhere = harness.client("", "127.0.0.2");
      elsewhere.send(GET);
      harness.receive(elsewhere, complete);
      first.close();
      harness.settle();
      harness.receive(harness.client(GET), complete);
    }
  }));
