// The headers of a Request: they behave like a native Headers, whichever part is used first.

import { expect, setDefaultTimeout, test } from "bun:test";
import { FetchHarness } from "../support/fetch-harness.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const FIELDS: [string, string][] = [
  ["Host", "a.test"],
  ["User-Agent", "Mozilla/5.0 (X11)"],
  ["X-Empty", ""],
  ["X-Twice", "one"],
  ["x-twice", "two"],
  ["Cookie", "a=b"],
  ["cookie", "c=d"],
  ["Set-Cookie", "a=b"],
  ["Set-Cookie", "c=d"],
  ["X-Spaces", "\t in  between \t"],
  ["X_Under^score", "yes"],
  ["X-Latin", "\xe9\xff"],
];

/** Each is applied to the request's headers and to a native Headers with the same fields. */
const uses: Record<string, (headers: Headers) => unknown> = {
  get: (headers) =>
    [...FIELDS.map(([name]) => name), "missing", "HOST", "x_under^score"].map((name) => headers.get(name)),
  has: (headers) => [...FIELDS.map(([name]) => name), "missing", "uSER-aGENT"].map((name) => headers.has(name)),
  "get a name that is not a token": (headers) => headers.get("a b"),
  "has a name that is not a string": (headers) => headers.has(1 as unknown as string),
  "get without a name": (headers) => (headers.get as () => unknown)(),
  spread: (headers) => [...headers],
  entries: (headers) => [...headers.entries()],
  keys: (headers) => [...headers.keys()],
  values: (headers) => [...headers.values()],
  forEach(headers) {
    const all: unknown[] = [];
    headers.forEach((value, name) => all.push(name, value));
    return all;
  },
  getSetCookie: (headers) => headers.getSetCookie(),
  getAll: (headers) => headers.getAll("Set-Cookie"),
  count: (headers) => headers.count,
  toJSON: (headers) => JSON.stringify(headers),
  inspect: (headers) => Bun.inspect(headers),
  "Object.fromEntries": (headers) => Object.fromEntries(headers as Iterable<[string, string]>),
  "new Headers": (headers) => [...new Headers(headers)],
  "new Request": (headers) => [...new Request("http://a/", { headers }).headers],
  "new Response": (headers) => [...new Response("", { headers }).headers].filter(([name]) => name !== "content-type"),
  "set, then get": (headers) => (headers.set("X-Twice", "three"), headers.get("x-twice")),
  "append, then get": (headers) => (headers.append("User-Agent", "more"), headers.get("user-agent")),
  "delete, then has": (headers) => (headers.delete("cookie"), [headers.has("cookie"), headers.get("cookie")]),
  "get, then set, then get": (headers) => [headers.get("host"), headers.set("host", "b"), headers.get("host")],
  instanceof: (headers) => [headers instanceof Headers, Object.prototype.toString.call(headers)],
};

function outcome(use: (headers: Headers) => unknown, headers: Headers): unknown {
  try {
    return { result: use(headers) };
  } catch (error) {
    return { error: (error as Error).name };
  }
}

for (const [name, use] of Object.entries(uses)) {
  test(`${name}: as with a native Headers`, () =>
    leavesNoFd(async () => {
      const seen: unknown[] = [];
      using harness = new FetchHarness((request) => {
        seen.push(outcome(use, request.headers));
        return new Response("ok");
      });
      const head = `GET / HTTP/1.1\r\n${FIELDS.map(([field, value]) => `${field}: ${value}\r\n`).join("")}\r\n`;
      const client = harness.client();
      client.send(Buffer.from(head, "latin1"));
      await harness.text(client, /ok$/);
      const native = new Headers();
      for (const [field, value] of FIELDS) native.append(field, value);
      expect(seen).toEqual([outcome(use, native)]);
    }));
}

test("headers that a handler keeps stay the same", () =>
  leavesNoFd(async () => {
    const kept: Headers[] = [];
    using harness = new FetchHarness((request) => {
      kept.push(request.headers);
      return new Response("ok");
    });
    const client = harness.client();
    for (const name of ["first", "second", "third"]) {
      client.send(`GET /${name} HTTP/1.1\r\nHost: a\r\nX-Name: ${name}\r\n\r\n`);
      await harness.text(client, /ok$/);
    }
    expect(kept.map((headers) => headers.get("x-name"))).toEqual(["first", "second", "third"]);
    expect(kept.map((headers) => [...headers].length)).toEqual([2, 2, 2]);
  }));
