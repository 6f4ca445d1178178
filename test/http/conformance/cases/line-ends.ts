// Line ends other than CRLF: RFC 9112, 2.2.

import { type Case, each, last, rejected, shown, SMUGGLED } from "../case.ts";

/** A bare LF may end a line, but other parsers may read what follows differently. */
const taken = [
  "GET /x HTTP/1.1\nHost: a\n\n",
  "GET /x HTTP/1.1\r\nHost: a\n\n",
  "GET /x HTTP/1.1\nHost: a\r\n\r\n",
  "GET /x HTTP/1.1\r\nHost: a\r\n\n",
  "GET /x HTTP/1.1\r\nHost: a\n\r\n",
  "GET /x HTTP/1.1\nHost: a\nX: 1\r\nY: 2\n\r\n",
  "GET /x HTTP/1.1\r\nX:\nHost: a\r\n\r\n",
  "DELETE /x HTTP/1.1\nHost: a\n\n",
];

const wrong = [
  "GET / HTTP/1.1\rHost: a\r\r",
  "GET / HTTP/1.1\rHost: a\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n",
  "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\n\rX",
  "GET / HTTP/1.1\n\rHost: a\n\r\n",
  "GET / HTTP/1.1\n Host: a\n\n",
  "GET / HTTP/1.1\nHost: a\n X: 1\n\n",
  "GET / HTTP/1.1\nHost: a\nX : 1\n\n",
  "GET / HTTP/1.1\nHost: a\nX: \0\n\n",
  "GET / HTTP/1.1\nHost: a\rb\n\n",
  "GET / HTTP/1.1\nX: 1\n\n",
  "GET / HTTP/1.1\nHost: a\nHost: a\n\n",
  "GET /\nHost: a\n\n",
  "GET / HTTP/1.1\x85Host: a\x85\x85\r\n\r\n",
  "GET / HTTP/1.1\x0bHost: a\r\n\r\n",
];

const withBody = [
  "POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello",
  "POST / HTTP/1.1\r\nHost: a\nContent-Length: 5\r\n\r\nhello",
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\nhello",
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\n\r\nhello",
  "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\r\nhello\r\n0\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\n5\r\nhello\r\n0\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nX: 1\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "GET / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 6\n\nhello",
];

export const lineEnds: readonly Case[] = [
  ...each(taken, (text) => last(`9112 2.2: ${shown(text)} is accepted as the last request`, text, { target: "/x" })),
  ...each(taken.slice(0, 4), (text) =>
    last(`9112 2.2: nothing after ${shown(text)} is accepted`, text + SMUGGLED, { target: "/x" }),
  ),
  last("9112 2.2: it may follow others", `GET / HTTP/1.1\r\nHost: a\r\n\r\n${taken[0]}`, {}, { target: "/x" }),
  last("9112 2.2: HTTP/1.0 with bare LFs", "GET /x HTTP/1.0\n\n", { isHttp10: true, target: "/x" }),
  last("9112 2.2: HTTP/1.0 with bare LFs closes despite keep-alive", "GET /x HTTP/1.0\nConnection: keep-alive\n\n", {
    isHttp10: true,
    target: "/x",
  }),
  ...each(wrong, (text) => rejected(400, `9112 2.2: ${shown(text)} is rejected`, text)),
  ...each(withBody, (text) => rejected(400, `9112 2.2: with a body, ${shown(text)} is rejected`, text)),
];
