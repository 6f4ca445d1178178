// WebSockets under run(), which blocks Bun's event loop: handlers, compression, microtasks, publish and stop.

import { expect, setDefaultTimeout, test } from "bun:test";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { EpollServer, type ServerWebSocket, SHUT_WR, Socket, type WebSocketHandlers } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { closePayload, frame, framesOf, upgradeRequest } from "../support/raw-websocket.ts";

setDefaultTimeout(60_000);

/** Lets each client send its input, runs `run()` until all WebSockets are closed, and returns what each client received. */
function served(websocket: WebSocketHandlers, inputs: string[]): string[] {
  let open = inputs.length;
  const server = new EpollServer({
    hostname: "127.0.0.1",
    fetch: async (request, handle) => {
      await Promise.resolve();
      handle.upgrade(request);
      return undefined;
    },
    websocket: {
      ...websocket,
      close(ws, code, reason) {
        websocket.close?.(ws, code, reason);
        if (--open === 0) void server.stop();
      },
    },
  });
  const clients = inputs.map((input) => {
    const client = new Socket();
    client.connect({ address: "127.0.0.1", port: server.port as number });
    client.send(Buffer.from(input, "latin1"));
    client.shutdown(SHUT_WR);
    return client;
  });
  server.run();
  return clients.map((client) => {
    let text = "";
    for (let bytes; (bytes = client.recv(10_000_000)) !== null && bytes.length > 0;) {
      text += Buffer.from(bytes).toString("latin1");
    }
    client.close();
    return text;
  });
}

const inputOf = (headers: Record<string, string>, ...frames: Buffer[]): string =>
  upgradeRequest(headers) + Buffer.concat(frames).toString("latin1");

test("messages are answered, by synchronous and by async handlers", () =>
  leavesNoFd(() => {
    const close = frame(8, closePayload(1000));
    const [text = ""] = served(
      {
        async message(ws, message) {
          ws.send(`now ${message}`);
          await Promise.resolve();
          ws.send(`then ${message}`);
        },
      },
      [inputOf({}, frame(1, "a"), frame(1, "b"), close)],
    );
    expect(framesOf(text)).toEqual(["text now a", "text then a", "text now b", "text then b", "close 1000 "]);
  }));

test("messages are compressed and decompressed", () => {
  const flush = { finishFlush: constants.Z_SYNC_FLUSH };
  const compressed = deflateRawSync("compressed ".repeat(100), flush).subarray(0, -4);
  let received = "";
  const [text = ""] = served(
    {
      perMessageDeflate: true,
      message(ws, message) {
        received = String(message);
        ws.send(message, true);
        ws.close();
      },
    },
    [inputOf({ "Sec-WebSocket-Extensions": "permessage-deflate" }, frame(1, compressed, { rsv: 4 }))],
  );
  expect(received).toBe("compressed ".repeat(100));
  const bytes = Buffer.from(text.slice(text.indexOf("\r\n\r\n") + 4), "latin1");
  const payload = bytes.subarray(2, 2 + (bytes[1] as number));
  const inflated = inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), flush);
  expect(inflated.toString()).toBe(received);
});

test("what is published reaches the others, and microtasks may publish as well", () => {
  const members: ServerWebSocket[] = [];
  const texts = served(
    {
      open(ws) {
        ws.subscribe("all");
        members.push(ws);
        if (members.length < 3) return;
        ws.publish("all", "hello");
        queueMicrotask(() => {
          ws.publish("all", "again");
          for (const member of members) member.close(1000, "bye");
        });
      },
    },
    [upgradeRequest(), upgradeRequest(), upgradeRequest()].map((request) => request + frame(1, "x").toString("latin1")),
  );
  const frames = texts.map((text) => framesOf(text));
  const all = ["text hello", "text again", "close 1000 bye"];
  expect(frames.toSorted((a, b) => a.length - b.length)).toEqual([["close 1000 bye"], all, all]);
});

test("an error of a handler ends run()", () => {
  const websocket: WebSocketHandlers = {
    message: () => {
      throw new Error("from message");
    },
  };
  expect(() => served(websocket, [inputOf({}, frame(1, "x"))])).toThrow("from message");
});
