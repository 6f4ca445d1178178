// The policy for a request body that the handler has not read when the response is ready.

import { expect, setDefaultTimeout, test } from "bun:test";
import { BufferBudget } from "../../src/protocols/buffer-budget.ts";
import { Exchange } from "../../src/protocols/http/exchange.ts";
import { readHead } from "../../src/protocols/http/read-head.ts";
import { RequestBody } from "../../src/protocols/http/request-body.ts";
import { RequestHead } from "../../src/protocols/http/request-head.ts";
import { FileOpener } from "../../src/protocols/http/file-source.ts";
import { prepareResponse, type PreparedResponse } from "../../src/protocols/http/response.ts";
import { SerializedResponse } from "../../src/protocols/http/static-response.ts";
import { MAX_DISCARDED_BYTES, unreadBodyPolicy } from "../../src/protocols/http/unread-body.ts";
import { hostClock } from "../../src/kernel/clock.ts";
import { syscalls } from "../../src/kernel/ffi.ts";

setDefaultTimeout(60_000);

const limits = { maxHeaderBytes: 1000, maxHeaderCount: 10, maxTargetBytes: 100 };
const owner = { onReadStarted() {}, onBodyDrain() {} };
const prepare = (response: Response): PreparedResponse =>
  prepareResponse(response, new FileOpener(syscalls()), undefined) as PreparedResponse;
const text = (): PreparedResponse => prepare(new Response("x"));
const stream = (): PreparedResponse => prepare(new Response(new ReadableStream()));
const fixed = (): SerializedResponse => new SerializedResponse({ body: "x" }, hostClock);

function exchangeWith(
  response: PreparedResponse | SerializedResponse,
  length: number | "chunked" | undefined,
  field = "X: 1",
): Exchange {
  const framing = length === "chunked" ? "Transfer-Encoding: chunked" : `Content-Length: ${length ?? 0}`;
  const bytes = Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n${field}\r\n\r\n`);
  const head = readHead(bytes, 0, bytes.length, limits);
  if (!(head instanceof RequestHead)) throw new Error(`not a head: ${head}`);
  const body =
    head.bodyLength === 0 ? undefined : new RequestBody(head.bodyLength, 1e9, new BufferBudget(Infinity), owner);
  const exchange = new Exchange(head, body);
  exchange.respond(response);
  return exchange;
}

test("sends the response if there is no body, or it is complete", () => {
  expect(unreadBodyPolicy(exchangeWith(text(), undefined), true)).toBe("send");
  const complete = exchangeWith(text(), 3);
  complete.body?.feed(Buffer.from("abc"), 0, 3);
  expect(unreadBodyPolicy(complete, true)).toBe("send");
});

test("sends the response while the handler reads the body", () => {
  const exchange = exchangeWith(text(), 3);
  void exchange.body?.all();
  expect(unreadBodyPolicy(exchange, true)).toBe("send");
});

test("sends a streamed response, which may be derived from the body", () => {
  const exchange = exchangeWith(stream(), 3);
  expect(unreadBodyPolicy(exchange, true)).toBe("send");
  exchange.cancel(new Error("the test is over"));
});

test("waits for the rest of an unread body up to the limit, and abandons a longer one", () => {
  expect(unreadBodyPolicy(exchangeWith(text(), MAX_DISCARDED_BYTES), true)).toBe("wait");
  expect(unreadBodyPolicy(exchangeWith(text(), MAX_DISCARDED_BYTES + 1), true)).toBe("abandon");
  expect(unreadBodyPolicy(exchangeWith(text(), "chunked"), true)).toBe("wait");
});

test("a static server waits for bodies of any length", () => {
  const exchange = exchangeWith(fixed(), MAX_DISCARDED_BYTES + 1);
  exchange.body?.discard();
  expect(unreadBodyPolicy(exchange, false)).toBe("wait");
  expect(unreadBodyPolicy(exchange, true)).toBe("abandon");
});

test("abandons a body that the client sends only after 100 Continue", () => {
  const exchange = exchangeWith(text(), 3, "Expect: 100-continue");
  expect(unreadBodyPolicy(exchange, true)).toBe("abandon");
  exchange.expectation = "sent";
  expect(unreadBodyPolicy(exchange, true)).toBe("wait");
});
