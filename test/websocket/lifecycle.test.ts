// From the first byte to the last: timeouts and pings, slow, half-closed and reset peers, memory limits, and stop.

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  type EpollServerOptions,
  type ServerWebSocket,
  SHUT_WR,
  type Socket,
  type WebSocketHandlers,
} from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { closePayload, frame, framesOf, upgradeRequest } from "../support/raw-websocket.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

/** A server whose WebSockets record what happens to them. */
class Harness extends ServerHarness {
  readonly calls: string[] = [];
  sockets: ServerWebSocket[] = [];

  constructor(websocket: WebSocketHandlers<undefined> = {}, options: EpollServerOptions = {}) {
    const calls: string[] = [];
    super({
      fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("no", { status: 400 })),
      websocket: {
        ...websocket,
        open: (ws: ServerWebSocket) => {
          this.sockets.push(ws);
          return websocket.open?.(ws);
        },
        message(ws: ServerWebSocket, message: string | Buffer<ArrayBuffer>) {
          calls.push(`message ${message.length > 100 ? message.length : message}`);
          return websocket.message?.(ws, message);
        },
        close: (_, code, reason) => void calls.push(`close ${code} ${reason}`.trimEnd()),
        drain: () => void calls.push("drain"),
        pong: () => void calls.push("pong"),
      },
      ...options,
    });
    this.calls = calls;
  }

  /** Opens a WebSocket, and receives the response. */
  open(headers: Record<string, string> = {}): Socket {
    const client = this.client(upgradeRequest(headers));
    this.receive(client, /^HTTP\/1.1 101 [^]*\r\n\r\n$/);
    return client;
  }

  /** Receives everything that the server has sent, as frames. */
  frames(client: Socket): string[] {
    let text = "\r\n\r\n";
    for (let quiet = 0; quiet < 3;) {
      const bytes = client.recv(10_000_000);
      if (bytes?.length === 0) break;
      if (bytes !== null) text += Buffer.from(bytes).toString("latin1");
      const events = this.server.closed ? 0 : this.server.tick(bytes === null ? 1 : 0);
      quiet = bytes === null && events === 0 ? quiet + 1 : 0;
    }
    return framesOf(text);
  }

  /** Advances the clock, and runs iterations. */
  advance(ms: number): void {
    this.clock.ms += ms;
    this.settle();
  }
}

const seconds = (n: number): number => 1000 * n;

test("a quiet client is pinged 16 seconds before idleTimeout, and its answer keeps it connected", () =>
  leavesNoFd(() => {
    using harness = new Harness({ idleTimeout: 120 });
    const client = harness.open();
    harness.advance(seconds(104) - 1);
    expect(harness.frames(client)).toEqual([]);
    harness.advance(1);
    expect(harness.frames(client)).toEqual(["ping "]);
    harness.advance(seconds(15));
    client.send(frame(10));
    harness.settle();
    harness.advance(seconds(104) - 1);
    expect(harness.frames(client)).toEqual([]);
    harness.advance(1);
    expect(harness.frames(client)).toEqual(["ping "]);
    expect(harness.calls).toEqual(["pong"]);
    expect(harness.server.stats.timeouts).toBe(0);
  }));

test("a client that does not answer the ping is disconnected after idleTimeout", () =>
  leavesNoFd(() => {
    using harness = new Harness({ idleTimeout: 8 });
    const client = harness.open();
    harness.advance(seconds(4));
    expect(harness.frames(client)).toEqual(["ping "]);
    harness.advance(seconds(4) - 1);
    expect(harness.fate(client)).toBe("open");
    harness.advance(1);
    expect(harness.fate(client)).toBe("end");
    expect(harness.calls).toEqual(["close 1006 WebSocket timed out from inactivity"]);
    expect(harness.server.stats).toMatchObject({ timeouts: 1, open: 0 });
  }));

test("without sendPings, idleTimeout closes the connection; any input restarts it", () => {
  using harness = new Harness({ idleTimeout: 10, sendPings: false });
  const client = harness.open();
  harness.advance(seconds(10) - 1);
  client.send(frame(1, "x").subarray(0, 3)); // not even a whole frame
  harness.settle();
  harness.advance(seconds(10) - 1);
  expect(harness.fate(client)).toBe("open");
  harness.advance(1);
  expect(harness.fate(client)).toBe("end");
});

test("idleTimeout 0 never expires, and the timeouts of HTTP do not apply", () => {
  using harness = new Harness({ idleTimeout: 0 }, { idleTimeoutMs: 10, headerTimeoutMs: 10, handlerTimeoutMs: 10 });
  const client = harness.open();
  harness.advance(seconds(100_000));
  client.send(frame(1, "still here"));
  harness.settle();
  expect(harness.calls).toEqual(["message still here"]);
});

