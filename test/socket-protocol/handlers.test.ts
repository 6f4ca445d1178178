// The `socket` handlers: another protocol than HTTP on the same loop, with its back-pressure, its ends and its errors.

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
import { Stage } from "../support/server.ts";

setDefaultTimeout(60_000);

const reset = new Uint8Array(Int32Array.of(1, 0).buffer);
const modes = [{ eager: true }, { eager: false }];

function stageOf(socket: SocketHandlers, options = {}): Stage {
  return new Stage({ ...options, socket });
}

/** All that comes, with iterations between, until so many bytes are there. */
function take(stage: Stage, client: Socket, count: number): string {
  let text = "";
  for (let iterations = 0; text.length < count; iterations++) {
    if (iterations > 100_000) throw new Error(`only ${text.length} bytes of ${count}`);
    const bytes = client.recv(1_000_000);
    if (bytes?.length === 0) throw new Error(`closed after ${text.length} bytes of ${count}`);
    text += Buffer.from(bytes ?? []).toString("latin1");
    stage.server.tick(0);
  }
  return text;
}

for (const mode of modes) {
  const { eager } = mode;

  test(`open, data, end, close, in their order; a greeting is sent at once; eager: ${eager}`, () =>
    leavesNoFd(() => {
      const heard: string[] = [];
      using stage = stageOf(
        {
          open(socket) {
            heard.push("open");
            socket.write("hello\n");
          },
          data: (socket, bytes) => void heard.push(`data ${Buffer.from(bytes)}`, String(socket.write(bytes))),
          end: (socket) => void (heard.push("end"), socket.end("bye")),
          close: (socket) => void heard.push(`close ${socket.bytesIn} ${socket.bytesOut}`),
        },
        mode,
      );
      const client = stage.client();
      expect(take(stage, client, 6)).toBe("hello\n");
      client.send("abc");
      expect(take(stage, client, 3)).toBe("abc");
      client.shutdown(SHUT_WR);
      expect(take(stage, client, 3)).toBe("bye");
      for (let i = 0; stage.server.stats.open > 0 && i < 100; i++) stage.server.tick(1);
      expect(heard).toEqual(["open", "data abc", "3", "end", "close 3 12"]);
    }));

  test(`without an end handler what was written goes out, and the connection ends; eager: ${eager}`, () =>
    leavesNoFd(() => {
      using stage = stageOf({ data: (socket, bytes) => void socket.write(bytes) }, mode);
      const client = stage.client("abc");
      client.shutdown(SHUT_WR);
      expect(take(stage, client, 3)).toBe("abc");
      for (let i = 0; stage.server.stats.open > 0 && i < 100; i++) stage.server.tick(1);
      expect(stage.fate(client)).toBe("end");
    }));

  test(`write says how much it took; drain comes when there is room again; eager: ${eager}`, () =>
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
      using stage = stageOf(
        { data: write, drain: (socket) => void (drained++, expect(socket.pending).toBe(0), write(socket)) },
        mode,
      );
      const client = stage.client("go");
      for (let i = 0; i < 50; i++) stage.server.tick(0);
      expect(written).toBeLessThan(total); // the client has read nothing
      expect(take(stage, client, total)).toBe(all.toString("latin1"));
      expect(most).toBeLessThanOrEqual(262_144);
      expect(drained).toBeGreaterThan(1);
      expect(written).toBe(total);
    }));

  test(`input is read while output waits: the protocol has both directions; eager: ${eager}`, () =>
    leavesNoFd(() => {
      const heard: string[] = [];
      using stage = stageOf(
        {
          data(socket, bytes) {
            heard.push(Buffer.from(bytes).toString());
            if (heard.length === 1) for (let i = 0; i < 100; i++) socket.write(Buffer.alloc(100_000));
          },
        },
        mode,
      );
      const client = stage.client("much");
      for (let i = 0; i < 50; i++) stage.server.tick(0);
      expect(stage.server.stats.bytesOut).toBeGreaterThan(0);
      client.send("stop");
      for (let i = 0; i < 50; i++) stage.server.tick(0);
      expect(heard).toEqual(["much", "stop"]);
    }));

  test(`pause: nothing is received, and the peer comes to feel it; resume: all of it comes; eager: ${eager}`, () =>
    leavesNoFd(() => {
      let socket: ServerSocket | undefined;
      let received = 0;
      using stage = stageOf(
        { open: (one) => void (socket = one).pause(), data: (_, bytes) => void (received += bytes.length) },
        mode,
      );
      const client = stage.client();
      const piece = Buffer.alloc(1_000_000);
      let sent = 0;
      for (let n, quiet = 0; quiet < 10; quiet = n > 0 ? 0 : quiet + 1) {
        n = Math.max(0, client.send(piece));
        sent += n;
        stage.server.tick(0);
      }
      expect([received, socket?.isPaused]).toEqual([0, true]);
      socket?.resume();
      for (let i = 0; received < sent && i < 100_000; i++) stage.server.tick(0);
      expect(received).toBe(sent);
    }));

  test(`a peer that resets: close, once; what is written then is -1; eager: ${eager}`, () =>
    leavesNoFd(() => {
      const heard: unknown[] = [];
      using stage = stageOf(
        { data() {}, close: (socket) => void heard.push(socket.closed, socket.fd, socket.write("x"), socket.end()) },
        mode,
      );
      const client = stage.client("x");
      stage.settle();
      client.setsockopt(SOL_SOCKET, SO_LINGER, reset);
      client.close();
      stage.settle();
      expect(heard).toEqual([true, -1, -1, 0]);
      expect(stage.server.stats).toMatchObject({ open: 0, errors: 1 });
    }));

  test(`terminate resets; end within data sends what is written; eager: ${eager}`, () =>
    leavesNoFd(() => {
      using stage = stageOf(
        {
          data(socket, bytes) {
            if (String(bytes) === "end") socket.end("last words");
            else socket.terminate();
          },
        },
        mode,
      );
      const ended = stage.client("end");
      expect(take(stage, ended, 10)).toBe("last words");
      const cut = stage.client("cut");
      stage.settle();
      expect(stage.fate(cut)).toBe("reset");
    }));
}

