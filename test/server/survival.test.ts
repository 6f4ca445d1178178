// Misbehaving clients: after each, the server responds to the next client, becomes idle, and has no additional fd open.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { ErrnoError } from "../../src/index.ts";
import { noRejections } from "../../src/protocols/http/rejection.ts";
import { ask, Client, type Mode, modeNames, modes } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { waitUntilIdle } from "../support/message-process.ts";
import { scaled } from "../support/scale.ts";
import { ServerProcess } from "../support/server-process.ts";

setDefaultTimeout(60_000);

const BODY_BYTES = 8_000_000; // far more than the kernel's socket buffers hold
/** Sent without an end: more than the memory that the server may need meanwhile. */
const OFFERED_BYTES = scaled(100_000_000, 200_000_000);
const MAX_GROWTH_KB = 64_000;
const MANY_CLIENTS = scaled(2_000, 10_000);
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD = "HEAD / HTTP/1.0\r\n\r\n";

const servers = new Map<Mode, { server: ServerProcess; fds: number }>();
/** The heads that were sent without an end: each is rejected with 431. */
const endlessHeads = new Map<Mode, number>();

function countEndlessHead(mode: Mode): void {
  endlessHeads.set(mode, (endlessHeads.get(mode) ?? 0) + 1);
}

beforeAll(async () => {
  for (const mode of modeNames) {
    const server = await ServerProcess.start(modes[mode], { bodyBytes: BODY_BYTES });
    servers.set(mode, { server, fds: server.fds });
  }
});

afterAll(async () => {
  for (const { server } of servers.values()) await server[Symbol.asyncDispose]();
});

/** Runs `act` against the server in each mode, then checks that the server still works and has no additional fd open. */
function survives(behavior: string, act: (server: ServerProcess, mode: Mode) => void): void {
  test(behavior, async () => {
    for (const [mode, { server }] of servers) {
      act(server, mode);
      expect({ mode, status: ask(server.address, HEAD).status }).toEqual({ mode, status: 200 });
    }
    await waitUntilIdle(...[...servers.values()].map(({ server }) => server));
    for (const [mode, { server, fds }] of servers) {
      await eventually(
        () => ({ mode, fds: server.fds }),
        (now) => now.fds === fds,
      );
    }
  });
}

survives("connects and closes", ({ address }) => new Client(address).close());

survives("closes its side without a request: the server closes, too", ({ address }) => {
  using client = new Client(address);
  client.end();
  expect(client.fate()).toBe("end");
});

survives("sends half a request and closes", ({ address }) => new Client(address, GET.slice(0, 20)).close());

survives("sends half a request and closes its side: 400, and the server closes", ({ address }, mode) => {
  using client = new Client(address, GET.slice(0, 20));
  client.end();
  expect(client.rest()).toMatch(mode === "classic" ? /^$/ : /^HTTP\/1.1 400 /);
});

survives("closes its side after its request: gets the complete response", ({ address }) => {
  using client = new Client(address, GET);
  client.end();
  expect(client.readResponse().body).toHaveLength(BODY_BYTES);
  expect(client.rest()).toBe("");
});

survives("closes in the middle of a large response", ({ address }) => {
  using client = new Client(address, GET);
  client.take(100_000);
});

survives("closes without reading any of a large response", ({ address }) => {
  using client = new Client(address, GET);
  client.take(1);
});

survives("resets before its request", ({ address }) => new Client(address).reset());

survives("resets in the middle of its request", ({ address }) => new Client(address, GET.slice(0, 20)).reset());

survives("resets right after its request", ({ address }) => new Client(address, GET).reset());

survives("resets while a large response is being sent", ({ address }) => {
  const client = new Client(address, GET);
  client.take(100_000);
  client.reset();
});

survives("resets after its response", ({ address }) => {
  const client = new Client(address, GET);
  client.readResponse();
  client.reset();
});

survives("resets with a thousand requests unanswered", ({ address }) => {
  const client = new Client(address, GET.repeat(1000));
  client.take(100_000);
  client.reset();
});

survives("sends bytes that are not UTF-8", ({ address }, mode) => {
  const { status } = ask(address, "GET /\xff\xfe\xc3\x28\x80 HTTP/1.0\r\nX: \x00\xff\r\n\r\n");
  expect(status).toBe(mode === "classic" ? 200 : 400); // classic: a blank line ends a request, whatever it contains
});

