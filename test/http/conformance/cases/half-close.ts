// Half-closed connections: RFC 9112, 8 and 9.6.

import { type Case, chunked, each, get, head, last, post, rejected, shown } from "../case.ts";

const ending = (one: Case): Case => ({ ...one, ends: true });
const to = (target: string): string => head(`GET ${target} HTTP/1.1`, "Host: a");
const handlers = ["echo", "ignore"] as const;

const incomplete = [
  "G",
  "GET",
  "GET ",
  "GET /",
  "GET / HTTP/1.1",
  "GET / HTTP/1.1\r",
  "GET / HTTP/1.1\r\n",
  "GET / HTTP/1.1\r\nHost: a",
  "GET / HTTP/1.1\r\nHost: a\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\n\r",
];

const incompleteBodies = [
  post("Content-Length: 5"),
  `${post("Content-Length: 5")}hell`,
  chunked(""),
  chunked("5"),
  chunked("5\r"),
  chunked("5\r\n"),
  chunked("5\r\nhell"),
  chunked("5\r\nhello"),
  chunked("5\r\nhello\r"),
  chunked("5\r\nhello\r\n"),
  chunked("5\r\nhello\r\n0"),
  chunked("5\r\nhello\r\n0\r\n"),
  chunked("5\r\nhello\r\n0\r\nX: 1\r\n"),
  chunked("5\r\nhello\r\n0\r\n\r"),
];

export const halfClose: readonly Case[] = [
  ending(last("9112 9.6: a request is answered", get())),
  ending(last("9112 9.6: all requests are answered", get().repeat(5), {}, {}, {}, {}, {})),
  ending(last("9112 9.6: a request with a body is answered", `${post("Content-Length: 5")}hello`, { body: "hello" })),
  ending(last("9112 9.6: a chunked request is answered", chunked("5\r\nhello\r\n0\r\n\r\n"), { body: "hello" })),
  ending(last("9112 9.6: a request that closes is answered", get("Connection: close"))),
  ending(last("9112 9.6: HTTP/1.0 is answered", head("GET / HTTP/1.0"), { isHttp10: true })),
  ending(
    last("9112 9.6: HTTP/1.0 with keep-alive is answered", head("GET / HTTP/1.0", "Connection: keep-alive"), {
      isHttp10: true,
    }),
  ),
  ending(last("9112 9.6: HEAD is answered", head("HEAD / HTTP/1.1", "Host: a"), { isHead: true })),
  {
    ...ending(last("9112 9.6: a request with a slow handler is answered", to("/slow/9"), { text: "after 9" })),
    only: handlers,
  },
  {
    ...ending(
      last(
        "9112 9.6: several requests with slow handlers are answered",
        to("/slow/9") + to("/slow/2") + to("/slow/5"),
        { text: "after 9" },
        { text: "after 2" },
        { text: "after 5" },
      ),
    ),
    only: handlers,
  },
  {
    ...ending(last("9112 9.6: a stream is sent completely", to("/stream"), { text: "first,second,third" })),
    only: handlers,
  },
  {
    ...ending(last("9112 9.6: a large response is sent completely", to("/large"), { text: "x".repeat(500_000) })),
    only: handlers,
  },
  { ...ending(last("9112 9.6: without a request there is no response", "")), responses: [] },
  ending(
    last("9112 9.6: a hundred requests are answered", get().repeat(100), ...Array.from({ length: 100 }, () => ({}))),
  ),
  ...each(incomplete, (text) => ending(rejected(400, `9112 8: ${shown(text)} is an incomplete request`, text))),
  ...each(incompleteBodies, (text) => {
    const [, body = ""] = text.split("\r\n\r\n", 2);
    const framing = text.includes("chunked") ? "chunked" : "of 5 octets";
    return ending(rejected(400, `9112 8: a body ${framing} that ends after ${shown(body)} (${text.length})`, text));
  }),
  ending(rejected(400, "9112 8: an incomplete request after a complete one", `${get()}GET / HT`, {})),
  ending(
    rejected(400, "9112 8: an incomplete body after a complete request", `${get()}${post("Content-Length: 5")}he`, {}),
  ),
  ending(rejected(400, "9112 8: garbage", "\0")),
  {
    ...ending(
      rejected(400, "9112 8: an incomplete request after a slow one", `${to("/slow/9")}GET / HT`, { text: "after 9" }),
    ),
    only: handlers,
  },
];
