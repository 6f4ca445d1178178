// Connection, Keep-Alive and Upgrade: RFC 9112, 9.3 and 9.6; RFC 9110, 7.6.1 and 7.8.

import { answered, type Case, chunked, each, get, head, last, post, rejected, SMUGGLED } from "../case.ts";

const old = (...fields: readonly string[]): string => head("GET / HTTP/1.0", ...fields);

const closing = [
  "close",
  "Close",
  "CLOSE",
  "close,",
  ", close",
  "keep-alive, close",
  "close, keep-alive",
  "x, close ,y",
  "\tclose\t",
  "TE,close",
];
const staying = [
  "keep-alive",
  "",
  "x",
  "closed",
  "close-not",
  "clos",
  "not close",
  '"close"',
  "close=1",
  "close;x",
  "Upgrade",
  "TE, x",
];
const websocket = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const h2c = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"];

export const connection: readonly Case[] = [
  answered("9112 9.3: HTTP/1.1 stays open", get() + get() + get(), {}, {}, {}),
  ...each(closing, (value) =>
    last(`9112 9.6: Connection: ${value.trim()} closes (${value.length})`, get(`Connection: ${value}`)),
  ),
  ...each(staying, (value) => answered(`9112 9.3: Connection: ${value} does not close`, get(`Connection: ${value}`))),
  last("9110 7.6.1: close on the second of two lines", get("Connection: x", "Connection: close")),
  last("9110 7.6.1: close on the first of two lines", get("Connection: close", "Connection: keep-alive")),
  last("9110 7.6.1: its name in any case", get("cOnNeCtIoN: close")),
  last("9112 9.6: a POST is answered, and then it closes", `${post("Connection: close", "Content-Length: 5")}hello`, {
    body: "hello",
  }),
  last(
    "9112 9.6: a chunked POST is answered, and then it closes",
    `${post("Connection: close", "Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n\r\n`,
    {
      body: "hello",
    },
  ),
  last("9112 9.6: a request after close is ignored", get("Connection: close") + SMUGGLED),
  last("9112 9.6: a request after close and others is ignored", get() + get("Connection: close") + SMUGGLED, {}, {}),
  last(
    "9112 9.6: a request after close and a body is ignored",
    `${post("Connection: close", "Content-Length: 5")}hello${SMUGGLED}`,
    {
      body: "hello",
    },
  ),
  last("9112 9.6: malformed input after close is ignored", `${get("Connection: close")}\0\0\0`),
  {
    ...last("9112 9.6: the handler may close", head("GET /close HTTP/1.1", "Host: a") + SMUGGLED, { text: "closing" }),
    only: ["ignore"],
  },
  {
    ...last("9112 9.6: the handler may close, late", head("GET /close HTTP/1.1", "Host: a"), { text: "closing" }),
    only: ["echo"],
    closesLate: true,
  },
  {
    ...last(
      "9112 9.6: the handler may close after a stream",
      head("GET /close-stream HTTP/1.1", "Host: a") + SMUGGLED,
      {
        text: "first,second,third",
      },
    ),
    only: ["ignore"],
  },
  last("9112 9.3: HTTP/1.0 closes", old(), { isHttp10: true }),
  last("9112 9.3: a request after HTTP/1.0 is ignored", old() + SMUGGLED, { isHttp10: true }),
  last("9112 9.3: HTTP/1.0 closes with Connection: close", old("Connection: close"), { isHttp10: true }),
  last("9112 9.3: HTTP/1.0 closes with keep-alive, close", old("Connection: keep-alive, close"), { isHttp10: true }),
  last("9112 9.3: HTTP/1.0 closes with close, keep-alive", old("Connection: close", "Connection: keep-alive"), {
    isHttp10: true,
  }),
  last("9112 C.2.2: HTTP/1.0 closes with Keep-Alive alone", old("Keep-Alive: timeout=5"), { isHttp10: true }),
  last("9112 C.2.2: HTTP/1.0 closes with Proxy-Connection", old("Proxy-Connection: keep-alive"), { isHttp10: true }),
  answered("9112 9.3: HTTP/1.0 stays open with keep-alive", old("Connection: keep-alive"), { isHttp10: true }),
  answered("9112 9.3: HTTP/1.0 stays open with Keep-Alive", old("Connection: Keep-Alive"), { isHttp10: true }),
  answered("9112 9.3: HTTP/1.0 stays open with keep-alive among other options", old("Connection: x, keep-alive"), {
    isHttp10: true,
  }),
  answered(
    "9112 9.3: HTTP/1.0 stays open with keep-alive on a second line",
    old("Connection: x", "Connection: keep-alive"),
    {
      isHttp10: true,
    },
  ),
  answered(
    "9112 9.3: HTTP/1.0 stays open with keep-alive and a body",
    `${head("POST / HTTP/1.0", "Connection: keep-alive", "Content-Length: 5")}hello`,
    { isHttp10: true, body: "hello" },
  ),
  answered(
    "9112 9.3: HTTP/1.0 and HTTP/1.1 alternate",
    old("Connection: keep-alive") + get() + old("Connection: keep-alive"),
    { isHttp10: true },
    {},
    {
      isHttp10: true,
    },
  ),
  answered("9112 C.2.2: Proxy-Connection: close is ignored", get("Proxy-Connection: close")),
  answered("9110 7.8: an upgrade to websocket is ignored", get(...websocket), { fields: { Upgrade: null } }),
  answered("9110 7.8: requests after an upgrade to websocket", get(...websocket) + get(), {}, {}),
  answered(
    "9110 7.8: an upgrade with a body",
    `${post(...websocket, "Content-Length: 5")}hello${get()}`,
    { body: "hello" },
    {
      method: "GET",
    },
  ),
  answered(
    "9110 7.8: an upgrade with a chunked body",
    `${post(...websocket, "Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n\r\n${get()}`,
    { body: "hello" },
    {
      method: "GET",
    },
  ),
  answered("9110 7.8: an upgrade to h2c is ignored", get(...h2c) + get(), {}, {}),
  answered(
    "9110 7.8: an upgrade to h2c with a body",
    `${post(...h2c, "Content-Length: 5")}hello${get()}`,
    { body: "hello" },
    {},
  ),
  answered("9110 7.8: an upgrade to TLS is ignored", get("Connection: Upgrade", "Upgrade: TLS/1.0")),
  answered("9110 7.8: Upgrade without Connection", get("Upgrade: websocket")),
  last("9110 7.8: an upgrade with close", get("Connection: Upgrade, close", "Upgrade: websocket")),
  last("9110 7.8: an upgrade in HTTP/1.0", old("Connection: Upgrade", "Upgrade: websocket"), { isHttp10: true }),
  rejected(
    400,
    "9110 7.8: a websocket frame after an upgrade is rejected",
    `${get(...websocket)}\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58`,
    {},
  ),
  {
    ...last(
      "9112 9.3: the response to the last allowed request says that it closes",
      get() + get() + get(),
      {},
      {},
      {},
    ),
    options: { maxRequestsPerConnection: 3 },
  },
  {
    ...last("9112 9.3: requests over maxRequestsPerConnection are ignored", get() + get() + SMUGGLED, {}, {}),
    options: { maxRequestsPerConnection: 2 },
  },
  {
    ...last("9112 9.3: the last allowed request may have a body", chunked("5\r\nhello\r\n0\r\n\r\n") + SMUGGLED, {
      body: "hello",
    }),
    options: { maxRequestsPerConnection: 1 },
  },
  { ...last("9112 9.3: a server without keep-alive", get() + SMUGGLED, {}), options: { keepAlive: false } },
];
