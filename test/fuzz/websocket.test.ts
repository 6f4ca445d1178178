// Random WebSocket frames, cut at random positions: the server delivers what the receiver of the ws package delivers.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { loadWs } from "../../src/protocols/websocket/ws-library.ts";
import { leavesNoFd } from "../support/fds.ts";
import { fuzz, isFuzzRun } from "../support/fuzzing.ts";
import { frame, upgradeRequest } from "../support/raw-websocket.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);
if (isFuzzRun) setDefaultTimeout(10_000_000);

const MAX_PAYLOAD = 1_000;

const payload = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: "binary", maxLength: 8 }).map((text) => Buffer.from(text)) },
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 2, arbitrary: fc.constantFrom(125, 126, 127, 300, 999, 1000, 1001).map((size) => Buffer.alloc(size, "x")) },
  { weight: 1, arbitrary: fc.constantFrom("e2", "82", "ac", "f09f", "ed a0 80", "c0 80").map((hex) => Buffer.from(hex.replaceAll(" ", ""), "hex")) }, // prettier-ignore
  { weight: 1, arbitrary: fc.constantFrom(1000, 999, 1004, 1005, 1006, 1015, 3000, 4999, 5000).map((code) => Buffer.from([code >> 8, code & 255])) }, // prettier-ignore
);
const opcode = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(0, 1, 1, 2, 9, 10) },
  { weight: 1, arbitrary: fc.constantFrom(8, 3, 7, 11, 15) },
);
const oneFrame = fc
  .record({
    opcode,
    payload,
    fin: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 2, arbitrary: fc.constant(false) }),
    rsv: fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 7 }) }),
    isMasked: fc.oneof({ weight: 40, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  })
  .map(({ opcode, payload, ...options }) => frame(opcode, payload, options));
/** Lengths that are not written in the shortest form, or that no memory can hold. */
const oddLength = fc.constantFrom("81fe0001", "81fe007d", "81ff0000000000000001", "81ff7fffffffffffffff", "81ffffffffffffffffff", "81ff0020000000000000").map((hex) => Buffer.from(`${hex}11223344`, "hex")); // prettier-ignore
const damaged = fc
  .tuple(oneFrame, fc.nat(10), fc.nat(255))
  .map(([bytes, at, value]) => Buffer.from(bytes.map((byte, i) => (i === at ? value : byte))));
const stream = fc
  .array(
    fc.oneof(
      { weight: 30, arbitrary: oneFrame },
      { weight: 1, arbitrary: oddLength },
      { weight: 2, arbitrary: damaged },
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((frames) => Buffer.concat(frames));

/** What the receiver of ws reports: messages, pings, pongs, and how the connection ends. */
function expectedOf(bytes: Buffer): string[] {
  const { Receiver, kStatusCode } = loadWs();
  const events: string[] = [];
  let isDone = false;
  class Recorder extends (Receiver as unknown as new (options: object) => import("node:stream").Writable) {}
  const receiver = new Recorder({ isServer: true, maxPayload: MAX_PAYLOAD, allowSynchronousEvents: true });
  receiver.on("message", (data: Buffer, isBinary: boolean) => {
    events.push(`${isBinary ? "binary" : "text"} ${data.toString("hex")}`);
  });
  receiver.on("ping", (data: Buffer) => events.push(`ping ${data.toString("hex")}`));
  receiver.on("pong", (data: Buffer) => events.push(`pong ${data.toString("hex")}`));
  receiver.on("conclude", (code: number, reason: Buffer) => {
    isDone = true;
    events.push(`close ${code} ${reason.toString("hex")}`);
  });
  receiver.on("error", () => {});
  (receiver as unknown as { _write(chunk: Buffer, encoding: string, done: (error?: Error) => void): void })._write(
    bytes,
    "",
    (error) => {
      if (error === undefined || error === null || isDone) return;
      events.push(`invalid ${(error as unknown as Record<symbol, number>)[kStatusCode]}`);
    },
  );
  return events;
}

/** Sends the bytes to a server in pieces, and returns what its handlers are called with. */
function receivedOf(bytes: Buffer, cuts: readonly number[]): string[] {
  const events: string[] = [];
  let code = 0;
  using harness = new ServerHarness({
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("no")),
    websocket: {
      maxPayloadLength: MAX_PAYLOAD,
      message(_, message) {
        const isText = typeof message === "string";
        events.push(`${isText ? "text" : "binary"} ${Buffer.from(message as string).toString("hex")}`);
      },
      ping: (_, data) => void events.push(`ping ${Buffer.from(data).toString("hex")}`),
      pong: (_, data) => void events.push(`pong ${Buffer.from(data).toString("hex")}`),
      close(_, reported, reason) {
        code = reported;
        if (reported !== 1006) events.push(`close ${reported} ${Buffer.from(reason).toString("hex")}`);
      },
    },
  });
  const client = harness.client(upgradeRequest());
  harness.receive(client, /^HTTP\/1.1 101 [^]*\r\n\r\n$/);
  let start = 0;
  for (const end of [...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b), bytes.length]) {
    if (end <= start) continue;
    try {
      for (let at = start; at < end;) at += Math.max(0, client.send(bytes.subarray(at, end)));
    } catch {
      break; // the server has closed the connection
    }
    start = end;
    harness.settle();
  }
  const frames = Buffer.from(client.recv(1_000_000) ?? []);
  const invalid = code === 1006 ? closeCodeOf(frames) : undefined;
  return invalid === undefined ? [...events] : [...events, `invalid ${invalid}`]; // a copy: stopping closes the WebSocket
}

/** Returns the code of the Close frame in what the server has sent: pongs, then perhaps a Close frame. */
function closeCodeOf(bytes: Buffer): number | undefined {
  for (let at = 0; at + 2 <= bytes.length; at += 2 + (bytes[at + 1] as number)) {
    if (bytes[at] === 0x88) return bytes.readUInt16BE(at + 2);
  }
  return undefined;
}

test("messages, pings, pongs and the end are those of the ws package, however the bytes are cut", () =>
  leavesNoFd(() =>
    fuzz(
      "websocket",
      fc.property(stream, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }), (bytes, cuts) => {
        expect(receivedOf(bytes, cuts)).toEqual(expectedOf(bytes));
      }),
      300,
    ),
  ));
