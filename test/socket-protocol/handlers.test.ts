// The `socket` handlers: a custom protocol on the same loop, with backpressure, closing and errors.

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  IPPROTO_TCP,
  SHUT_WR,
  SO_LINGER,
  SOL_SOCKET,
  type ServerSocket,
  type Socket,
  type SocketHandlers,
  TCP_NODELAY,
} from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const reset = new Uint8Array(Int32Array.of(1, 0).buffer);
const modes = [{ eager: true }, { eager: false }];

function harnessOf(socket: SocketHandlers, options = {}): ServerHarness {
  return new ServerHarness({ ...options, socket });
}

/** Receives `count` bytes, with iterations of the server in between. */
function take(harness: ServerHarness, client: Socket, count: number): string {
  let text = "";
  for (let iterations = 0; text.length < count; iterations++) {
    if (iterations > 100_000) throw new Error(`only ${text.length} bytes of ${count}`);
    const bytes = client.recv(1_000_000);
    if (bytes?.length === 0) throw new Error(`closed after ${text.length} bytes of ${count}`);
    text += Buffer.from(bytes ?? []).toString("latin1");
    harness.server.tick(0);
  }
  return text;
}

for (const mode of modes) {
  const { eager } = mode;

  test(`calls open, data, end and close in order, and sends a greeting from open immediately; eager: ${eager}`, () =>
    leavesNoFd(() => {
      const calls: string[] = [];
      using harness = harnessOf(
        {
          open(socket) {
            calls.push("open");
            socket.write("hello\n");
          },
          data: (socket, bytes) => void calls.push(`data ${Buffer.from(bytes)}`, String(socket.write(bytes))),
          end: (socket) => void (calls.push("end"), socket.end("bye")),
          close: (socket) => void calls.push(`close ${socket.bytesIn} ${socket.bytesOut}`),
        },
        mode,
      );
      const client = harness.client();
      expect(take(harness, client, 6)).toBe("hello\n");
      client.send("abc");
      expect(take(harness, client, 3)).toBe("abc");
      client.shutdown(SHUT_WR);
      expect(take(harness, client, 3)).toBe("bye");
      for (let i = 0; harness.server.stats.open > 0 && i < 100; i++) harness.server.tick(1);
      expect(calls).toEqual(["open", "data abc", "3", "end", "close 3 12"]);
    }));

  test(`without an end handler, sends what was written and ends the connection; eager: ${eager}`, () =>
    leavesNoFd(() => {
      using harness = harnessOf({ data: (socket, bytes) => void socket.write(bytes) }, mode);
      const client = harness.client("abc");
      client.shutdown(SHUT_WR);
      expect(take(harness, client, 3)).toBe("abc");
      for (let i = 0; harness.server.stats.open > 0 && i < 100; i++) harness.server.tick(1);
      expect(harness.fate(client)).toBe("end");
    }));

  test(`write returns how much it took, and drain is called when everything is sent; eager: ${eager}`, () =>
    leavesNoFd(() => {
      const total = 20_000_000;
      const all = Buffer.alloc(total, "0123456789");
      let written = 0;
      let drained = 0;
      let most = 0;
      const write = (socket: ServerSocket): void => {
        written += socket.write(all.subarray(written));
        most = Math.max(most, socket.pending);
      };
      using harness = harnessOf(
        { data: write, drain: (socket) => void (drained++, expect(socket.pending).toBe(0), write(socket)) },
        mode,
      );
      const client = harness.client("go");
      for (let i = 0; i < 50; i++) harness.server.tick(0);
      expect(written).toBeLessThan(total); // the client has read nothing
      expect(take(harness, client, total)).toBe(all.toString("latin1"));
      expect(most).toBeLessThanOrEqual(262_144);
      expect(drained).toBeGreaterThan(1);
      expect(written).toBe(total);
    }));

  test(`receives input while output waits for room; eager: ${eager}`, () =>
    leavesNoFd(() => {
      const calls: string[] = [];
      using harness = harnessOf(
        {
          data(socket, bytes) {
            calls.push(Buffer.from(bytes).toString());
            if (calls.length === 1) for (let i = 0; i < 100; i++) socket.write(Buffer.alloc(100_000));
          },
        },
        mode,
      );
      const client = harness.client("much");
      for (let i = 0; i < 50; i++) harness.server.tick(0);
      expect(harness.server.stats.bytesOut).toBeGreaterThan(0);
      client.send("stop");
      for (let i = 0; i < 50; i++) harness.server.tick(0);
      expect(calls).toEqual(["much", "stop"]);
    }));

  test(`pause stops receiving until the peer's sends block, and resume receives everything; eager: ${eager}`, () =>
    leavesNoFd(() => {
      let socket: ServerSocket | undefined;
      let received = 0;
      using harness = harnessOf(
        { open: (one) => void (socket = one).pause(), data: (_, bytes) => void (received += bytes.length) },
        mode,
      );
      const client = harness.client();
      const piece = Buffer.alloc(1_000_000);
      let sent = 0;
      for (let n, quiet = 0; quiet < 10; quiet = n > 0 ? 0 : quiet + 1) {
        n = Math.max(0, client.send(piece));
        sent += n;
        harness.server.tick(0);
      }
      expect([received, socket?.isPaused]).toEqual([0, true]);
      socket?.resume();
      for (let i = 0; received < sent && i < 100_000; i++) harness.server.tick(0);
      expect(received).toBe(sent);
    }));

  test(`calls close once when the peer resets, and write then returns -1; eager: ${eager}`, () =>
    leavesNoFd(() => {
      const calls: unknown[] = [];
      using harness = harnessOf(
        { data() {}, close: (socket) => void calls.push(socket.closed, socket.fd, socket.write("x"), socket.end()) },
        mode,
      );
      const client = harness.client("x");
      harness.settle();
      client.setsockopt(SOL_SOCKET, SO_LINGER, reset);
      client.close();
      harness.settle();
      expect(calls).toEqual([true, -1, -1, -1]);
      expect(harness.server.stats).toMatchObject({ open: 0, errors: 1 });
    }));

  test(`terminate resets the connection, and end in data sends what was written; eager: ${eager}`, () =>
    leavesNoFd(() => {
      using harness = harnessOf(
        {
          data(socket, bytes) {
            if (String(bytes) === "end") socket.end("last words");
            else socket.terminate();
          },
        },
        mode,
      );
      const ended = harness.client("end");
      expect(take(harness, ended, 10)).toBe("last words");
      const terminated = harness.client("terminate");
      harness.settle();
      expect(harness.fate(terminated)).toBe("reset");
    }));
}

