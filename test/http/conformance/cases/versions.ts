// The protocol version: RFC 9112, 2.3; RFC 9110, 2.5.

import { answered, type Case, each, get, head, last, rejected } from "../case.ts";

const malformed = [
  "HTTP/1",
  "HTTP/1.",
  "HTTP/.1",
  "HTTP/11.1",
  "HTTP/1.10",
  "HTTP/1.1.1",
  "HTTP/1.22",
  "HTTP/1.2x",
  "HTTP/1.2 ",
  "HTTP/01.1",
  "HTTP/+1.1",
  "HTTP/-1.1",
  "HTTP/1,1",
  "HTTP/1 1",
  "HTTP/ 1.1",
  "HTTP /1.1",
  "HTTP/a.b",
  "HTTP/1.x",
  "HTTP1.1",
  "HTTP//1.1",
  "HTTP/1.1x",
  "http/1.1",
  "Http/1.1",
  "HTTp/1.1",
  "HTTPS/1.1",
  "XHTTP/1.1",
  "RTSP/1.0",
  "ICE/1.0",
  "SIP/2.0",
  "FTP/1.1",
  "HTCPCP/1.0",
];

export const versions: readonly Case[] = [
  answered("9110 2.5: HTTP/1.1 is supported", get()),
  last("9110 2.5: HTTP/1.0 is supported, and answered as HTTP/1.1", head("GET /x HTTP/1.0"), {
    isHttp10: true,
    target: "/x",
  }),
  ...each(["HTTP/1.2", "HTTP/1.9"], (version) =>
    answered(
      `9110 2.5: ${version} is processed as HTTP/1.1`,
      head(`GET /x ${version}`, "Host: a") + get(),
      { target: "/x" },
      {},
    ),
  ),
  answered(
    "9110 2.5: a body of HTTP/1.2",
    `${head("POST / HTTP/1.2", "Host: a", "Content-Length: 5")}hello${get()}`,
    { body: "hello" },
    {},
  ),
  answered(
    "9110 2.5: a chunked body of HTTP/1.2",
    `${head("POST / HTTP/1.2", "Host: a", "Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n\r\n${get()}`,
    { body: "hello" },
    {},
  ),
  rejected(400, "9112 3.2: HTTP/1.2 without Host is rejected", head("GET / HTTP/1.2")),
  ...each(["HTTP/0.0", "HTTP/0.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"], (version) =>
    rejected(505, `9110 15.6.6: ${version} is not supported`, head(`GET / ${version}`, "Host: a")),
  ),
  ...each(malformed, (version) =>
    rejected(400, `9112 2.3: ${version} is not a version`, head(`GET / ${version}`, "Host: a")),
  ),
];
