// The scanner of plain heads, compared with llhttp and the server's rules: whatever the scanner accepts, they accept, with the same
// size, method, target, fields, body and persistence.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createPlainHead, parseAndValidate, scanHead } from "../../src/protocols/http/read-head.ts";
import { sourceHash } from "../../src/protocols/http/plain-head-wasm.ts";
import { RequestHead } from "../../src/protocols/http/request-head.ts";
import { scaled } from "../support/scale.ts";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

const limits = { maxHeaderBytes: 16_384, maxHeaderCount: 100, maxTargetBytes: 8_000 };

/** A generator with a seed (xorshift), so that a failure can be repeated. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** Returns an integer from 0 to below `limit`. */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  /** Returns whether an event with a chance of one in `n` occurs. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  text(characters: string, maxLength: number): string {
    let text = "";
    for (let length = this.below(maxLength + 1); length > 0; length--)
      text += characters[this.below(characters.length)];
    return text;
  }
}

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const methods = ["GET", "GET", "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"];
const otherMethods = ["TRACE", "CONNECT", "get", "PRI", "DESCRIBE", "QUERY", "GETT", "PROPFIND", "SOURCE", ""];
const targets = [
  "/",
  "/a/b.js",
  "/%20?q=a%2Eb",
  "/.well-known/x",
  "/a/../b",
  "/index.html?a=1&b=[2]",
  "/ü",
  "/a\\b",
  "/?a\\b",
  "/%2e%2E/a",
  "/a/%2e",
  "/?a='b'",
  "/'a'/{b}|^`",
  '/?a="<b>"',
];
const otherTargets = ["*", "http://b/", "//b/c", "/#a", "/%00", "", "a", "/a b", "b:80", "/\x7f", "/\t"];
const fields = [
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
  "Accept: */*",
  "Accept-Encoding: gzip, deflate, br",
  "Cookie: a=b; c=d",
  "Authorization: Bearer abc.def",
  "X-Request-Id: 7f",
  "Connection: keep-alive",
  "Connection: close",
  "connection:Keep-Alive",
  "Upgrade-Insecure-Requests: 1",
  "Content-Length: 0",
  "Content-Length: 12",
  "Content-Type: text/plain",
  "X-Empty:",
  "X_Underscore^`|~: yes",
];
const otherFields = [
  "Host: c",
  "Connection: upgrade",
  "Connection: close, x",
  "Connection: ",
  "Connection: keep-alive ",
  "Upgrade: websocket",
  "Upgrade: h2c",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding:",
  "Expect: 100-continue",
  "Expect: x",
  "Proxy-Connection: close",
  "Content-Length: 010",
  "Content-Length: -1",
  "Content-Length: 1, 1",
  "Content-Length: 9999999999",
  "Content-Length: 99999999999999999999999",
  "Content-Length: ",
  "Content-Length: 5 ",
  "Content-Length:\t7",
  "Bad Name: a",
  "Bad-Colon : a",
  ": a",
  " folded",
  "\tfolded",
  "NoColon",
  "Nul: a\0b",
  "Del: a\x7fb",
  "Tab: a\tb",
  "High: \x80\xff",
  "Hïgh: a",
  "Control: a\x01b",
  "CR: a\rb",
  "LF: a\nb",
];
const hosts = [
  "localhost:8800",
  "localhost:8800",
  "localhost:8800",
  "example.com",
  "127.0.0.1:1",
  "[::1]:80",
  "a_b",
  "EXAMPLE.com:80",
];
const otherHosts = ["", "a b", "a/b", "user@host", "a:99999", "a:b", "[::1", "a,b", "\xff", "a".repeat(300)];

const nameOf = (line: string): string => line.slice(0, line.indexOf(":")).toLowerCase();

