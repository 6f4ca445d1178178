// Long heads: what they cost in memory and parsing, and that later requests are not affected.

import { afterEach, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { FastPath } from "../../src/protocols/http/fast-path.ts";
import { InputBuffer } from "../../src/protocols/http/input-buffer.ts";
import { parserMemoryBytes } from "../../src/protocols/http/llhttp.ts";
import { complete, GET, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const MiB = 1_048_576;
let restore: (() => void) | undefined;
afterEach(() => restore?.());

/** Counts the calls of readHead. */
function countParses(): () => number {
  const spy = spyOn(FastPath.prototype, "readHead");
  restore = () => spy.mockRestore();
  return () => spy.mock.calls.length;
}

test("a head of 1 MiB takes a few MiB of parser memory, and later requests succeed", () => {
  using harness = new ServerHarness({ maxHeaderBytes: 2 * MiB, maxHeaderCount: 1000 });
  const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n");
  harness.settle();
  const line = `X: ${"x".repeat(2043)}\r\n`;
  for (let i = 0; i < MiB / line.length; i++) {
    client.send(line);
    harness.server.tick(-1);
  }
  client.send("\r\n");
  harness.receive(client, complete);
  expect(parserMemoryBytes()).toBeLessThan(8 * MiB);
  harness.receive(harness.client(GET), complete);
});

test("a head that arrives byte by byte is parsed at its line ends and when it has doubled", () => {
  using harness = new ServerHarness();
  const parses = countParses();
  const lines = Array.from({ length: 8 }, (_, i) => `X${i}: ${"x".repeat(1500)}\r\n`);
  const head = `GET / HTTP/1.1\r\nHost: a\r\n${lines.join("")}\r\n`;
  const client = harness.client();
  for (const byte of head) {
    client.send(byte);
    harness.server.tick(-1);
  }
  harness.receive(client, complete);
  // Each of the first 4,096 bytes, and then the line ends.
  expect(parses()).toBeLessThan(4096 + 20);
});

test("a long line that arrives byte by byte is parsed only when it has doubled", () => {
  const input = new InputBuffer();
  let parses = 0;
  const byte = Buffer.from("x");
  for (let i = 0; i < 65_536; i++) {
    input.append(byte, 0, 1);
    if (i < 4096 || !input.shouldParse(byte, 0, 1)) continue;
    parses++;
    input.consume(0);
  }
  expect(parses).toBeLessThanOrEqual(5);
  input.append(Buffer.from("\r\n"), 0, 2);
  expect(input.shouldParse(Buffer.from("\r\n"), 0, 2)).toBe(true);
});