test("pause suspends the idle timeout, and resume restarts it", () => {
  using harness = new Harness({ idleTimeout: 8 });
  const client = harness.open();
  harness.sockets[0]?.pause();
  client.send(frame(1, "later"));
  harness.advance(seconds(1000));
  expect(harness.calls).toEqual([]);
  harness.sockets[0]?.resume();
  harness.settle();
  expect(harness.calls).toEqual(["message later"]);
  harness.advance(seconds(4));
  expect(harness.frames(client)).toEqual(["ping "]);
});

test("a client that reads nothing is reset after writeTimeoutMs", () => {
  using harness = new Harness({ message: (ws) => void ws.send(new Uint8Array(10_000_000)) }, { writeTimeoutMs: 1000 });
  const client = harness.open();
  client.send(frame(1, "x"));
  harness.settle();
  harness.advance(999);
  expect(harness.calls).toEqual(["message x"]);
  // The kernel may have taken some more in the meantime, which restarts the timeout.
  for (let i = 0; i < 20 && harness.calls.length === 1; i++) harness.advance(1000);
  expect(harness.calls).toEqual(["message x", "close 1006"]);
});

test("while output waits for room, messages are still received", () => {
  let sent = 0;
  using harness = new Harness({ message: (ws) => void (sent = ws.send(new Uint8Array(6_000_000))) });
  const client = harness.open();
  client.send(frame(1, "first"));
  harness.settle();
  expect(sent).toBe(-1);
  client.send(frame(1, "second"));
  harness.settle();
  expect(harness.calls).toEqual(["message first", "message second"]);
  expect(harness.frames(client).length).toBe(2);
  expect(harness.calls).toEqual(["message first", "message second", "drain"]);
});

test("beyond backpressureLimit, messages are dropped, and later ones are sent again", () => {
  const results: number[] = [];
  const websocket = {
    backpressureLimit: 1_000_000,
    message(ws: ServerWebSocket) {
      for (let i = 0; i < 20; i++) results.push(ws.send(new Uint8Array(500_000)));
      results.push(ws.getBufferedAmount());
    },
  };
  using harness = new Harness(websocket);
  const client = harness.open();
  client.send(frame(1, "x"));
  harness.settle();
  const buffered = results.pop() as number;
  const dropped = results.indexOf(0);
  expect(dropped).toBeGreaterThan(0);
  expect(results.slice(dropped).every((result) => result === 0)).toBe(true);
  expect(results.slice(0, dropped)).toContain(-1);
  expect(buffered).toBeGreaterThan(1_000_000);
  expect(buffered).toBeLessThanOrEqual(1_000_000 + 500_020);
  expect(harness.frames(client).length).toBe(dropped);
  expect(harness.sockets[0]?.send("again")).toBe(5);
  expect(harness.frames(client)).toEqual(["text again"]);
});

test("closeOnBackpressureLimit closes the connection instead", () => {
  using harness = new Harness({
    backpressureLimit: 1_000_000,
    closeOnBackpressureLimit: true,
    message(ws) {
      for (let i = 0; i < 20; i++) ws.send(new Uint8Array(500_000));
    },
  });
  const client = harness.open();
  client.send(frame(1, "x"));
  harness.settle();
  expect(harness.calls).toEqual(["message x", "close 1006"]);
  expect(harness.server.pendingWebSockets).toBe(0);
});

test("pings of a client that reads nothing do not fill the memory", () => {
  using harness = new Harness({ backpressureLimit: 100_000 });
  const client = harness.open();
  const pings = Buffer.concat(Array.from({ length: 500 }, () => frame(9, "x".repeat(125))));
  for (let quiet = 0; quiet < 5;) {
    quiet = client.send(pings) > 0 && harness.server.stats.bytesIn < 30_000_000 ? 0 : quiet + 1;
    harness.settle();
  }
  expect(harness.server.stats.bytesIn).toBeGreaterThan(20_000_000);
  expect(harness.sockets[0]?.getBufferedAmount()).toBeLessThanOrEqual(100_000 + 127);
});

test("a client that closes its side without a Close frame: what is queued is sent, and the code is 1006", () =>
  leavesNoFd(() => {
    using harness = new Harness({ message: (ws) => void ws.send("answer") });
    const client = harness.open();
    client.send(frame(1, "x"));
    client.shutdown(SHUT_WR);
    expect(harness.frames(client)).toEqual(["text answer"]);
    expect(harness.fate(client)).toBe("end");
    expect(harness.calls).toEqual(["message x", "close 1006"]);
    expect(harness.server.stats).toMatchObject({ open: 0, errors: 0 });
  }));

test("a client that resets the connection", () =>
  leavesNoFd(() => {
    using harness = new Harness();
    const client = harness.open();
    const linger = new Uint8Array(Int32Array.of(1, 0).buffer);
    client.setsockopt(1, 13, linger); // SOL_SOCKET, SO_LINGER
    client.close();
    harness.settle();
    expect(harness.calls).toEqual(["close 1006"]);
    expect(harness.server.stats).toMatchObject({ open: 0, errors: 1 });
  }));

