// Fifteen hundred slow clients at once: the server ends them all, and answers a good one all the while.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Epoll, EPOLLIN, EPOLLRDHUP, ErrnoError, SO_RCVBUF, SOL_SOCKET } from "../../src/index.ts";
import { ask, Client } from "../support/client.ts";
import { FetchServer } from "../support/fetch-server.ts";
import { eventually } from "../support/eventually.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);

const EACH = scaled(100, 500);
/** Short, so that the test is. */
const timeoutMs = scaled(700, 2000);
const options = {
  headerTimeoutMs: timeoutMs,
  bodyTimeoutMs: timeoutMs,
  minBodyRate: 10_000,
  writeTimeoutMs: timeoutMs,
};
/** What a wave may leave in use that the one before did not: a wave that was kept would be many times that. */
const LEFT_BYTES = 2_000_000;
/** No drop falls later than this, and none much earlier. */
const DROP_MS = 20;

interface Slow {
  /** What it sends at first. */
  begins: string;
  /** What it sends now and then; none: it only does not read. */
  drop?: string;
}

const LIVE = "GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const LENGTH = "Host: a\r\nContent-Length: 1000000\r\n\r\n";
const CHUNKED = "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n";

const slow: Record<string, Slow[]> = {
  "slow heads": [
    { begins: "GET /hello HTTP/1.1\r\nX: ", drop: "a" },
    { begins: "P", drop: "a" },
  ],
  "slow bodies": [
    { begins: `POST /hash HTTP/1.1\r\n${LENGTH}`, drop: "a" },
    { begins: `POST /collect HTTP/1.1\r\n${CHUNKED}`, drop: "1\r\na\r\n" },
    { begins: `POST /ignore HTTP/1.1\r\n${CHUNKED}`, drop: "1\r\na\r\n" },
  ],
  "slow readers": [
    { begins: "GET /stream?bytes=1000000000 HTTP/1.1\r\nHost: a\r\n\r\n" },
    { begins: "GET /file HTTP/1.1\r\nHost: a\r\n\r\n" },
  ],
};

for (const blocks of [true, false]) {
  test(`the good one is answered, the others are ended, and nothing is left of them: ${blocks ? "run()" : "start()"}`, async () => {
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
      await server.rest();
      // Not what is resident: how much garbage there is, and how much the allocator gives back, is their business.
      const { heapSize, extraMemorySize } = JSON.parse(ask(server.address, LIVE).body) as Record<string, number>;
      const now = Number(heapSize) + Number(extraMemorySize);
      if (isFirst) inUse = now;
      else expect(now - inUse).toBeLessThan(LEFT_BYTES);
    }
    const { open, timeouts, rejectedBy } = await server.stop();
    expect({ open, timeouts }).toEqual({ open: 0, timeouts: 2 * 3 * EACH });
    expect(rejectedBy).toMatchObject({ "header-timeout": 2 * EACH, "body-timeout": 2 * EACH });
    expect(server.stderr).toBe("");
  });
}

/** All the slow ones at once, until the server has ended the last of them; a good one asks in between. How they ended. */
function wave(server: FetchServer): Record<string, Record<string, number>> {
  const fates: Record<string, Record<string, number>> = {};
  const alive = new Map<number, { client: Client; kind: string; drop: string | undefined }>();
  using epoll = new Epoll();
  using good = new Client(server.address);
  try {
    for (const [kind, ways] of Object.entries(slow)) {
      for (let i = 0; i < EACH; i++) {
        const { begins, drop } = ways[i % ways.length] as Slow;
        const client = new Client(server.address);
        alive.set(client.socket.fileno(), { client, kind, drop });
        if (drop === undefined) client.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096);
        client.send(begins);
        epoll.register(client.socket, drop === undefined ? EPOLLRDHUP : EPOLLIN);
      }
    }
    while (alive.size > 0) {
      for (const [fd] of epoll.poll(DROP_MS, 3 * EACH)) {
        const { client, kind } = alive.get(fd) as { client: Client; kind: string };
        const fate = fateOf(client, kind);
        fates[kind] = { ...fates[kind], [fate]: (fates[kind]?.[fate] ?? 0) + 1 };
        epoll.unregister(client.socket);
        client.close();
        alive.delete(fd);
      }
      for (const { client, drop } of alive.values()) if (drop !== undefined) sendTo(client, drop);
      good.send(
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nPOST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
      );
      expect(good.reply().body).toBe("hello");
      expect(good.reply().body).toBe("abc");
      expect(ask(server.address, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body).toBe("hello");
    }
  } finally {
    for (const { client } of alive.values()) client.close();
  }
  return fates;
}

/** It may be closed already: then its end is about to be seen. */
function sendTo(client: Client, text: string): void {
  try {
    client.send(text);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
  }
}

/** The status of its reply and then the end; or that it has ended in another way. */
function fateOf(client: Client, kind: string): string {
  if (kind === "slow readers") {
    client.fate();
    return "ended";
  }
  const { status } = client.reply();
  client.fate();
  return String(status);
}
