// The Response that a fetch handler returns: every kind of body, its framing, and errors.

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FetchHarness, parseResponses, type ReceivedResponse } from "../support/fetch-harness.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const GET = "GET / HTTP/1.1";

async function answer(make: () => unknown, head = GET): Promise<ReceivedResponse> {
  using harness = new FetchHarness((() => make()) as () => Response);
  const client = harness.client(`${head}\r\nHost: a\r\nConnection: close\r\n\r\n`);
  const [response, more] = parseResponses(await harness.rest(client), head.startsWith("HEAD"));
  expect(more).toBeUndefined();
  return response as ReceivedResponse;
}

const stream = (...chunks: unknown[]): ReadableStream =>
  new ReadableStream({
    pull(controller) {
      if (chunks.length > 0) controller.enqueue(chunks.shift());
      else controller.close();
    },
  });

test("sets Content-Length and Content-Type of bodies in memory", () =>
  leavesNoFd(async () => {
    const text = "text/plain;charset=utf-8";
    const cases: [make: () => Response, body: string, type: string | undefined][] = [
      [() => new Response("hello"), "hello", text],
      [() => new Response("grüß"), Buffer.from("grüß").toString("latin1"), text],
      [() => new Response("x", { headers: { "Content-Type": "a/b" } }), "x", "a/b"],
      [() => new Response(new Uint8Array([0, 255])), "\0\xff", "application/octet-stream"],
      [() => new Response(new Blob(["abc"], { type: "image/png" })), "abc", "image/png"],
      [() => new Response(new Blob(["abcdef"]).slice(1, 3)), "bc", "application/octet-stream"],
      [() => new Response(new File(["abc"], "n.txt", { type: "a/b" })), "abc", "a/b"],
      [() => Response.json({ a: 1 }), '{"a":1}', "application/json;charset=utf-8"],
      [() => new Response(new URLSearchParams("a=b")), "a=b", "application/x-www-form-urlencoded;charset=UTF-8"],
      [() => new Response(""), "", undefined],
      [() => new Response(null), "", undefined],
      [() => new Response(new Blob([])), "", undefined],
      [() => new Response("y".repeat(200_000)), "y".repeat(200_000), text],
    ];
    for (const [make, body, type] of cases) {
      const { status, headers, body: received } = await answer(make);
      expect({ status, length: headers["content-length"], type: headers["content-type"] }).toEqual({
        status: 200,
        length: String(body.length),
        type,
      });
      expect(received).toBe(body);
    }
  }));

test("keeps status, status text and headers, and several Set-Cookie fields", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(() => {
      const headers = new Headers({ "X-A": "1", Date: "Thu, 01 Jan 1970 00:00:00 GMT" });
      headers.append("Set-Cookie", "a=1");
      headers.append("Set-Cookie", "b=2");
      return new Response("x", { status: 418, statusText: "Short and Stout", headers });
    });
    const text = await harness.rest(harness.client(`${GET}\r\nHost: a\r\nConnection: close\r\n\r\n`));
    expect(text).toStartWith("HTTP/1.1 418 Short and Stout\r\n");
    expect(text.match(/^set-cookie: .*$/gim)).toEqual(["set-cookie: a=1", "set-cookie: b=2"]);
    expect(text.match(/^date: .*$/gim)).toEqual(["date: Thu, 01 Jan 1970 00:00:00 GMT"]);
  }));

test("sends 204 and 304 without body and length, and redirects unchanged", () =>
  leavesNoFd(async () => {
    for (const status of [204, 304]) {
      const { headers, body } = await answer(() => new Response(null, { status }));
      expect([headers["content-length"], headers["transfer-encoding"], body]).toEqual([undefined, undefined, ""]);
    }
    const { status, headers } = await answer(() => Response.redirect("http://b.test/"));
    expect([status, headers["location"], headers["content-length"]]).toEqual([302, "http://b.test/", "0"]);
  }));

