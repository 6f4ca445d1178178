// ServerSocket next to the socket of Bun.listen: return values, errors, the order of calls, and what the client receives.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type SocketHandlers } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

/** The members that both kinds of sockets have. */
interface AnySocket {
  write(...args: unknown[]): number;
  end(...args: unknown[]): number;
  terminate(): void;
  pause(): void;
  resume(): void;
  data: unknown;
  readonly readyState: number;
  readonly bytesWritten: number;
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly remoteFamily: string | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly localFamily: string | undefined;
}

interface Handlers {
  open?(socket: AnySocket, client: Client): unknown;
  data?(socket: AnySocket, bytes: Uint8Array, client: Client): unknown;
  drain?(socket: AnySocket): unknown;
  close?(socket: AnySocket): unknown;
  error?(socket: AnySocket, error: unknown): unknown;
}

/** What happened to one connection, as the application and the client see it. */
class Client {
  /** Calls of handlers, and notes of the handlers. */
  readonly calls: unknown[] = [];
  received = "";
  /** Whether the server has closed its side, or the connection is closed. */
  fate: "open" | "end" | "closed" = "open";
  socket!: Bun.Socket;
  serverPort = 0;

  note(...notes: unknown[]): void {
    this.calls.push(...notes);
  }

  /** Records what a call returns or throws: for an error, its class and its code. */
  try(call: () => unknown): void {
    try {
      this.note(call());
    } catch (error) {
      this.note(`${(error as Error).constructor.name} ${(error as { code: string }).code}`);
    }
  }

  async until(predicate: (client: this) => boolean): Promise<void> {
    await eventually(
      () => ({ calls: this.calls, received: this.received.length, fate: this.fate }),
      () => predicate(this),
    );
  }
}

const kinds = {
  async "Bun.listen"(socket: object) {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: socket as Bun.SocketHandler });
    return { port: listener.port, stop: () => listener.stop(true) };
  },
  async EpollServer(socket: object) {
    const server = new EpollServer({ hostname: "127.0.0.1", socket: socket as SocketHandlers });
    await server.start();
    return { port: server.port as number, stop: () => server.stop({ graceMs: 0 }) };
  },
};

/** Connects a client to a server of one kind, runs `drive`, and returns what happened. */
async function observe(
  kind: keyof typeof kinds,
  handlers: Handlers,
  drive: (client: Client) => unknown = (client) => client.until(({ fate }) => fate !== "open"),
): Promise<Client> {
  const client = new Client();
  const socket: Record<string, unknown> = {};
  for (const [name, handler] of Object.entries({ data() {}, ...handlers } as Record<
    string,
    (...args: unknown[]) => unknown
  >)) {
    socket[name] = (one: AnySocket, value: unknown) => {
      client.note(name);
      return name === "data" || name === "error" ? handler(one, value, client) : handler(one, client);
    };
  }
  const server = await kinds[kind](socket);
  client.serverPort = server.port;
  try {
    client.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: server.port,
      allowHalfOpen: true,
      socket: {
        data: (_, bytes) => void (client.received += Buffer.from(bytes).toString("latin1")),
        end: () => void (client.fate = client.fate === "open" ? "end" : client.fate),
        close: () => void (client.fate = "closed"),
        error() {},
      },
    });
    await drive(client);
  } finally {
    client.socket?.terminate();
    await server.stop();
  }
  return client;
}

const hello = (): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from("hello"));

function shared(): SharedArrayBuffer {
  const bytes = new SharedArrayBuffer(5);
  new Uint8Array(bytes).set(hello());
  return bytes;
}

function detached<T extends ArrayBuffer | ArrayBufferView>(value: T): T {
  structuredClone(null, { transfer: [ArrayBuffer.isView(value) ? (value.buffer as ArrayBuffer) : value] });
  return value;
}

