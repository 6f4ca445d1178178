// Known request smuggling attacks: there is never a second response, and the hidden request never reaches a handler.

import { answered, type Case, each, get, head, last, post, rejected, shown, SMUGGLED } from "../case.ts";

const TE = "Transfer-Encoding: chunked";
const length = (body: string): string => `Content-Length: ${body.length}`;
const inChunks = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

/** Malformed disguises of Transfer-Encoding, next to a Content-Length. */
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

/** Names that only look like Transfer-Encoding. */
const others = [
  "Transfer_Encoding: chunked",
  "Transfer-Encodin: chunked",
  "X-Transfer-Encoding: chunked",
  "TransferEncoding: chunked",
  "Content-Encoding: chunked",
];

export const smuggling: readonly Case[] = [
  rejected(400, "CL.TE", post("Content-Length: 6", TE) + `0\r\n\r\n${SMUGGLED}`),
  rejected(400, "TE.CL", post(TE, "Content-Length: 4") + inChunks(SMUGGLED)),
  rejected(400, "CL.TE with the length of both", post(length(`0\r\n\r\n${SMUGGLED}`), TE) + `0\r\n\r\n${SMUGGLED}`),
  ...each(disguises, (line) =>
    rejected([400, 501], `TE.TE with ${shown(line)}`, post("Content-Length: 5", line) + `0\r\n\r\n${SMUGGLED}`),
  ),
  ...each(others, (line) =>
    answered(`${line} is a different field, so Content-Length applies`, post(length(SMUGGLED), line) + SMUGGLED, {
      body: SMUGGLED,
    }),
  ),
  rejected(
    400,
    "Transfer_Encoding alone does not announce a body: what follows is rejected",
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
    (line) => rejected(400, `CL.0 with ${shown(line)}`, post("X: 1", line) + SMUGGLED),
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
    (line) => rejected(400, `CL.CL with ${shown(line)}`, post(line) + SMUGGLED),
  ),
  answered("CL.0: a GET's body is not read as a request", get(length(SMUGGLED)) + SMUGGLED, { method: "GET" }),
  answered(
    "CL.0: a HEAD's body is not read as a request",
    head("HEAD / HTTP/1.1", "Host: a", length(SMUGGLED)) + SMUGGLED,
    {
      isHead: true,
    },
  ),
  answered(
    "TE.0: the chunks of OPTIONS are not read as a request",
    head("OPTIONS / HTTP/1.1", "Host: a", TE) + inChunks(SMUGGLED),
    {
      method: "OPTIONS",
      body: SMUGGLED,
    },
  ),
  answered(
    "TE.0: the chunks of OPTIONS * are not read as a request",
    head("OPTIONS * HTTP/1.1", "Host: a", TE) + inChunks(SMUGGLED),
    { status: 204, isFromServer: true },
  ),
  rejected(400, "TERM.EXT: a bare LF does not end an extension", `${post(TE)}5;\nxxxxx\r\n0\r\n\r\n${SMUGGLED}`),
  rejected(400, "EXT.TERM: a bare CR does not end an extension", `${post(TE)}5;x\rxxxxx\r\n0\r\n\r\n${SMUGGLED}`),
  rejected(
    400,
    "TERM.SPILL: a chunk ends with CRLF",
    `${post(TE)}5\r\nhello\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
  ),
  rejected(400, "ONE.TWO: a chunk ends with exactly CRLF", `${post(TE)}5\r\nhelloXX0\r\n\r\n${SMUGGLED}`),
  rejected(400, "a size of more than 64 bits that wraps to 0", `${post(TE)}1000000000000000000\r\n\r\n${SMUGGLED}`),
  {
    ...rejected([400, 413], "a size that wraps to 0 in 31 bits", `${post(TE)}80000000\r\n\r\n${SMUGGLED}`),
    ends: true,
  },
  {
    ...rejected([400, 413], "a size that wraps to 0 in 32 bits", `${post(TE)}100000000\r\n\r\n${SMUGGLED}`),
    ends: true,
  },
  rejected([400, 413], "a length that wraps to 0 in 32 bits", post("Content-Length: 4294967296") + SMUGGLED),
  rejected(400, "a size of 0x0 is not the last chunk", `${post(TE)}0x0\r\n\r\n${SMUGGLED}`),
  rejected(400, "a trailer name cannot hide a request", `${post(TE)}0\r\n${SMUGGLED}`),
  rejected(400, "a field value cannot hide a request after CR", get(`X: 1\r\rGET /smuggled HTTP/1.1`)),
  rejected(400, "a field value cannot hide a request after CR LF CR", get(`X: 1\r\n\rGET /smuggled HTTP/1.1`)),
  last("a field value cannot hide a request after LF LF", `GET / HTTP/1.1\r\nHost: a\r\nX: 1\n\n${SMUGGLED}`),
  rejected(400, "a target cannot hide a request", `GET / HTTP/1.1\rGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`),
  rejected(
    400,
    "a target cannot hide a version",
    head("GET / HTTP/1.1/smuggled HTTP/1.1", "Host: a").replace("1.1/", "1.1 /"),
  ),
  rejected(
    417,
    "a disguised expectation is rejected",
    `${post("Expect: y 100-continue", length(SMUGGLED))}${SMUGGLED}`,
  ),
  {
    ...answered(
      "0.CL: a body after 100 Continue is read as a body",
      [post("Expect: 100-continue", length(SMUGGLED)), SMUGGLED],
      { status: 100, isFromServer: true },
      { body: SMUGGLED },
    ),
    responsesAfter: [1],
    on: { ignore: { responses: [{}], after: "closes", responsesAfter: [1] } },
  },
  {
    ...answered(
      "0.CL: a body without 100 Continue is read as a body",
      post("Expect: 100-continue", length(SMUGGLED)) + SMUGGLED,
      { body: SMUGGLED },
    ),
    allowsContinue: true,
    on: { ignore: { or: { responses: [{}], after: "closes" } } },
  },
  answered(
    "h2c: what follows an upgrade is HTTP/1.1",
    `${get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")}${get()}`,
    {},
    {},
  ),
  rejected(
    505,
    "h2c: a preface after an upgrade is rejected",
    `${get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    {},
  ),
  answered("an absolute target takes precedence over Host", head("GET http://b/ HTTP/1.1", "Host: a"), {
    url: "http://b/",
  }),
  answered(
    "X-HTTP-Method-Override does not change the method",
    post("X-HTTP-Method-Override: GET", length(SMUGGLED)) + SMUGGLED,
    { method: "POST", body: SMUGGLED },
  ),
  rejected(
    400,
    "a chunked HTTP/1.0 request",
    head("GET / HTTP/1.0", "Connection: keep-alive", TE) + `0\r\n\r\n${SMUGGLED}`,
  ),
  last("a request after an HTTP/1.0 request", head("GET / HTTP/1.0") + SMUGGLED, { isHttp10: true }),
  rejected(
    411,
    "a request after an HTTP/1.0 POST without a length",
    head("POST / HTTP/1.0", "Connection: keep-alive") + SMUGGLED,
  ),
  rejected(400, "a Host that contains a comma and a space", head("GET / HTTP/1.1", "Host: a, b") + SMUGGLED),
  rejected(400, "a disguised second Host", head("GET / HTTP/1.1", "Host: a", "Host : b") + SMUGGLED),
];
