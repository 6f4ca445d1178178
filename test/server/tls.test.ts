// TLS: handshakes, requests, limits, and clients that do everything wrong.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer, connect as connectTcp, type AddressInfo } from "node:net";
import {
  EpollServer,
  type EpollServerOptions,
  serve,
  SO_LINGER,
  SOL_SOCKET,
  type TlsOptions,
} from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { eventually } from "../support/eventually.ts";
import { FetchHarness } from "../support/fetch-harness.ts";
import { scaled } from "../support/scale.ts";
import { ca, certificatePath, clientHello, pair, pem, tlsClient } from "../support/tls.ts";

setDefaultTimeout(60_000);

const tls = pair("server");
const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const servers: { stop(options?: object): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop({ graceMs: 0 })));
});

async function start(options: EpollServerOptions): Promise<EpollServer> {
  const server = new EpollServer({ hostname: "127.0.0.1", tls, ...options });
  servers.push(server);
  await server.start();
  return server;
}

const get = (url: string, options: object = {}): Promise<Response> =>
  fetch(url, { keepalive: false, tls: { ca }, ...options } as RequestInit);

describe("HTTP", () => {
  test("a fetch handler sees https URLs and the client's address, and the stats count the handshake", async () => {
    const server = await start({
      fetch: (request, { requestIP }) => {
        const ip = server.requestIP(request);
        return new Response(`${request.url} ${ip?.address} ${ip?.family} ${typeof requestIP}`);
      },
    });
    expect(server.url).toBe(`https://127.0.0.1:${server.port}`);
    const response = await get(`${server.url}/a%20b?c=d`, { headers: { Host: "LOCALHOST:443" } });
    expect(await response.text()).toBe("https://localhost/a%20b?c=d 127.0.0.1 IPv4 function");
    expect(server.stats).toMatchObject({ handshakes: 1, failedHandshakes: 0, requests: 1, rejected: 0 });
  });

  test("bodies of a megabyte arrive unchanged in both directions, and as streams", async () => {
    const body = new Uint8Array(1 << 20).map((_, i) => (i * 7) ^ (i >> 8));
    const server = await start({
      fetch: async (request) => {
        const bytes = await request.bytes();
        if (!request.url.endsWith("/stream")) return new Response(bytes);
        let at = 0;
        return new Response(
          new ReadableStream({
            pull(controller) {
              controller.enqueue(bytes.slice(at, (at += 100_000)));
              if (at >= bytes.length) controller.close();
            },
          }),
        );
      },
    });
    for (const path of ["/", "/stream"]) {
      const response = await get(server.url + path, { method: "POST", body });
      expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBe(true);
    }
  });

  test("a keep-alive connection serves pipelined requests, and one that waits for Bun's event loop", async () => {
    let count = 0;
    const server = await start({
      fetch: async (request) => {
        if (request.url.endsWith("/wait")) await new Promise((resolve) => setTimeout(resolve, 1));
        return new Response(`<${++count}>`);
      },
    });
    const client = tlsClient(server.port as number);
    client.socket.write(GET + GET.replace("/", "/wait") + GET.repeat(20));
    await eventually(client.text, (text) => text.includes("<22>"));
    client.socket.end();
    await eventually(client.isClosed, Boolean);
    expect(server.stats).toMatchObject({ handshakes: 1, requests: 22, errors: 0 });
  });

  test("the connection ends with close_notify: after a last response, when idle, and when the server stops", async () => {
    const server = await start({ response: "hi", idleTimeoutMs: 200 });
    const last = tlsClient(server.port as number);
    last.socket.write(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    const idle = tlsClient(server.port as number);
    idle.socket.write(GET);
    await eventually(() => last.hasEnded() && idle.hasEnded(), Boolean);
    const stopped = tlsClient(server.port as number);
    stopped.socket.write(GET);
    await eventually(stopped.text, (text) => text.endsWith("hi"));
    await server.stop();
    await eventually(stopped.hasEnded, Boolean);
    expect([last.error(), idle.error(), stopped.error()]).toEqual([undefined, undefined, undefined]);
  });

  test("curl, if installed, verifies the certificate and gets the response", async () => {
    const curl = Bun.which("curl");
    if (curl === null) return;
    const server = await start({ fetch: (request) => new Response(request.url) });
    const command = [curl, "-sS", "--cacert", certificatePath("ca.pem"), `https://localhost:${server.port}/x`];
    const child = Bun.spawn([...command, "--resolve", `localhost:${server.port}:127.0.0.1`], {
      stdout: "pipe",
      stderr: "pipe",
    });
    expect(await new Response(child.stderr).text()).toBe("");
    expect(await new Response(child.stdout).text()).toBe(`https://localhost:${server.port}/x`);
  });

  test("openssl, if installed, resumes a session in TLS 1.2 and 1.3", async () => {
    const openssl = Bun.which("openssl");
    if (openssl === null) return;
    const server = await start({ response: "hi" });
    const command = `for v in -tls1_2 -tls1_3; do
      printf 'GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' | ${openssl} s_client $v -ign_eof -sess_out "$1" -connect "$2" >/dev/null 2>&1
      printf 'GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' | ${openssl} s_client $v -ign_eof -sess_in "$1" -connect "$2" 2>/dev/null | grep -aE '^Reused|^hi'
      rm "$1"
    done`;
    const session = `/tmp/epoll-hello-session-${process.pid}`;
    const child = Bun.spawn(["sh", "-c", command, "sh", session, `127.0.0.1:${server.port}`], { stdout: "pipe" });
    const text = await new Response(child.stdout).text();
    expect(text.match(/Reused|hi/g)).toEqual(["Reused", "hi", "Reused", "hi"]);
  });
});

describe("other protocols", () => {
  test("WebSockets: messages of all sizes, a broadcast, and the close code", async () => {
    const server = await start({
      fetch: (request, own) => (own.upgrade(request) ? undefined : new Response("no")),
      websocket: {
        open: (ws) => void ws.subscribe("all"),
        message: (ws, message) => {
          if (message === "all") server.publish("all", "to all");
          else ws.send(message);
        },
      },
    });
    const ws = new WebSocket(server.url.replace("https", "wss"), { tls: { ca } } as never);
    const received: (string | number)[] = [];
    ws.addEventListener("message", ({ data }) => {
      received.push(typeof data === "string" ? data : (data as ArrayBuffer).byteLength);
    });
    ws.binaryType = "arraybuffer";
    await new Promise((resolve) => ws.addEventListener("open", resolve));
    ws.send("hello");
    ws.send(new Uint8Array(1 << 20));
    await eventually(
      () => received.length,
      (count) => count === 2,
    );
    ws.send("all");
    await eventually(
      () => received.length,
      (count) => count === 3,
    );
    expect(received).toEqual(["hello", 1 << 20, "to all"]);
    const closed = new Promise<number>((resolve) => ws.addEventListener("close", ({ code }) => resolve(code)));
    ws.close(4000);
    expect(await closed).toBe(4000);
  });

  test("socket handlers: write, drain, end, and the number of bytes without TLS", async () => {
    const size = 3 << 20;
    const counts: number[] = [];
    const server = await start({
      socket: {
        open: (socket) => void socket.write("welcome\n"),
        data: (socket) => {
          socket.data = 0;
          send(socket);
        },
        drain: (socket) => send(socket),
        close: ({ bytesIn, bytesOut }) => void counts.push(bytesIn, bytesOut),
      },
    });
    const bytes = Buffer.alloc(size, "x");
    const send = (socket: { data: unknown; write(data: Uint8Array, from: number): number; end(): void }): void => {
      const sent = socket.data as number;
      socket.data = sent + socket.write(bytes, sent);
      if (socket.data === size) socket.end();
    };
    const client = tlsClient(server.port as number);
    await eventually(client.text, (text) => text === "welcome\n");
    client.socket.write("go");
    await eventually(client.hasEnded, Boolean);
    expect(client.text().length).toBe(8 + size);
    client.socket.end();
    await eventually(
      () => counts,
      ({ length }) => length > 0,
    );
    expect(counts).toEqual([2, 8 + size]);
  });

  test("a header of the PROXY protocol comes before TLS", async () => {
    const server = await start({
      proxyProtocol: true,
      fetch: (request) => new Response(server.requestIP(request)?.address),
    });
    const tcp = connectTcp(server.port as number, "127.0.0.1");
    tcp.write("PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n");
    const client = tlsClient(0, { socket: tcp });
    client.socket.write(GET);
    await eventually(client.text, (text) => text.endsWith("192.0.2.1"));
    client.socket.destroy();
    const bad = connectTcp(server.port as number, "127.0.0.1", () => bad.write("nonsense\r\n\r\n"));
    await eventually(
      () => server.stats.rejectedBy["bad-proxy-header"],
      (count) => count === 1,
    );
    bad.destroy();
  });
});

describe("certificates", () => {
  const nameOf = async (port: number, servername: string): Promise<string> => {
    const client = tlsClient(port, { servername, rejectUnauthorized: false });
    await eventually(client.isSecure, Boolean);
    const { subject } = client.socket.getPeerCertificate();
    client.socket.destroy();
    return String(subject.CN);
  };

  test("the host name selects one of several; the first is the default", async () => {
    const server = await start({ tls: [tls, pair("example")] });
    const port = server.port as number;
    expect(await nameOf(port, "localhost")).toBe("localhost");
    expect(await nameOf(port, "example.test")).toBe("example.test");
    expect(await nameOf(port, "WWW.example.test")).toBe("example.test");
    expect(await nameOf(port, "a.b.example.test")).toBe("localhost");
    expect(await nameOf(port, "other.test")).toBe("localhost");
    expect(await nameOf(port, "")).toBe("localhost");
  });

  test("serverName replaces the names in the certificate", async () => {
    const server = await start({ tls: [tls, { ...pair("example"), serverName: "*.other.test" }] });
    expect(await nameOf(server.port as number, "a.other.test")).toBe("example.test");
    expect(await nameOf(server.port as number, "example.test")).toBe("localhost");
  });

  test("ALPN selects http/1.1, and tells a client without a common protocol", async () => {
    const server = await start({ fetch: (request) => Response.json(server.tlsInfo(request)) });
    const client = tlsClient(server.port as number, { ALPNProtocols: ["h2", "http/1.1"] });
    client.socket.write(GET);
    await eventually(client.text, (text) => text.includes("TLSv1.3"));
    expect(client.socket.alpnProtocol).toBe("http/1.1");
    expect(client.text()).toContain('"serverName":"localhost","alpnProtocol":"http/1.1"');
    client.socket.destroy();
    const other = tlsClient(server.port as number, { ALPNProtocols: ["h2"] });
    await eventually(other.isClosed, Boolean);
    expect(String(other.error())).toContain("NO_APPLICATION_PROTOCOL");
    await eventually(
      () => server.stats.failedHandshakes,
      (count) => count === 1,
    );
  });

  test("reloadTls replaces them for new connections while requests are served; open ones continue", async () => {
    const server = await start({ response: "hi" });
    const port = server.port as number;
    const fingerprint = async (): Promise<string> => {
      const client = tlsClient(port);
      await eventually(client.isSecure, Boolean);
      const { fingerprint256 } = client.socket.getPeerCertificate();
      client.socket.destroy();
      return fingerprint256;
    };
    const old = tlsClient(port);
    await eventually(old.isSecure, Boolean);
    const before = await fingerprint();
    let isDone = false;
    let served = 0;
    const load = Array.from({ length: 4 }, async () => {
      while (!isDone) served += (await get(server.url)).status === 200 ? 1 : 0;
    });
    for (let i = 0; i < 20; i++) {
      const target = served + 2;
      await eventually(
        () => served,
        (count) => count >= target,
      );
      server.reloadTls(i % 2 === 0 ? pair("renewed") : tls);
    }
    server.reloadTls(pair("renewed"));
    isDone = true;
    await Promise.all(load);
    expect(await fingerprint()).not.toBe(before);
    expect(() => server.reloadTls({ ...tls, key: pair("renewed").key })).toThrow("does not belong");
    old.socket.write(GET);
    await eventually(old.text, (text) => text.endsWith("hi"));
    old.socket.destroy();
    expect(server.stats.failedHandshakes).toBe(0);
  });

  test("serve: tls, an https URL, and reload", async () => {
    const server = serve({
      hostname: "127.0.0.1",
      port: 0,
      tls,
      routes: { "/r": new Response("route") },
      fetch: (request) => new Response(request.url),
    });
    servers.push(server as never);
    expect([server.url.href, server.protocol as string]).toEqual([`https://127.0.0.1:${server.port}/`, "https"]);
    expect(await (await get(`${server.url}r`)).text()).toBe("route");
    expect(await (await get(`${server.url}x`)).text()).toBe(`https://127.0.0.1:${server.port}/x`);
    server.reload({ tls: pair("example"), fetch: () => new Response("new") } as never);
    expect(await nameOf(server.port as number, "localhost")).toBe("example.test");
    const plain = serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    servers.push(plain as never);
    expect(() => plain.reload({ tls, fetch: () => new Response() } as never)).toThrow("the server has no TLS");
  });
});

describe("client certificates", () => {
  const info = async (options: TlsOptions, client: object): Promise<unknown> => {
    const server = await start({
      tls: { ...tls, ca, requestCert: true, ...options },
      fetch: (request) => {
        const { isAuthorized, authorizationError, peerCertificate } = server.tlsInfo(request) ?? {};
        return Response.json([isAuthorized, authorizationError ?? null, peerCertificate?.subject ?? null]);
      },
    });
    const own = tlsClient(server.port as number, client);
    own.socket.write(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    await eventually(own.isClosed, Boolean);
    const { failedHandshakes, requests } = server.stats;
    return [requests, failedHandshakes, own.text().split("\r\n\r\n")[1] ?? "none"];
  };

  test("a valid one is accepted, and the handler sees it", async () => {
    expect(await info({}, pair("client"))).toEqual([1, 0, '[true,null,"CN=client"]']);
  });

  test("without one, or with another authority's, there is no request", async () => {
    expect(await info({}, {})).toEqual([0, 1, "none"]);
    expect(await info({}, pair("stranger"))).toEqual([0, 1, "none"]);
  });

  test("with rejectUnauthorized: false, the handler decides", async () => {
    const options = { rejectUnauthorized: false };
    expect(await info(options, pair("client"))).toEqual([1, 0, '[true,null,"CN=client"]']);
    expect(String(await info(options, pair("stranger")))).toMatch(/^1,0,\[false,"[A-Z_]+","CN=stranger"\]$/);
    expect(String(await info(options, {}))).toMatch(/^1,0,\[false,.*,null\]$/);
  });
});

describe("clients that do not follow the protocol", () => {
  test("a plain HTTP request gets a 400 that says so, and a TLS handshake on a plain port is counted", async () => {
    const server = await start({ response: "hi" });
    const response = await fetch(server.url.replace("https", "http"));
    expect([response.status, await response.text()]).toEqual([
      400,
      "A plain HTTP request was sent to an HTTPS port. Use https:// in the URL.\n",
    ]);
    expect(server.stats).toMatchObject({ handshakes: 0, failedHandshakes: 1, rejected: 1 });
    expect(server.stats.rejectedBy["unexpected-http"]).toBe(1);

    const statuses: number[] = [];
    const plain = await start({ tls: false, response: "hi", onRequest: ({ status }) => statuses.push(status) });
    const client = tlsClient(plain.port as number);
    await eventually(client.isClosed, Boolean);
    expect(plain.stats.rejectedBy["unexpected-tls"]).toBe(1);
    expect(statuses).toEqual([400]);
  });

  const noTls = { "a line": "hello\n", "zero bytes": "\0\0\0\0", "an alert": "\x15\x03\x03\x00\x02\x01\x00" };
  for (const [name, bytes] of Object.entries(noTls)) {
    test(`${name} instead of a handshake ends the connection`, async () => {
      await leavesNoFd(async () => {
        const harness = new FetchHarness(undefined, { tls });
        const client = harness.client(bytes);
        expect(await harness.rest(client)).toBe("");
        client.close();
        await harness.until(() => harness.server.stats.open === 0);
        expect(harness.server.stats).toMatchObject({ failedHandshakes: 1, handshakes: 0 });
        harness[Symbol.dispose]();
      });
    });
  }

  test("a broken handshake gets an alert: RFC 8446, 6.2", async () => {
    const harness = new FetchHarness(undefined, { tls });
    const client = harness.client("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00");
    const alert = Buffer.from(await harness.rest(client), "latin1");
    expect([alert[0], alert[5]]).toEqual([0x15, 2]);
    client.close();
    await harness.until(() => harness.server.stats.open === 0);
    expect(harness.server.stats.failedHandshakes).toBe(1);
    harness[Symbol.dispose]();
  });

  // How much of a ClientHello is sent before the client stalls, closes its side, or resets the connection.
  const parts: [string, (hello: Buffer) => Buffer][] = [
    ["one byte", (hello) => hello.subarray(0, 1)],
    ["half of a ClientHello", (hello) => hello.subarray(0, hello.length >> 1)],
    ["a ClientHello", (hello) => hello],
  ];
  for (const [name, part] of parts) {
    for (const how of ["stalls", "closes its side", "resets"] as const) {
      test(`a client that ${how} after ${name} is closed, and counted`, async () => {
        await leavesNoFd(async () => {
          using harness = new FetchHarness(undefined, { tls, headerTimeoutMs: 1000 });
          const { server, clock } = harness;
          const client = harness.client();
          client.send(part(await clientHello()));
          await harness.until(() => server.stats.bytesIn > 0);
          await harness.idle();
          expect(server.stats).toMatchObject({ open: 1, handshakes: 0, failedHandshakes: 0 });
          if (how === "closes its side") client.shutdown(1);
          if (how === "resets") {
            client.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
            client.close();
          }
          if (how === "stalls") {
            clock.ms += 999;
            await harness.idle();
            expect(server.stats.open).toBe(1);
            clock.ms += 1;
          }
          await harness.until(() => server.stats.open === 0);
          const timeouts = how === "stalls" ? 1 : 0;
          expect(server.stats).toMatchObject({ open: 0, handshakes: 0, failedHandshakes: 1, timeouts });
        });
      });
    }
  }

  test("bytes that arrive after a half of the handshake's time do not extend it", async () => {
    using harness = new FetchHarness(undefined, { tls, headerTimeoutMs: 1000 });
    const { server, clock } = harness;
    const hello = await clientHello();
    const client = harness.client();
    for (let i = 0; i < 4; i++) {
      client.send(hello.subarray(i, i + 1));
      await harness.until(() => server.stats.bytesIn === i + 1);
      clock.ms += 249;
    }
    await harness.idle();
    expect(server.stats.open).toBe(1);
    clock.ms += 4;
    await harness.until(() => server.stats.open === 0);
    expect(server.stats).toMatchObject({ timeouts: 1, failedHandshakes: 1 });
  });

  test("after the handshake, the time for the first request begins", async () => {
    using harness = new FetchHarness(undefined, { tls, headerTimeoutMs: 1000 });
    const { server, clock } = harness;
    const client = tlsClient(server.port as number);
    clock.ms += 900;
    await harness.until(() => server.stats.handshakes === 1);
    clock.ms += 900;
    await harness.idle();
    expect(server.stats.open).toBe(1);
    clock.ms += 100;
    await harness.until(() => server.stats.open === 0);
    expect(server.stats).toMatchObject({ timeouts: 1, failedHandshakes: 0 });
    client.socket.destroy();
  });

  test("a client that closes its side without close_notify still gets its response", async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    const server = await start({ fetch: () => promise });
    const tcp = connectTcp({ port: server.port as number, host: "127.0.0.1", allowHalfOpen: true });
    const relay = await relayTo(tcp);
    const client = tlsClient(relay.port);
    client.socket.write(GET);
    await eventually(
      () => server.pendingRequests,
      (count) => count === 1,
    );
    tcp.end();
    resolve(new Response("late"));
    await eventually(client.text, (text) => text.endsWith("late"));
    client.socket.destroy();
    relay.close();
  });

  test("close_notify while a request is being handled ends the connection, and aborts the request", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const server = await start({
      fetch: (request) => {
        request.signal.addEventListener("abort", () => resolve());
        return new Promise<Response>(() => {});
      },
    });
    const client = tlsClient(server.port as number);
    client.socket.end(GET);
    await promise;
    await eventually(() => server.stats.open === 0, Boolean);
    expect(server.stats).toMatchObject({ requests: 1, failedHandshakes: 0 });
    client.socket.destroy();
  });

  test("changed ciphertext resets the connection", async () => {
    const server = await start({ response: "hi" });
    let isChanging = false;
    const relay = await splittingRelay(server.port as number, (bytes) => {
      if (isChanging) bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
      return [bytes];
    });
    const client = tlsClient(relay.port);
    await eventually(() => server.stats.handshakes === 1, Boolean);
    isChanging = true;
    client.socket.write(GET);
    await eventually(() => server.stats.open === 0, Boolean);
    expect(client.text()).toBe("");
    expect(server.stats.requests).toBe(0);
    client.socket.destroy();
    relay.close();
  });

  test("a slow reader of a large response keeps bounded memory, and is reset after writeTimeoutMs", async () => {
    const body = new Uint8Array(64 << 20);
    const server = await start({ response: { body }, writeTimeoutMs: 300 });
    const client = tlsClient(server.port as number);
    await eventually(client.isSecure, Boolean);
    client.socket.pause();
    client.socket.write(GET);
    await eventually(() => server.stats.bytesOut > 200_000, Boolean);
    const before = process.memoryUsage.rss();
    await eventually(
      () => server.stats.timeouts,
      (count) => count === 1,
    );
    expect(process.memoryUsage.rss() - before).toBeLessThan(32 << 20);
    expect(server.stats.bytesOut).toBeLessThan(16 << 20);
    client.socket.destroy();
  });

  test("an exception of a handler closes only its own connection", async () => {
    const errors: unknown[] = [];
    const server = await start({
      socket: {
        data: (socket, bytes) => {
          if (String(bytes) === "throw") throw new Error("from a handler");
          socket.write(bytes);
        },
        error: (socket, error) => {
          errors.push(error);
          socket.terminate();
        },
      },
    });
    const [good, bad] = [tlsClient(server.port as number), tlsClient(server.port as number)];
    await eventually(() => good.isSecure() && bad.isSecure(), Boolean);
    bad.socket.write("throw");
    await eventually(bad.isClosed, Boolean);
    good.socket.write("echo");
    await eventually(good.text, (text) => text === "echo");
    expect(errors.map(String)).toEqual(["Error: from a handler"]);
    good.socket.destroy();
  });
});