/** Data that both kinds write, or reject with the same class and code. */
const sameData: [string, ...unknown[]][] = [
  ["a string", "h\u00e9llo \u{1F600}"],
  ["an empty string", ""],
  ["a Uint8Array", hello()],
  ["part of a Uint8Array", hello().subarray(1, 3)],
  ["a Buffer", Buffer.from("hello")],
  ["an ArrayBuffer", hello().buffer],
  ["an empty ArrayBuffer", new ArrayBuffer(0)],
  ["a SharedArrayBuffer", shared()],
  ["a view of a SharedArrayBuffer", new Uint8Array(shared(), 2)],
  ["a DataView", new DataView(hello().buffer, 1, 3)],
  ["a Uint16Array", Uint16Array.of(0x4142, 0x4344)],
  ["a Float64Array", Float64Array.of(1, 2)],
  ["a BigInt64Array", BigInt64Array.of(1n)],
  ["bytes from an offset with a length", hello(), 1, 2],
  ["bytes without offset, with a length", hello(), undefined, 2],
  ["no bytes of several", hello(), 0, 0],
  ["an ArrayBuffer from an offset with a length", hello().buffer, 1, 2],
  ["a Uint16Array from an offset with a length, in bytes", Uint16Array.of(0x4142, 0x4344), 1, 2],
  ["a string from an offset with a length, in bytes", "h\u00e9llo", 1, 2],
  ["a length beyond the end", hello(), 1, 99],
  ["an offset beyond the end", hello(), 99],
  ["a negative offset", hello(), -1],
  ["a negative length", hello(), 0, -1],
  ["a fractional offset", hello(), 1.5],
  ["an offset that is NaN", hello(), Number.NaN],
  ["an infinite offset", hello(), Number.POSITIVE_INFINITY],
  ["an offset that is null", hello(), null],
  ["a number", 5],
  ["NaN", Number.NaN],
  ["a boolean", true],
  ["null", null],
  ["a bigint", 5n],
  ["a symbol", Symbol("a")],
  ["an object", {}],
  ["an object with a length", { length: 3 }],
  ["an array", [1, 2]],
  ["a function", () => {}],
];

/** Data for which Bun loses or misreads something. */
const otherData: [string, string, ...unknown[]][] = [
  ["bytes from an offset", "4 ello", hello(), 1], // Bun takes the whole length after the offset, and throws
  ["a detached Uint8Array", "TypeError ERR_INVALID_ARG_TYPE ", detached(hello())], // Bun: 0
  ["a detached Float64Array", "TypeError ERR_INVALID_ARG_TYPE ", detached(Float64Array.of(1))],
  ["a detached DataView", "TypeError ERR_INVALID_ARG_TYPE ", detached(new DataView(new ArrayBuffer(4)))],
  ["a detached ArrayBuffer", "TypeError ERR_INVALID_ARG_TYPE ", detached(new ArrayBuffer(4))],
  ["an out-of-bounds view", "TypeError ERR_INVALID_ARG_TYPE ", outOfBounds()],
  ["a Blob", "TypeError ERR_INVALID_ARG_TYPE ", new Blob(["hello"])], // Bun writes it if it is in memory
  ["a String object", "TypeError ERR_INVALID_ARG_TYPE ", new String("hello")],
  ["an encoding", "TypeError ERR_INVALID_ARG_TYPE ", "68656c6c6f", "hex"],
  ["an offset that is a string", "TypeError ERR_INVALID_ARG_TYPE ", hello(), "1"], // Bun writes all
  [
    "an array that lies about its length",
    "5 hello",
    Object.defineProperty(hello(), "byteLength", { value: 1_000_000 }),
  ],
  ["an array that lies about its buffer", "5 hello", Object.defineProperty(hello(), "buffer", { value: shared() })],
  ["an object that claims to be a buffer", "TypeError ERR_INVALID_ARG_TYPE ", Object.create(ArrayBuffer.prototype)],
  ["an object that claims to be an array", "TypeError ERR_INVALID_ARG_TYPE ", Object.create(Uint8Array.prototype)],
];

function outOfBounds(): Uint8Array {
  const buffer = new ArrayBuffer(8, { maxByteLength: 8 });
  const view = new Uint8Array(buffer, 4, 4);
  buffer.resize(2);
  return view;
}

