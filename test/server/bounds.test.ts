// The bounds of the run loop and of the classic protocol, each tested on its own.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { EpollServerOptions } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, ServerHarness, sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

const MAX_EVENTS = 1024;
const DAY_MS = 86_400_000;

test("no timeout expires in an iteration whose event list was full, because more input may be waiting", () =>
  leavesNoFd(() => {
    let isFull = false;
    const sys = sysWith((host) => ({
      epoll_wait(epfd, out, max, timeoutMs) {
        if (!isFull) return host.epoll_wait(epfd, out, max, timeoutMs);
        expect(max).toBe(MAX_EVENTS);
        for (let i = 0; i < max; i++) out.set([1, 1_000_000, 77], 3 * i); // events of a connection that is gone
        return max;
      },
    }));
    using harness = new ServerHarness({ headerTimeoutMs: 1000 }, sys);
    const [prompt, late] = [harness.client(GET.slice(0, 10)), harness.client(GET.slice(0, 10))];
    harness.settle();
    harness.clock.ms += 999;
    prompt.send(GET.slice(10));
    isFull = true;
    for (let i = 0; i < 3; i++) {
      harness.clock.ms += 1000;
      expect(harness.server.tick(0)).toBe(MAX_EVENTS);
    }
    expect(harness.server.stats.timeouts).toBe(0);
    isFull = false;
    harness.receive(prompt, complete);
    expect(harness.receive(late, /\r\n\r\n/)).toContain("408");
    expect(harness.server.stats).toMatchObject({ timeouts: 1, requests: 1 });
  }));

for (const eager of [true, false]) {
  test(`after a partial send, waits for EPOLLOUT before the next one; eager: ${eager}`, () =>
    leavesNoFd(() => {
      let sends = 0;
      const sys = sysWith((host) => ({
        send: (fd, bytes, at, length, flags) => (sends++, host.send(fd, bytes, at, Math.min(length, 10_000), flags)),
      }));
      using harness = new ServerHarness({ eager, response: Buffer.alloc(95_000, "x") }, sys);
      const client = harness.client(GET);
      while (sends === 0) harness.server.tick(0);
      for (let expected = 1; expected < 10; expected++) {
        expect(sends).toBe(expected); // one for each iteration
        expect(harness.server.tick(0)).toBe(1);
      }
      harness.receive(client, /x{95000}$/);
      expect(sends).toBe(10);
    }));
}

const kinds: Record<string, EpollServerOptions> = {
  http: { maxRequestsPerConnection: 1 },
  "http, not eager": { maxRequestsPerConnection: 1, eager: false },
  classic: { keepAlive: false, eager: false },
  socket: { socket: { data: (socket) => void socket.end("bye") } },
};

for (const [kind, options] of Object.entries(kinds)) {
  test(`a connection that the server has ended waits 2 s at most for the client to close its side: ${kind}`, () =>
    leavesNoFd(() => {
      // The classic protocol shuts down both directions, which the kernel reports as EPOLLHUP immediately. Here it does not.
      const sys = sysWith((host) => (kind === "classic" ? { shutdown: () => 0 } : host));
      const timeouts = {
        headerTimeoutMs: DAY_MS,
        bodyTimeoutMs: DAY_MS,
        idleTimeoutMs: DAY_MS,
        writeTimeoutMs: DAY_MS,
      };
      using harness = new ServerHarness({ ...timeouts, ...options }, sys);
      const client = harness.client(GET);
      harness.settle();
      if (kind !== "classic") expect(harness.fate(client)).toBe("end");
      expect(harness.server.stats.open).toBe(1);
      harness.clock.ms += 1999;
      harness.settle();
      expect(harness.server.stats.open).toBe(1);
      harness.clock.ms += 1;
      harness.settle();
      expect(harness.server.stats).toMatchObject({ open: 0, timeouts: 0, errors: 0 });
    }));
}

for (const [kind, respond] of Object.entries({
  response: { response: Buffer.alloc(2000, "x") },
  fetch: { fetch: () => new Response("x".repeat(2000)) },
})) {
  test(`handles only as many of the requests it has received as there is room for responses: ${kind}`, () =>
    leavesNoFd(() => {
      const sys = sysWith(() => ({ send: () => -11 })); // EAGAIN: the client reads nothing
      using harness = new ServerHarness(respond, sys);
      harness.client(GET);
      for (let i = 0; i < 10; i++) harness.server.tick(0); // the same request again takes the fast path
      harness.client(GET.repeat(1000));
      for (let i = 0; i < 20; i++) harness.server.tick(0);
      expect(harness.server.stats.requests).toBeGreaterThan(100);
      expect(harness.server.stats.requests).toBeLessThan(262_144 / 2000 + 3);
    }));
}

test("classic: a head may have maxHeaderBytes, and not one more", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ keepAlive: false, eager: false, maxHeaderBytes: 1000 });
    const head = (length: number): string => `GET / HTTP/1.0\r\nX: ${"x".repeat(length - 23)}\r\n\r\n`;
    expect(head(1000)).toHaveLength(1000);
    expect(harness.receive(harness.client(head(1000)), /\r\n\r\n/)).toContain(" 200 ");
    expect(harness.receive(harness.client(head(1001)), /\r\n\r\n/)).toContain(" 431 ");
    const endless = harness.client("x".repeat(1000));
    harness.settle();
    expect(harness.fate(endless)).toBe("open");
    endless.send("x");
    expect(harness.receive(endless, /\r\n\r\n/)).toContain(" 431 ");
    expect(harness.server.stats.rejectedBy["header-too-large"]).toBe(2);
  }));
