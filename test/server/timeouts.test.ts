// What runs out, and when: on a clock that stands still until it is moved.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Epoll, EPOLLIN } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, Stage } from "../support/server.ts";

setDefaultTimeout(60_000);

const half = GET.slice(0, 20);
const rest = GET.slice(20);

test("half a head: 408 when its time is over, and not before", () =>
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

test("more bytes of a head win it no more time", () =>
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

test("a connection that never says anything is closed without a word", () =>
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

test("each head has a time of its own, also where one segment ends the first and begins the second", () =>
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

test("between two requests a connection has idleTimeoutMs, from its last one", () =>
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

test("who takes nothing of a reply is cut, and who takes it slowly is not", () =>
  leavesNoFd(() => {
    using stage = new Stage({ writeTimeoutMs: 1000, response: Buffer.alloc(32_000_000, "x") });
    const [slow, still] = [stage.client(GET), stage.client(GET)];
    stage.settle();
    // So little at a time that EPOLLOUT, which waits for a third of the kernel's buffer, does not come in between.
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

test("any number of milliseconds will do, and Infinity is no limit", () =>
  leavesNoFd(() => {
    for (const ms of [2 ** 31, 1e15, Infinity]) {
      using stage = new Stage({ idleTimeoutMs: ms, headerTimeoutMs: ms, writeTimeoutMs: ms });
      const client = stage.client(GET);
      stage.receive(client, complete);
      stage.settle();
      expect(stage.fate(client)).toBe("open");
    }
  }));

test("the Date is the second's in which the reply was made", () =>
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