for (const { eager } of modes) {
  test(`pause from another socket's handler holds within the same iteration; eager: ${eager}`, () =>
    leavesNoFd(() => {
      const sockets: ServerSocket[] = [];
      let received = 0;
      using harness = harnessOf(
        {
          open: (socket) => void sockets.push(socket),
          data(socket) {
            received++;
            for (const other of sockets) if (other !== socket) other.pause();
          },
        },
        { eager },
      );
      const clients = [harness.client(), harness.client()];
      harness.settle();
      for (const client of clients) client.send("x");
      while (harness.server.tick(0) > 0); // both are readable in the first of these iterations
      expect(received).toBe(1);
      for (const socket of sockets) socket.resume();
      harness.settle();
      expect(received).toBe(2);
    }));

  test(`resets a client that keeps sending but reads nothing after writeTimeoutMs; eager: ${eager}`, () =>
    leavesNoFd(() => {
      using harness = harnessOf(
        { data: (socket) => void socket.write(Buffer.alloc(100_000)) },
        { eager, writeTimeoutMs: 1000 },
      );
      const client = harness.client("x");
      const blocked = (): boolean => {
        const { bytesOut } = harness.server.stats;
        if (harness.server.stats.open > 0) client.send("x");
        for (let i = 0; i < 10; i++) harness.server.tick(0);
        return harness.server.stats.bytesOut === bytesOut;
      };
      for (let quiet = 0; quiet < 10;) quiet = blocked() ? quiet + 1 : 0; // the send queue is full
      for (let i = 0; i < 1000 && harness.server.stats.open > 0; i++) {
        harness.clock.ms += 300;
        blocked();
      }
      expect(harness.server.stats).toMatchObject({ open: 0, timeouts: 1 });
      expect(harness.fate(client)).toBe("reset");
    }));

  test(`discards a limited amount of input after end(); eager: ${eager}`, () =>
    leavesNoFd(() => {
      using harness = harnessOf({ data: (socket) => void socket.end("bye") }, { eager });
      const client = harness.client("x");
      expect(take(harness, client, 3)).toBe("bye");
      const piece = Buffer.alloc(1_000_000);
      let sent = 1;
      while (harness.server.stats.open > 0 && sent < 100_000_000) {
        sent += Math.max(0, client.send(piece));
        harness.server.tick(0);
      }
      expect(harness.server.stats.open).toBe(0);
      expect(harness.server.stats.bytesIn).toBeGreaterThan(16_777_216);
      expect(harness.server.stats.bytesIn).toBeLessThan(16_777_216 + 200_000);
    }));
}

test("an error in a handler goes to the error handler; without one, the connection is reset and tick throws", () =>
  leavesNoFd(() => {
    const calls: string[] = [];
    const data = (): void => {
      throw new Error("from the application");
    };
    {
      using harness = harnessOf({
        data,
        error: (socket, error) => void calls.push(String(error), String(socket.closed)),
      });
      harness.client("x");
      harness.settle();
      expect(calls).toEqual(["Error: from the application", "false"]);
    }
    using harness = harnessOf({ data });
    const client = harness.client("x");
    expect(() => harness.settle()).toThrow("from the application");
    expect(harness.fate(client)).toBe("reset");
    expect(harness.server.stats.open).toBe(0);
  }));

