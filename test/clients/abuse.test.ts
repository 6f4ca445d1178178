// 1,500 concurrent slow clients: the server closes all of them, and keeps responding to a normal client.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Epoll, EPOLLIN, EPOLLRDHUP, ErrnoError, SO_RCVBUF, SOL_SOCKET } from "../../src/index.ts";
import { ask, Client } from "../support/client.ts";
import { waitUntilIdle } from "../support/message-process.ts";
import { FetchServer } from "../support/fetch-server.ts";
import { scaled } from "../support/scale.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

const EACH = scaled(100, 500);
/** Short timeouts, to keep the test short. */
const timeoutMs = scaled(700, 2000);
const options = {
  headerTimeoutMs: timeoutMs,
  bodyTimeoutMs: timeoutMs,
  minBodyRate: 10_000,
  writeTimeoutMs: timeoutMs,
};
/** Memory that a wave may leave in use, compared with the one before. A leaked wave would need many times that. */
const MAX_LEAK_BYTES = 2_000_000;
/** The interval at which slow clients send a few bytes. */
const INTERVAL_MS = 20;

interface Slow {
  /** Sent at the start. */
  first: string;
  /** Sent at each interval; undefined for a client that just does not read. */
  next?: string;
}

const LIVE = "GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const LENGTH = "Host: a\r\nContent-Length: 1000000\r\n\r\n";
const CHUNKED = "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n";

const slow: Record<string, Slow[]> = {
  "slow heads": [
    { first: "GET /hello HTTP/1.1\r\nX: ", next: "a" },
    { first: "P", next: "a" },
  ],
  "slow bodies": [
    { first: `POST /hash HTTP/1.1\r\n${LENGTH}`, next: "a" },
    { first: `POST /collect HTTP/1.1\r\n${CHUNKED}`, next: "1\r\na\r\n" },
    { first: `POST /ignore HTTP/1.1\r\n${CHUNKED}`, next: "1\r\na\r\n" },
  ],
  "slow readers": [
    { first: "GET /stream?bytes=1000000000 HTTP/1.1\r\nHost: a\r\n\r\n" },
    { first: "GET /file HTTP/1.1\r\nHost: a\r\n\r\n" },
  ],
};

for (const blocks of [true, false]) {
  test(`responds to a normal client, closes the slow ones, and leaks nothing: ${blocks ? "run()" : "start()"}`, async () => {
    await using server = await FetchServer.start({ blocks, options, file: process.execPath });
    const { fds } = server;
    let inUse = 0;
    for (const isFirst of [true, false]) {
      expect(wave(server)).toEqual({
        "slow heads": { 408: EACH },
        "slow bodies": { 408: EACH },
        "slow readers": { ended: EACH },
      });
      await eventually(
        () => server.fds,
        (now) => now === fds,
      );
      await waitUntilIdle(server);
      // Not the resident memory, which depends on garbage collection and on the allocator.
      const { heapSize, extraMemorySize } = JSON.parse(ask(server.address, LIVE).body) as Record<string, number>;
      const now = Number(heapSize) + Number(extraMemorySize);
      if (isFirst) inUse = now;
      else expect(now - inUse).toBeLessThan(MAX_LEAK_BYTES);
    }
    const { open, timeouts, rejectedBy } = await server.stop();
    expect({ open, timeouts }).toEqual({ open: 0, timeouts: 2 * 3 * EACH });
    expect(rejectedBy).toMatchObject({ "header-timeout": 2 * EACH, "body-timeout": 2 * EACH });
    expect(server.stderr).toBe("");
  });
}

/** Runs all slow clients until the server has closed the last one; counts their outcomes. Meanwhile a normal client sends requests. */
function wave(server: FetchServer): Record<string, Record<string, number>> {
  const fates: Record<string, Record<string, number>> = {};
  const alive = new Map<number, { client: Client; kind: string; next: string | undefined }>();
  using epoll = new Epoll();
  // On a busy machine, connecting the others takes longer than the server waits for a connection's first request.
  using good = new Client(server.address, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(good.readResponse().body).toBe("hello");
  try {
    for (const [kind, ways] of Object.entries(slow)) {
      for (let i = 0; i < EACH; i++) {
        const { first, next } = ways[i % ways.length] as Slow;
        const client = new Client(server.address);
        alive.set(client.socket.fileno(), { client, kind, next });
        if (next === undefined) client.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096);
        client.send(first);
        epoll.register(client.socket, next === undefined ? EPOLLRDHUP : EPOLLIN);
      }
    }
    while (alive.size > 0) {
      for (const [fd] of epoll.poll(INTERVAL_MS, 3 * EACH)) {
        const { client, kind } = alive.get(fd) as { client: Client; kind: string };
        const fate = fateOf(client, kind);
        fates[kind] = { ...fates[kind], [fate]: (fates[kind]?.[fate] ?? 0) + 1 };
        epoll.unregister(client.socket);
        client.close();
        alive.delete(fd);
      }
      for (const { client, next } of alive.values()) if (next !== undefined) sendTo(client, next);
      good.send(
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nPOST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
      );
      expect(good.readResponse().body).toBe("hello");
      expect(good.readResponse().body).toBe("abc");
      expect(ask(server.address, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body).toBe("hello");
    }
  } finally {
    for (const { client } of alive.values()) client.close();
  }
  return fates;
}

/** Sends to a client whose connection the server may have closed already. */
function sendTo(client: Client, text: string): void {
  try {
    client.send(text);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
  }
}

/** Returns the status of the response before the close, or `ended`. */
function fateOf(client: Client, kind: string): string {
  if (kind === "slow readers") {
    client.fate();
    return "ended";
  }
  const { status } = client.readResponse();
  client.fate();
  return String(status);
}
