// Timeouts, on a clock that only moves when the test moves it.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Epoll, EPOLLIN } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const half = GET.slice(0, 20);
const rest = GET.slice(20);

test("responds with 408 to half a head when headerTimeoutMs expires, and not before", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ headerTimeoutMs: 1000 });
    const client = harness.client(half);
    harness.settle();
    harness.clock.ms += 999;
    harness.settle();
    expect(harness.fate(client)).toBe("open");
    harness.clock.ms += 1;
    harness.server.tick(0);
    expect(harness.receive(client, /\r\n\r\n/)).toStartWith("HTTP/1.1 408 Request Timeout\r\n");
    expect(harness.server.stats).toMatchObject({ timeouts: 1, rejected: 1, requests: 0 });
  }));

test("further bytes of a head do not extend headerTimeoutMs", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ headerTimeoutMs: 1000 });
    const client = harness.client();
    for (const byte of half) {
      client.send(byte);
      harness.settle();
      harness.clock.ms += 60;
    }
    harness.settle();
    expect(harness.receive(client, /\r\n\r\n/)).toContain("408");
  }));

test("closes a connection that sends nothing without a response", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ headerTimeoutMs: 1000, deferAccept: false });
    const client = harness.client();
    harness.settle();
    harness.clock.ms += 1000;
    harness.server.tick(0);
    harness.settle();
    expect(client.recv(100)).toEqual(new Uint8Array());
    expect(harness.server.stats).toMatchObject({ timeouts: 1, rejected: 0, open: 0 });
  }));

test("headerTimeoutMs starts again for each head, even if one segment ends the first and begins the second", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ headerTimeoutMs: 1000 });
    const client = harness.client(half);
    harness.settle();
    for (let i = 0; i < 5; i++) {
      harness.clock.ms += 900;
      client.send(rest + half);
      harness.receive(client, complete);
    }
    harness.clock.ms += 900;
    client.send(rest);
    harness.receive(client, complete);
    expect(harness.server.stats).toMatchObject({ requests: 6, timeouts: 0 });
  }));

test("idleTimeoutMs runs from the last response", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ idleTimeoutMs: 5000, headerTimeoutMs: 1000 });
    const client = harness.client(GET);
    harness.receive(client, complete);
    harness.clock.ms += 4999;
    client.send(GET);
    harness.receive(client, complete);
    harness.clock.ms += 4999;
    harness.settle();
    expect(harness.fate(client)).toBe("open");
    harness.clock.ms += 1;
    harness.server.tick(0);
    expect(harness.fate(client)).toBe("end");
  }));

test("resets a client that reads none of its response, but not one that reads slowly", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ writeTimeoutMs: 1000, response: Buffer.alloc(32_000_000, "x") });
    const [slow, still] = [harness.client(GET), harness.client(GET)];
    harness.settle();
    // Read so little at a time that EPOLLOUT, which needs a third of the send buffer to be free, is not reported in between.
    using epoll = new Epoll();
    epoll.register(slow, EPOLLIN);
    for (let i = 0; i < 5; i++) {
      harness.clock.ms += 600;
      for (let taken = 0; taken < 150_000; taken += slow.recv(20_000)?.length ?? 0) epoll.poll(1000);
      harness.settle();
    }
    expect(harness.fate(still)).toBe("reset");
    expect(harness.server.stats).toMatchObject({ open: 1, timeouts: 1 });
  }));

test("accepts any number of milliseconds, and Infinity for no timeout", () =>
  leavesNoFd(() => {
    for (const ms of [2 ** 31, 1e15, Infinity]) {
      using harness = new ServerHarness({ idleTimeoutMs: ms, headerTimeoutMs: ms, writeTimeoutMs: ms });
      const client = harness.client(GET);
      harness.receive(client, complete);
      harness.settle();
      expect(harness.fate(client)).toBe("open");
    }
  }));

test("Date has the second in which the response was sent", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness();
    const client = harness.client();
    for (const seconds of ["40", "40", "41", "51"]) {
      client.send(GET);
      const date = /Date: (.*)\r\n/.exec(harness.receive(client, complete))?.[1];
      expect(date).toBe(`Thu, 01 Jan 2026 00:16:${seconds} GMT`);
      harness.clock.ms += seconds === "41" ? 10_000 : 500;
    }
  }));