/** Forwards connections to a TCP socket that exists already. */
async function relayTo(tcp: ReturnType<typeof connectTcp>): Promise<{ port: number; close(): void }> {
  const relay = createServer((client) => {
    client.on("data", (bytes) => tcp.write(bytes));
    tcp.on("data", (bytes) => client.write(bytes));
    client.on("error", () => {});
    tcp.on("error", () => {});
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  return { port: (relay.address() as AddressInfo).port, close: () => (relay.close(), tcp.destroy()) };
}

/** Forwards connections to a port, and splits or changes what clients send. */
async function splittingRelay(
  port: number,
  split: (bytes: Buffer) => Buffer[],
): Promise<{ port: number; close(): void }> {
  const relay = createServer((client) => {
    const target = connectTcp(port, "127.0.0.1");
    target.setNoDelay(true);
    let sent = Promise.resolve();
    client.on("data", (bytes) => {
      for (const part of split(Buffer.from(bytes))) {
        sent = sent.then(() => {
          target.write(part);
          return new Promise((resolve) => setImmediate(resolve));
        });
      }
    });
    target.on("data", (bytes) => client.write(bytes));
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      from.on("error", () => to.destroy());
      from.on("close", () => void sent.then(() => to.end()));
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  return { port: (relay.address() as AddressInfo).port, close: () => void relay.close() };
}

test("the bytes of a connection may be split anywhere", async () => {
  const server = await start({ fetch: async (request) => new Response(`[${(await request.bytes()).length}]`) });
  for (let run = 0; run < scaled(8, 200); run++) {
    let seed = run * 7919 + 1;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const relay = await splittingRelay(server.port as number, (bytes) => {
      const parts: Buffer[] = [];
      for (let at = 0; at < bytes.length;) {
        const length = Math.max(1, Math.ceil(random() ** 3 * (run % 2 === 0 ? 50 : 3000)));
        parts.push(bytes.subarray(at, (at += length)));
      }
      return parts;
    });
    const client = tlsClient(relay.port);
    const sizes = Array.from({ length: 5 }, () => Math.floor(random() * 3000));
    for (const size of sizes) {
      client.socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${"x".repeat(size)}`);
    }
    await eventually(client.text, (text) => text.split("[").length === 6);
    expect([...(client.text().match(/\[\d+\]/g) ?? [])]).toEqual(sizes.map((size) => `[${size}]`));
    client.socket.destroy();
    relay.close();
  }
  expect(server.stats).toMatchObject({ failedHandshakes: 0, rejected: 0 });
});

describe("options", () => {
  const create = (value: unknown, options: EpollServerOptions = {}): (() => EpollServer) => {
    return () => new EpollServer({ hostname: "127.0.0.1", ...options, tls: value as TlsOptions });
  };

  test("key, certificate and authority: text, bytes, files, paths, and arrays", () => {
    const key = Bun.file(certificatePath("server-key.pem"));
    const cert = Buffer.from(pem("server.pem"));
    for (const value of [
      { key, cert },
      { key: [key], cert: [cert], ca: [ca, Buffer.from(ca)] },
      {
        key: new Uint8Array(Buffer.from(pem("server-key.pem"))).buffer,
        cert: new DataView(new Uint8Array(cert).buffer),
      },
      {
        keyFile: certificatePath("server-key.pem"),
        certFile: certificatePath("server.pem"),
        caFile: certificatePath("ca.pem"),
      },
      { key: Bun.file(certificatePath("server-key-encrypted.pem")), cert, passphrase: "secret" },
      { ...tls, ALPNProtocols: "http/1.1", minVersion: "TLSv1.3", maxVersion: "TLSv1.3", servername: "a" },
    ]) {
      void create(value)().stop();
    }
  });

  const wrong: [string, unknown, string][] = [
    ["no key", { cert: pair("server").cert }, "tls has no key: it takes both, such as"],
    ["not an object", true, "tls must be an object { key, cert, … }"],
    ["an empty array", [], "tls is an empty array"],
    ["another key", { ...tls, key: pair("client").key }, "tls.key does not belong to the certificate of localhost"],
    [
      "no PEM",
      { ...tls, key: "/etc/key.pem" },
      'tls.key is not in the PEM format: it has no line that begins with "-----BEGIN "; if it is a path, use tls.keyFile',
    ],
    [
      "a broken key",
      { ...tls, key: pem("server-key.pem").replace("M", "N").slice(0, 90) },
      "tls.key is not a private key in the PEM format",
    ],
    [
      "a broken certificate",
      { ...tls, cert: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
      "tls.cert is not a certificate in the PEM format: decode error",
    ],
    [
      "a broken authority",
      { ...tls, ca: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
      "tls.ca is not a certificate",
    ],
    ["no passphrase", { ...tls, key: pem("server-key-encrypted.pem") }, "tls.key is encrypted: set passphrase"],
    [
      "a wrong passphrase",
      { ...tls, key: pem("server-key-encrypted.pem"), passphrase: "no" },
      "tls.key cannot be decrypted: the passphrase is wrong",
    ],
    ["a missing file", { ...tls, key: Bun.file("/no/such/key.pem") }, "tls.key cannot be read: ENOENT"],
    ["a missing path", { cert: tls.cert, keyFile: "/no/such/key.pem" }, "tls.keyFile cannot be read: ENOENT"],
    ["both", { ...tls, keyFile: "/key.pem" }, "tls.key and tls.keyFile are both set"],
    ["a Blob", { ...tls, key: new Blob([pem("server-key.pem")]) }, "tls.key must be PEM text"],
    ["an unknown property", { ...tls, certificate: "" }, 'unknown option of tls: "certificate"'],
    ["a property without effect", { ...tls, dhParamsFile: "a" }, "has no DHE cipher suites"],
    ["no boolean", { ...tls, requestCert: 1 }, "tls.requestCert must be true or false"],
    ["an old version", { ...tls, minVersion: "TLSv1" }, 'tls.minVersion must be "TLSv1.2" or "TLSv1.3"'],
    ["unknown ciphers", { ...tls, ciphers: "nonsense" }, "tls is not accepted by Bun's TLS library"],
    ["HTTP/2", { ...tls, ALPNProtocols: ["h2"] }, 'tls.ALPNProtocols contains "h2": the server speaks HTTP/1.1'],
    [
      "the same name twice",
      [tls, { ...pair("example"), serverName: "localhost" }],
      'tls[1].serverName is "localhost", as in an earlier element',
    ],
    [
      "different verification",
      [tls, { ...pair("example"), requestCert: true }],
      "tls[1].requestCert differs from that of tls[0]",
    ],
  ];
  for (const [name, value, message] of wrong) {
    test(`${name}: the error says what to do`, () => {
      expect(create(value)).toThrow(message);
    });
  }

  test("run and the original program cannot have TLS", () => {
    using harness = new FetchHarness(undefined, { tls });
    expect(() => harness.server.run()).toThrow("TLS needs Bun's event loop, which run() blocks: use start()");
    expect(create(tls, { keepAlive: false, eager: false })).toThrow("the original program has no TLS");
    expect(create(undefined, { key: "a" } as never)).toThrow("pass it in an object: tls: { key, cert }");
    const plain = create(undefined)();
    expect(() => plain.reloadTls(tls)).toThrow("the server has no TLS");
    void plain.stop();
  });

  test("a server with TLS keeps the process alive until it stops, and after unref it does not", async () => {
    const program = `
      import { EpollServer } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).pathname)};
      const server = new EpollServer({ hostname: "127.0.0.1", tls: ${JSON.stringify(tls)}, response: "hi" });
      await server.start();
      const response = await fetch(server.url, { tls: { rejectUnauthorized: false } });
      console.log(await response.text());
      server.unref();`;
    const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit" });
    expect(await new Response(child.stdout).text()).toBe("hi\n");
    expect(await child.exited).toBe(0);
  });
});
