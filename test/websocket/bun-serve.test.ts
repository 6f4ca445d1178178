// WebSockets of EpollServer next to those of Bun.serve: the same input, the same calls of handlers, the same bytes.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { deflateRawSync } from "node:zlib";
import { EpollServer } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { closePayload, frame, RawWebSocket, upgradeRequest } from "../support/raw-websocket.ts";

setDefaultTimeout(60_000);

/** What both kinds of sockets have. */
type AnySocket = Bun.ServerWebSocket<Record<string, unknown>>;

interface AnyServer {
  port: number;
  upgrade(request: Request, options?: object): boolean;
  publish(topic: string, data: string, compress?: boolean): number;
  subscriberCount(topic: string): number;
  readonly pendingWebSockets: number;
}

/** What happened to the connection of the current test. */
let calls: unknown[] = [];
/** What `message` does in the current test, besides being recorded. */
let onMessage: (ws: AnySocket, message: string | Buffer, server: AnyServer) => unknown = () => {};
/** What `fetch` does in the current test; undefined: upgrades. */
let onFetch: ((request: Request, server: AnyServer) => unknown) | undefined;

function fetchHandler(request: Request, server: AnyServer): Response | undefined {
  if (onFetch !== undefined) return onFetch(request, server) as Response | undefined;
  const isUpgraded = server.upgrade(request, { data: { url: new URL(request.url).pathname } });
  calls.push(["upgrade", isUpgraded, server.pendingWebSockets]);
  return isUpgraded ? undefined : new Response("not upgraded", { status: 400 });
}

const websocket = (server: () => AnyServer): Bun.WebSocketHandler<Record<string, unknown>> => ({
  maxPayloadLength: 1000,
  perMessageDeflate: true,
  open: (ws) => void calls.push(["open", ws.readyState, ws.data, ws.remoteAddress, ws.binaryType]),
  message(ws, message) {
    calls.push(["message", typeof message === "string" ? message : message.constructor.name]);
    return onMessage(ws, message, server()) as void;
  },
  close: (ws, code, reason) => void calls.push(["close", code, reason, ws.readyState]),
  ping: (_, data) => void calls.push(["ping", String(data)]),
  pong: (_, data) => void calls.push(["pong", String(data)]),
  error: (error) => void calls.push(["error", error.message]),
});

const servers: Record<string, AnyServer> = {};
const stops: (() => unknown)[] = [];

beforeAll(async () => {
  const theirs = Bun.serve<Record<string, unknown>>({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, server) => fetchHandler(request, server as unknown as AnyServer),
    error: (error) => void calls.push(["onError", error.message]) as never,
    websocket: websocket(() => servers["Bun.serve"] as AnyServer),
  });
  servers["Bun.serve"] = theirs as unknown as AnyServer;
  const ours = new EpollServer({
    hostname: "127.0.0.1",
    fetch: (request, server) => fetchHandler(request, server as unknown as AnyServer),
    onError: (error) => void calls.push(["onError", (error as Error).message]),
    websocket: websocket(() => servers["EpollServer"] as AnyServer) as object,
  });
  await ours.start();
  servers["EpollServer"] = ours as unknown as AnyServer;
  stops.push(
    () => theirs.stop(true),
    () => ours.stop({ graceMs: 0 }),
  );
});
afterAll(() => Promise.all(stops.map((stop) => stop())));

interface Observed {
  calls: unknown[];
  status: string | undefined;
  frames: string[];
  isEnded: boolean;
}

/** Forgets the calls so far, and those of WebSockets of an earlier test that are still to be closed. */
async function forgetCalls(): Promise<void> {
  await eventually(
    () => Object.values(servers).every(({ pendingWebSockets }) => pendingWebSockets === 0),
    (areClosed) => areClosed,
  );
  await new Promise((resolve) => void setImmediate(resolve)); // the server calls `close` after it has counted
  calls = [];
}