/** Generates a head that is mostly plain, with at most a few faults. */
function generate(random: Random): Buffer {
  const rare = random.oneIn(3) ? 6 : 200; // faults come rarely, or often
  let lines = [
    `${random.of(random.oneIn(rare) ? otherMethods : methods)} ` +
      `${random.oneIn(rare) ? random.of(otherTargets) : random.of(targets) + random.text(LETTERS, 40)}` +
      ` ${random.oneIn(rare) ? random.of(["HTTP/1.0", "HTTP/1.2", "http/1.1", "HTTP/2.0", "HTTP/1.1 ", "", "RTSP/1.0", "HTTP/1.10"]) : "HTTP/1.1"}`,
  ];
  for (let count = random.below(14); count > 0; count--) {
    if (random.oneIn(rare)) lines.push(random.of(otherFields));
    else if (random.oneIn(3)) lines.push(`${random.text(LETTERS, 20)}x: ${random.text(`${LETTERS} \t"=;,%`, 120)}`);
    else lines.push(random.of(fields));
  }
  // Most heads have no field twice.
  if (!random.oneIn(rare))
    lines = lines.filter((line, i) => lines.findIndex((other) => nameOf(other) === nameOf(line)) === i);
  if (!random.oneIn(rare)) {
    const host = `${random.of(["Host", "host", "HOST"])}:${random.of(["", " ", "\t ", "  "])}${random.of(random.oneIn(rare) ? otherHosts : hosts)}`;
    lines.splice(1 + random.below(lines.length), 0, host + random.of(["", "", " "]));
  }
  const ending = (): string => (random.oneIn(20 * rare) ? random.of(["\n", "\r", "\r\r\n", "\n\r"]) : "\r\n");
  let text = "";
  for (const line of lines) text += line + ending();
  text += ending();
  if (random.oneIn(3)) text += random.of(["GET / HTTP/1.1\r\n", "body", "\r\n", "\0"]);
  const bytes = Buffer.from(text, "latin1");
  if (random.oneIn(4)) bytes[random.below(bytes.length)] = random.below(256);
  return random.oneIn(20) ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

/** Everything that a handler or the server can learn from a head, as text. */
function describe(head: RequestHead): string {
  const { line, version, size, bodyLength, expectsContinue, keepAlive, isLast, isSimple, host } = head;
  let text = `${line}\n${version} ${size} ${bodyLength} ${expectsContinue} ${keepAlive} ${isLast} ${isSimple} ${host}\n`;
  for (let i = 0; i < head.fieldCount; i++) text += `${head.nameAt(i)}: ${head.valueAt(i)}\n`;
  try {
    return text + head.url(false);
  } catch (error) {
    return text + String(error);
  }
}

const names = ["host", "Cookie", "x-request-id", "content-length", "connection", "accept", "missing", "x-empty"];

/** Compares the two for one input; returns whether the scanner has accepted it. */
function compare(bytes: Buffer, start: number): boolean {
  const size = scanHead(bytes, start, bytes.length, limits);
  if (size === 0) return false;
  const plain = createPlainHead(size);
  const found = names.map((name) => plain.find(name));
  const parsed = parseAndValidate(bytes, start, bytes.length, limits);
  const input = Buffer.from(bytes.buffer, bytes.byteOffset + start, bytes.length - start).toString("latin1");
  if (!(parsed instanceof RequestHead)) throw new Error(`only the scanner accepts ${JSON.stringify(input)}: ${parsed}`);
  const [ours, theirs] = [describe(plain), describe(parsed)];
  if (ours !== theirs) throw new Error(`different results for ${JSON.stringify(input)}:\n${ours}\n${theirs}`);
  for (const [i, name] of names.entries()) {
    if (found[i] === undefined) continue; // several fields
    const values = Array.from(
      { length: parsed.fieldCount },
      (_, at) => parsed.nameAt(at).toLowerCase() === name.toLowerCase() && parsed.valueAt(at),
    ).filter((value) => value !== false);
    if (values.length > 1 || (values[0] ?? null) !== found[i]) {
      throw new Error(`${name} is ${found[i]} instead of ${values} in ${JSON.stringify(input)}`);
    }
  }
  return true;
}

const HEADS = scaled(30_000, 1_000_000);
const PARTS = 10;

for (let part = 1; part <= PARTS; part++) {
  test(`never accepts or splits what llhttp would not, seed ${part}`, () => {
    const random = new Random(part * 7919);
    let accepted = 0;
    for (let i = 0; i < HEADS / PARTS; i++) {
      const head = generate(random);
      const before = random.oneIn(4) ? random.below(30) : 0;
      const bytes = before === 0 ? head : Buffer.concat([Buffer.alloc(before, "x"), head]);
      if (compare(bytes, before)) accepted++;
    }
    expect(accepted / (HEADS / PARTS)).toBeGreaterThan(0.3); // otherwise this would test little
  });
}

test("accepts a browser's head, at each distance from the end of the input", () => {
  const head = `GET /search?q=a%20b&page=2 HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive\r\nCookie: ${"a=b; ".repeat(40)}\r\n\r\n`;
  for (let rest = 0; rest < 40; rest++) {
    const bytes = Buffer.from(head + "x".repeat(rest));
    expect(compare(bytes, 0)).toBe(true);
  }
  for (let size = 0; size < head.length; size++) expect(compare(Buffer.from(head.slice(0, size)), 0)).toBe(false);
});

test("accepts heads of up to 8 KiB", () => {
  const headOf = (size: number): Buffer => {
    const text = (filler: number): string => `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(filler)}\r\n\r\n`;
    return Buffer.from(text(size - text(0).length));
  };
  for (const size of [2000, 2047, 2048, 2049, 2064, 4000, 8191, 8192]) expect(compare(headOf(size), 0)).toBe(true);
  for (const size of [8193, 8208, 9000, 16_000]) expect(compare(headOf(size), 0)).toBe(false);
});

test("keeps to the limits", () => {
  const bytes = Buffer.from("GET /abc HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n");
  expect(scanHead(bytes, 0, bytes.length, limits)).toBe(bytes.length);
  expect(scanHead(bytes, 0, bytes.length, { ...limits, maxHeaderBytes: bytes.length - 1 })).toBe(0);
  expect(scanHead(bytes, 0, bytes.length, { ...limits, maxHeaderCount: 1 })).toBe(0);
  expect(scanHead(bytes, 0, bytes.length, { ...limits, maxTargetBytes: 3 })).toBe(0);
});

test("heads that were scanned earlier keep their values", () => {
  const textOf = (name: string): string => `GET /${name} HTTP/1.1\r\nHost: ${name}\r\nX-Name: ${name}\r\n\r\n`;
  const heads = ["first", "second", "third"].map((name) => {
    const bytes = Buffer.from(textOf(name));
    return createPlainHead(scanHead(bytes, 0, bytes.length, limits));
  });
  for (const [i, name] of ["first", "second", "third"].entries()) {
    const head = heads[i] as RequestHead;
    expect([head.find("x-name"), head.target, head.host, head.valueAt(1)]).toEqual([name, `/${name}`, name, name]);
  }
});

test("the WebAssembly is compiled from the present source", () => {
  const source = readFileSync(join(root, "native/plain-head.c"));
  expect(new Bun.CryptoHasher("sha256").update(source).digest("hex")).toBe(sourceHash); // if not: bun run build:wasm
});
