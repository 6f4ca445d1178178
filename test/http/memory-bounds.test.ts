// The bytes that the server keeps for its connections are bounded, whatever the clients do.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { BufferBudget } from "../../src/protocols/buffer-budget.ts";
import { type ServerWarning, SO_RCVBUF, type Socket, SOL_SOCKET } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";

setDefaultTimeout(60_000);

const get = (path = "/"): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const MIB = 1_048_576;

/** Connects a client that sends `text` and whose receive buffer does not grow: otherwise the kernel takes tens of megabytes. */
function slowClient(harness: FetchHarness, text: string): Socket {
  const client = harness.client();
  client.setsockopt(SOL_SOCKET, SO_RCVBUF, 65_536);
  client.send(text);
  return client;
}

describe("a client that pipelines requests and reads nothing", () => {
  for (const [kind, respond] of Object.entries({
    "responses in memory": () => new Response(Buffer.alloc(32 * MIB)),
    streams: () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(Buffer.alloc(65_536)),
        }),
      ),
  })) {
    test(`has one of its ${kind} in the queue`, () =>
      leavesNoFd(async () => {
        let begun = 0;
        using harness = new FetchHarness(async () => {
          begun++;
          await Bun.sleep(1);
          return respond();
        });
        const client = slowClient(harness, get().repeat(32));
        await harness.until(() => begun > 0);
        await harness.idle(500);
        expect(begun).toBe(1);
        client.close();
        await harness.until(() => harness.server.stats.open === 0);
      }));
  }

  test("has one of its uploads in memory", () =>
    leavesNoFd(async () => {
      let begun = 0;
      using harness = new FetchHarness(async (request) => {
        begun++;
        await request.bytes();
        await new Promise(() => {});
        return new Response();
      });
      const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${MIB}\r\n\r\n${"x".repeat(MIB)}`;
      const client = harness.client();
      const bytes = Buffer.from(post.repeat(8));
      for (let sent = 0, attempts = 0; sent < bytes.length && attempts < 100;) {
        const n = client.send(bytes.subarray(sent));
        if (n < 0) attempts++;
        else sent += n;
        await harness.idle(1);
      }
      expect(begun).toBe(1);
      expect(harness.server.stats.bytesIn).toBeLessThan(1.5 * MIB);
    }));
});

describe("maxBufferedBytes", () => {
  test("while responses to slow clients exceed it, new requests get 503; after that, 200", () =>
    leavesNoFd(async () => {
      const warnings: ServerWarning[] = [];
      using harness = new FetchHarness(
        ({ url }) => new Response(url.endsWith("/big") ? Buffer.alloc(64 * MIB) : "ok"),
        {
          maxBufferedBytes: 16 * MIB,
          onWarning: (warning) => warnings.push(warning),
        },
      );
      const slow = slowClient(harness, get("/big"));
      await harness.until(() => harness.server.stats.bytesOut > 0); // the response is buffered
      for (let round = 0; round < 2; round++) {
        const [rejected] = parseResponses(await harness.rest(harness.client(get())));
        expect([rejected?.status, rejected?.headers["connection"]]).toEqual([503, "close"]);
      }
      expect(harness.server.stats.rejectedBy.overloaded).toBe(2);
      expect(warnings.map(({ code }) => code)).toEqual(["ENOBUFS"]); // once
      expect(warnings[0]?.message).toContain("maxBufferedBytes");
      let received = 0;
      await harness.until(() => {
        received += slow.recv(1_000_000)?.length ?? 0;
        return received > 64 * MIB;
      });
      expect(parseResponses(await harness.rest(harness.client(last)))[0]?.status).toBe(200);
    }));

  test("counts request bodies that handlers have not read, and no longer after the exchange", () =>
    leavesNoFd(async () => {
      const go = Promise.withResolvers<void>();
      const kept: Request[] = [];
      using harness = new FetchHarness(
        async (request) => {
          if (request.method === "POST") {
            kept.push(request); // keeps the body alive, unread
            await go.promise;
          }
          return new Response("ok");
        },
        { maxBufferedBytes: 100_000 },
      );
      const clients = Array.from({ length: 4 }, () =>
        harness.client(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n${"x".repeat(50_000)}`),
      );
      await harness.until(() => kept.length >= 3);
      await harness.idle();
      expect(parseResponses(await harness.rest(harness.client(last)))[0]?.status).toBe(503);
      go.resolve();
      for (const client of clients) await harness.text(client, /ok$|later\.\n$/);
      expect(parseResponses(await harness.rest(harness.client(last)))[0]?.status).toBe(200);
    }));

  test("a client that disconnects releases what was buffered for it", () =>
    leavesNoFd(async () => {
      using harness = new FetchHarness(() => new Response(Buffer.alloc(64 * MIB)), { maxBufferedBytes: 16 * MIB });
      const client = slowClient(harness, get());
      await harness.until(() => harness.server.stats.requests === 1);
      await harness.idle();
      client.close();
      await harness.until(() => harness.server.stats.open === 0);
      const other = harness.client(last);
      expect(await harness.text(other, /\r\n\r\n/)).toStartWith("HTTP/1.1 200 ");
    }));

  test("the budget warns once each time it is exceeded", () => {
    const budget = new BufferBudget(100);
    const steps: [bytes: number, isExceeded: boolean, isWarningDue: boolean][] = [
      [100, false, false],
      [1, true, true],
      [-2, false, false],
      [2, true, false], // not yet below half
      [-60, false, false],
      [70, true, true],
    ];
    for (const [bytes, isExceeded, isWarningDue] of steps) {
      budget.add(bytes);
      expect([budget.isExceeded, budget.takeWarning()]).toEqual([isExceeded, isWarningDue]);
    }
  });
});

test("a body that the handler has begun to read completely is read, even if the response is sent before its end", () =>
  leavesNoFd(async () => {
    const texts: string[] = [];
    using harness = new FetchHarness((request) => {
      void request.text().then((text) => texts.push(text));
      return new Response("ok");
    });
    const post = (body: string): string =>
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const client = harness.client(post("at once") + post("x".repeat(100_000)));
    await harness.until(() => texts.length === 2);
    expect(texts).toEqual(["at once", "x".repeat(100_000)]);
    expect(parseResponses(await harness.text(client, /ok.*ok$/s)).length).toBe(2);
  }));
