// Expect: RFC 9110, 10.1.1.

import { answered, type Case, CONTINUE, each, get, head, last, post, rejected, shown } from "../case.ts";

const EXPECT = "Expect: 100-continue";

/** A handler that responds without reading the body: the client may send the body or not, so the connection closes. */
const refusesBody = { ignore: { responses: [{}], after: "closes", responsesAfter: [1] } } as const;

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
    ...answered("9110 10.1.1: the client waits, receives 100, sends the body, and gets its response", [
      post(EXPECT, "Content-Length: 5"),
      "hello",
    ]),
    responses: [CONTINUE, { body: "hello" }],
    responsesAfter: [1],
    on: refusesBody,
  },
  {
    ...answered("9110 10.1.1: the same with a chunked body", [
      post(EXPECT, "Transfer-Encoding: chunked"),
      "5\r\nhello\r\n0\r\n\r\n",
    ]),
    responses: [CONTINUE, { body: "hello" }],
    responsesAfter: [1],
    on: refusesBody,
  },
  {
    ...answered("9110 10.1.1: the same in any case", [post("eXpEcT: 100-Continue", "Content-Length: 5"), "hello"]),
    responses: [CONTINUE, { body: "hello" }],
    responsesAfter: [1],
    on: refusesBody,
  },
  {
    ...answered("9110 10.1.1: two such requests in a row", [
      post(EXPECT, "Content-Length: 5"),
      "hello",
      post(EXPECT, "Content-Length: 3"),
      "you",
    ]),
    responses: [CONTINUE, { body: "hello" }, CONTINUE, { body: "you" }],
    responsesAfter: [1, 2, 3],
    only: ["static", "echo"],
  },
  {
    ...answered("9110 10.1.1: after another request, 100 follows that one's response", [
      get() + post(EXPECT, "Content-Length: 5"),
      "hello",
    ]),
    responses: [{}, CONTINUE, { body: "hello" }],
    responsesAfter: [2],
    on: { ignore: { responses: [{}, {}], after: "closes", responsesAfter: [2] } },
  },
  {
    ...answered("9110 10.1.1: after a slow request, 100 follows that one's response", [
      head("GET /slow/5 HTTP/1.1", "Host: a") + post(EXPECT, "Content-Length: 5"),
      "hello",
    ]),
    responses: [{ text: "after 5" }, CONTINUE, { body: "hello" }],
    responsesAfter: [2],
    only: ["echo"],
  },
  {
    ...answered(
      "9110 10.1.1: a client that does not wait is answered, too",
      `${post(EXPECT, "Content-Length: 5")}hello`,
      {
        body: "hello",
      },
    ),
    allowsContinue: true,
    on: { ignore: { or: { responses: [{}], after: "closes" } } },
  },
  {
    ...answered(
      "9110 10.1.1: a client that does not wait sends further requests",
      `${post(EXPECT, "Content-Length: 5")}hello${get()}`,
    ),
    responses: [{ body: "hello" }, { method: "GET" }],
    allowsContinue: true,
    only: ["static", "echo"],
  },
  {
    ...last("9110 10.1.1: a client that waits, with Connection: close", [
      post(EXPECT, "Connection: close", "Content-Length: 5"),
      "hello",
    ]),
    responses: [CONTINUE, { body: "hello" }],
    responsesAfter: [1],
    on: { ignore: { responses: [{}], responsesAfter: [1] } },
  },
  answered("9110 10.1.1: no 100 without a body", get(EXPECT)),
  answered("9110 10.1.1: no 100 with an empty body", post(EXPECT, "Content-Length: 0"), {
    body: "",
  }),
  {
    ...last("9110 10.1.1: no 100 in HTTP/1.0", [head("POST / HTTP/1.0", EXPECT, "Content-Length: 5"), "hello"], {
      isHttp10: true,
      body: "hello",
    }),
    responsesAfter: [0],
  },
  last("9110 10.1.1: in HTTP/1.0 any expectation is ignored", head("GET / HTTP/1.0", "Expect: foo"), {
    isHttp10: true,
  }),
  ...each(wrong, (value) =>
    rejected(
      417,
      `9110 15.5.18: ${shown(value)} is rejected with 417`,
      `${post(`Expect: ${value}`, "Content-Length: 5")}hello`,
    ),
  ),
  rejected(417, "9110 15.5.18: an unknown expectation is rejected without a body, too", get("Expect: foo")),
  rejected(417, "9110 15.5.18: after a valid request", get() + get("Expect: foo"), {}),
  rejected(
    413,
    "9110 10.1.1: a body that is too large is rejected without 100",
    post(EXPECT, "Content-Length: 99999999999"),
  ),
  rejected(400, "9110 10.1.1: a body of ambiguous length is rejected without 100", post(EXPECT, "Content-Length: x")),
];
