// Expect: RFC 9110, 10.1.1.

import { answered, type Case, CONTINUE, each, get, head, last, post, refused, shown } from "../case.ts";

const EXPECT = "Expect: 100-continue";

/** A handler that wants no body says so by its reply; the body may come or not, so the connection is over. */
const refusesBody = { deaf: { replies: [{}], after: "closes", heard: [1] } } as const;

const wrong = [
  "foo",
  "100",
  "continue",
  "100-continue-",
  "100-continued",
  "100 continue",
  "100-continue, foo",
  "foo, 100-continue",
  "200-ok",
];

export const expectation: readonly Case[] = [
  {
    ...answered("9110 10.1.1: the client waits, is told to go on, and gets its reply", [
      post(EXPECT, "Content-Length: 5"),
      "hello",
    ]),
    replies: [CONTINUE, { body: "hello" }],
    heard: [1],
    on: refusesBody,
  },
  {
    ...answered("9110 10.1.1: the same with a body in chunks", [
      post(EXPECT, "Transfer-Encoding: chunked"),
      "5\r\nhello\r\n0\r\n\r\n",
    ]),
    replies: [CONTINUE, { body: "hello" }],
    heard: [1],
    on: refusesBody,
  },
  {
    ...answered("9110 10.1.1: the same in any case", [post("eXpEcT: 100-Continue", "Content-Length: 5"), "hello"]),
    replies: [CONTINUE, { body: "hello" }],
    heard: [1],
    on: refusesBody,
  },
  {
    ...answered("9110 10.1.1: two such requests one after the other", [
      post(EXPECT, "Content-Length: 5"),
      "hello",
      post(EXPECT, "Content-Length: 3"),
      "you",
    ]),
    replies: [CONTINUE, { body: "hello" }, CONTINUE, { body: "you" }],
    heard: [1, 2, 3],
    only: ["static", "echo"],
  },
  {
    ...answered("9110 10.1.1: behind another request, after its reply", [
      get() + post(EXPECT, "Content-Length: 5"),
      "hello",
    ]),
    replies: [{}, CONTINUE, { body: "hello" }],
    heard: [2],
    on: { deaf: { replies: [{}, {}], after: "closes", heard: [2] } },
  },
  {
    ...answered("9110 10.1.1: behind a slow request, after its reply", [
      head("GET /slow/5 HTTP/1.1", "Host: a") + post(EXPECT, "Content-Length: 5"),
      "hello",
    ]),
    replies: [{ text: "after 5" }, CONTINUE, { body: "hello" }],
    heard: [2],
    only: ["echo"],
  },
  {
    ...answered(
      "9110 10.1.1: a client that does not wait is answered all the same",
      `${post(EXPECT, "Content-Length: 5")}hello`,
      {
        body: "hello",
      },
    ),
    mayContinue: true,
    on: { deaf: { or: { replies: [{}], after: "closes" } } },
  },
  {
    ...answered(
      "9110 10.1.1: one that does not wait, with further requests",
      `${post(EXPECT, "Content-Length: 5")}hello${get()}`,
    ),
    replies: [{ body: "hello" }, { method: "GET" }],
    mayContinue: true,
    only: ["static", "echo"],
  },
  {
    ...last("9110 10.1.1: a client that waits, and closes then", [
      post(EXPECT, "Connection: close", "Content-Length: 5"),
      "hello",
    ]),
    replies: [CONTINUE, { body: "hello" }],
    heard: [1],
    on: { deaf: { replies: [{}], heard: [1] } },
  },
  answered("9110 10.1.1: without a body there is nothing to go on with", get(EXPECT)),
  answered("9110 10.1.1: with an empty body there is nothing to go on with", post(EXPECT, "Content-Length: 0"), {
    body: "",
  }),
  {
    ...last("9110 10.1.1: HTTP/1.0 knows no 100", [head("POST / HTTP/1.0", EXPECT, "Content-Length: 5"), "hello"], {
      isOld: true,
      body: "hello",
    }),
    heard: [0],
  },
  last("9110 10.1.1: in HTTP/1.0 any expectation is ignored", head("GET / HTTP/1.0", "Expect: foo"), { isOld: true }),
  ...each(wrong, (value) =>
    refused(417, `9110 15.5.18: ${shown(value)} is not met`, `${post(`Expect: ${value}`, "Content-Length: 5")}hello`),
  ),
  refused(417, "9110 15.5.18: an expectation without a body is not met, either", get("Expect: foo")),
  refused(417, "9110 15.5.18: after a request that was right", get() + get("Expect: foo"), {}),
  refused(
    413,
    "9110 10.1.1: a body too large is refused, and not asked for",
    post(EXPECT, "Content-Length: 99999999999"),
  ),
  refused(
    400,
    "9110 10.1.1: a body without a clear length is refused, and not asked for",
    post(EXPECT, "Content-Length: x"),
  ),
];