survives("sends a TLS handshake", ({ address }, mode) => {
  using tls = new Client(address, Buffer.from("16030100050100000100" + "0a".repeat(2), "hex"));
  expect(tls.readResponse().status).toBe(mode === "classic" ? 200 : 400);
});

survives("sends a second request on the same connection", ({ address }, mode) => {
  using client = new Client(address, GET);
  client.readResponse();
  if (!modes[mode].keepAlive) return expect(client.rest()).toBe("");
  for (let i = 0; i < 3; i++) {
    client.send(GET);
    expect(client.readResponse().body).toHaveLength(BODY_BYTES);
  }
});

survives("sends a head without an end: 431, and memory is bounded", (server, mode) => {
  {
    using client = new Client(server.address, `GET / HTTP/1.1\r\nX: ${"a".repeat(16_384)}`);
    countEndlessHead(mode);
    expect(client.readResponse().status).toBe(431);
  }
  const before = server.residentKb;
  const chunk = Buffer.alloc(1_000_000, "a");
  for (let offered = 0; offered < OFFERED_BYTES;) {
    using client = new Client(server.address);
    countEndlessHead(mode);
    try {
      for (;;) {
        client.send(chunk);
        offered += chunk.length;
      }
    } catch (error) {
      expect(error).toBeInstanceOf(ErrnoError); // EPIPE, ECONNRESET: it was closed
      offered += chunk.length;
    }
  }
  expect(server.residentKb - before).toBeLessThan(MAX_GROWTH_KB);
});

test("rejects a head without an end that is sent in small pieces", () => {
  for (const [mode, { server }] of servers) {
    using client = new Client(server.address, "GET / HTTP/1.1\r\nX: ");
    countEndlessHead(mode);
    const piece = Buffer.alloc(100, "a");
    for (let i = 0; i < 163; i++) client.send(piece);
    client.send(Buffer.alloc(70, "a"));
    expect(client.readResponse().status).toBe(431);
    expect(client.rest()).toBe("");
  }
});

test("keeps a thousand idle connections without using CPU time, and responds to all of them", async () => {
  for (const mode of ["classic", "eager"] as const) {
    const { server, fds } = servers.get(mode) as { server: ServerProcess; fds: number };
    const clients = Array.from({ length: 1000 }, () => new Client(server.address));
    try {
      expect(ask(server.address, HEAD).status).toBe(200);
      await eventually(
        () => server.fds,
        (now) => now === fds + 1000,
      );
      await waitUntilIdle(server);
      for (const client of clients) client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
      for (const client of clients) expect(client.readResponse(true).status).toBe(200);
    } finally {
      for (const client of clients) client.close();
    }
    await eventually(
      () => server.fds,
      (now) => now === fds,
    );
  }
});

for (const mode of ["classic", "eager"] as const) {
  test(`survives ${MANY_CLIENTS} clients that connect and close, ${mode}`, async () => {
    const { server, fds } = servers.get(mode) as { server: ServerProcess; fds: number };
    for (let i = 0; i < MANY_CLIENTS / 100; i++) {
      const clients = Array.from({ length: 100 }, () => new Client(server.address));
      for (const [i, client] of clients.entries()) {
        if (i % 3 === 0) client.close();
        else client.reset(); // a reset frees the port immediately, without TIME_WAIT: other tests need ports
      }
    }
    expect(ask(server.address, HEAD).status).toBe(200);
    await waitUntilIdle(server);
    await eventually(
      () => server.fds,
      (now) => now === fds,
    );
  });
}

test("finally, the servers stop on request and have counted every rejected request", async () => {
  for (const [mode, { server }] of servers) {
    const { stats, before, after } = await server.stop();
    expect(stats.open).toBe(0);
    expect(stats.timeouts).toBe(0);
    const isParsed = mode !== "classic";
    const badRequests = isParsed ? 3 : 0; // half a request (twice), bytes that are not UTF-8
    const handshakes = isParsed ? 1 : 0;
    const headers = endlessHeads.get(mode) as number;
    expect({ mode, rejectedBy: stats.rejectedBy }).toEqual({
      mode,
      rejectedBy: {
        ...noRejections(),
        "bad-request": badRequests,
        "unexpected-tls": handshakes,
        "header-too-large": headers,
      },
    });
    expect(stats.rejected).toBe(badRequests + handshakes + headers);
    expect(after).toEqual(before);
    expect(await server.exited).toBe(0);
    expect(server.stderr).toBe("");
  }
});