/**
 * Sends a request and frames, and waits until the server has handled all of them: the last one is a ping, unless the connection
 * ends before.
 */
async function observe(
  kind: string,
  request: string,
  sent: Uint8Array[],
  { endsWithFin = false, isOnePacket = false } = {},
): Promise<Observed> {
  await forgetCalls();
  using client = await RawWebSocket.connect((servers[kind] as AnyServer).port);
  const last = frame(9, "last");
  if (isOnePacket) {
    client.send(Buffer.concat([Buffer.from(request), ...sent, last]));
  } else {
    client.send(request);
    await client.until(({ head, fate }) => head !== "" || fate !== "open");
    for (const bytes of sent) client.send(bytes);
    if (client.head.startsWith("HTTP/1.1 101")) client.send(last);
  }
  const isUpgraded = (): boolean => client.head.startsWith("HTTP/1.1 101");
  const isLast = ({ opcode, payload }: { opcode: number; payload: Buffer }): boolean =>
    opcode === 10 && payload.toString() === "last";
  const isAnswered = (): boolean => client.head !== "" && !isUpgraded() && !/^Connection: close/im.test(client.head);
  await client.until(({ frames, fate }) => fate !== "open" || frames.some(isLast) || isAnswered());
  const isEnded = client.fate !== "open";
  if (endsWithFin) client.socket.end();
  else client.reset();
  if (isUpgraded()) {
    const hasClosed = (): boolean => calls.some((call) => (call as unknown[])[0] === "close");
    await client.until(hasClosed);
  }
  const frames = client.frames.filter((one) => !isLast(one));
  return {
    calls: calls.filter((call) => String(call) !== "ping,last"),
    status: /^HTTP\/1.1 (\d+)/.exec(client.head)?.[1],
    frames: frames.map(({ opcode, rsv, payload }) => `${opcode} ${rsv} ${payload.toString("hex")}`),
    isEnded,
  };
}

interface Probe {
  request?: string;
  sent?: Uint8Array[];
  message?: typeof onMessage;
  fetch?: NonNullable<typeof onFetch>;
  isOnePacket?: boolean;
  endsWithFin?: boolean;
}

async function compare({
  request = upgradeRequest(),
  sent = [],
  message,
  fetch,
  ...options
}: Probe): Promise<Observed> {
  onMessage = message ?? (() => {});
  onFetch = fetch;
  const theirs = await observe("Bun.serve", request, sent, options);
  const ours = await observe("EpollServer", request, sent, options);
  expect(ours).toEqual(theirs);
  expect(ours.calls.length).toBeGreaterThan(0);
  return ours;
}

const deflated = upgradeRequest({ "Sec-WebSocket-Extensions": "permessage-deflate" });
const compressed = (data: string | Buffer): Buffer =>
  deflateRawSync(data, { finishFlush: 2 /* Z_SYNC_FLUSH */ }).subarray(0, -4);

const requests: Record<string, string> = {
  "a valid request": upgradeRequest(),
  "subprotocols: the first one is selected": upgradeRequest({ "Sec-WebSocket-Protocol": "one, two" }),
  "permessage-deflate": deflated,
  "an unknown extension": upgradeRequest({ "Sec-WebSocket-Extensions": "unknown, permessage-deflate" }),
  "no version": upgradeRequest({ "Sec-WebSocket-Version": undefined }),
  "another version": upgradeRequest({ "Sec-WebSocket-Version": "8" }),
  "no key": upgradeRequest({ "Sec-WebSocket-Key": undefined }),
  "a short key": upgradeRequest({ "Sec-WebSocket-Key": "abc" }),
  "a key that is not Base64": upgradeRequest({ "Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!!!" }),
  "no Upgrade": upgradeRequest({ Upgrade: undefined }),
  "another protocol": upgradeRequest({ Upgrade: "h2c" }),
  "several connection options": upgradeRequest({ Connection: "keep-alive, Upgrade" }),
  POST: upgradeRequest({ "Content-Length": "0" }, "POST / HTTP/1.1"),
};
describe("requests", () => {
  for (const [name, request] of Object.entries(requests)) test(name, () => compare({ request }));
});