test("responds to HEAD with the head of GET, for each kind of body", () =>
  leavesNoFd(async () => {
    const makes = [
      () => new Response("hello"),
      () => new Response(stream("a", "b")),
      () => new Response(Bun.file(import.meta.path)),
      () => new Response(null, { headers: { "Content-Length": "4711" } }),
      () => new Response(""),
      () => new Response(null, new Response("the body that GET would have", { headers: { ETag: '"a"' } })), // as Hono does
    ];
    const size = String(Bun.file(import.meta.path).size);
    const expected = [["5"], [undefined, "chunked"], [size], ["4711"], ["0"], [undefined]];
    for (const [i, make] of makes.entries()) {
      const { headers, body } = await answer(make, "HEAD / HTTP/1.1");
      expect(body).toBe("");
      expect([headers["content-length"], headers["transfer-encoding"]]).toEqual([
        expected[i]?.[0],
        expected[i]?.[1],
      ] as (string | undefined)[]);
    }
  }));

test("sends streams chunked for HTTP/1.1, until close for HTTP/1.0, or by their Content-Length", () =>
  leavesNoFd(async () => {
    const chunks = (): unknown[] => [
      "a",
      new Uint8Array([98]),
      "",
      new Uint8Array([99, 100]).buffer,
      "e".repeat(50_000),
    ];
    const body = `abcd${"e".repeat(50_000)}`;
    const chunked = await answer(() => new Response(stream(...chunks())));
    expect([chunked.headers["transfer-encoding"], chunked.headers["content-length"]]).toEqual(["chunked", undefined]);
    expect(chunked.body).toBe(body);
    const old = await answer(() => new Response(stream(...chunks())), "GET / HTTP/1.0");
    expect([old.headers["transfer-encoding"], old.headers["connection"], old.body]).toEqual([undefined, "close", body]);
    const sized = await answer(() => new Response(stream("abc"), { headers: { "Content-Length": "3" } }));
    expect([sized.headers["transfer-encoding"], sized.headers["content-length"]]).toEqual([undefined, "3"]);
    const generator = await answer(
      () =>
        new Response(
          (async function* () {
            yield "a";
            await Bun.sleep(1);
            yield "b";
          })() as unknown as ReadableStream,
        ),
    );
    expect(generator.body).toBe("ab");
  }));

test("keeps the connection open after a stream", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(() => new Response(stream("a", "b")));
    const text = `${GET}\r\nHost: a\r\n\r\n`.repeat(3) + `${GET}\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const responses = parseResponses(await harness.rest(harness.client(text)));
    expect(responses.map(({ body }) => body)).toEqual(["ab", "ab", "ab", "ab"]);
  }));

test("stops pulling a stream that the client does not read, and continues when it does", () =>
  leavesNoFd(async () => {
    let pulled = 0;
    let isCanceled = false;
    const total = 1000;
    using harness = new FetchHarness(
      () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              if (pulled++ < total) controller.enqueue(new Uint8Array(65_536));
              else controller.close();
            },
            cancel: () => void (isCanceled = true),
          }),
        ),
    );
    const client = harness.client(`${GET}\r\nHost: a\r\nConnection: close\r\n\r\n`);
    let before = -1;
    for (let quiet = 0; quiet < 20; quiet = pulled === before ? quiet + 1 : 0) {
      before = pulled;
      await harness.idle(5);
    }
    expect(pulled).toBeLessThan(300);
    const { body } = parseResponses(await harness.rest(client))[0] as ReceivedResponse;
    expect(body.length).toBe(total * 65_536);
    expect(isCanceled).toBe(false);
  }));

test("forwards a Response from fetch() as it arrives", () =>
  leavesNoFd(async () => {
    const rest = Promise.withResolvers<void>();
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue("first ");
        await rest.promise;
        controller.enqueue("second");
        controller.close();
      },
    });
    await using upstream = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(body, { headers: { "X-From": "upstream" } }),
    });
    using harness = new FetchHarness(() => fetch(upstream.url, { keepalive: false }));
    const client = harness.client(`${GET}\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const begin = await harness.text(client, /first /);
    rest.resolve();
    const [response] = parseResponses(begin + (await harness.rest(client)));
    expect([response?.body, response?.headers["x-from"]]).toEqual(["first second", "upstream"]);
  }));

