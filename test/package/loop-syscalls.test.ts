// The table of docs/reliability.md: it has every system call of the loop, and none of them waits.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AF_UNIX,
  EpollServer,
  type EpollServerOptions,
  EventFd,
  F_DUPFD_CLOEXEC,
  F_SETFL,
  type FetchHandler,
  IPPROTO_TCP,
  SHUT_RDWR,
  SHUT_WR,
  SO_RCVBUF,
  SO_SNDBUF,
  SOCK_STREAM,
  Socket,
  type SocketHandlers,
  SOL_SOCKET,
  TCP_NODELAY,
} from "../../src/index.ts";
import { EAGAIN, EMFILE } from "../../src/kernel/errno.ts";
import { syscalls, type Syscalls } from "../../src/kernel/ffi.ts";
import { CallRecorder } from "../support/call-recorder.ts";
import { eventually } from "../support/eventually.ts";
import { FetchHarness } from "../support/fetch-harness.ts";
import { root } from "../support/programs.ts";
import { complete, GET, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

/** The functions of the table that make no system call. */
const WITHOUT_SYSTEM_CALL = new Set(["equal", "handed_over", "own", "disown", "inet_ntop"]);

const LAST = GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
const HALF = GET.slice(0, 20);
const request = (path: string): string => LAST.replace("/", path);
const upload = (body: string, length = body.length): string =>
  `POST /upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n${body}`;

const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
const path = (name: string): string => join(directory, name);
const host: Syscalls = { ...syscalls() };
/** The kernel has neither paths nor data in its cache. */
const uncached: Partial<Syscalls> = {
  openat2: () => -EAGAIN,
  preadv2: (fd, bytes, length, low, high, flags) =>
    flags === 0 ? host.preadv2(fd, bytes, length, low, high, flags) : -EAGAIN,
};

let recorder: CallRecorder;
beforeAll(() => {
  recorder = new CallRecorder();
  writeFileSync(path("small"), "0123456789");
  writeFileSync(path("large"), Buffer.alloc(1_000_000, "x"));
});
afterEach(() => {
  const { mayWait } = recorder;
  recorder.mayWait = [];
  expect(mayWait).toEqual([]);
});
afterAll(() => {
  recorder[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

/** An application with all kinds of responses. */
const application: FetchHandler = async (incoming) => {
  const { pathname } = new URL(incoming.url);
  switch (pathname) {
    case "/small":
    case "/large":
      return new Response(Bun.file(path(pathname.slice(1))));
    case "/none":
      return new Response(Bun.file(path("none")));
    case "/proc":
      return new Response(Bun.file("/proc/self/status"));
    case "/upload":
      return new Response(await incoming.text());
    case "/never":
      return new Promise(() => {});
    case "/throw":
      throw new Error("expected");
    case "/later":
      await new Promise((resolve) => setImmediate(resolve));
      return new Response("later");
    case "/stream":
      return new Response(
        new ReadableStream({
          async pull(controller) {
            await new Promise((resolve) => setImmediate(resolve));
            controller.enqueue(new Uint8Array(1000));
            controller.close();
          },
        }),
      );
    case "/huge":
      return new Response(new Uint8Array(30_000_000));
    default:
      return new Response("now");
  }
};

const paths = ["/", "/small", "/large", "/none", "/proc", "/throw", "/later", "/stream"];
const invalid = ["GET / HTTP/9.9\r\n\r\n", "\0\0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", upload("", 1e12)];

/** Handlers that use everything that a ServerSocket offers. */
const handlers: SocketHandlers = {
  open(socket) {
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    socket.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096);
    socket.getsockopt(SOL_SOCKET, SO_SNDBUF);
    socket.tcpInfo();
    socket.write(`${socket.localAddress} ${socket.remoteAddress} `);
  },
  data(socket, bytes) {
    socket.pause();
    socket.resume();
    if (bytes[0] === 0x74 /* t */) return socket.terminate();
    if (bytes[0] === 0x65 /* e */) return void socket.end("end");
    if (bytes[0] === 0x78 /* x */) throw new Error("expected");
    socket.write(new Uint8Array(1_000_000));
  },
  drain: (socket) => void socket.end("drained"),
  error: (socket) => socket.terminate(),
};

test("the loop of tick: static responses, rejections, timeouts, resets, limits and stopping, in all modes", () => {
  const modes: EpollServerOptions[] = [
    {},
    { keepAlive: false, eager: false },
    { eager: false },
    { deferAccept: false },
  ];
  for (const mode of modes) {
    const timeouts = { headerTimeoutMs: 1000, bodyTimeoutMs: 1000, idleTimeoutMs: 5000, writeTimeoutMs: 3000 };
    let lacksFds = true;
    const accept4: Syscalls["accept4"] = (fd, peer, flags) => {
      if (!lacksFds) return host.accept4(fd, peer, flags);
      lacksFds = false;
      return -EMFILE;
    };
    using harness = new ServerHarness(
      { ...mode, ...timeouts, maxConnections: 20 },
      recorder.table("by run or tick", { accept4 }),
    );
    using event = new EventFd();
    const stopWatching = harness.server.onReadable(event, () => void event.read());
    event.write(1);
    harness.settle();
    stopWatching();
    const served = harness.client(GET);
    harness.settle();
    harness.clock.ms += 200; // accepting is paused: no file descriptor was free
    harness.receive(served, complete);
    for (const text of [GET + GET, LAST, GET.slice(0, 20), ...invalid, upload("abc"), ""]) harness.client(text);
    harness.client(GET).shutdown(SHUT_WR);
    const gone = harness.client(GET);
    gone.setLinger(0);
    gone.close();
    harness.settle();
    for (let step = 0; step < 6; step++) {
      harness.clock.ms += 1500;
      harness.settle();
    }
    harness.client(GET);
    harness.client(HALF);
    harness.settle();
    void harness.server.stop();
    harness.settle();
    harness.clock.ms += 20_000;
    harness.settle();
    expect(harness.server.closed).toBe(true);
  }

  using slow = new ServerHarness(
    { response: new Uint8Array(20_000_000), writeTimeoutMs: 1000 },
    recorder.table("by run or tick"),
  );
  slow.client(GET).setsockopt(SOL_SOCKET, SO_RCVBUF, 4096);
  slow.settle();
  slow.clock.ms += 1000;
  slow.settle();
  slow.clock.ms += 1000;
  slow.settle();
  expect(slow.server.stats).toMatchObject({ timeouts: 1, open: 0 });
});

test("the loop of tick: listening sockets of other processes, which set SO_LINGER or leave them blocking", () => {
  const listener = new Socket();
  listener.bind({ address: "127.0.0.1", port: 0 });
  listener.listen();
  listener.setLinger(1);
  const fds = [false, true].map(() => host.fcntl(listener.fileno(), F_DUPFD_CLOEXEC, 0));
  listener.close();
  host.fcntl(fds[0] as number, F_SETFL, 0);
  for (const fd of fds) {
    const options = { fd, exclusive: true, response: new Uint8Array(200_000) };
    using harness = new ServerHarness(options, recorder.table("by run or tick"));
    harness.client(LAST); // reads nothing: with SO_LINGER, close would wait for it
    harness.receive(harness.client(LAST), /\0$/);
    harness.settle();
    expect(harness.server.stats).toMatchObject({ accepted: 2, open: 0 });
  }
});

test("the loop of tick: socket handlers", () => {
  using harness = new ServerHarness({ socket: handlers }, recorder.table("by run or tick"));
  for (const text of ["t", "e", "x"]) harness.client(text);
  harness.receive(harness.client("w"), /drained$/);
  harness.client("w").close();
  harness.settle();
});

test("the loop of tick: fetch handlers, uploads, streams and files", async () => {
  for (const replace of [{}, uncached]) {
    using harness = new FetchHarness(
      application,
      { onError: () => {}, handlerTimeoutMs: 1000 },
      recorder.table("by run or tick", replace),
    );
    for (const one of paths) expect(await harness.rest(harness.client(request(one)))).toStartWith("HTTP/1.1 ");
    expect(await harness.rest(harness.client(upload("abc")))).toEndWith("abc");
    for (const text of invalid) await harness.rest(harness.client(text));
    const { requests } = harness.server.stats;
    const late = harness.client(request("/never"));
    await harness.until(() => harness.server.stats.requests > requests);
    harness.clock.ms += 1000;
    expect(await harness.rest(late)).toStartWith("HTTP/1.1 503 ");
    const gone = harness.client(request("/large"));
    await harness.idle(1);
    gone.close();
    await harness.idle();
  }
});

test("the loop of run: signals", () => {
  const server = new EpollServer({ hostname: "127.0.0.1" }, recorder.table("by run or tick"));
  expect(server.run(() => process.kill(process.pid, "SIGTERM"))).toBe("SIGTERM");
});

/** Sends text to a server and resolves when the connection is closed; `reads`: false to receive nothing. */
async function send(server: EpollServer, text: string, reads = true): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { address } = server;
  const socket = {
    open(client: { write(text: string): number; pause(): void }) {
      if (!reads) client.pause();
      client.write(text);
    },
    data() {},
    error() {},
    close: () => resolve(),
  };
  if ("path" in address) await Bun.connect({ unix: address.path, socket });
  else await Bun.connect({ hostname: "127.0.0.1", port: server.port as number, socket });
  await promise;
}

/** Starts a server, lets `use` use it, and stops it. */
async function started(
  options: EpollServerOptions,
  use: (server: EpollServer) => Promise<void>,
  replace: Partial<Syscalls> = {},
): Promise<void> {
  const listen = options.unix === undefined ? { hostname: "127.0.0.1" } : {};
  const server = new EpollServer({ ...listen, ...options }, recorder.table("by start", replace));
  await server.start();
  try {
    await use(server);
  } finally {
    await server.stop({ graceMs: 0 });
  }
}

test("the loop of start: static responses, rejections and timeouts, on a port and on a unix socket", async () => {
  const timeouts = { headerTimeoutMs: 20, bodyTimeoutMs: 20, idleTimeoutMs: 20 };
  for (const mode of [{}, { keepAlive: false, eager: false }, { unix: path("socket") }]) {
    await started({ ...timeouts, ...mode }, async (server) => {
      const texts = [LAST, GET + LAST, GET, HALF, upload("a", 100), ...invalid];
      await Promise.all(texts.map((text) => send(server, text)));
    });
  }
});

test("the loop of start: fetch handlers, uploads, streams, files and slow clients", async () => {
  for (const replace of [{}, uncached]) {
    const options = { fetch: application, onError: () => {}, handlerTimeoutMs: 100, writeTimeoutMs: 100 };
    await started(
      options,
      async (server) => {
        const texts = [...paths.map(request), upload("abc"), ...invalid, request("/never")];
        await Promise.all(texts.map((text) => send(server, text)));
        void send(server, request("/huge"), false);
        await eventually(
          () => server.stats.timeouts,
          (timeouts) => timeouts >= 2, // on a busy machine, also other requests time out
        );
      },
      replace,
    );
  }
});

test("the loop of start: socket handlers", async () => {
  await started({ socket: handlers }, async (server) => {
    await Promise.all(["t", "e", "x", "w"].map((text) => send(server, text)));
  });
});

test("the loop of start: a bridge that fails and is built again", async () => {
  await started({}, async (server) => {
    await send(server, LAST);
    const before = recorder.pairs.length;
    host.shutdown(recorder.pairs.at(-1)?.[0] as number, SHUT_RDWR);
    await eventually(
      () => recorder.pairs.length,
      (count) => count > before,
    );
    await send(server, LAST);
  });
});

test("the table has a row for each of these calls, and for no others", () => {
  const text = readFileSync(join(root, "docs", "reliability.md"), "utf8");
  const [, section = ""] = text.split("## System calls of the loop");
  const rows = [...section.matchAll(/^\| (`[^|]+) \|/gm)].map(([, names = ""]) => names);
  const documented = rows.flatMap((names) => [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name as string));
  const made = [...recorder.names].filter((name) => !WITHOUT_SYSTEM_CALL.has(name));
  expect(documented.sort()).toEqual(made.sort());
});

test("the checks find calls that may wait", () => {
  using found = new CallRecorder();
  const sys = found.table("by start");
  const fds = new Int32Array(new ArrayBuffer(8));
  host.socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
  const [one = -1, other = -1] = fds;
  const bytes = new Uint8Array(new ArrayBuffer(16));
  const makeBlocking = (): number => host.fcntl(one, F_SETFL, 0);
  host.send(other, bytes, 0, 8, 0);
  sys.handed_over(1_000_000, fds, 0, 0); // recording begins
  sys.recv(one, bytes, 0, 1, 0);
  sys.recv(one, bytes, 0, 1, 0); // the recorder has made it non-blocking
  makeBlocking();
  sys.recv(one, bytes, 0, 1, 0x40 /* MSG_DONTWAIT */);
  sys.send(one, bytes, 0, 1, 0);
  makeBlocking();
  sys.read(one, bytes, 0, 1);
  makeBlocking();
  sys.write(one, bytes, 0, 1);
  sys.accept4(one, bytes, 0);
  const name = Buffer.from(`${path("small")}\0`);
  const fd = sys.open(name, 0);
  sys.openat2(name, 0, 0x20);
  sys.preadv2(fd, bytes, 1, 0, 0, 0);
  const linger = new Uint8Array(Int32Array.of(1, 1).buffer);
  host.setsockopt(one, SOL_SOCKET, 13 /* SO_LINGER */, linger, 8);
  for (const each of [one, other, fd]) sys.close(each);
  expect(found.mayWait.map((each) => each.split(",")[0])).toEqual(
    "recv send read write accept4 open openat2 preadv2 close".split(" "),
  );
});
