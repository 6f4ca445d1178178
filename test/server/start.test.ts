// EpollServer.start(): the server on Bun's event loop, alongside the rest of the application.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type EpollServerOptions, type InternetAddress, Socket, socketpair } from "../../src/index.ts";
import { Client } from "../support/client.ts";
import { untilWaiting } from "../support/bridge-state.ts";
import { countWaits } from "../support/count-waits.ts";
import { endPrograms, run } from "../support/programs.ts";
import { leavesNothing } from "../support/threads.ts";
import { runIterations, settled, until } from "../support/event-loop.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

async function started(options: EpollServerOptions = {}): Promise<EpollServer> {
  const server = new EpollServer({ hostname: "127.0.0.1", ...options });
  await server.start();
  return server;
}

/** Reads to the end of stream. */
async function rest(socket: Socket): Promise<string> {
  let text = "";
  await until(() => {
    const bytes = socket.recv(100_000);
    text += Buffer.from(bytes ?? []).toString("latin1");
    return bytes?.length === 0;
  });
  socket.close();
  return text;
}

function connected(server: EpollServer, text: string): Socket {
  const socket = new Socket();
  socket.connect(server.address as InternetAddress);
  if (text !== "") socket.send(text);
  return socket;
}

const LAST = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

for (const [name, options] of Object.entries<EpollServerOptions>({
  classic: { keepAlive: false, eager: false },
  "classic, keepAlive": { eager: false },
  eager: {},
  fetch: { fetch: async () => (await Bun.sleep(1), new Response("Hello from Epoll server!")) },
})) {
  test(`serves alongside Bun.serve and timers: ${name}`, () =>
    leavesNothing(async () => {
      const server = await started(options);
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      const texts = await Promise.all(Array.from({ length: 50 }, () => rest(connected(server, LAST))));
      expect(texts.every((text) => text.endsWith("\r\n\r\nHello from Epoll server!"))).toBe(true);
      await until(() => ticks > 3);
      clearInterval(timer);
      expect(server.stats).toMatchObject({ accepted: 50, requests: 50 });
      await server.stop();
      expect(server.closed).toBe(true);
    }));
}

test("a handler can fetch from another server in the process, from Bun.serve, and from its own server", () =>
  leavesNothing(async () => {
    const bun = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("bun") });
    const ask = async (url: URL | string): Promise<string> => (await fetch(url, { keepalive: false })).text();
    const server = await started({
      fetch: async (request) =>
        request.url.endsWith("/leaf")
          ? new Response("leaf")
          : new Response(`${await ask(bun.url)} ${await ask(`${server.url}/leaf`)}`),
    });
    expect(await ask(server.url)).toBe("bun leaf");
    await server.stop();
    await bun.stop(true);
    await runIterations(5);
  }));

test("timeouts expire on an idle loop: of a head, a silent connection, a body and a slow reader", () =>
  leavesNothing(async () => {
    const server = await started({
      headerTimeoutMs: 30,
      idleTimeoutMs: 60,
      bodyTimeoutMs: 30,
      writeTimeoutMs: 40,
      fetch: async (request) => new Response(request.method === "GET" ? "x".repeat(10_000_000) : await request.text()),
    });
    const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    const [head, body, idle] = await Promise.all([
      rest(connected(server, "GET / HT")),
      rest(connected(server, `${POST}a`)),
      rest(connected(server, `${POST}abc`)),
    ]);
    expect([head.slice(9, 12), body.slice(9, 12), idle.slice(9, 12)]).toEqual(["408", "408", "200"]);
    // A handler flushes the response outside of an iteration, and the client reads none of it.
    const slow = connected(server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => server.stats.timeouts === 4 && server.stats.open === 0);
    expect(server.stats.timeouts).toBe(4);
    slow.close();
    await server.stop();
  }));

test("runs no iteration while it is idle", () =>
  leavesNothing(async () => {
    const server = await started();
    expect(await rest(connected(server, LAST))).toContain("Hello");
    await until(() => server.stats.open === 0);
    await settled();
    await untilWaiting(1);
    expect(await countWaits(() => Bun.sleep(100))).toBe(0); // a wait is inevitable: the test is that nothing happens
    await server.stop();
  }));

