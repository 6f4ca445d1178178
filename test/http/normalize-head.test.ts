// Heads that are rewritten for llhttp: they frame a request exactly as the rewritten text does, and nothing else is accepted.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { normalizeHead } from "../../src/protocols/http/normalize-head.ts";
import { parseAndValidate } from "../../src/protocols/http/read-head.ts";
import { RequestHead } from "../../src/protocols/http/request-head.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);

const limits = { maxHeaderBytes: 16_384, maxHeaderCount: 100, maxTargetBytes: 8_000 };
const read = (text: string): ReturnType<typeof parseAndValidate> => {
  const bytes = Buffer.from(text, "latin1");
  return parseAndValidate(bytes, 0, bytes.length, limits);
};

/** Everything that frames a request. */
function framing(head: ReturnType<typeof parseAndValidate>): unknown {
  if (!(head instanceof RequestHead)) return head;
  const { method, size, bodyLength, keepAlive, isLast, host, fieldCount, minor, targetEnd } = head;
  return { method, size, bodyLength, keepAlive, isLast, host, fieldCount, minor, targetEnd };
}

const target = fc.string({
  unit: fc.constantFrom("a", "/", "\\", "\x80", "\xff", "\xc3\xa4", "%", "?", ".."),
  maxLength: 8,
});
const junk = fc.constantFrom("", "", "", "", "\r", "\n", " ", "\t", "\0", "\xe4", ":", "HTTP/1.1", "\r\n");
const length = fc.constantFrom("5", "5\t", "5 \t ", "\t5\t", "5\t5", "5\t,", "05\t", "5\t\x80", "+5\t", "");
const line = fc.oneof(
  length.map((value) => `Content-Length: ${value}`),
  fc.constantFrom(
    "Host: a",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked\t",
    "X: content-length: 5\t",
    "Connection: close",
  ),
  fc.tuple(junk, junk).map(([a, b]) => `X${a}: b${b}`),
);
const head = fc
  .tuple(
    target,
    fc.constantFrom("1.1", "1.2", "1.9", "1.10", "1.22", "2.0", "1.", "1.2 "),
    fc.array(line, { maxLength: 4 }),
    junk,
    fc.nat(),
  )
  .map(([path, version, lines, inserted, where]) => {
    const text = `POST /${path} HTTP/${version}\r\nHost: a\r\n${lines.map((one) => `${one}\r\n`).join("")}\r\nGET /\x80 HTTP/1.2\r\nContent-Length: 7\t\r\n`;
    const at = where % text.length;
    return text.slice(0, at) + inserted + text.slice(at);
  });

test("a head is accepted exactly if what it is rewritten to is, with the same framing", () => {
  let accepted = 0;
  fc.assert(
    fc.property(head, (text) => {
      const lineEnd = text.search(/[\r\n]/);
      const requestLine = /^(\S+ )(\S+)( HTTP\/1\.)([2-9])$/.exec(text.slice(0, lineEnd));
      const first =
        requestLine === null ? text.slice(0, lineEnd) : `${requestLine[1]}${requestLine[2]}${requestLine[3]}1`;
      const plain = /^(\S+) ([^ ]*)(.*)$/s.exec(first);
      const rewritten =
        (plain === null ? first : `${plain[1]} ${(plain[2] as string).replace(/[\x80-\xff]/g, "x")}${plain[3]}`) +
        text
          .slice(lineEnd)
          .replace(
            /(\ncontent-length:[ \t]*\d+)([ \t]+)(?=\r\n)/gi,
            (_, field: string, space: string) => field + space.replaceAll("\t", " "),
          );
      const result = read(text);
      expect(framing(result)).toEqual(framing(read(rewritten)));
      if (result instanceof RequestHead) accepted++;
    }),
    { numRuns: scaled(5_000, 200_000) },
  );
  expect(accepted).toBeGreaterThan(100);
});

test("the copy has the same length, and the handler sees what was sent", () => {
  const text = "GET /\xc3\xa4?b=\xff HTTP/1.3\r\nHost: a\r\nX: \xe4\t\r\n\r\n";
  expect(normalizeHead(Buffer.from(text, "latin1"))?.toString("latin1")).toBe(
    "GET /xx?b=x HTTP/1.1\r\nHost: a\r\nX: \xe4\t\r\n\r\n",
  );
  const result = read(text) as RequestHead;
  expect([result.line, result.version, result.minor]).toEqual([text.slice(0, text.indexOf("\r")), "HTTP/1.3", 1]);
  expect(result.url(false)).toBe("http://a/%C3%A4?b=%FF");
  expect(normalizeHead(Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))).toBeUndefined();
});