test("a handler that throws: error hears of it; without one the connection is reset, and tick throws", () =>
  leavesNoFd(() => {
    const heard: string[] = [];
    const data = (): void => {
      throw new Error("the user's own");
    };
    {
      using stage = stageOf({ data, error: (socket, error) => void heard.push(String(error), String(socket.closed)) });
      stage.client("x");
      stage.settle();
      expect(heard).toEqual(["Error: the user's own", "false"]);
    }
    using stage = stageOf({ data });
    const client = stage.client("x");
    expect(() => stage.settle()).toThrow("the user's own");
    expect(stage.fate(client)).toBe("reset");
    expect(stage.server.stats.open).toBe(0);
  }));

test("a close handler that throws does not keep others from being closed", () =>
  leavesNoFd(async () => {
    let closed = 0;
    using stage = stageOf({
      data() {},
      close() {
        closed++;
        throw new Error("the user's own");
      },
    });
    const clients = [stage.client("x"), stage.client("x"), stage.client("x")];
    stage.settle();
    const stopped = stage.server.stop({ graceMs: 0 }).catch(() => {});
    for (let i = 0; !stage.server.closed && i < 10; i++) {
      try {
        stage.server.tick(0);
      } catch (error) {
        expect(String(error)).toContain("the user's own");
      }
    }
    await stopped;
    expect([closed, stage.server.closed]).toEqual([3, true]);
    for (const client of clients) expect(stage.fate(client)).not.toBe("open");
  }));

test("a connection shows its fd, peer, options and bytes; its data are the application's", () =>
  leavesNoFd(() => {
    let socket: ServerSocket<{ name: string }> | undefined;
    using stage = new Stage({
      socket: {
        open(one: ServerSocket<{ name: string }>) {
          socket = one;
          one.data = { name: "a" };
        },
        data() {},
      },
    });
    const client = stage.client("abc");
    stage.settle();
    expect(socket?.fd).toBeGreaterThan(2);
    expect(socket?.peer).toEqual(client.getsockname() as never);
    expect(socket?.data?.name).toBe("a");
    expect([socket?.bytesIn, socket?.bytesOut, socket?.pending]).toEqual([3, 0, 0]);
    socket?.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    expect(socket?.getsockopt(IPPROTO_TCP, TCP_NODELAY)).toBe(1);
    client.close();
    stage.settle();
    expect(() => socket?.getsockopt(IPPROTO_TCP, TCP_NODELAY)).toThrow("EBADF");
  }));

test("who is silent for idleTimeoutMs is closed; bytes in either direction win it time", () =>
  leavesNoFd(() => {
    let socket: ServerSocket | undefined;
    using stage = stageOf({ open: (one) => void (socket ??= one), data() {} }, { idleTimeoutMs: 1000 });
    const heard = stage.client();
    const silent = stage.client();
    stage.settle();
    for (let i = 0; i < 4; i++) {
      stage.clock.ms += 600;
      if (i % 2 === 0) socket?.write("x");
      else heard.send("x");
      stage.settle();
    }
    expect(stage.fate(silent)).toBe("end");
    expect(stage.fate(heard)).toBe("open");
    stage.clock.ms += 1000;
    stage.settle();
    expect(stage.server.stats).toMatchObject({ open: 0, timeouts: 2 });
  }));

test("handlers that are none, or not known, are refused by name", () => {
  const wrong: [unknown, string][] = [
    [null, "object of handlers"],
    [{}, "data"],
    [{ data: 1 }, "socket.data is a function"],
    [{ data() {}, message() {} }, '"message"'],
  ];
  for (const [socket, message] of wrong) expect(() => stageOf(socket as SocketHandlers)).toThrow(message);
  const both = { socket: { data() {} }, fetch: () => new Response() };
  expect(() => new Stage(both)).toThrow("give one of response, fetch and socket, and not fetch and socket");
});

test("a connection may be ended, cut or paused as soon as it is open", () =>
  leavesNoFd(() => {
    const first: ((socket: ServerSocket) => unknown)[] = [
      (socket) => socket.end("no"),
      (socket) => socket.terminate(),
      (socket) => socket.pause(),
    ];
    for (const mode of modes) {
      for (const [i, open] of first.entries()) {
        let received = 0;
        using stage = stageOf({ open: (socket) => void open(socket), data: () => void received++ }, mode);
        const client = stage.client("x");
        if (i === 0) expect(take(stage, client, 2)).toBe("no");
        stage.settle();
        expect([received, stage.fate(client)]).toEqual([0, ["end", "reset", "open"][i] as "end"]);
      }
    }
  }));
