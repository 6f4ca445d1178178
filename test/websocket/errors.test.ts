// Errors of handlers: who gets them, and what happens to the connection.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type ServerWebSocket, type WebSocketHandlers } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { frame, framesOf, RawWebSocket, upgradeRequest } from "../support/raw-websocket.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const fetch = (request: Request, server: { upgrade(request: Request): boolean }): undefined =>
  void server.upgrade(request);

function fail(name: string): never {
  throw new Error(`from ${name}`);
}

const two = Buffer.concat([frame(1, "one"), frame(1, "two")]);

test("without an error handler, the connection is reset and tick throws the error; the next message is not delivered", () => {
  const calls: string[] = [];
  using harness = new ServerHarness({
    fetch,
    websocket: {
      message(_: ServerWebSocket, message: string) {
        calls.push(message);
        fail("message");
      },
      close: (_: ServerWebSocket, code: number) => void calls.push(`close ${code}`),
    },
  });
  const client = harness.client(upgradeRequest());
  harness.receive(client, /\r\n\r\n$/);
  client.send(two);
  expect(() => harness.settle()).toThrow("from message");
  harness.settle();
  expect(calls).toEqual(["one", "close 1006"]);
  expect(harness.fate(client)).toBe("reset");
});

for (const name of ["open", "ping", "pong", "drain", "close"] as const) {
  test(`an error of ${name} is thrown once`, () => {
    const websocket: WebSocketHandlers = {
      message: (ws) => void ws.send(new Uint8Array(6_000_000)),
      [name]: () => fail(name),
    };
    using harness = new ServerHarness({ fetch, websocket });
    const errors: string[] = [];
    const settle = (): void => {
      for (let quiet = 0; quiet < 3;) {
        try {
          harness.settle();
          quiet++;
        } catch (error) {
          errors.push((error as Error).message);
        }
      }
    };
    const client = harness.client(upgradeRequest());
    settle();
    try {
      client.send(Buffer.concat([frame(9), frame(10), frame(1, "x")]));
      for (let i = 0; i < 20; i++) {
        settle();
        client.recv(1_000_000);
      }
      client.send(frame(8));
    } catch {
      // reset
    }
    settle();
    expect(errors).toEqual([`from ${name}`]);
    expect(harness.server.stats.open).toBeLessThanOrEqual(1); // lingering after Close
    expect(harness.server.pendingWebSockets).toBe(0);
  });
}

test("the error handler gets the error, and the connection stays open", () => {
  const errors: unknown[] = [];
  using harness = new ServerHarness({
    fetch,
    websocket: {
      message(ws: ServerWebSocket, message: string) {
        ws.send(message);
        fail("message");
      },
      error: (error: Error, ws: ServerWebSocket) => void errors.push(error.message, ws.readyState),
    },
  });
  const client = harness.client(upgradeRequest());
  client.send(two);
  const text = harness.receive(client, /two$/);
  expect(framesOf(text)).toEqual(["text one", "text two"]);
  expect(errors).toEqual(["from message", 1, "from message", 1]);
});

test("an error handler that throws: its own error is thrown, and the connection is reset", () => {
  using harness = new ServerHarness({
    fetch,
    websocket: { message: () => fail("message"), error: () => fail("error") },
  });
  const client = harness.client(upgradeRequest());
  client.send(two);
  expect(() => harness.settle()).toThrow("from error");
  harness.settle();
  expect(harness.fate(client)).toBe("reset");
});

test("a close handler that throws does not disturb the code that has called close", () => {
  const calls: string[] = [];
  using harness = new ServerHarness({
    fetch,
    websocket: {
      message(ws: ServerWebSocket) {
        ws.close();
        calls.push("closed");
      },
      close: () => fail("close"),
    },
  });
  const client = harness.client(upgradeRequest());
  client.send(two);
  expect(() => harness.settle()).toThrow("from close");
  expect(calls).toEqual(["closed"]);
});

test("the rejection of an async handler goes to the error handler", async () => {
  const errors: string[] = [];
  await using server = new EpollServer({
    hostname: "127.0.0.1",
    fetch,
    websocket: {
      async message(ws: ServerWebSocket, message: string) {
        await Bun.sleep(1);
        ws.send(message);
        fail(message);
      },
      error: (error: Error) => void errors.push(error.message),
    },
  });
  await server.start();
  using client = await RawWebSocket.open(server.port as number);
  client.send(two);
  await eventually(
    () => errors,
    ({ length }) => length === 2,
  );
  expect(errors.toSorted()).toEqual(["from one", "from two"]);
  await client.until(({ texts }) => texts.length === 2);
});

test("an async fetch handler that has upgraded its request and then fails: onError gets the error", async () => {
  const errors: string[] = [];
  await using server = new EpollServer({
    hostname: "127.0.0.1",
    async fetch(request, handle) {
      handle.upgrade(request);
      await Bun.sleep(1);
      return fail("fetch");
    },
    onError: (error) => void errors.push((error as Error).message),
    websocket: { message: (ws: ServerWebSocket, message: string) => void ws.send(message) },
  });
  await server.start();
  using client = await RawWebSocket.open(server.port as number);
  await eventually(
    () => errors,
    ({ length }) => length === 1,
  );
  client.frame(1, "still open");
  await client.until(({ texts }) => texts.length === 1);
  expect(errors).toEqual(["from fetch"]);
});
