// WebSocket frames in traces: as events, as text, and in saved traces.

import { expect, setDefaultTimeout, test } from "bun:test";
import { deflateRawSync } from "node:zlib";
import { formatEvent, type FrameEvent, parseTrace, type ServerWebSocket, type TraceEvent } from "../../src/index.ts";
import { frame, upgradeRequest } from "../support/raw-websocket.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

function traced(input: Uint8Array[], headers: Record<string, string> = {}): TraceEvent[] {
  const events: TraceEvent[] = [];
  using harness = new ServerHarness({
    fetch: (request, server) => void server.upgrade(request),
    websocket: {
      perMessageDeflate: true,
      message: (ws: ServerWebSocket, message: string) => void ws.send(message, true),
    },
    trace: (event) => void events.push(event),
  });
  const client = harness.client(upgradeRequest(headers));
  harness.receive(client, /\r\n\r\n$/);
  for (const bytes of input) {
    client.send(bytes);
    harness.settle();
  }
  return events;
}

const isFrame = (event: TraceEvent): event is TraceEvent & FrameEvent => event.type === "frame";

test("each frame is an event: direction, opcode, fin, length, compressed", () => {
  const events = traced([
    frame(1, "hello"),
    Buffer.concat([frame(1, "fr", { fin: false }), frame(9, "p"), frame(0, "agments")]),
    frame(2, new Uint8Array(70_000)),
    frame(8),
  ]);
  const frames = events.filter(isFrame);
  expect(
    frames.map(({ direction, opcode, fin, length, compressed }) => [direction, opcode, fin, length, compressed]),
  ).toEqual([
    ["in", 1, true, 5, false],
    ["out", 1, true, 5, false],
    ["in", 1, false, 2, false],
    ["in", 9, true, 1, false],
    ["out", 10, true, 1, false],
    ["in", 0, true, 7, false],
    ["out", 1, true, 9, false],
    ["in", 2, true, 70_000, false],
    ["out", 2, true, 70_000, false],
    ["in", 8, true, 0, false],
    ["out", 8, true, 0, false],
  ]);
  const accepted = events.find(({ type }) => type === "accept");
  expect(new Set(frames.map(({ fd }) => fd))).toEqual(new Set([(accepted as { result: number }).result]));
  const states = events.flatMap((event) => (event.type === "state" ? [event.to] : []));
  expect(states).toContain("open");
});

test("a compressed frame has its length as transmitted", () => {
  const compressed = deflateRawSync("x".repeat(1000), { finishFlush: 2 }).subarray(0, -4);
  const events = traced([frame(1, compressed, { rsv: 4 })], { "Sec-WebSocket-Extensions": "permessage-deflate" });
  const [received, sent] = events.filter(isFrame);
  expect(received).toMatchObject({ direction: "in", length: compressed.length, compressed: true });
  expect(sent).toMatchObject({ direction: "out", compressed: true });
  expect(sent?.length).toBeLessThan(30);
});

test("frames as text, and from a saved trace", () => {
  const events = traced([frame(1, "x"), frame(1, "ab", { fin: false })]);
  const saved = parseTrace(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  const lines = saved.filter(isFrame).map((event) => formatEvent(event)?.replace(/^ +\d+: /, ""));
  expect(lines).toEqual([
    "received text frame, 1 byte",
    "sent text frame, 1 byte",
    "received text frame, 2 bytes, more follows",
    "sent close frame, 2 bytes", // the server stops
  ]);
  const unknown = { ...(saved.find(isFrame) as TraceEvent & FrameEvent), opcode: 3, compressed: true };
  expect(formatEvent(unknown)).toEndWith("received opcode 3 frame, 1 byte, compressed");
});
