// What has been used to smuggle requests past a proxy: never a second reply, and the hidden request reaches nobody.

import { answered, type Case, each, get, head, last, post, refused, shown, SMUGGLED } from "../case.ts";

const TE = "Transfer-Encoding: chunked";
const length = (body: string): string => `Content-Length: ${body.length}`;
const inChunks = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

/** Disguises of Transfer-Encoding next to a Content-Length that are malformed. */
const disguises = [
  "Transfer-Encoding : chunked",
  "Transfer-Encoding\t: chunked",
  " Transfer-Encoding: chunked",
  "\tTransfer-Encoding: chunked",
  "X: 1\nTransfer-Encoding: chunked",
  "X: 1\rTransfer-Encoding: chunked",
  "\rTransfer-Encoding: chunked",
  "Transfer-Encoding:\r\n chunked",
  "Transfer-Encoding: chunked\r\n ",
  "Transfer-Encoding: \0chunked",
  "Transfer-Encoding: \x0bchunked",
  "Transfer-Encoding: chunked\x0c",
  "Transfer-Encoding\0: chunked",
  "Transfer Encoding: chunked",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: identity",
  "Transfer-Encoding:chunked",
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding;: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-encoding: x",
  "Transfer-Encoding: x\r\nTransfer-encoding: chunked",
  "transfer-encoding: CHUNKED",
];

/** Names that look like it, and are others. */
const others = [
  "Transfer_Encoding: chunked",
  "Transfer-Encodin: chunked",
  "X-Transfer-Encoding: chunked",
  "TransferEncoding: chunked",
  "Content-Encoding: chunked",
];

