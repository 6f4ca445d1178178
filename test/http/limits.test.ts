// Limits that a client can exceed: the response at the limit and just over it, and the next client's.

import { expect, setDefaultTimeout, spyOn, test } from "bun:test";
import type { EpollServerOptions, RejectionReason } from "../../src/index.ts";
import { FastPath } from "../../src/protocols/http/fast-path.ts";
import { FetchStage, parseResponses } from "../support/fetch-stage.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, Stage } from "../support/server.ts";

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
        using stage =
          kind === "fetch" ? new FetchStage(() => new Response(served), options) : new FetchStage(undefined, options);
        const good = await stage.text(stage.client(atLimit), complete);
        expect(good).toStartWith("HTTP/1.1 200 OK\r\n");
        for (const pieces of [[overLimit], [...overLimit]]) {
          const client = stage.client();
          const before = stage.server.stats.rejected;
          for (const piece of pieces) {
            client.send(piece);
            stage.server.tick(0);
            if (stage.server.stats.rejected > before) break;
          }
          const [response, more] = parseResponses(await stage.rest(client));
          expect([response?.status, response?.headers["connection"], more]).toEqual([status, "close", undefined]);
        }
        expect(stage.server.stats.rejectedBy[reason]).toBe(2);
        expect(stage.server.stats.rejected).toBe(2);
        expect(await stage.text(stage.client(GET), complete)).toContain("200 OK");
      }));
  }
}

test("does not parse a long head again at every byte", () =>
  leavesNoFd(async () => {
    using stage = new FetchStage(undefined, { maxHeaderBytes: 16_384 });
    const head = `GET / HTTP/1.1\r\nHost: a\r\nX: ${long(12_000)}\r\n\r\n`;
    const client = stage.client();
    using parse = spyOn(FastPath.prototype, "readHead");
    for (const byte of head) {
      client.send(byte);
      stage.server.tick(0);
    }
    expect(await stage.text(client, complete)).toContain("200 OK");
    expect(parse.mock.calls.length).toBeLessThan(4200); // at every byte of the first 4096, then as the length doubles
  }));

test("rejects endless chunk extensions and trailers without buffering them", () =>
  leavesNoFd(async () => {
    for (const begin of ["1;a=", "0\r\nT: "]) {
      using stage = new FetchStage(() => new Response("x"));
      const client = stage.client(post("Transfer-Encoding: chunked", begin));
      let text = "";
      for (let sent = 0; text === "" && sent < 1_000_000; sent += 1000) {
        client.send(long(1000));
        stage.server.tick(0);
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
      using stage = new FetchStage(kind === "fetch" ? read : undefined, options);
      const fast = stage.client(post("Content-Length: 1000"));
      const slow = stage.client(post("Content-Length: 1000"));
      const silent = stage.client(post("Content-Length: 1000"));
      await stage.idle();
      const ended = new Set<unknown>();
      for (let i = 0; i < 8; i++) {
        stage.clock.ms += 600;
        fast.send(long(100));
        if (!ended.has(slow)) slow.send(long(10));
        await stage.idle(4);
        for (const client of [slow, silent]) if (!ended.has(client) && client.recv(1000) !== null) ended.add(client);
      }
      expect(ended.size).toBe(2);
      expect(fast.recv(1000)).toBeNull();
      fast.send(long(200));
      expect(await stage.text(fast, kind === "fetch" ? /x{1000}$/ : complete)).toContain("200 OK");
      expect(stage.server.stats).toMatchObject({ timeouts: 2, rejectedBy: { "body-timeout": 2 } });
    }
  }));

test("does not count the time that a handler takes to read a body toward the client's timeout", () =>
  leavesNoFd(async () => {
    const gate = Promise.withResolvers<void>();
    using stage = new FetchStage(
      async (request) => {
        const reader = (request.body as ReadableStream).getReader();
        await reader.read();
        await gate.promise;
        for (;;) if ((await reader.read()).done) return new Response("all");
      },
      { bodyTimeoutMs: 1000 },
    );
    const total = 1_000_000;
    const client = stage.client(post(`Content-Length: ${total}`));
    let sent = 0;
    const send = (): void => {
      for (let n; sent < total && (n = client.send(long(Math.min(65_536, total - sent)))) > 0;) sent += n;
    };
    await stage.until(() => (send(), stage.server.stats.bytesIn > 262_144));
    for (let i = 0; i < 5; i++) {
      stage.clock.ms += 1000;
      await stage.idle(3);
    }
    gate.resolve();
    await stage.until(() => (send(), sent === total));
    expect(await stage.text(client, /all$/)).toContain("200 OK");
  }));

test("maxRequestsPerConnection: the last response says Connection: close", () =>
  leavesNoFd(async () => {
    for (const fetch of [undefined, () => new Response("Hello from Epoll server!")]) {
      using stage = new FetchStage(fetch, { maxRequestsPerConnection: 3 });
      const responses = parseResponses(await stage.rest(stage.client(GET.repeat(5))));
      expect(responses.map(({ headers }) => headers["connection"])).toEqual([undefined, undefined, "close"]);
      const client = stage.client(GET);
      await stage.text(client, complete);
      client.send(GET);
      await stage.text(client, complete);
      client.send(GET);
      expect(await stage.rest(client)).toContain("Connection: close");
    }
  }));

test("maxConnectionsPerAddress: responds with 503 over the limit, until a connection closes; other addresses are not affected", () =>
  leavesNoFd(async () => {
    for (const eager of [true, false]) {
      using stage = new Stage({ hostname: "0.0.0.0", maxConnectionsPerAddress: 2, eager });
      const first = stage.client(GET);
      const second = stage.client(GET);
      stage.receive(first, complete);
      stage.receive(second, complete);
      const third = stage.client(GET);
      expect(stage.receive(third, /\.\n$/)).toStartWith("HTTP/1.1 503 ");
      third.close();
      stage.settle();
      expect(stage.server.stats).toMatchObject({ rejectedBy: { "too-many-connections": 1 }, open: 2 });
      const elsewhere = stage.client("", "127.0.0.2");
      elsewhere.send(GET);
      stage.receive(elsewhere, complete);
      first.close();
      stage.settle();
      stage.receive(stage.client(GET), complete);
    }
  }));