test("tick throws the error of an async handler, even if the application never returns to Bun's event loop", () =>
  leavesNoFd(async () => {
    using harness = harnessOf({
      async data() {
        await Promise.resolve();
        throw new Error("from the application");
      },
    });
    const client = harness.client("x");
    harness.settle();
    for (let i = 0; i < 10; i++) await Promise.resolve(); // runs microtasks only
    expect(harness.fate(client)).toBe("reset");
    expect(() => harness.server.tick(0)).toThrow("from the application");
    harness.settle();
    await new Promise((resolve) => setImmediate(resolve)); // it is not reported again
  }));

test("closes all connections even if close handlers throw", () =>
  leavesNoFd(async () => {
    let closed = 0;
    using harness = harnessOf({
      data() {},
      close() {
        closed++;
        throw new Error("from the application");
      },
    });
    const clients = [harness.client("x"), harness.client("x"), harness.client("x")];
    harness.settle();
    const stopped = harness.server.stop({ graceMs: 0 }).catch(() => {});
    for (let i = 0; !harness.server.closed && i < 10; i++) {
      try {
        harness.server.tick(0);
      } catch (error) {
        expect(String(error)).toContain("from the application");
      }
    }
    await stopped;
    expect([closed, harness.server.closed]).toEqual([3, true]);
    for (const client of clients) expect(harness.fate(client)).not.toBe("open");
  }));

test("a socket has fd, peer, options, byte counts, and data of the application", () =>
  leavesNoFd(() => {
    let socket: ServerSocket<{ name: string }> | undefined;
    using harness = new ServerHarness({
      socket: {
        open(one: ServerSocket<{ name: string }>) {
          socket = one;
          one.data = { name: "a" };
        },
        data() {},
      },
    });
    const client = harness.client("abc");
    harness.settle();
    expect(socket?.fd).toBeGreaterThan(2);
    expect(socket?.peer).toEqual(client.getsockname() as never);
    expect(socket?.data?.name).toBe("a");
    expect([socket?.bytesIn, socket?.bytesOut, socket?.pending]).toEqual([3, 0, 0]);
    socket?.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    expect(socket?.getsockopt(IPPROTO_TCP, TCP_NODELAY)).toBe(1);
    client.close();
    harness.settle();
    expect(() => socket?.getsockopt(IPPROTO_TCP, TCP_NODELAY)).toThrow("EBADF");
  }));

test("closes a connection that is silent for idleTimeoutMs; bytes in either direction restart it", () =>
  leavesNoFd(() => {
    let socket: ServerSocket | undefined;
    using harness = harnessOf({ open: (one) => void (socket ??= one), data() {} }, { idleTimeoutMs: 1000 });
    const active = harness.client();
    const silent = harness.client();
    harness.settle();
    for (let i = 0; i < 4; i++) {
      harness.clock.ms += 600;
      if (i % 2 === 0) socket?.write("x");
      else active.send("x");
      harness.settle();
    }
    expect(harness.fate(silent)).toBe("end");
    expect(harness.fate(active)).toBe("open");
    harness.clock.ms += 1000;
    harness.settle();
    expect(harness.server.stats).toMatchObject({ open: 0, timeouts: 2 });
  }));

test("rejects handlers that are not functions or not known, by name", () => {
  const wrong: [unknown, string][] = [
    [null, "socket must be an object with the handler data"],
    [{}, "socket.data must be a function; received undefined"],
    [{ data: 1 }, "socket.data must be a function; received 1"],
    [{ data() {}, message() {} }, 'unknown handler of socket: "message"'],
  ];
  for (const [socket, message] of wrong) expect(() => harnessOf(socket as SocketHandlers)).toThrow(message);
  const both = { socket: { data() {} }, fetch: () => new Response() };
  expect(() => new ServerHarness(both)).toThrow(
    'options "fetch" and "socket" cannot be used together: choose one of them',
  );
});

test("open can end, terminate or pause the connection", () =>
  leavesNoFd(() => {
    const first: ((socket: ServerSocket) => unknown)[] = [
      (socket) => socket.end("no"),
      (socket) => socket.terminate(),
      (socket) => socket.pause(),
    ];
    for (const mode of modes) {
      for (const [i, open] of first.entries()) {
        let received = 0;
        using harness = harnessOf({ open: (socket) => void open(socket), data: () => void received++ }, mode);
        const client = harness.client("x");
        if (i === 0) expect(take(harness, client, 2)).toBe("no");
        harness.settle();
        expect([received, harness.fate(client)]).toEqual([0, ["end", "reset", "open"][i] as "end"]);
      }
    }
  }));