export const smuggling: readonly Case[] = [
  refused(400, "CL.TE", post("Content-Length: 6", TE) + `0\r\n\r\n${SMUGGLED}`),
  refused(400, "TE.CL", post(TE, "Content-Length: 4") + inChunks(SMUGGLED)),
  refused(400, "CL.TE with a length of all", post(length(`0\r\n\r\n${SMUGGLED}`), TE) + `0\r\n\r\n${SMUGGLED}`),
  ...each(disguises, (line) =>
    refused([400, 501], `TE.TE by ${shown(line)}`, post("Content-Length: 5", line) + `0\r\n\r\n${SMUGGLED}`),
  ),
  ...each(others, (line) =>
    answered(`${line} is another field: the length holds`, post(length(SMUGGLED), line) + SMUGGLED, { body: SMUGGLED }),
  ),
  refused(
    400,
    "Transfer_Encoding alone is no body: what follows is refused",
    post("Transfer_Encoding: chunked") + inChunks("hello"),
    { body: "" },
  ),
  ...each(
    [
      "Content-Length : 5",
      "Content-Length\t: 5",
      " Content-Length: 5",
      "Content-Length\0: 5",
      "Content Length: 5",
      "Content-Length: 5\r\n 0",
      "\rContent-Length: 5",
    ],
    (line) => refused(400, `CL.0 by ${shown(line)}`, post("X: 1", line) + SMUGGLED),
  ),
  ...each(
    [
      "Content-Length: 0\r\nContent-Length: 44",
      "Content-Length: 44\r\nContent-Length: 0",
      "Content-Length: 0, 44",
      "Content-Length: +44",
      "Content-Length: 4 4",
      "Content-Length: 0x2c",
    ],
    (line) => refused(400, `CL.CL by ${shown(line)}`, post(line) + SMUGGLED),
  ),
  answered("CL.0: a GET's body is no request", get(length(SMUGGLED)) + SMUGGLED, { method: "GET" }),
  answered("CL.0: a HEAD's body is no request", head("HEAD / HTTP/1.1", "Host: a", length(SMUGGLED)) + SMUGGLED, {
    isHead: true,
  }),
  answered("TE.0: an OPTIONS' chunks are no request", head("OPTIONS / HTTP/1.1", "Host: a", TE) + inChunks(SMUGGLED), {
    method: "OPTIONS",
    body: SMUGGLED,
  }),
  answered(
    "TE.0: the chunks of OPTIONS * are no request",
    head("OPTIONS * HTTP/1.1", "Host: a", TE) + inChunks(SMUGGLED),
    { status: 204, isServers: true },
  ),
  refused(400, "TERM.EXT: a bare LF ends no extension", `${post(TE)}5;\nxxxxx\r\n0\r\n\r\n${SMUGGLED}`),
  refused(400, "EXT.TERM: a bare CR ends no extension", `${post(TE)}5;x\rxxxxx\r\n0\r\n\r\n${SMUGGLED}`),
  refused(
    400,
    "TERM.SPILL: a chunk ends with CRLF",
    `${post(TE)}5\r\nhello\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
  ),
  refused(400, "ONE.TWO: a chunk's end is its own two octets", `${post(TE)}5\r\nhelloXX0\r\n\r\n${SMUGGLED}`),
  refused(
    400,
    "a size that is 0 in 64 bits, and no number of 64 bits",
    `${post(TE)}1000000000000000000\r\n\r\n${SMUGGLED}`,
  ),
  { ...refused([400, 413], "a size that is 0 in 31 bits", `${post(TE)}80000000\r\n\r\n${SMUGGLED}`), ends: true },
  { ...refused([400, 413], "a size that is 0 in 32 bits", `${post(TE)}100000000\r\n\r\n${SMUGGLED}`), ends: true },
  refused([400, 413], "a length that is 0 in 32 bits", post("Content-Length: 4294967296") + SMUGGLED),
  refused(400, "a size of 0x0 is not the last chunk", `${post(TE)}0x0\r\n\r\n${SMUGGLED}`),
  refused(400, "a trailer's name may not hide a request", `${post(TE)}0\r\n${SMUGGLED}`),
  refused(400, "a header's value may not hide a request behind CR", get(`X: 1\r\rGET /smuggled HTTP/1.1`)),
  refused(400, "a header's value may not hide a request behind CR LF CR", get(`X: 1\r\n\rGET /smuggled HTTP/1.1`)),
  last("a header's value may not hide a request behind LF LF", `GET / HTTP/1.1\r\nHost: a\r\nX: 1\n\n${SMUGGLED}`),
  refused(400, "a target may not hide a request", `GET / HTTP/1.1\rGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`),
  refused(
    400,
    "a target may not hide a version",
    head("GET / HTTP/1.1/smuggled HTTP/1.1", "Host: a").replace("1.1/", "1.1 /"),
  ),
  refused(
    417,
    "an expectation in disguise is not met",
    `${post("Expect: y 100-continue", length(SMUGGLED))}${SMUGGLED}`,
  ),
  {
    ...answered(
      "0.CL: a body that was waited for is a body",
      [post("Expect: 100-continue", length(SMUGGLED)), SMUGGLED],
      { status: 100, isServers: true },
      { body: SMUGGLED },
    ),
    heard: [1],
    on: { deaf: { replies: [{}], after: "closes", heard: [1] } },
  },
  {
    ...answered(
      "0.CL: a body that was not waited for is a body",
      post("Expect: 100-continue", length(SMUGGLED)) + SMUGGLED,
      { body: SMUGGLED },
    ),
    mayContinue: true,
    on: { deaf: { or: { replies: [{}], after: "closes" } } },
  },
  answered(
    "h2c: what follows an upgrade is HTTP/1.1",
    `${get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")}${get()}`,
    {},
    {},
  ),
  refused(
    505,
    "h2c: a preface behind an upgrade is refused",
    `${get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    {},
  ),
  answered("an absolute target rules over Host", head("GET http://b/ HTTP/1.1", "Host: a"), { url: "http://b/" }),
  answered(
    "X-HTTP-Method-Override changes no method",
    post("X-HTTP-Method-Override: GET", length(SMUGGLED)) + SMUGGLED,
    { method: "POST", body: SMUGGLED },
  ),
  refused(
    400,
    "an old request in chunks",
    head("GET / HTTP/1.0", "Connection: keep-alive", TE) + `0\r\n\r\n${SMUGGLED}`,
  ),
  last("an old request with a second one behind it", head("GET / HTTP/1.0") + SMUGGLED, { isOld: true }),
  refused(
    411,
    "an old POST without a length, and a second one behind it",
    head("POST / HTTP/1.0", "Connection: keep-alive") + SMUGGLED,
  ),
  refused(400, "a Host that is split by a comma and a space", head("GET / HTTP/1.1", "Host: a, b") + SMUGGLED),
  refused(400, "a Host in disguise", head("GET / HTTP/1.1", "Host: a", "Host : b") + SMUGGLED),
];