const input: Record<string, Uint8Array[]> = {
  "a text": [frame(1, "h\u00e9llo")],
  "empty messages": [frame(1), frame(2)],
  "binary data": [frame(2, Buffer.from([1, 2, 255]))],
  "pings and pongs": [frame(9, "abc"), frame(9), frame(10, "z")],
  "fragments, with a ping in between": [
    frame(1, "a", { fin: false }),
    frame(0, "b", { fin: false }),
    frame(9, "p"),
    frame(0, "c"),
  ],
  "a code point in two fragments": [frame(1, Buffer.from([0xc3]), { fin: false }), frame(0, Buffer.from([0xa9]))],
  "a length that is longer than necessary": [Buffer.from([0x81, 0xfe, 0, 1, 0, 0, 0, 0, 0x61])],
  "a frame without a mask": [frame(1, "abc", { isMasked: false })],
  "Close with a reason": [frame(8, closePayload(1000, "bye"))],
  "Close without a code": [frame(8)],
  "Close with one byte": [frame(8, Buffer.from([3]))],
  "Close with a code that is never sent": [frame(8, closePayload(1005))],
  "Close with a reason that is not UTF-8": [frame(8, closePayload(1000, Buffer.from([0xff])))],
  "messages after Close": [Buffer.concat([frame(1, "a"), frame(8, closePayload(1000)), frame(1, "late")])],
  "a text that is not UTF-8": [frame(1, Buffer.from([0xff, 0xfe]))],
  "a message that is too large": [frame(2, Buffer.alloc(1001))],
  "fragments that are too large together": [frame(1, "a".repeat(600), { fin: false }), frame(0, "a".repeat(600))],
  "a length of 2^64 - 1": [Buffer.from([0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4])],
  "a reserved opcode": [frame(3, "x")],
  "a reserved control opcode": [frame(11, "x")],
  RSV1: [frame(1, "x", { rsv: 4 })],
  RSV2: [frame(1, "x", { rsv: 2 })],
  RSV3: [frame(9, "x", { rsv: 1 })],
  "a continuation of nothing": [frame(0, "x")],
  "a message within a message": [frame(1, "a", { fin: false }), frame(1, "b")],
  "a fragmented ping": [frame(9, "x", { fin: false })],
  "a ping that is too long": [frame(9, Buffer.alloc(126))],
};
describe("input", () => {
  for (const [name, sent] of Object.entries(input)) test(name, () => compare({ sent }));
});

const compressedInput: Record<string, Uint8Array[]> = {
  "a compressed text": [frame(1, compressed("hello"), { rsv: 4 })],
  "a compressed text in fragments": [
    frame(1, compressed("hello").subarray(0, 2), { rsv: 4, fin: false }),
    frame(0, compressed("hello").subarray(2)),
  ],
  "an uncompressed text": [frame(1, "hello")],
  "RSV1 in a continuation": [frame(1, "a", { fin: false }), frame(0, "b", { rsv: 4 })],
  "RSV1 in a ping": [frame(9, "x", { rsv: 4 })],
  "invalid data": [frame(1, Buffer.from("ffffffff", "hex"), { rsv: 4 })],
  "a small message that becomes too large": [frame(2, compressed(Buffer.alloc(5000)), { rsv: 4 })],
  "a compressed text that is not UTF-8": [frame(1, compressed(Buffer.from([0xff])), { rsv: 4 })],
};
describe("compressed input", () => {
  for (const [name, sent] of Object.entries(compressedInput)) test(name, () => compare({ request: deflated, sent }));
});

const note = (...values: unknown[]): void => void calls.push(values);
const closing =
  (...args: unknown[]): typeof onMessage =>
  (ws) =>
    void ws.close(...(args as [number, string]));
