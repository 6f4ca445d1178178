// Timeouts, on a clock that only moves when the test moves it.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Epoll, EPOLLIN } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, Stage } from "../support/server.ts";

setDefaultTimeout(60_000);

const half = GET.slice(0, 20);
const rest = GET.slice(20);

test("responds with 408 to half a head when headerTimeoutMs expires, and not before", () =>
  leavesNoFd(() => {
    using stage = new Stage({ headerTimeoutMs: 1000 });
    const client = stage.client(half);
    stage.settle();
    stage.clock.ms += 999;
    stage.settle();
    expect(stage.fate(client)).toBe("open");
    stage.clock.ms += 1;
    stage.server.tick(0);
    expect(stage.receive(client, /\r\n\r\n/)).toStartWith("HTTP/1.1 408 Request Timeout\r\n");
    expect(stage.server.stats).toMatchObject({ timeouts: 1, rejected: 1, requests: 0 });
  }));

test("further bytes of a head do not extend headerTimeoutMs", () =>
  leavesNoFd(() => {
    using stage = new Stage({ headerTimeoutMs: 1000 });
    const client = stage.client();
    for (const byte of half) {
      client.send(byte);
      stage.settle();
      stage.clock.ms += 60;
    }
    stage.settle();
    expect(stage.receive(client, /\r\n\r\n/)).toContain("408");
  }));

test("closes a connection that sends nothing without a response", () =>
  leavesNoFd(() => {
    using stage = new Stage({ headerTimeoutMs: 1000, deferAccept: false });
    const client = stage.client();
    stage.settle();
    stage.clock.ms += 1000;
    stage.server.tick(0);
    stage.settle();
    expect(client.recv(100)).toEqual(new Uint8Array());
    expect(stage.server.stats).toMatchObject({ timeouts: 1, rejected: 0, open: 0 });
  }));

test("headerTimeoutMs starts again for each head, even if one segment ends the first and begins the second", () =>
  leavesNoFd(() => {
    using stage = new Stage({ headerTimeoutMs: 1000 });
    const client = stage.client(half);
    stage.settle();
    for (let i = 0; i < 5; i++) {
      stage.clock.ms += 900;
      client.send(rest + half);
      stage.receive(client, complete);
    }
    stage.clock.ms += 900;
    client.send(rest);
    stage.receive(client, complete);
    expect(stage.server.stats).toMatchObject({ requests: 6, timeouts: 0 });
  }));

test("idleTimeoutMs runs from the last response", () =>
  leavesNoFd(() => {
    using stage = new Stage({ idleTimeoutMs: 5000, headerTimeoutMs: 1000 });
    const client = stage.client(GET);
    stage.receive(client, complete);
    stage.clock.ms += 4999;
    client.send(GET);
    stage.receive(client, complete);
    stage.clock.ms += 4999;
    stage.settle();
    expect(stage.fate(client)).toBe("open");
    stage.clock.ms += 1;
    stage.server.tick(0);
    expect(stage.fate(client)).toBe("end");
  }));

test("resets a client that reads none of its response, but not one that reads slowly", () =>
  leavesNoFd(() => {
    using stage = new Stage({ writeTimeoutMs: 1000, response: Buffer.alloc(32_000_000, "x") });
    const [slow, still] = [stage.client(GET), stage.client(GET)];
    stage.settle();
    // Read so little at a time that EPOLLOUT, which needs a third of the send buffer to be free, is not reported in between.
    using epoll = new Epoll();
    epoll.register(slow, EPOLLIN);
    for (let i = 0; i < 5; i++) {
      stage.clock.ms += 600;
      for (let taken = 0; taken < 150_000; taken += slow.recv(20_000)?.length ?? 0) epoll.poll(1000);
      stage.settle();
    }
    expect(stage.fate(still)).toBe("reset");
    expect(stage.server.stats).toMatchObject({ open: 1, timeouts: 1 });
  }));

test("accepts any number of milliseconds, and Infinity for no timeout", () =>
  leavesNoFd(() => {
    for (const ms of [2 ** 31, 1e15, Infinity]) {
      using stage = new Stage({ idleTimeoutMs: ms, headerTimeoutMs: ms, writeTimeoutMs: ms });
      const client = stage.client(GET);
      stage.receive(client, complete);
      stage.settle();
      expect(stage.fate(client)).toBe("open");
    }
  }));

test("Date has the second in which the response was sent", () =>
  leavesNoFd(() => {
    using stage = new Stage();
    const client = stage.client();
    for (const seconds of ["40", "40", "41", "51"]) {
      client.send(GET);
      const date = /Date: (.*)\r\n/.exec(stage.receive(client, complete))?.[1];
      expect(date).toBe(`Thu, 01 Jan 2026 00:16:${seconds} GMT`);
      stage.clock.ms += seconds === "41" ? 10_000 : 500;
    }
  }));