test("after a Close frame the server closes its side, and then waits 2 seconds for the client", () =>
  leavesNoFd(() => {
    using harness = new Harness({ message: (ws) => ws.close(4000, "enough") });
    const client = harness.open();
    client.send(frame(1, "x"));
    expect(harness.frames(client)).toEqual(["close 4000 enough"]);
    expect(harness.fate(client)).toBe("end");
    client.send(frame(1, "too late")); // not reset
    harness.settle();
    expect(harness.server.stats.open).toBe(1);
    expect(harness.server.pendingWebSockets).toBe(0);
    harness.advance(2000);
    expect(harness.server.stats.open).toBe(0);
    expect(harness.calls).toEqual(["message x", "close 4000 enough"]);
  }));

test("an incomplete message is counted in maxBufferedBytes; beyond it, the connection is closed with 1013", () => {
  using harness = new Harness({}, { maxBufferedBytes: 400_000 });
  const clients = [harness.open(), harness.open()] as const;
  const half = frame(2, new Uint8Array(500_000)).subarray(0, 200_000);
  clients[0].send(half);
  harness.settle();
  expect(harness.calls).toEqual([]);
  clients[1].send(half);
  harness.settle();
  expect(harness.calls).toEqual(["close 1006 the server has no memory for this message"]);
  const closed = clients.map((client) => harness.frames(client));
  expect(closed.toSorted()).toEqual([[], ["close 1013 the server has no memory for this message"]]);
});

test("a message that arrives byte by byte", () => {
  using harness = new Harness();
  const client = harness.open();
  for (const byte of frame(1, "hello")) {
    client.send(Uint8Array.of(byte));
    harness.settle();
  }
  for (const size of [1, 7, 70_000]) {
    const bytes = frame(2, new Uint8Array(200_000));
    for (let at = 0; at < bytes.length; at += size === 70_000 ? size : Math.max(size, 20_000)) {
      client.send(bytes.subarray(at, at + (size === 70_000 ? size : Math.max(size, 20_000))));
      harness.settle();
    }
  }
  expect(harness.calls).toEqual(["message hello", "message 200000", "message 200000", "message 200000"]);
});

test("stop sends Close with 1001 after what is queued, and resolves when the clients have closed", () =>
  leavesNoFd(async () => {
    using harness = new Harness();
    const clients = [harness.open(), harness.open()];
    harness.sockets[0]?.send("last message");
    const stopped = harness.server.stop({ graceMs: 5000 });
    const received = clients.map((client) => harness.frames(client));
    expect(received).toEqual([["text last message", "close 1001 "], ["close 1001 "]]);
    expect(harness.calls).toEqual(["close 1001", "close 1001"]);
    for (const client of clients) {
      client.send(frame(8, closePayload(1001)));
      client.shutdown(SHUT_WR);
    }
    while (!harness.server.closed) harness.server.tick(1);
    await stopped;
  }));

test("a client that does not close delays stop by at most 2 seconds; with graceMs 0 not at all", async () => {
  for (const [graceMs, waitMs] of [
    [5000, 2000],
    [0, 0],
  ] as const) {
    using harness = new Harness();
    harness.open();
    const stopped = harness.server.stop({ graceMs });
    for (let i = 0; i < 5 && !harness.server.closed; i++) harness.server.tick(1);
    expect(harness.server.closed).toBe(waitMs === 0);
    if (waitMs > 0) harness.advance(waitMs);
    expect(harness.server.closed).toBe(true);
    await stopped;
    expect(harness.calls).toEqual(["close 1001"]);
  }
});

test("while the server stops, requests are not upgraded", () => {
  using harness = new Harness({}, { deferAccept: false });
  const client = harness.client();
  harness.settle();
  void harness.server.stop({ graceMs: 5000, idleMs: 5000 });
  client.send(upgradeRequest());
  expect(harness.receive(client, /no$/)).toStartWith("HTTP/1.1 400 ");
});

test("idle WebSockets share one parser", () => {
  using harness = new Harness({ message: (ws, message) => void ws.send(message) });
  const clients = Array.from({ length: 50 }, () => harness.open());
  for (const [i, client] of clients.entries()) {
    client.send(frame(1, `from ${i}`));
    client.send(frame(1, "part", { fin: false }));
  }
  harness.settle();
  for (const [i, client] of clients.entries()) {
    client.send(frame(0, ` of ${i}`));
    expect(harness.frames(client)).toEqual([`text from ${i}`, `text part of ${i}`]);
  }
});

test("a request whose head arrives in two parts no longer counts as pending once it is upgraded", () =>
  leavesNoFd(() => {
    using harness = new Harness();
    const request = upgradeRequest();
    const client = harness.client(request.slice(0, 30));
    harness.settle();
    client.send(request.slice(30));
    harness.receive(client, /^HTTP\/1.1 101 [^]*\r\n\r\n$/);
    expect([harness.server.pendingRequests, harness.server.pendingWebSockets]).toEqual([0, 1]);
  }));