test("cancels a stream when the client disconnects", () =>
  leavesNoFd(async () => {
    let why: unknown;
    using harness = new FetchHarness(
      () =>
        new Response(
          new ReadableStream({
            pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
            cancel: (reason) => void (why = reason),
          }),
        ),
    );
    const client = harness.client(`${GET}\r\nHost: a\r\n\r\n`);
    await harness.text(client, /HTTP/);
    client.close();
    await harness.until(() => why !== undefined);
    expect((why as Error).name).toBe("AbortError");
    await harness.until(() => harness.server.stats.open === 0);
  }));

test("resets the connection and calls onError if a stream fails or does not match its Content-Length", () =>
  leavesNoFd(async () => {
    const errors: string[] = [];
    const failing = new ReadableStream({
      pull(controller) {
        controller.enqueue("abc");
        controller.error(new Error("the source failed"));
      },
    });
    const makes = [
      () => new Response(failing),
      () => new Response(stream("abcd"), { headers: { "Content-Length": "3" } }),
      () => new Response(stream("ab"), { headers: { "Content-Length": "3" } }),
      () => new Response(stream(Symbol())),
    ];
    for (const make of makes) {
      using harness = new FetchHarness(make, { onError: (error) => void errors.push(String(error)) });
      const client = harness.client(`${GET}\r\nHost: a\r\n\r\n`);
      await harness.until(() => harness.server.stats.accepted === 1 && harness.server.stats.open === 0);
      expect(harness.fate(client)).toBe("reset");
    }
    expect(errors[0]).toContain("the source failed");
    expect(errors[1]).toContain("longer than its Content-Length");
    expect(errors[2]).toContain("shorter than its Content-Length");
    expect(errors).toHaveLength(4);
  }));

test("sends whole files, slices of files, missing files (404), and truncated ones (reset)", () =>
  leavesNoFd(async () => {
    const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
    try {
      const path = join(directory, "a.html");
      writeFileSync(path, "x".repeat(1_000_000));
      const whole = await answer(() => new Response(Bun.file(path)));
      expect([whole.headers["content-length"], whole.headers["content-type"]]).toEqual([
        "1000000",
        "text/html;charset=utf-8",
      ]);
      expect(whole.body).toBe("x".repeat(1_000_000));
      writeFileSync(path, "0123456789");
      expect((await answer(() => new Response(Bun.file(path).slice(2, 5)))).body).toBe("234");
      expect((await answer(() => new Response(Bun.file(path).slice(0, 5)))).body).toBe("01234");
      expect((await answer(() => new Response(Bun.file(join(directory, "none"))))).status).toBe(404);
      expect((await answer(() => new Response(Bun.file(directory)))).status).toBe(500);
      writeFileSync(path, "y".repeat(20_000_000));
      using harness = new FetchHarness(() => new Response(Bun.file(path)));
      const client = harness.client(`${GET}\r\nHost: a\r\n\r\n`);
      await harness.text(client, /HTTP/);
      truncateSync(path, 10);
      await harness.until(() => (client.recv(1_000_000), harness.server.stats.open === 0));
    } finally {
      rmSync(directory, { recursive: true });
    }
  }));

test("responds with 500 and calls onError if a handler throws, rejects, or does not return a Response", () =>
  leavesNoFd(async () => {
    const used = new Response("x");
    await used.text();
    const bad: Record<string, () => unknown> = {
      "thrown synchronously": () => {
        throw new Error("thrown synchronously");
      },
      "thrown asynchronously": async () => {
        await Bun.sleep(1);
        throw new Error("thrown asynchronously");
      },
      "rejected immediately": () => Promise.reject(new Error("rejected immediately")),
      "it returned undefined": () => undefined,
      "it returned object": () => ({ status: 200 }),
      "it returned string": async () => "text",
      "already used": () => used,
      "status 0": () => Response.error(),
    };
    for (const [message, make] of Object.entries(bad)) {
      const errors: unknown[] = [];
      using harness = new FetchHarness(make as () => Response, {
        onError: (error, request) => void errors.push(String(error), request?.url),
      });
      const client = harness.client(`${GET}\r\nHost: a\r\n\r\n`);
      const [response] = parseResponses(await harness.text(client, /request\.\n$/));
      expect({ message, status: response?.status, closes: response?.headers["connection"] }).toEqual({
        message,
        status: 500,
        closes: undefined,
      });
      expect(response?.body).not.toMatch(/thrown|rejected/);
      expect(errors).toEqual([expect.stringContaining(message), "http://a/"]);
    }
  }));

