// The opening handshake: which requests are upgraded, when, and what happens to the input before and after.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type EpollServerOptions, type FetchHandler, type ServerWebSocket } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { leavesNoFd } from "../support/fds.ts";
import { frame, framesOf, RawWebSocket, upgradeRequest } from "../support/raw-websocket.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const echo = { message: (ws: ServerWebSocket, message: string) => void ws.send(message) };
const upgrade: FetchHandler = (request, server) => {
  if (new URL(request.url).pathname === "/plain") return new Response("plain");
  if (server.upgrade(request)) return undefined;
  return new Response("not upgraded", { status: 400 });
};

function harnessOf(fetch: FetchHandler = upgrade, options: EpollServerOptions = {}): ServerHarness {
  return new ServerHarness({ fetch, websocket: echo, ...options });
}

async function started(fetch: FetchHandler, options: EpollServerOptions = {}): Promise<EpollServer> {
  const server = new EpollServer({ hostname: "127.0.0.1", fetch, websocket: echo, ...options });
  await server.start();
  return server;
}

const plain = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
const hello = frame(1, "hello").toString("latin1");

test("any split of a request, an upgrade and two frames gives the same result", () =>
  leavesNoFd(() => {
    const text = plain + upgradeRequest() + hello + frame(1, "again").toString("latin1");
    using harness = harnessOf();
    const client = harness.client();
    for (let at = 1; at < text.length; at += 3) {
      const one = harness.client();
      one.send(Buffer.from(text.slice(0, at), "latin1"));
      harness.settle();
      one.send(Buffer.from(text.slice(at), "latin1"));
      const received = harness.receive(one, /again$/);
      expect(received).toStartWith("HTTP/1.1 200 OK\r\n");
      const from = received.indexOf("HTTP/1.1 101 ");
      expect(framesOf(received.slice(from))).toEqual(["text hello", "text again"]);
      one.close();
    }
    client.close();
  }));

