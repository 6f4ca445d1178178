// The request line: RFC 9112, 3.

import { answered, type Case, each, get, head, rejected, shown } from "../case.ts";

const HOST = "Host: a";

const wrong: readonly (readonly [name: string, line: string])[] = [
  ["two spaces after the method", "GET  / HTTP/1.1"],
  ["two spaces before the version", "GET /  HTTP/1.1"],
  ["a tab after the method", "GET\t/ HTTP/1.1"],
  ["a tab before the version", "GET /\tHTTP/1.1"],
  ["a space before the method", " GET / HTTP/1.1"],
  ["a tab before the method", "\tGET / HTTP/1.1"],
  ["a space after the version", "GET / HTTP/1.1 "],
  ["a tab after the version", "GET / HTTP/1.1\t"],
  ["a word after the version", "GET / HTTP/1.1 junk"],
  ["no version, as in HTTP/0.9", "GET /"],
  ["no version, but a space after the target", "GET / "],
  ["a method alone", "GET"],
  ["no target", "GET HTTP/1.1"],
  ["an empty target", "GET  HTTP/1.1"],
  ["a space in the target", "GET /a b HTTP/1.1"],
  ["a tab in the target", "GET /a\tb HTTP/1.1"],
  ["a vertical tab for a space", "GET\x0b/ HTTP/1.1"],
  ["a form feed for a space", "GET /\x0cHTTP/1.1"],
  ["NUL in the method", "GE\0T / HTTP/1.1"],
  ["a control byte in the method", "GE\x01T / HTTP/1.1"],
  ["a byte above 127 in the method", "GE\xc9T / HTTP/1.1"],
  ["NUL in the target", "GET /a\0b HTTP/1.1"],
  ["a control byte in the target", "GET /a\x1fb HTTP/1.1"],
  ["DEL in the target", "GET /a\x7fb HTTP/1.1"],
  ["NUL and UTF-8 in the target", "GET /\xc3\xa4\0 HTTP/1.1"],
  ["a space after UTF-8 in the target", "GET /\xc3\xa4 b HTTP/1.1"],
  ["UTF-8 in the method", "G\xc3\x8bT / HTTP/1.1"],
  ["UTF-8 in the version", "GET / HTTP/1.1\xc3\xa4"],
  ["a bare CR in the target", "GET /\rx HTTP/1.1"],
  ["a bare CR for a space", "GET\r/ HTTP/1.1"],
  ["a bare CR before the version", "GET / \rHTTP/1.1"],
  ["a bare CR before the line's end", "GET / HTTP/1.1\r"],
  ["a bare CR before the method", "\rGET / HTTP/1.1"],
  ["white space alone", "   "],
  ["a status line", "HTTP/1.1 200 OK"],
];

export const requestLine: readonly Case[] = [
  answered("9112 3: method, target, version", get(), { method: "GET", target: "/", url: "http://a/" }),
  answered(
    "9112 3: a path and a query reach the handler as they are",
    head("GET /a/b;c=1?x=1&y=%20/? HTTP/1.1", HOST),
    {
      target: "/a/b;c=1?x=1&y=%20/?",
    },
  ),
  answered("9112 2.2: an empty line before it is ignored", `\r\n${get()}`),
  answered("9112 2.2: several empty lines before it are ignored", `\r\n\r\n\r\n${get()}`),
  answered("9112 2.2: empty lines between two requests are ignored", `${get()}\r\n\r\n${get()}`, {}, {}),
  answered(
    "9112 2.2: an empty line after a body is ignored",
    `${head("POST / HTTP/1.1", HOST, "Content-Length: 2")}hi\r\n`,
    {
      body: "hi",
    },
  ),
  answered("9110 2.3: a target of 8000 octets is accepted", head(`GET /${"x".repeat(7999)} HTTP/1.1`, HOST), {
    target: `/${"x".repeat(7999)}`,
  }),
  ...wrong.map(([name, line]) => rejected(400, `9112 3: ${name} is rejected`, head(line, HOST))),
  ...each(["\0", "\x01", "\x7f", "\x80", "\xff"], (byte) =>
    rejected(400, `9112 3: a line that begins with ${shown(byte)} is rejected`, head(`${byte}GET / HTTP/1.1`, HOST)),
  ),
];
