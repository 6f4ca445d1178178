// Clients that request more than they read: nothing is lost, memory is bounded, and other clients are served.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN } from "../../src/kernel/constants.ts";
import { Epoll, type Socket } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { GET, SENTENCE, ServerHarness, sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

for (const eager of [true, false]) {
  const mode = eager ? "eager" : "classic, keepAlive";

  test(`sends every large response to hundreds of pipelined requests completely, ${mode}`, () =>
    leavesNoFd(() => {
      const requests = 300;
      const body = Buffer.alloc(100_000, "x");
      using harness = new ServerHarness({ eager, response: body });
      const client = harness.client(GET.repeat(requests) + GET.replace("Host: a", "Host: a\r\nConnection: close"));
      const received = readToEnd(harness, client);
      expect(received.responses).toBe(requests + 1);
      expect(received.bytes).toBe(harness.server.stats.bytesOut);
      expect(received.bytes).toBeGreaterThan((requests + 1) * body.length);
      expect(harness.server.stats).toMatchObject({ requests: requests + 1, errors: 0, timeouts: 0 });
    }));

  test(`stops reading from a client that pipelines requests without reading responses, ${mode}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness({ eager, response: Buffer.alloc(100_000, "x") });
      const client = harness.client();
      let sent = 0;
      for (let quiet = 0; quiet < 100;) {
        const n = client.send(GET.repeat(1000));
        if (n > 0) sent += n;
        quiet = harness.server.tick(0) === 0 && n < 0 ? quiet + 1 : 0;
      }
      const { requests, bytesIn } = harness.server.stats;
      expect(bytesIn).toBeLessThan(sent); // the rest is in the kernel's queues
      expect(requests).toBeLessThan(1000);
      using other = harness.client(GET);
      for (let i = 0; i < 10 && other.recv(10) === null; i++) harness.server.tick(1);
      expect(harness.server.stats.requests).toBe(requests + 1);
    }));

  test(`sends every byte in order if the kernel takes one at a time, ${mode}`, () =>
    leavesNoFd(() => {
      const sys = sysWith((host) => ({
        send: (fd, bytes, offset, length, flags) => host.send(fd, bytes, offset, Math.min(1, length), flags),
      }));
      using harness = new ServerHarness({ eager }, sys);
      const [one, two] = [harness.client(GET.repeat(3)), harness.client(GET)];
      for (const [client, responses] of [
        [one, 3],
        [two, 1],
      ] as const) {
        const text = harness.receive(client, new RegExp(`(Hello from Epoll server![^]*){${responses}}$`));
        const parts = text.split(SENTENCE);
        expect(parts.pop()).toBe("");
        for (const head of parts) expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\nContent-Length: 24\r\n\r\n$/);
        expect(parts).toHaveLength(responses);
      }
    }));
}

test("accepts at most 64 connections per event, so that open connections get their turn", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ deferAccept: false });
    for (let i = 0; i < 100; i++) harness.client();
    harness.server.tick(0);
    expect(harness.server.stats.accepted).toBe(64);
    harness.server.tick(0);
    expect(harness.server.stats.accepted).toBe(100);
  }));

/** Reads to the end of stream, and counts the responses and bytes. */
function readToEnd(harness: ServerHarness, client: Socket): { responses: number; bytes: number } {
  using epoll = new Epoll();
  epoll.register(client, EPOLLIN);
  let responses = 0;
  let bytes = 0;
  let tail = "";
  for (;;) {
    harness.server.tick(0);
    if (epoll.poll(0).length === 0) continue;
    const received = client.recv(1_000_000);
    if (received === null) continue;
    if (received.length === 0) return { responses, bytes };
    bytes += received.length;
    const text = tail + Buffer.from(received).toString("latin1");
    responses += text.split("HTTP/1.1 200 OK").length - 1;
    tail = text.slice(-14).replace("HTTP/1.1 200 OK", "");
  }
}
