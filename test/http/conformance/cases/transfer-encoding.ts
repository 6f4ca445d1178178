// Transfer-Encoding: RFC 9112, 6.1 and 6.3.

import { answered, type Case, each, get, head, orRejected, post, rejected, shown } from "../case.ts";

const BODY = "5\r\nhello\r\n0\r\n\r\n";

const notDone = [
  "gzip, chunked",
  "gzip,chunked",
  "deflate, gzip, chunked",
  "identity, chunked",
  "gzip ,\tchunked",
  "x;a=b, chunked",
];
const notLast = [
  "gzip",
  "identity",
  "x",
  "",
  "chunked, gzip",
  "chunked, identity",
  "chunked;a=b",
  "chunked; a",
  "xchunked",
  "chunkedx",
  "chunke",
  "chunked chunked",
  "chunked\t;",
  "chunked\x0b",
  "\x0bchunked",
  "chunked\0",
  '"chunked"',
  "'chunked'",
  "[chunked]",
  "cow",
];

export const transferEncoding: readonly Case[] = [
  answered("9112 6.1: chunked", post("Transfer-Encoding: chunked") + BODY, { body: "hello" }),
  answered("9112 7: chunked in any case", post("tRANSFER-eNCODING: ChUnKeD") + BODY, { body: "hello" }),
  answered("9112 5.1: white space around it", post("Transfer-Encoding: \t chunked \t") + BODY, { body: "hello" }),
  answered("9112 5.1: no white space before it", post("Transfer-Encoding:chunked") + BODY, { body: "hello" }),
  ...each(["GET", "PUT", "DELETE", "OPTIONS"], (method) =>
    answered(
      `9112 6.3: ${method} with a chunked body`,
      head(`${method} / HTTP/1.1`, "Host: a", "Transfer-Encoding: chunked") + BODY + get(),
      { method, body: "hello" },
      { method: "GET" },
    ),
  ),
  answered(
    "9112 6.3: HEAD with a chunked body",
    head("HEAD / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + BODY,
    {
      isHead: true,
    },
  ),
  answered("9112 7.4: TE does not affect the request", get("TE: trailers, deflate;q=0.5", "Connection: TE")),
  ...each(notDone, (value) =>
    rejected(501, `9112 6.1: ${shown(value)} is not implemented`, post(`Transfer-Encoding: ${value}`) + BODY),
  ),
  ...each(notLast, (value) =>
    rejected(
      400,
      `9112 6.3: ${shown(value)} leaves the length undefined and is rejected`,
      post(`Transfer-Encoding: ${value}`) + BODY,
    ),
  ),
  ...each(["chunked,", ",chunked", " , chunked", "chunked ,\t,"], (value) =>
    orRejected(
      answered(`9110 5.6.1: empty members: ${shown(value)}`, post(`Transfer-Encoding: ${value}`) + BODY, {
        body: "hello",
      }),
      [400, 501],
    ),
  ),
  rejected([400, 501], "9112 6.1: chunked twice is rejected", post("Transfer-Encoding: chunked, chunked") + BODY),
  rejected(
    [400, 501],
    "9112 6.1: chunked on two lines is rejected",
    post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + BODY,
  ),
  rejected(
    501,
    "9112 6.1: codings on two lines are one list",
    post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked") + BODY,
  ),
  rejected(
    400,
    "9112 6.3: chunked on the first of two lines",
    post("Transfer-Encoding: chunked", "Transfer-Encoding: x") + BODY,
  ),
  rejected(400, "9112 6.3: with a Content-Length", post("Content-Length: 5", "Transfer-Encoding: chunked") + BODY),
  rejected(
    400,
    "9112 6.3: with a Content-Length after it",
    post("Transfer-Encoding: chunked", "Content-Length: 5") + BODY,
  ),
  rejected(400, "9112 6.3: with a Content-Length of 0", post("Transfer-Encoding: chunked", "Content-Length: 0") + BODY),
  rejected(
    [400, 501],
    "9112 6.3: another coding, with a Content-Length",
    `${post("Transfer-Encoding: x", "Content-Length: 5")}hello`,
  ),
  rejected(400, "9112 6.1: in HTTP/1.0", head("POST / HTTP/1.0", "Transfer-Encoding: chunked") + BODY),
  rejected(
    400,
    "9112 6.1: in HTTP/1.0 with keep-alive",
    head("POST / HTTP/1.0", "Connection: keep-alive", "Transfer-Encoding: chunked") + BODY,
  ),
  rejected(
    400,
    "9112 6.1: in HTTP/1.0, with a Content-Length",
    head("POST / HTTP/1.0", "Content-Length: 5", "Transfer-Encoding: chunked") + BODY,
  ),
];