test("an upgrade behind requests with bodies, all in one packet", () => {
  using harness = harnessOf();
  const post = "POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  const client = harness.client();
  client.send(Buffer.from(plain + post + plain + upgradeRequest() + hello, "latin1"));
  const received = harness.receive(client, /hello$/);
  expect(received.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 101"]);
});

test("an async handler: frames that arrive before the upgrade are delivered after it, in order", async () => {
  const calls: string[] = [];
  const gate = Promise.withResolvers<void>();
  await using server = await started(
    async (request, handle) => {
      calls.push("fetch");
      await gate.promise;
      calls.push(`upgrade ${handle.upgrade(request)}`);
      return undefined;
    },
    {
      websocket: {
        open: () => void calls.push("open"),
        message: (_: ServerWebSocket, message: string) => void calls.push(message),
      },
    },
  );
  using client = await RawWebSocket.connect(server.port as number);
  client.send(upgradeRequest() + hello);
  await eventually(
    () => calls,
    ({ length }) => length === 1,
  );
  client.send(frame(1, "more"));
  await eventually(
    () => server.stats.bytesIn,
    (bytes) => bytes >= upgradeRequest().length + hello.length,
  );
  gate.resolve();
  await eventually(
    () => calls,
    ({ length }) => length === 5,
  );
  expect(calls).toEqual(["fetch", "open", "upgrade true", "hello", "more"]);
});

test("a handler that was not upgraded and returns nothing: 426 or 400, with the reason", () => {
  using harness = harnessOf((request, server) => void server.upgrade(request));
  const cases: [request: string, status: string, message: RegExp][] = [
    [plain, "426 Upgrade Required", /requires a WebSocket/],
    [upgradeRequest({ Connection: "keep-alive" }), "426 Upgrade Required", /requires a WebSocket/],
    [upgradeRequest({ "Sec-WebSocket-Key": "abc" }), "400 Bad Request", /Sec-WebSocket-Key/],
    [upgradeRequest({ "Sec-WebSocket-Version": "8" }), "426 Upgrade Required", /Version is 13/],
    [upgradeRequest({ "Content-Length": "0" }, "POST / HTTP/1.1"), "400 Bad Request", /GET and HTTP\/1.1/],
    [upgradeRequest({}, "GET / HTTP/1.0"), "400 Bad Request", /GET and HTTP\/1.1/],
  ];
  for (const [request, status, message] of cases) {
    const received = harness.receive(harness.client(request), /\r\n\r\n[^]*\.$/);
    expect(received).toStartWith(`HTTP/1.1 ${status}\r\n`);
    expect(received).toMatch(message);
    expect(received).toContain("sec-websocket-version: 13\r\n");
    if (status.startsWith("426")) {
      expect(received.toLowerCase()).toContain("connection: upgrade\r\n");
      expect(received).toContain("upgrade: websocket\r\n");
    }
  }
});

test("another version of the protocol gets 426, whatever the handler returns", () => {
  using harness = harnessOf(() => new Response("never"));
  using upgrading = harnessOf();
  const request = upgradeRequest({ "Sec-WebSocket-Version": "8" });
  expect(upgrading.receive(upgrading.client(request), /13\.$/)).toStartWith("HTTP/1.1 426 ");
  expect(harness.receive(harness.client(request), /never$/)).toStartWith("HTTP/1.1 200 ");
});

test("a request whose body has not arrived is not upgraded", () => {
  using harness = harnessOf();
  const client = harness.client(`${upgradeRequest({ "Content-Length": "4" })}ab`);
  harness.settle();
  client.send("cd");
  expect(harness.receive(client, /not upgraded$/)).toStartWith("HTTP/1.1 400 ");
});

test("a request with a body is upgraded once the handler has read it", async () => {
  await using server = await started(async (request, handle) => {
    await request.arrayBuffer();
    return upgrade(request, handle);
  });
  using client = await RawWebSocket.open(server.port as number, { "Content-Length": "0" });
  client.send(hello);
  await client.until(({ texts }) => texts.length === 1);
});

test("a handler that keeps the server's other options works: keepAlive false, onRequest, a native Request", () => {
  const seen: string[] = [];
  using harness = harnessOf(
    (request, server) => {
      void request.clone(); // creates a native Request
      return upgrade(request, server);
    },
    { keepAlive: false, onRequest: ({ line, status }) => void seen.push(`${line} ${status}`) },
  );
  const client = harness.client();
  client.send(Buffer.from(upgradeRequest() + hello, "latin1"));
  harness.receive(client, /hello$/);
  expect(seen).toEqual(["GET / HTTP/1.1 101"]);
  expect(harness.server.stats.requests).toBe(1);
});

test("a request that was answered or whose client has left is not upgraded", async () => {
  let late: Request | undefined;
  const results: boolean[] = [];
  await using server = await started((request) => {
    late = request;
    return new Response("answered");
  });
  using client = await RawWebSocket.connect(server.port as number);
  client.send(upgradeRequest());
  await client.until(({ head }) => head !== "");
  results.push(server.upgrade(late as Request));
  expect(results).toEqual([false]);
  expect(server.pendingWebSockets).toBe(0);

  const gone = Promise.withResolvers<boolean>();
  await using other = await started(async (request, handle) => {
    await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
    await eventually(
      () => other.stats.open,
      (open) => open === 0,
    );
    gone.resolve(handle.upgrade(request));
    return undefined;
  });
  using leaving = await RawWebSocket.connect(other.port as number);
  leaving.send(upgradeRequest());
  await eventually(
    () => other.stats.requests,
    (requests) => requests === 1,
  );
  leaving.reset();
  expect(await gone.promise).toBe(false);
});

test("headers that are not valid throw, and the request can still be answered", () => {
  const errors: string[] = [];
  using harness = harnessOf((request, server) => {
    try {
      server.upgrade(request, { headers: { "X-A": "a\r\nb" } });
    } catch (error) {
      errors.push((error as Error).constructor.name);
    }
    return new Response("answered");
  });
  harness.receive(harness.client(upgradeRequest()), /answered$/);
  expect(errors).toEqual(["TypeError"]);
});

test("upgrade, publish and subscriberCount name the missing option", async () => {
  await using server = new EpollServer({ hostname: "127.0.0.1", fetch: () => new Response() });
  for (const call of [
    () => server.upgrade(new Request("http://a/")),
    () => server.publish("topic", "x"),
    () => server.subscriberCount("topic"),
  ]) {
    expect(call).toThrow('the server has no WebSockets; set the "websocket" option');
  }
  expect(server.pendingWebSockets).toBe(0);
  expect(() => new EpollServer({ websocket: echo })).toThrow("websocket requires fetch");
});

test("settings that are not valid are rejected by name", () => {
  const wrong: [websocket: object, message: string][] = [
    [{ message: 5 }, "websocket.message must be a function; received 5"],
    [{ idleTimeout: 961 }, "websocket.idleTimeout must be an integer from 0 to 960; received 961"],
    [{ idleTimeout: "5" }, 'websocket.idleTimeout must be an integer from 0 to 960; received "5"'],
    [{ maxPayloadLength: -1 }, "websocket.maxPayloadLength must be an integer from 0 to 4294967295; received -1"],
    [{ backpressureLimit: 1.5 }, "websocket.backpressureLimit must be an integer from 0 to 4294967295; received 1.5"],
    [{ sendPings: 1 }, "websocket.sendPings must be true or false; received 1"],
    [
      { perMessageDeflate: 5 },
      "websocket.perMessageDeflate must be true, false, or an object { compress, decompress }; received 5",
    ],
    [
      { perMessageDeflate: { compress: "2KB" } },
      "websocket.perMessageDeflate.compress must be true, false, or one of disable",
    ],
    [{ perMessageDeflate: { decompress: 5 } }, "websocket.perMessageDeflate.decompress must be true, false, or one of"],
    [{ idletimeout: 5 }, 'unknown member of websocket: "idletimeout" (did you mean "idleTimeout"?)'],
  ];
  for (const [websocket, message] of wrong) {
    expect(() => new EpollServer({ fetch: upgrade, websocket: websocket as never })).toThrow(message);
  }
  expect(() => new EpollServer({ fetch: upgrade, websocket: null as never })).toThrow("websocket must be an object");
});

test("the real WebSocket client of Bun: subprotocols, texts, binary data, ping, close", async () => {
  const calls: unknown[] = [];
  await using server = await started(upgrade, {
    websocket: {
      message: (ws: ServerWebSocket, message: string | Buffer<ArrayBuffer>) => void ws.send(message),
      close: (_: ServerWebSocket, code: number, reason: string) => void calls.push(code, reason),
    },
  });
  const client = new WebSocket(`ws://127.0.0.1:${server.port}`, ["one", "two"]);
  client.binaryType = "arraybuffer";
  const received: unknown[] = [];
  client.addEventListener("message", ({ data }) =>
    received.push(typeof data === "string" ? data : new Uint8Array(data)),
  );
  await new Promise((resolve) => client.addEventListener("open", resolve));
  expect(client.protocol).toBe("one");
  client.send("text \u{1F600}");
  client.send(Uint8Array.of(1, 2, 3));
  client.send("x".repeat(300_000));
  await eventually(
    () => received.length,
    (count) => count === 3,
  );
  expect(received).toEqual(["text \u{1F600}", Uint8Array.of(1, 2, 3), "x".repeat(300_000)]);
  const closed = new Promise<CloseEvent>((resolve) => client.addEventListener("close", resolve as never));
  client.close(4001, "done");
  expect(await closed).toMatchObject({ code: 4001, reason: "done", wasClean: true });
  expect(calls).toEqual([4001, "done"]);
});
