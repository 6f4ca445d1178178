// Responses without a body: HEAD, 204, 304. RFC 9110, 9.3.2, 15.3.5 and 15.4.5; RFC 9112, 6.3.

import { answered, type Case, get, head, last, rejected } from "../case.ts";

const to = (target: string, method: string = "GET"): string => head(`${method} ${target} HTTP/1.1`, "Host: a");
const handlers = ["echo", "ignore"] as const;

/** A rejected HEAD request. The response has no body, either. */
const rejectedHead = (status: number, name: string, send: string): Case => ({
  ...rejected(status, name, send),
  responses: [{ status, isFromServer: true, isHead: true }],
});

export const bodiless: readonly Case[] = [
  {
    ...answered("9110 9.3.2: HEAD has the Content-Length of GET", to("/", "HEAD"), {
      isHead: true,
      fields: { "Content-Length": "24" },
    }),
    only: ["static"],
  },
  {
    ...answered("9110 9.3.2: HEAD has the Content-Length of the handler's response", to("/fixed", "HEAD"), {
      isHead: true,
      fields: { "Content-Length": "10", "Transfer-Encoding": null },
    }),
    only: handlers,
  },
  answered(
    "9110 9.3.2: HEAD has no body, and the next response follows",
    to("/", "HEAD") + get(),
    { isHead: true },
    {},
  ),
  answered(
    "9110 9.3.2: HEAD after HEAD",
    to("/", "HEAD").repeat(3),
    { isHead: true },
    { isHead: true },
    { isHead: true },
  ),
  last("9110 9.3.2: HEAD with Connection: close", head("HEAD / HTTP/1.1", "Host: a", "Connection: close"), {
    isHead: true,
  }),
  last("9110 9.3.2: HEAD in HTTP/1.0", head("HEAD / HTTP/1.0"), { isHead: true, isHttp10: true }),
  answered("9110 9.3.2: HEAD in HTTP/1.0 with keep-alive", head("HEAD / HTTP/1.0", "Connection: keep-alive"), {
    isHead: true,
    isHttp10: true,
  }),
  { ...answered("9110 9.3.2: HEAD of a stream", to("/stream", "HEAD") + get(), { isHead: true }, {}), only: handlers },
  {
    ...answered("9110 9.3.2: HEAD of a slow response", to("/slow/3", "HEAD") + get(), { isHead: true }, {}),
    only: handlers,
  },
  {
    ...answered(
      "9110 9.3.2: HEAD of a large response",
      to("/large", "HEAD") + get(),
      { isHead: true, fields: { "Content-Length": "500000" } },
      {},
    ),
    only: handlers,
  },
  {
    ...answered("9110 9.3.2: HEAD of a missing resource", to("/404", "HEAD"), {
      status: 404,
      isHead: true,
      fields: { "Content-Length": "8" },
    }),
    only: handlers,
  },
  {
    ...answered("9110 9.3.2: HEAD of a failure", to("/throw", "HEAD") + get(), { status: 500, isHead: true }, {}),
    only: handlers,
  },
  { ...answered("9110 9.3.2: HEAD of 204", to("/204", "HEAD"), { status: 204, isHead: true }), only: handlers },
  {
    ...answered(
      "9110 15.3.5: 204 has neither a body nor a Content-Length",
      to("/204") + get(),
      { status: 204, fields: { "X-Status": "204" } },
      {},
    ),
    only: handlers,
  },
  {
    ...answered("9110 15.4.5: 304 has no body", to("/304") + get(), { status: 304, fields: { "X-Status": "304" } }, {}),
    only: handlers,
  },
  {
    ...answered(
      "9110 15.3.5: 204 to a POST with a body",
      `${head("POST /204 HTTP/1.1", "Host: a", "Content-Length: 5")}hello${get()}`,
      { status: 204 },
      {},
    ),
    only: handlers,
  },
  {
    ...last("9110 15.3.5: 204 in HTTP/1.0", head("GET /204 HTTP/1.0"), { status: 204, isHttp10: true }),
    only: handlers,
  },
  {
    ...answered("9110 15.3.5: 204 in HTTP/1.0 with keep-alive", head("GET /204 HTTP/1.0", "Connection: keep-alive"), {
      status: 204,
      isHttp10: true,
    }),
    only: handlers,
  },
  {
    ...answered("9110 15.3.5: a static 204", get() + get(), {}, {}),
    only: ["static"],
    options: { response: { status: 204 } },
  },
  {
    ...answered("9110 15.4.5: a static 304", get() + to("/", "HEAD"), {}, { isHead: true }),
    only: ["static"],
    options: { response: { status: 304 } },
  },
  {
    ...answered(
      "9112 6.3: a static empty body",
      get() + get(),
      { text: "", fields: { "Content-Length": "0" } },
      { text: "" },
    ),
    only: ["static"],
    options: { response: "" },
  },
  {
    ...answered("9112 6.3: an empty body", to("/empty") + get(), { text: "", fields: { "Content-Length": "0" } }, {}),
    only: handlers,
  },
  {
    ...answered(
      "9112 6.1: a stream for HTTP/1.1 is chunked",
      to("/stream") + get(),
      { text: "first,second,third", fields: { "Transfer-Encoding": "chunked" } },
      {},
    ),
    only: handlers,
  },
  {
    ...last("9112 6.3: a stream for HTTP/1.0 ends with the connection", head("GET /stream HTTP/1.0"), {
      text: "first,second,third",
      isHttp10: true,
    }),
    only: handlers,
  },
  {
    ...last(
      "9112 6.3: a late stream for HTTP/1.0 ends with the connection despite keep-alive",
      head("GET /stream HTTP/1.0", "Connection: keep-alive"),
      { text: "first,second,third", isHttp10: true },
    ),
    only: ["echo"],
    closesLate: true,
  },
  {
    ...last(
      "9112 6.3: a stream for HTTP/1.0 ends with the connection despite keep-alive",
      head("GET /stream HTTP/1.0", "Connection: keep-alive"),
      { text: "first,second,third", isHttp10: true },
    ),
    only: ["ignore"],
  },
  {
    ...last(
      "9112 6.1: a stream with Connection: close is chunked, too",
      head("GET /stream HTTP/1.1", "Host: a", "Connection: close"),
      { text: "first,second,third" },
    ),
    only: handlers,
  },
  {
    ...last("9112 6.3: a response for HTTP/1.0 has a Content-Length", head("GET /fixed HTTP/1.0"), {
      text: "of ten byt",
      isHttp10: true,
      fields: { "Content-Length": "10" },
    }),
    only: handlers,
  },
  rejectedHead(400, "9110 9.3.2: a HEAD without Host is rejected without a body", head("HEAD / HTTP/1.1")),
  rejectedHead(
    400,
    "9110 9.3.2: a HEAD with two lengths is rejected without a body",
    head("HEAD / HTTP/1.1", "Host: a", "Content-Length: 1", "Content-Length: 2"),
  ),
  rejectedHead(
    413,
    "9110 9.3.2: a HEAD with a body that is too large is rejected without one",
    head("HEAD / HTTP/1.1", "Host: a", "Content-Length: 99999999999"),
  ),
  rejectedHead(
    417,
    "9110 9.3.2: a HEAD with an unknown expectation is rejected without a body",
    head("HEAD / HTTP/1.1", "Host: a", "Expect: x"),
  ),
  rejectedHead(
    400,
    "9110 9.3.2: a HEAD with a malformed field is rejected without a body",
    head("HEAD / HTTP/1.1", "Host: a", "X : 1"),
  ),
  rejectedHead(505, "9110 9.3.2: a HEAD of HTTP/3.0 is rejected without a body", head("HEAD / HTTP/3.0", "Host: a")),
  rejectedHead(
    400,
    "9110 9.3.2: a HEAD with a malformed body is rejected without one",
    `${head("HEAD / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")}x\r\n`,
  ),
];