const attempt = (call: () => unknown): unknown => {
  try {
    return call();
  } catch {
    return "threw";
  }
};

const behavior: Record<string, typeof onMessage> = {
  "what send returns": (ws) => {
    note(ws.send("abc"), ws.send(""), ws.send(new Uint8Array(3)), ws.sendText("\u00e9"));
    note(ws.sendBinary(new Uint8Array(2)), ws.ping("p"), ws.ping(), ws.pong("q"));
    note(ws.send("\u00e9".repeat(100)), ws.send("x".repeat(200), true), ws.getBufferedAmount());
  },
  "data that send takes": (ws) => {
    const u16 = new Uint16Array([1, 2]);
    const shared = new SharedArrayBuffer(2);
    for (const data of [new Blob(["blob"]), shared, new DataView(u16.buffer, 1), u16, u16.buffer, 5, true, [1], {}]) {
      note(
        attempt(() => ws.send(data as never)),
        attempt(() => ws.sendBinary(data as never)),
      );
    }
    for (const data of [undefined, null, 5, {}, Symbol("s")]) {
      note(
        attempt(() => ws.sendText(data as never)),
        attempt(() => ws.sendBinary(data as never)),
      );
    }
    note(
      attempt(() => ws.send(undefined as never)),
      attempt(() => ws.publish("t", null as never)),
    );
    note(
      attempt(() => ws.ping(5 as never)),
      attempt(() => ws.ping(null as never)),
    );
  },
  "what is sent may change afterwards": (ws) => {
    const bytes = new Uint8Array([1, 2, 3]);
    ws.send(bytes);
    bytes.fill(0);
  },
  "close without arguments": closing(),
  "close with a code and a reason": closing(4000, "reason"),
  "close with a reason only": closing(undefined, "why"),
  "close with 0": closing(0),
  "close with 1005": closing(1005),
  "close with 1006": closing(1006),
  "close with a code that is not valid": closing(999),
  "close with a fraction": closing(1000.5),
  "close with NaN": closing(Number.NaN),
  "close with a long reason": closing(1000, "\u00e9".repeat(100)),
  "after close, nothing is sent": (ws) => {
    ws.subscribe("t");
    note(ws.close(4000), ws.readyState, ws.send("x"), ws.ping(), ws.publish("t", "x"), ws.subscribe("t"));
    note(ws.isSubscribed("t"), ws.unsubscribe("t"), ws.subscriptions, ws.isPaused, ws.close());
  },
  "terminate sends what is queued": (ws) => {
    ws.send("last words");
    note(ws.terminate(), ws.readyState, ws.send("x"));
  },
  "an error in a handler": () => {
    throw new Error("from message");
  },
  topics(ws, _, server) {
    note(ws.subscribe("t"), ws.subscribe("t"), ws.isSubscribed("t"), ws.isSubscribed("u"), ws.subscriptions);
    note(
      ws.publish("t", "to the others"),
      server.publish("t", "to all", false),
      server.publish("u", "without subscribers"),
    );
    note(server.subscriberCount("t"), server.subscriberCount("u"), ws.unsubscribe("t"), ws.unsubscribe("t"));
    note(
      attempt(() => ws.subscribe("")),
      attempt(() => ws.subscribe(5 as never)),
    );
  },
  "cork returns what its callback returns": (ws) => {
    note(ws.cork((same) => same.send("a")));
    note(
      attempt(() =>
        ws.cork(() => {
          throw new Error("in cork");
        }),
      ),
    );
    note(attempt(() => ws.cork(5 as never)));
  },
  "an unknown binaryType": (ws) =>
    void note(
      attempt(() => (ws.binaryType = "text" as never)),
      ws.binaryType,
    ),
};
describe("behavior", () => {
  for (const [name, message] of Object.entries(behavior)) {
    test(name, () => compare({ message, sent: [frame(1, "x")] }));
  }

  test("compression of messages, however short", async () => {
    const message: typeof onMessage = (ws) => {
      note(ws.send("x", true), ws.send("x".repeat(100), true), ws.send(new Uint8Array(100), true), ws.send("", true));
      note(ws.send("x"));
    };
    const { frames } = await compare({ request: deflated, message, sent: [frame(1, "x")] });
    expect(frames.map((one) => one.slice(0, 3))).toEqual(["1 4", "1 4", "2 4", "1 0", "1 0"]);
  });

  for (const type of ["arraybuffer", "uint8array", "blob", "nodebuffer"] as const) {
    test(`binaryType ${type}`, async () => {
      const message: typeof onMessage = async (ws, data) => {
        ws.binaryType = type;
        if (typeof data !== "string") note(data.constructor.name, await new Response(data as never).text());
      };
      await compare({ message, sent: [frame(1, "set"), frame(2, "ab"), frame(2)] });
    });
  }
});