test("stop waits for a pending handler, sends its response, and closes everything", () =>
  leavesNothing(async () => {
    const begun = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const server = await started({
      async fetch() {
        begun.resolve();
        await release.promise;
        return new Response("at the end");
      },
    });
    const client = connected(server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await begun.promise;
    let isStopped = false;
    const stopped = server.stop().then(() => (isStopped = true));
    await settled();
    expect(isStopped).toBe(false);
    release.resolve();
    expect(await rest(client)).toMatch(/connection: close[\s\S]*at the end$/i);
    await stopped;
    expect(server.closed).toBe(true);
  }));

test("stop closes connections forcibly after graceMs", () =>
  leavesNothing(async () => {
    const begun = Promise.withResolvers<void>();
    const server = await started({ fetch: () => (begun.resolve(), new Promise<Response>(() => {})) });
    using client = new Client(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await begun.promise;
    await server.stop({ graceMs: 20 });
    expect(client.fate()).toBe("reset");
  }));

test("stop works in a callback, and immediately after start", () =>
  leavesNothing(async () => {
    const server = await started({ onRequest: () => void server.stop() });
    expect(await rest(connected(server, LAST))).toContain("Hello");
    await server.stop();
    const another = await started();
    await another.stop();
    await using disposed = await started();
    expect(disposed.closed).toBe(false);
  }));

test("an error in a callback is an uncaught exception and resets the connection; the server continues", async () => {
  const { stdout, code } = await run([
    "bun",
    "-e",
    `
    import { EpollServer } from "./src/index.ts";
    const errors = [];
    process.on("uncaughtException", (error) => errors.push(error.message));
    const server = new EpollServer({
      hostname: "127.0.0.1",
      onRequest: ({ target }) => { if (target === "/throw") throw new Error("thrown"); },
    });
    await server.start();
    const ask = (path) => fetch(server.url + path).then((response) => response.status, () => "reset");
    console.log(await ask("/"), await ask("/throw"), await ask("/"), [...new Set(errors)].join()); // Bun's fetch retries after a reset
    await server.stop();
    `,
  ]);
  expect([stdout, code]).toEqual(["200 reset 200 thrown\n", 0]);
});

test("serves socket handlers", () =>
  leavesNothing(async () => {
    const server = await started({ socket: { data: (socket, bytes) => void socket.write(bytes) } });
    const client = connected(server, "abc");
    let text = "";
    await until(() => (text += Buffer.from(client.recv(10) ?? []).toString()) === "abc");
    client.close();
    await server.stop();
  }));

test("cannot be started, run or ticked while it is started; throws ClosedError once it is stopped", () =>
  leavesNothing(async () => {
    const server = await started();
    expect(server.start()).rejects.toThrow("EpollServer.start: the server is already running");
    expect(() => server.run()).toThrow("EpollServer.run: the server is already running");
    expect(() => server.tick()).toThrow("EpollServer.tick: the server is already running");
    await server.stop();
    expect(server.start()).rejects.toThrow("EpollServer.start: this EpollServer is closed");
    expect(server.ref().unref()).toBe(server);
  }));

test("several servers run beside each other, each with a bridge of its own", () =>
  leavesNothing(async () => {
    const servers = await Promise.all(Array.from({ length: 8 }, () => started()));
    const texts = await Promise.all(servers.map((server) => rest(connected(server, LAST))));
    expect(texts.every((text) => text.endsWith("Hello from Epoll server!"))).toBe(true);
    await settled();
    await Promise.all(servers.map((server) => server.stop()));
  }));

test("onReadable does not call back if the data was read after the bridge thread received the event", () =>
  leavesNothing(async () => {
    const server = await started();
    const [ours, peer] = socketpair();
    const received: string[] = [];
    server.onReadable(ours, () => received.push(Buffer.from(ours.recv(100) ?? "nothing").toString()));
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1)); // lets the thread wait
      peer.send("early");
      Bun.sleepSync(2); // lets it receive the event
      ours.recv(100);
    }
    peer.send("late");
    await until(() => received.includes("late"));
    expect(received).toEqual(["late"]);
    ours.close();
    peer.close();
    await server.stop();
  }));