for (const method of ["write", "end"] as const) {
  const writing = (args: unknown[]): Handlers => ({
    open(socket, client) {
      client.try(() => socket[method](...args));
      socket.end();
    },
  });

  for (const [name, ...args] of sameData) {
    test(`${method} of ${name} is as with Bun.listen`, async () => {
      const [bun, ours] = await Promise.all([
        observe("Bun.listen", writing(args)),
        observe("EpollServer", writing(args)),
      ]);
      expect({ calls: ours.calls.slice(0, 2), received: ours.received }).toEqual({
        calls: bun.calls.slice(0, 2),
        received: bun.received,
      });
    });
  }

  for (const [name, expected, ...args] of otherData) {
    test(`${method} of ${name} loses nothing silently`, async () => {
      const { calls, received } = await observe("EpollServer", writing(args));
      expect(`${calls[1] as string} ${received}`).toBe(expected);
    });
  }
}

test("write of undefined throws, and names the type; end of undefined ends", async () => {
  const { calls } = await observe("EpollServer", {
    open(socket, client) {
      client.try(() => socket.write(undefined));
      try {
        socket.write(new Blob(["x"]));
      } catch (error) {
        client.note((error as Error).message);
      }
      client.try(() => socket.end(undefined));
    },
  });
  expect(calls.slice(1, 4)).toEqual([
    "TypeError ERR_INVALID_ARG_TYPE",
    "data must be a string, an ArrayBuffer, a SharedArrayBuffer, a TypedArray or a DataView, and not detached; " +
      "received an instance of Blob",
    0,
  ]);
});

/** Handlers with which both kinds behave the same. */
const sameBehavior: Record<string, [Handlers, drive?: (client: Client) => unknown]> = {
  "after end, write and end return -1": [
    {
      data(socket, _, client) {
        client.note(
          socket.readyState,
          socket.end("bye"),
          socket.write("x"),
          socket.end(),
          socket.end("y"),
          socket.readyState,
        );
      },
    },
    async (client) => {
      client.socket.write("x");
      await client.until(({ fate }) => fate !== "open");
    },
  ],
  "in close, everything is refused quietly": [
    {
      data() {},
      close(socket) {
        notes(socket, socket.write("x"), socket.end(), socket.end("x"), socket.readyState, socket.terminate());
        notes(socket, socket.pause(), socket.resume());
      },
      open: (socket, client) => void (socket.data = client),
    },
    async (client) => {
      client.socket.write("x");
      await client.until(({ calls }) => calls.includes("data"));
      client.socket.end();
      await client.until(({ calls }) => calls.includes("close"));
    },
  ],
  "addresses and counts": [
    {
      open(socket, client) {
        const { remoteAddress, remoteFamily, localAddress, localFamily, data } = socket;
        client.note(remoteAddress, remoteFamily, localAddress, localFamily, data);
        client.note(socket.localPort === client.serverPort, socket.bytesWritten);
        client.note(socket.write("abc"), socket.bytesWritten);
        socket.data = client;
      },
      data(socket, _, client) {
        client.note(socket.data === client, socket.remotePort === client.socket.localPort, socket.bytesWritten);
        socket.end();
      },
    },
    async (client) => {
      client.socket.write("x");
      await client.until(({ fate }) => fate !== "open");
    },
  ],
  "a peer that ends is answered, and closed": [
    { data: (socket, bytes) => socket.write(bytes), close() {} },
    async (client) => {
      client.socket.write("abc");
      await client.until(({ received }) => received === "abc");
      client.socket.end();
      await client.until(({ calls }) => calls.includes("close"));
      await client.until(({ fate }) => fate === "closed");
    },
  ],
  "terminate closes without an end": [
    { data: (socket) => socket.terminate(), close() {} },
    async (client) => {
      client.socket.write("x");
      await client.until(({ fate, calls }) => fate === "closed" && calls.includes("close"));
    },
  ],
  "pause in open, and resume later": [
    {
      open(socket, client) {
        socket.pause();
        socket.data = client;
        setTimeout(() => {
          client.note("resume");
          socket.resume();
        }, 50);
      },
      data: (socket) => socket.end("got it"),
    },
    async (client) => {
      client.socket.write("x");
      await client.until(({ fate }) => fate !== "open");
    },
  ],
  "an error handler that ends the connection": [
    {
      data() {
        throw new Error("from data");
      },
      error: (socket, error) => notes(socket, String(error), socket.end("sorry")),
      open: (socket, client) => void (socket.data = client),
    },
    async (client) => {
      client.socket.write("x");
      await client.until(({ fate }) => fate !== "open");
    },
  ],
  "an error handler leaves the connection open": [
    {
      data(socket, bytes) {
        if (String(bytes) === "x") throw new Error("from data");
        socket.end("still here");
      },
      error() {},
    },
    async (client) => {
      client.socket.write("x");
      await client.until(({ calls }) => calls.includes("error"));
      client.socket.write("y");
      await client.until(({ fate }) => fate !== "open");
    },
  ],
};