describe("the upgrade", () => {
  const probes: Record<string, NonNullable<typeof onFetch>> = {
    "a handler that throws afterwards": (request, server) => {
      note(server.upgrade(request));
      throw new Error("after the upgrade");
    },
    "a second upgrade": (request, server) => void note(server.upgrade(request), server.upgrade(request)),
    "a handler that returns a Response": (request, server) => {
      note(server.upgrade(request));
      return new Response("ignored");
    },
    "an async handler": async (request, server) => {
      await Bun.sleep(1);
      note(server.upgrade(request, { data: { late: true } }));
    },
    "not a request": (_, server) => {
      note(
        attempt(() => server.upgrade(5 as never)),
        server.upgrade(new Request("http://a/")),
      );
      return new Response("no");
    },
  };
  for (const [name, fetch] of Object.entries(probes)) {
    test(name, () => compare({ fetch, sent: [frame(1, "x")] }));
  }

  test("header fields", async () => {
    const headers = { "X-A": "b", "Set-Cookie": "a=b", "Sec-WebSocket-Protocol": "two" };
    onFetch = (request, server) => void server.upgrade(request, { headers });
    const heads: string[][] = [];
    for (const kind of ["Bun.serve", "EpollServer"]) {
      using client = await RawWebSocket.connect((servers[kind] as AnyServer).port);
      client.send(upgradeRequest({ "Sec-WebSocket-Protocol": "one, two" }));
      await client.until(({ head }) => head !== "");
      const lines = client.head.split("\r\n").filter((line) => !line.startsWith("Date: "));
      heads.push(lines.map((line) => line.replace(/^[\w-]+:/, (name) => name.toLowerCase())).toSorted());
    }
    expect(heads[1]).toEqual(heads[0] as string[]);
  });

  test("a message that arrives during pause is delivered after resume", async () => {
    const observed: unknown[] = [];
    onFetch = undefined;
    for (const [kind, { port }] of Object.entries(servers)) {
      await forgetCalls();
      let socket: AnySocket | undefined;
      onMessage = (ws, message) => {
        if (message === "later") return;
        socket = ws;
        ws.pause();
        note(ws.isPaused);
      };
      using client = await RawWebSocket.open(port);
      client.frame(1, "pause");
      await client.until(() => socket !== undefined);
      client.frame(1, "later");
      await Bun.sleep(5); // for the message to arrive, if it were received
      note("resume");
      socket?.resume();
      await client.until(() => String(calls.at(-1)) === "message,later");
      observed.push([...calls]); // a copy, which does not get the close of this client
      expect({ kind, isPaused: socket?.isPaused }).toEqual({ kind, isPaused: false });
    }
    expect(observed[1]).toEqual(observed[0]);
  });

  test("frames in the same packet as the request", () => compare({ isOnePacket: true, sent: [frame(1, "hi")] }));

  test("a client that closes its side", () => compare({ endsWithFin: true, sent: [frame(1, "x")] }));
});