test("sends the Response that onError returns, or 500 if it cannot be sent", () =>
  leavesNoFd(async () => {
    const thrower = (): Response => {
      throw new Error("a secret");
    };
    for (const [onError, expected] of [
      [() => new Response("sorry", { status: 503 }), [503, "sorry"]],
      [() => Response.error(), [500, "The server failed to respond to this request.\n"]],
    ] as const) {
      using harness = new FetchHarness(thrower, { onError });
      const { status, body } = await harness.ask(GET);
      expect([status, body]).toEqual([...expected]);
    }
  }));

test("closes the connection after a Response with Connection: close", () =>
  leavesNoFd(async () => {
    using harness = new FetchHarness(() => new Response("x", { headers: { Connection: "close" } }));
    const text = await harness.rest(harness.client(`${GET}\r\nHost: a\r\n\r\n`.repeat(3)));
    expect(parseResponses(text).map(({ headers }) => headers["connection"])).toEqual(["close"]);
  }));

test("keeps Connection: Upgrade, which Upgrade requires", () =>
  leavesNoFd(async () => {
    const headers = { Upgrade: "websocket", Connection: "keep-alive, Upgrade" };
    using harness = new FetchHarness(() => new Response("x", { status: 426, headers }));
    const text = await harness.rest(
      harness.client(`${GET}\r\nHost: a\r\n\r\n${GET}\r\nHost: a\r\nConnection: close\r\n\r\n`),
    );
    const connections = parseResponses(text).map(({ headers: { upgrade, connection } }) => [upgrade, connection]);
    expect(connections).toEqual([
      ["websocket", "upgrade"],
      ["websocket", "upgrade, close"],
    ]);
  }));

test("resets the connection if onError throws; its responses never reach another connection", () =>
  leavesNoFd(async () => {
    let calls = 0;
    using harness = new FetchHarness(
      () => {
        if (++calls === 3) throw new Error("the handler failed");
        return new Response(`response ${calls}`);
      },
      {
        onError() {
          throw new Error("onError failed");
        },
      },
    );
    const request = `${GET}\r\nHost: a\r\n\r\n`;
    await harness.text(harness.client(request), /response 1$/);
    const bad = harness.client(request + request + request);
    expect(() => {
      for (let i = 0; i < 10; i++) harness.server.tick(0);
    }).toThrow("onError failed");
    expect(harness.fate(bad)).toBe("reset");
    expect(parseResponses(await harness.text(harness.client(request), /response 4$/))).toHaveLength(1);
  }));

test("rejects a status text that contains a line break", () =>
  leavesNoFd(async () => {
    for (const statusText of ["OK\r\nevil: 1", "OK\u010d\u010aevil: 1"]) {
      using harness = new FetchHarness(() => new Response("x", { statusText }));
      const { status, headers } = await harness.ask("GET / HTTP/1.1");
      expect([status, headers["evil"]]).toEqual([500, undefined]);
    }
  }));

test("stop() closes a connection as soon as its streamed response is sent", () =>
  leavesNoFd(async () => {
    const gate = Promise.withResolvers<void>();
    const body = (): ReadableStream =>
      new ReadableStream({
        async start(controller) {
          controller.enqueue("begun ");
          await gate.promise;
          controller.enqueue("ended");
          controller.close();
        },
      });
    using harness = new FetchHarness(() => new Response(body()));
    const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await harness.text(client, /begun/);
    const stopped = harness.server.stop();
    await harness.idle();
    gate.resolve();
    expect(await harness.rest(client)).toContain("ended");
    await harness.until(() => harness.server.closed); // even though the clock does not advance
    await stopped;
  }));