function notes(socket: AnySocket, ...values: unknown[]): void {
  (socket.data as Client).note(...values);
}

for (const [name, [handlers, drive]] of Object.entries(sameBehavior)) {
  test(`as with Bun.listen: ${name}`, async () => {
    const bun = await observe("Bun.listen", handlers, drive);
    const ours = await observe("EpollServer", handlers, drive);
    expect({ calls: ours.calls, received: ours.received }).toEqual({ calls: bun.calls, received: bun.received });
    expect(ours.calls.length).toBeGreaterThan(0);
  });
}

for (const kind of Object.keys(kinds) as (keyof typeof kinds)[]) {
  test(`what a write did not take can be written in drain; ${kind}`, async () => {
    const all = Buffer.alloc(20_000_000, "0123456789");
    let written = 0;
    const write = (socket: AnySocket): void => {
      written += socket.write(all, written, all.length - written);
      if (written === all.length) socket.end();
    };
    const { calls, received } = await observe(kind, { open: write, drain: write });
    expect(received === all.toString("latin1")).toBe(true);
    expect(calls).toContain("drain");
  });
}

test("end takes all of its data, however much it is", async () => {
  const all = Buffer.alloc(20_000_000, "0123456789");
  const { calls, received } = await observe("EpollServer", { open: (socket, client) => client.note(socket.end(all)) });
  expect(calls.slice(0, 2)).toEqual(["open", all.length]);
  expect(received === all.toString("latin1")).toBe(true);
});

test("what is written may change afterwards", async () => {
  for (const method of ["write", "end"] as const) {
    const bytes = hello();
    const { received } = await observe("EpollServer", {
      open(socket) {
        socket[method](bytes.buffer);
        bytes.fill(0);
        socket.end();
      },
    });
    expect(received).toBe("hello");
  }
});

test("a unix socket has no IP addresses", async () => {
  const values: unknown[] = [];
  const server = new EpollServer({
    unix: "\0epoll-hello-bun-listen-test",
    socket: {
      open({ remoteAddress, remotePort, remoteFamily, localAddress, localPort, localFamily }) {
        values.push(remoteAddress, remotePort, remoteFamily, localAddress, localPort, localFamily);
      },
      data() {},
    },
  });
  await server.start();
  const client = await Bun.connect({ unix: "\0epoll-hello-bun-listen-test", socket: { data() {} } });
  await eventually(
    () => values.length,
    (count) => count > 0,
  );
  client.terminate();
  await server.stop({ graceMs: 0 });
  expect(values).toEqual(Array.from({ length: 6 }, () => undefined));
});

test("once a connection is closed, its peer is known, and its local address is not", async () => {
  const { calls } = await observe(
    "EpollServer",
    {
      open: (socket, client) => void (socket.data = client),
      data: (socket) => socket.terminate(),
      close: (socket) => notes(socket, socket.remoteAddress, socket.localAddress, socket.localPort, socket.localFamily),
    },
    async (client) => {
      client.socket.write("x");
      await client.until(({ calls }) => calls.includes("close"));
    },
  );
  expect(calls).toEqual(["open", "data", "close", "127.0.0.1", undefined, undefined, undefined]);
});

test("handlers that only Bun.listen has are rejected by name", () => {
  for (const name of ["timeout", "handshake", "connectError", "binaryType", "message"]) {
    expect(() => new EpollServer({ socket: { data() {}, [name]: () => {} } as SocketHandlers })).toThrow(
      `unknown handler of socket: "${name}"`,
    );
  }
});

test("methods that only Bun.listen's socket has do not exist", async () => {
  const names = ["shutdown", "timeout", "ref", "unref", "flush", "reload", "setNoDelay", "setKeepAlive", "upgradeTLS"];
  const { calls } = await observe("EpollServer", {
    open(socket, client) {
      for (const name of names) client.note(name in socket);
      socket.end();
    },
  });
  expect(calls.slice(1, 1 + names.length)).toEqual(names.map(() => false));
});
