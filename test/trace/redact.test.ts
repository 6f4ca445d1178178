// Redaction of credentials in start lines and data.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { TraceEvent } from "../../src/index.ts";
import { redactLine, Redactor } from "../../src/trace/redact.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const START_LINE = "GET /path?access_token=SECRET1&page=2&api%5Fkey=SECRET,2 HTTP/1.1";
const HEAD = [
  START_LINE,
  "Host: a",
  "authorization: Bearer SECRET4",
  "Proxy-Authorization:Basic SECRET5==",
  "COOKIE: theme=dark; session=SECRET6",
  "X-Api-Key: \tSECRET7",
  "Referer: http://a/?page=1&password=SECRET0",
  "Accept: text/html;q=0.9",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==",
];
const STREAM = [
  ...HEAD,
  "Set-Cookie: id=SECRET8; Path=/",
  " folded-SECRET9",
  "Location: /#sig=SECRET3",
  "",
  "user=me&password=SECRET1&next=%2F",
].join("\r\n");

const REDACTED = [
  "GET /path?access_token=<redacted 7 bytes>&page=2&api%5Fkey=<redacted 8 bytes> HTTP/1.1",
  "Host: a",
  "authorization: <redacted 14 bytes>",
  "Proxy-Authorization:<redacted 15 bytes>",
  "COOKIE: <redacted 27 bytes>",
  "X-Api-Key: \t<redacted 7 bytes>",
  "Referer: http://a/?page=1&password=<redacted 7 bytes>",
  "Accept: text/html;q=0.9",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==",
  "Set-Cookie: <redacted 18 bytes>",
  " <redacted 14 bytes>",
  "Location: /#sig=<redacted 7 bytes>",
  "",
  "user=me&password=<redacted 7 bytes>&next=%2F",
].join("\r\n");

/** A value that is divided between pieces is redacted in parts: adds up their lengths. */
function joinParts(text: string): string {
  return text.replace(/(?:<redacted \d+ bytes>)+/g, (parts) => {
    const lengths = [...parts.matchAll(/\d+/g)].map(([digits]) => Number(digits));
    return `<redacted ${lengths.reduce((sum, length) => sum + length, 0)} bytes>`;
  });
}

test("redacts the values of credentials, and nothing else", () => {
  expect(new Redactor().redact(STREAM)).toBe(REDACTED);
  const harmless = "GET /?q=a=b&monkey=1&keyboard=2 HTTP/1.1\r\nX-Trace: 1\r\nContent-Length: 3\r\n\r\na:b";
  expect(new Redactor().redact(harmless)).toBe(harmless);
  const binary = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
  expect(new Redactor().redact(binary)).toBe(binary);
});

test("redacts them wherever the data is divided", () => {
  for (let first = 0; first < STREAM.length; first++) {
    for (const second of [first, first + 1, first + 7]) {
      const redactor = new Redactor();
      const pieces = [STREAM.slice(0, first), STREAM.slice(first, second), STREAM.slice(second)];
      expect(joinParts(pieces.map((piece) => redactor.redact(piece)).join(""))).toBe(REDACTED);
    }
  }
  const redactor = new Redactor();
  expect(joinParts([...STREAM].map((byte) => redactor.redact(byte)).join(""))).toBe(REDACTED);
});

test("redacts a value that contains a carriage return, and the header after a line feed alone", () => {
  const text = "Cookie: SECRET\rSECRET\nCookie: SECRET\n\nok";
  expect(new Redactor().redact(text)).toBe(
    "Cookie: <redacted 6 bytes>\r<redacted 6 bytes>\nCookie: <redacted 6 bytes>\n\nok",
  );
});

test("redacts a start line", () => {
  expect(redactLine("GET /?token=abc HTTP/1.1")).toBe("GET /?token=<redacted 3 bytes> HTTP/1.1");
  expect(redactLine("HTTP/1.1 200 OK")).toBe("HTTP/1.1 200 OK");
});

const REQUEST = `${HEAD.join("\r\n")}\r\n\r\n`;

/** Traces a server that receives the request in two pieces. */
function traceOf(secrets: boolean, split: number): TraceEvent[] {
  const events: TraceEvent[] = [];
  using harness = new ServerHarness({
    trace: { listener: (event) => events.push(event), bytes: true, secrets },
    fetch: () => new Response("ok", { headers: { "Set-Cookie": "id=SECRET; Path=/" } }),
  });
  const client = harness.client(REQUEST.slice(0, split));
  harness.settle();
  client.send(REQUEST.slice(split));
  harness.receive(client, /ok$/);
  return events;
}

test("a trace has no credentials, however the head is divided between calls of recv", () => {
  const splits = [10, 30, REQUEST.indexOf("authorization") + 5, REQUEST.indexOf("SECRET4") + 3, REQUEST.length - 3];
  for (const split of splits) {
    const events = traceOf(false, split);
    const received = events.filter((event) => event.type === "recv" && event.result > 0);
    expect(received.map((event) => "result" in event && event.result)).toEqual([split, REQUEST.length - split]);
    const text = events.map((event) => JSON.stringify(event)).join("\n");
    expect(text).not.toMatch(/CRET/);
    expect(text).toContain("set-cookie: <redacted 17 bytes>");
  }
});

test("the option `secrets` includes them", () => {
  const bytesOf = (events: TraceEvent[]): string =>
    events.flatMap((event) => (event.type === "recv" ? [event.bytes ?? ""] : [])).join("");
  const split = REQUEST.length - 3;
  expect(bytesOf(traceOf(true, split))).toBe(REQUEST);
  const line = "GET /path?access_token=<redacted 7 bytes>&page=2&api%5Fkey=<redacted 8 bytes> HTTP/1.1";
  const lines = (events: TraceEvent[]): string[] =>
    events.flatMap((event) => (event.type === "recv" && event.line !== undefined ? [event.line] : []));
  expect(lines(traceOf(false, split))).toEqual([line]);
  expect(lines(traceOf(true, split))).toEqual([START_LINE]);
});
