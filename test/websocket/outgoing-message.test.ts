// The frames of outgoing messages: the same bytes as those of the package ws.

import { Buffer } from "node:buffer";
import { expect, setDefaultTimeout, test } from "bun:test";
import { serializeFrame, toMessage } from "../../src/protocols/websocket/outgoing-message.ts";

setDefaultTimeout(60_000);

interface WsSender {
  frame(data: Uint8Array, options: object): Uint8Array[];
}

// By path, because Bun replaces the package by a part of its own.
const { frame } = require("../../node_modules/ws/lib/sender.js") as WsSender;

function expected(data: Uint8Array, opcode: number, rsv1 = false): Buffer {
  return Buffer.concat(frame(data, { fin: true, opcode, rsv1, mask: false, readOnly: true }));
}

test("texts, whose size is that of their UTF-8", () => {
  const texts = [
    "",
    "a",
    "ä€😀",
    "x".repeat(125),
    "x".repeat(126),
    "é".repeat(63),
    "x".repeat(65_535),
    "€".repeat(21_846),
  ];
  const broken = ["\ud800", "a\udc00b", "😀".slice(0, 1) + "😀", "\0"];
  for (const text of [...texts, ...broken]) {
    const message = toMessage(text);
    const bytes = Buffer.from(text);
    expect(message.size).toBe(bytes.length);
    expect(message.frameFor(undefined).equals(expected(bytes, 1))).toBe(true);
  }
});

test("binary data, control frames and compressed frames of every size of head", () => {
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 100_000]) {
    const bytes = Buffer.alloc(size, "abc");
    expect(toMessage(bytes).frameFor(undefined).equals(expected(bytes, 2))).toBe(true);
    expect(serializeFrame(2, bytes, true).equals(expected(bytes, 2, true))).toBe(true);
    if (size <= 125) expect(serializeFrame(9, bytes, false).equals(expected(bytes, 9))).toBe(true);
  }
});
