// permessage-deflate: what is negotiated, contexts that are shared or dedicated, limits, and clients that compress.

import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { constants, createDeflateRaw, createInflateRaw, deflateRawSync } from "node:zlib";
import { EpollServer, type WebSocketHandlers } from "../../src/index.ts";
import { Deflate } from "../../src/protocols/websocket/deflate.ts";
import { resolveDeflate } from "../../src/protocols/websocket/deflate-settings.ts";
import { closePayload, RawWebSocket } from "../support/raw-websocket.ts";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

const hasNode = Bun.which("node") !== null;
const OFFER = "permessage-deflate; client_max_window_bits";
const FLUSH = { finishFlush: constants.Z_SYNC_FLUSH };
const message = "a message that repeats itself, a message that repeats itself, a message that repeats itself";

async function started(
  perMessageDeflate: NonNullable<WebSocketHandlers["perMessageDeflate"]>,
  more: WebSocketHandlers = {},
): Promise<EpollServer> {
  const server = new EpollServer({
    hostname: "127.0.0.1",
    fetch: (request, handle) => void handle.upgrade(request),
    websocket: { perMessageDeflate, message: (ws, data) => void ws.send(data, true), ...more },
  });
  await server.start();
  return server;
}

const accepted = (offer: string | null, setting: unknown = true): string | undefined =>
  Deflate.negotiate(resolveDeflate(setting), offer)?.extension;

test("what is accepted of an offer", () => {
  const shared = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  expect(accepted(OFFER)).toBe(shared);
  expect(accepted("unknown, permessage-deflate; server_max_window_bits=8")).toContain("server_max_window_bits=8");
  expect(accepted(OFFER, { compress: "dedicated", decompress: "dedicated" })).toBe("permessage-deflate");
  expect(accepted(OFFER, { compress: "dedicated", decompress: "8KB" })).toBe(
    "permessage-deflate; client_max_window_bits=13",
  );
  expect(accepted("permessage-deflate", { decompress: "8KB" })).toBe("permessage-deflate; server_no_context_takeover");
  expect(accepted(OFFER, { compress: "disable", decompress: "shared" })).toBe(shared);
  const declined: [offer: string | null, setting?: unknown][] = [
    [null],
    [OFFER, false],
    [OFFER, { compress: "disable" }],
    [OFFER, {}],
    ["unknown"],
    ["permessage-deflate; unknown"],
    ["permessage-deflate; server_max_window_bits=16"],
    ["permessage-deflate; server_max_window_bits"],
    ["permessage-deflate; ="],
  ];
  for (const [offer, setting = true] of declined) expect(accepted(offer, setting)).toBeUndefined();
});

for (const size of ["dedicated", "3KB", "4KB", "8KB", "16KB", "32KB", "64KB", "128KB", "256KB"] as const) {
  test(`contexts of their own (${size}): later messages refer to earlier ones, in both directions`, async () => {
    await using server = await started({ compress: size, decompress: size });
    using client = await RawWebSocket.open(server.port as number, { "Sec-WebSocket-Extensions": OFFER });
    const [, bits = "15"] = /client_max_window_bits=(\d+)/.exec(client.head) ?? [];
    const deflate = createDeflateRaw({ windowBits: Number(bits) });
    const inflate = createInflateRaw();
    const chunks: Buffer[] = [];
    deflate.on("data", (chunk: Buffer) => chunks.push(chunk));
    let text = "";
    inflate.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const sizes: number[] = [];
    for (let i = 0; i < 3; i++) {
      chunks.length = 0;
      deflate.write(message);
      await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
      client.frame(1, Buffer.concat(chunks).subarray(0, -4), { rsv: 4 });
      await client.until(({ frames }) => frames.length > i);
      const { payload, rsv } = client.frames[i] as RawWebSocket["frames"][0];
      expect(rsv).toBe(4);
      sizes.push(payload.length);
      inflate.write(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]));
    }
    client.frame(8, closePayload(1000));
    await client.until(({ closeFrame }) => closeFrame === "1000");
    await new Promise<void>((resolve) => inflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
    expect(text).toBe(message.repeat(3));
    expect(sizes[1]).toBeLessThan((sizes[0] as number) / 2);
  });
}

