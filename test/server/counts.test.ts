// server.stats and onRequest: totals that match what the clients did, and one call for each request.

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  AF_INET6,
  AF_UNIX,
  EpollServer,
  type RequestInfo,
  SHUT_WR,
  SO_LINGER,
  Socket,
  SOL_SOCKET,
} from "../../src/index.ts";
import { modeNames, modes } from "../support/client.ts";
import { noRejections } from "../../src/protocols/http/rejection.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

for (const mode of modeNames) {
  const { keepAlive } = modes[mode];

  test(`stats match what the clients did and received, ${mode}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness({ ...modes[mode], maxHeaderBytes: 200, headerTimeoutMs: 1000 });
      const { server, clock } = harness;
      expect(server.stats).toEqual({
        accepted: 0,
        open: 0,
        requests: 0,
        bytesIn: 0,
        bytesOut: 0,
        timeouts: 0,
        rejected: 0,
        rejectedBy: noRejections(),
        handshakes: 0,
        failedHandshakes: 0,
        errors: 0,
      });
      let sent = 0;
      let received = 0;
      const all = /\r\n\r\n[^]*$/;
      const request = (text: string, until = all): Socket => {
        const client = harness.client(text);
        sent += text.length;
        received += harness.receive(client, until).length;
        return client;
      };

      request(GET, complete).close();
      harness.settle();
      const many = keepAlive ? 10 : 1;
      request(GET.repeat(10), new RegExp(`(Hello[^]*){${many}}$`)).close();
      harness.settle();
      expect(server.stats).toEqual({
        accepted: 2,
        open: 0,
        requests: 1 + many,
        bytesIn: sent,
        bytesOut: received,
        timeouts: 0,
        rejected: 0,
        rejectedBy: noRejections(),
        handshakes: 0,
        failedHandshakes: 0,
        errors: 0,
      });

      request(`GET / HTTP/1.1\r\nX: ${"x".repeat(200)}`).close(); // 431
      harness.settle();
      const slow = harness.client("GET");
      sent += 3;
      harness.settle();
      clock.ms += 1000;
      server.tick(0);
      received += harness.receive(slow, all).length; // 408
      slow.close();
      harness.settle();
      expect(server.stats).toEqual({
        accepted: 4,
        open: 0,
        requests: 1 + many,
        bytesIn: sent,
        bytesOut: received,
        timeouts: 1,
        rejected: 2,
        rejectedBy: { ...noRejections(), "header-too-large": 1, "header-timeout": 1 },
        handshakes: 0,
        failedHandshakes: 0,
        errors: 0,
      });

      const reset = harness.client("GET");
      harness.settle();
      expect(server.stats.open).toBe(1);
      reset.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
      reset.close();
      harness.settle();
      expect(server.stats).toMatchObject({ accepted: 5, open: 0, errors: 1 });
    }));
}

test("stats are a copy that does not change", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness();
    const before = harness.server.stats;
    harness.receive(harness.client(GET), complete);
    expect(before.requests).toBe(0);
    expect(harness.server.stats.requests).toBe(1);
  }));

test("onRequest is called once for each request, in order, with line, method, target, version and status", () =>
  leavesNoFd(() => {
    const infos: RequestInfo[] = [];
    using harness = new ServerHarness({
      onRequest: (request) => infos.push(request),
      maxHeaderBytes: 100,
      headerTimeoutMs: 1000,
    });
    const pipelined = [
      "GET /1?a=b HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /1?a=b HTTP/1.1\r\nHost: a\r\n\r\n",
      "DELETE /2 HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST /form HTTP/1.0\r\nContent-Length: 1\r\n\r\n",
    ];
    const client = harness.client(`${pipelined.join("")}x`);
    harness.receive(client, /(Hello[^]*){4}$/);
    harness.receive(harness.client("hello there\n\n"), /501/);
    harness.receive(harness.client(`PUT /long HTTP/1.1\r\nX: ${"x".repeat(100)}`), /431/);
    const slow = harness.client("HEAD /slow HTTP/1.1\r\nHo");
    harness.settle();
    harness.clock.ms += 1000;
    harness.server.tick(0);
    harness.receive(slow, /408/);
    expect(
      infos.map(({ line, method, target, version, status }) => ({ line, method, target, version, status })),
    ).toEqual([
      { line: "GET /1?a=b HTTP/1.1", method: "GET", target: "/1?a=b", version: "HTTP/1.1", status: 200 },
      { line: "GET /1?a=b HTTP/1.1", method: "GET", target: "/1?a=b", version: "HTTP/1.1", status: 200 },
      { line: "DELETE /2 HTTP/1.1", method: "DELETE", target: "/2", version: "HTTP/1.1", status: 200 },
      { line: "POST /form HTTP/1.0", method: "POST", target: "/form", version: "HTTP/1.0", status: 200 },
      { line: "hello there", method: "hello", target: "there", version: "", status: 501 },
      { line: "PUT /long HTTP/1.1", method: "PUT", target: "/long", version: "HTTP/1.1", status: 431 },
      { line: "HEAD /slow HTTP/1.1", method: "HEAD", target: "/slow", version: "HTTP/1.1", status: 408 },
    ]);
    expect(infos[0]?.peer).toEqual(client.getsockname());
  }));

test("onRequest gets the peer's address, even over IPv6 and even if it is read later", () =>
  leavesNoFd(async () => {
    const infos: RequestInfo[] = [];
    await using server = new EpollServer({ hostname: "::1", onRequest: (request) => infos.push(request) });
    const clients = Array.from({ length: 3 }, () => new Socket(AF_INET6));
    try {
      for (const client of clients) client.connect({ address: "::1", port: server.port as number });
      for (const client of clients) client.send(GET);
      while (infos.length < clients.length) server.tick(1000);
      const peers = infos.map(({ peer }) => JSON.stringify(peer)).sort();
      expect(peers).toEqual(clients.map((client) => JSON.stringify(client.getsockname())).sort());
    } finally {
      for (const client of clients) client.close();
    }
  }));

test("onRequest gets the request line with one character for each byte, whatever its value", () =>
  leavesNoFd(() => {
    const lines: string[] = [];
    using harness = new ServerHarness({ onRequest: ({ line }) => lines.push(line) });
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((byte) => byte !== 10 && byte !== 13));
    const client = harness.client();
    client.send(Buffer.concat([Buffer.from("A"), bytes, Buffer.from("\n\n")]));
    harness.receive(client, /400/);
    expect(lines).toEqual([`A${bytes.toString("latin1")}`]);
  }));

test("tick returns the number of events", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ deferAccept: false });
    expect(harness.server.tick(0)).toBe(0);
    const clients = [harness.client(), harness.client(), harness.client()];
    expect(harness.server.tick(0)).toBe(1); // the listener
    for (const client of clients) client.send(GET);
    expect(harness.server.tick(0)).toBe(3);
    for (const client of clients) client.shutdown(SHUT_WR);
    expect(harness.server.tick(0)).toBe(3);
    expect(harness.server.tick(0)).toBe(0);
  }));

for (const mode of modeNames) {
  test(`handles a request whose client has already closed: EPOLLIN before EPOLLHUP, ${mode}`, () =>
    leavesNoFd(async () => {
      const path = `\0epoll-hello-counts-${process.pid}`;
      const targets: string[] = [];
      const onRequest = ({ target }: RequestInfo): unknown => targets.push(target);
      await using server = new EpollServer({ ...modes[mode], unix: path, onRequest });
      const client = new Socket(AF_UNIX);
      client.connect({ path });
      server.tick(0); // accepts; there is nothing to read yet
      client.send("GET /here HTTP/1.1\r\nHost: a\r\n\r\n");
      client.close();
      for (let iterations = 0; server.stats.open > 0 && iterations < 10; iterations++) server.tick(0);
      expect(targets).toEqual(["/here"]);
      expect(server.stats).toMatchObject({ accepted: 1, open: 0, requests: 1 });
    }));
}
