// Handlers that do not read a body, or only part of it: the next request is still found. RFC 9112, 9.3.

import { answered, type Case, CONTINUE, each, get, head, last, rejected } from "../case.ts";

const handlers = ["echo", "ignore"] as const;
const to = (target: string, ...fields: readonly string[]): string =>
  head(`POST ${target} HTTP/1.1`, "Host: a", ...fields);
const sized = (target: string, body: string): string => to(target, `Content-Length: ${body.length}`) + body;
const inChunks = (target: string, wire: string): string => to(target, "Transfer-Encoding: chunked") + wire;
const only = (one: Case): Case => ({ ...one, only: handlers });

const TWO = "5\r\nhello\r\n7\r\n, world\r\n0\r\nX: 1\r\n\r\n";
const long = "0123456789".repeat(2000);

export const handling: readonly Case[] = [
  ...each(["peek", "cancel"], (how) =>
    only(
      answered(
        `a handler that reads part of the body: ${how}`,
        sized(`/body/${how}`, "hello") + get(),
        { text: how },
        {},
      ),
    ),
  ),
  ...each(["peek", "cancel"], (how) =>
    only(answered(`the same, chunked: ${how}`, inChunks(`/body/${how}`, TWO) + get(), { text: how }, {})),
  ),
  ...each(["peek", "cancel"], (how) =>
    only(answered(`the same with a long body: ${how}`, sized(`/body/${how}`, long) + get(), { text: how }, {})),
  ),
  ...each(["peek", "cancel"], (how) =>
    only(
      answered(
        `several such requests: ${how}`,
        sized(`/body/${how}`, "hello").repeat(5),
        ...Array.from({ length: 5 }, () => ({ text: how })),
      ),
    ),
  ),
  only(answered("a handler that responds with the body", sized("/body/pipe", "hello") + get(), { text: "hello" }, {})),
  only(answered("the same, chunked", inChunks("/body/pipe", TWO) + get(), { text: "hello, world" }, {})),
  only(answered("the same with a long body", sized("/body/pipe", long) + get(), { text: long }, {})),
  only(
    answered(
      "the same, several times",
      sized("/body/pipe", "hello").repeat(5),
      ...Array.from({ length: 5 }, () => ({ text: "hello" })),
    ),
  ),
  only(
    last("the same for a last request", to("/body/pipe", "Connection: close", "Content-Length: 5") + "hello", {
      text: "hello",
    }),
  ),
  only(
    last("the same in HTTP/1.0", `${head("POST /body/pipe HTTP/1.0", "Content-Length: 5")}hello`, {
      text: "hello",
      isHttp10: true,
    }),
  ),
  only({ ...last("the same for a half-closed client", sized("/body/pipe", "hello"), { text: "hello" }), ends: true }),
  only({
    ...last("the same for a client that waits: 100 precedes the response", [
      to("/body/pipe", "Connection: close", "Expect: 100-continue", "Content-Length: 5"),
      "hello",
    ]),
    responses: [CONTINUE, { text: "hello" }],
    responsesAfter: [1],
  }),
  only(answered("a slow handler, and a body", sized("/slow/5", "hello") + get(), { text: "after 5" }, {})),
  only(
    answered(
      "slow handlers, and chunked bodies",
      inChunks("/slow/9", TWO) + inChunks("/slow/2", TWO) + get(),
      { text: "after 9" },
      { text: "after 2" },
      {},
    ),
  ),
  only(
    answered(
      "a handler that fails, and a body",
      sized("/throw", "hello") + get(),
      { status: 500, text: "The server failed to respond to this request.\n" },
      {},
    ),
  ),
  only(answered("204, and a chunked body", inChunks("/204", TWO) + get(), { status: 204 }, {})),
  only(answered("a stream, and a body", sized("/stream", "hello") + get(), { text: "first,second,third" }, {})),
  only(answered("a large response, and a long body", sized("/large", long) + get(), { text: "x".repeat(500_000) }, {})),
  only(rejected(400, "a slow handler, and a malformed body", inChunks("/slow/5", "5\r\nhello\r\nx\r\n"))),
  only(rejected(400, "a handler that fails, and a malformed body", inChunks("/throw", "5\r\nhello\r\nx\r\n"))),
  {
    // A streamed response may begin before the body is known to be malformed.
    ...rejected(400, "a stream, and a malformed body that is read first", inChunks("/stream", "5\r\nhello\r\nx\r\n")),
    only: ["echo"],
  },
  {
    ...rejected(413, "a slow handler, and a body that is too large", inChunks("/slow/5", TWO)),
    only: handlers,
    options: { maxBodyBytes: 11 },
  },
];