test("connections with shared contexts do not see each other's data", async () => {
  await using server = await started(true);
  const clients = await Promise.all(
    Array.from({ length: 5 }, () => RawWebSocket.open(server.port as number, { "Sec-WebSocket-Extensions": OFFER })),
  );
  const compressed = deflateRawSync(message, FLUSH).subarray(0, -4);
  for (let round = 1; round <= 3; round++) {
    for (const client of clients) client.frame(1, compressed, { rsv: 4 });
    for (const client of clients) await client.until(({ frames }) => frames.length === round);
  }
  const payloads = clients.flatMap(({ frames }) => frames.map(({ payload }) => payload.toString("hex")));
  expect(new Set(payloads).size).toBe(1);
  for (const client of clients) client[Symbol.dispose]();
});

test("a small message that inflates beyond maxPayloadLength is rejected without being inflated completely", async () => {
  await using server = await started(true, { maxPayloadLength: 100_000 });
  using client = await RawWebSocket.open(server.port as number, { "Sec-WebSocket-Extensions": OFFER });
  client.frame(2, deflateRawSync(Buffer.alloc(50_000_000), FLUSH).subarray(0, -4), { rsv: 4 });
  await client.until(({ closeFrame }) => closeFrame !== undefined);
  expect(client.closeFrame).toBe("1009 Received too big message");
  using other = await RawWebSocket.open(server.port as number, { "Sec-WebSocket-Extensions": OFFER });
  other.frame(1, deflateRawSync(message, FLUSH).subarray(0, -4), { rsv: 4 });
  await other.until(({ frames }) => frames.length === 1); // the shared context works again
});

test("publish compresses a message once for all, and not for clients without compression", async () => {
  await using server = await started(true, { open: (ws) => void ws.subscribe("all") });
  const port = server.port as number;
  using plain = await RawWebSocket.open(port);
  using compressing = await RawWebSocket.open(port, { "Sec-WebSocket-Extensions": OFFER });
  using small = await RawWebSocket.open(port, { "Sec-WebSocket-Extensions": `${OFFER}; server_max_window_bits=9` });
  expect(server.publish("all", message)).toBe(message.length);
  expect(server.publish("all", message, false)).toBe(message.length);
  for (const client of [plain, compressing, small]) await client.until(({ frames }) => frames.length === 2);
  expect([plain, compressing, small].map(({ frames }) => frames.map(({ rsv }) => rsv))).toEqual([
    [0, 0],
    [4, 0],
    [4, 0],
  ]);
});

test("the real WebSocket client of Bun, compressing", async () => {
  await using server = await started(true);
  const client = new WebSocket(`ws://127.0.0.1:${server.port}`);
  const received: string[] = [];
  client.addEventListener("message", ({ data }) => received.push(data as string));
  await new Promise((resolve) => client.addEventListener("open", resolve));
  expect(client.extensions).toContain("permessage-deflate");
  const texts = Array.from({ length: 20 }, (_, i) => `${message} ${"x".repeat(i * 1000)}`);
  const done = new Promise((resolve) =>
    client.addEventListener("message", () => received.length === texts.length && resolve(undefined)),
  );
  for (const text of texts) client.send(text);
  await done;
  expect(received).toEqual(texts);
  client.close();
});

for (const setting of ["shared", "dedicated"] as const) {
  test.skipIf(!hasNode)(`the client of the package ws, under Node: ${setting}`, async () => {
    await using server = await started({ compress: setting, decompress: setting });
    const program = `
      const WebSocket = require(${JSON.stringify(join(root, "node_modules", "ws"))});
      const ws = new WebSocket("ws://127.0.0.1:${server.port}", { perMessageDeflate: { threshold: 0 } });
      const texts = Array.from({ length: 20 }, (_, i) => ${JSON.stringify(message)} + "x".repeat(i * 1000));
      const received = [];
      ws.on("open", () => texts.forEach((text) => ws.send(text)));
      ws.on("message", (data) => {
        received.push(String(data));
        if (received.length === texts.length) ws.close(1000, String(received.every((text, i) => text === texts[i])));
      });
      ws.on("close", (code, reason) => console.log(ws.extensions.slice(0, 18), code, String(reason)));`;
    const node = Bun.spawn(["node", "-e", program], { stdout: "pipe", stderr: "inherit" });
    expect(await new Response(node.stdout).text()).toBe("permessage-deflate 1000 true\n");
  });
}
