// Pipelined requests: responses keep the order of the requests, and handlers are notified when the client disconnects.

import { expect, setDefaultTimeout, test } from "bun:test";
import { SHUT_WR, SO_LINGER, SOL_SOCKET } from "../../src/index.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const get = (path: string, ...fields: string[]): string =>
  [`GET ${path} HTTP/1.1`, "Host: a", ...fields, "", ""].join("\r\n");
const last = (path: string): string => get(path, "Connection: close");

/** A server whose handlers wait until `go` is called with their path. */
function waiting(options = {}): {
  harness: FetchHarness;
  go: (path: string) => void;
  begun: string[];
  aborted: string[];
} {
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const begun: string[] = [];
  const aborted: string[] = [];
  const harness = new FetchHarness(async (request) => {
    const path = new URL(request.url).pathname;
    begun.push(path);
    const onAbort = (): number => aborted.push(`${path} ${request.signal.reason.name}`);
    if (request.signal.aborted) onAbort();
    else request.signal.addEventListener("abort", onAbort);
    const gate = Promise.withResolvers<void>();
    gates.set(path, gate);
    await gate.promise;
    return new Response(path);
  }, options);
  return { harness, go: (path) => gates.get(path)?.resolve(), begun, aborted };
}

test("handles pipelined requests one after another", () =>
  leavesNoFd(async () => {
    const { harness, go, begun } = waiting();
    using _ = harness;
    const paths = ["/1", "/2", "/3", "/4"];
    const client = harness.client(paths.map((path) => get(path)).join(""));
    for (const [i, path] of paths.entries()) {
      await harness.until(() => begun.includes(path));
      await harness.idle();
      expect(begun).toEqual(paths.slice(0, i + 1));
      go(path);
      const text = await harness.text(client, new RegExp(`${path}$`));
      expect(parseResponses(text).map(({ body }) => body)).toEqual([path]);
    }
    client.send(last("/5"));
    await harness.until(() => begun.includes("/5"));
    go("/5");
    expect(parseResponses(await harness.rest(client)).map(({ body }) => body)).toEqual(["/5"]);
  }));

test("holds responses that are ready, streamed ones too, until the one before them is sent", () =>
  leavesNoFd(async () => {
    const gate = Promise.withResolvers<void>();
    using harness = new FetchHarness(async ({ url }) => {
      const path = new URL(url).pathname;
      if (path === "/wait") await gate.promise;
      if (path === "/stream") {
        return new Response(
          new ReadableStream({
            async start(controller) {
              controller.enqueue("str");
              await Bun.sleep(1);
              controller.enqueue("eam");
              controller.close();
            },
          }),
        );
      }
      return new Response(path);
    });
    const paths = ["/stream", "/a", "/wait", "/b", "/stream", "/c"];
    const client = harness.client(`${paths.map((path) => get(path)).join("")}${last("/d")}`);
    expect(await harness.text(client, /\/a$/)).toContain("eam");
    gate.resolve();
    expect(parseResponses(await harness.rest(client)).map(({ body }) => body)).toEqual([
      "/wait",
      "/b",
      "stream",
      "/c",
      "/d",
    ]);
  }));

test("loses none of a hundred pipelined requests", () =>
  leavesNoFd(async () => {
    const { harness, go, begun } = waiting();
    using _ = harness;
    const paths = Array.from({ length: 100 }, (_, i) => `/${i}`);
    const client = harness.client(`${paths.map((path) => get(path)).join("")}${last("/end")}`);
    const answering = (async () => {
      for (let i = 0; i < paths.length; i++) {
        await harness.until(() => begun.includes(`/${i}`));
        go(`/${i}`);
      }
      await harness.until(() => begun.includes("/end"));
      go("/end");
    })();
    await answering;
    expect(parseResponses(await harness.rest(client)).map(({ body }) => body)).toEqual([...paths, "/end"]);
  }));

test("does not handle the request after an HTTP/1.0 request until that one is answered", () =>
  leavesNoFd(async () => {
    const { harness, go, begun } = waiting();
    using _ = harness;
    const old = (path: string): string => `GET ${path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`;
    const client = harness.client(old("/1") + old("/2"));
    await harness.until(() => begun.length > 0);
    await harness.idle();
    expect(begun).toEqual(["/1"]); // its response may close the connection
    go("/1");
    await harness.until(() => begun.length === 2);
    go("/2");
    expect(parseResponses(await harness.text(client, /\/2$/)).map(({ body }) => body)).toEqual(["/1", "/2"]);
  }));

test("sends a rejection after the responses to the requests before it, and then nothing", () =>
  leavesNoFd(async () => {
    const { harness, go, begun } = waiting();
    using _ = harness;
    const client = harness.client(`${get("/1")}GET / HTTP/2.0\r\nHost: a\r\n\r\n${get("/never")}`);
    await harness.until(() => begun.length === 1);
    go("/1");
    const responses = parseResponses(await harness.rest(client));
    expect(responses.map(({ status }) => status)).toEqual([200, 505]);
    expect(begun).toEqual(["/1"]);
  }));

test("responds with 400 instead of the handler's response if the body turns out to be malformed; reading it fails", () =>
  leavesNoFd(async () => {
    const errors: string[] = [];
    using harness = new FetchHarness(async (request) => {
      await request.text().catch((error: Error) => errors.push(error.message));
      return new Response("never");
    });
    const client = harness.client("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    await harness.idle();
    client.send("zz\r\n");
    const responses = parseResponses(await harness.rest(client));
    expect(responses.map(({ status }) => status)).toEqual([400]);
    expect(errors).toEqual(["the request body was rejected: bad-request"]);
  }));

test("answers a half-closed client completely, and aborts the signal", () =>
  leavesNoFd(async () => {
    const { harness, go, begun, aborted } = waiting();
    using _ = harness;
    const client = harness.client(get("/1") + get("/2"));
    client.shutdown(SHUT_WR);
    await harness.until(() => aborted.length === 1);
    go("/1");
    await harness.until(() => begun.length === 2);
    expect(aborted).toEqual(["/1 AbortError", "/2 AbortError"]);
    go("/2");
    expect(parseResponses(await harness.rest(client)).map(({ body }) => body)).toEqual(["/1", "/2"]);
  }));

for (const how of ["closes", "resets"]) {
  for (const fields of [[], ["Connection: close"]]) {
    test(`a client that ${how} while its handler waits ${fields}: aborts the signal and drops the late response`, () =>
      leavesNoFd(async () => {
        const { harness, go, begun, aborted } = waiting();
        using _ = harness;
        const client = harness.client(get("/1", ...fields));
        await harness.until(() => begun.length === 1);
        if (how === "resets") {
          client.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
        }
        client.close();
        await harness.until(() => aborted.length === 1);
        go("/1");
        await harness.until(() => harness.server.stats.open === 0);
        await harness.idle();
        const other = harness.client(last("/2"));
        await harness.until(() => begun.length === 2);
        go("/2");
        expect(await harness.rest(other)).toContain("/2");
      }));
  }
}

test("fails the body and aborts the signal if the client disconnects in the middle of the body", () =>
  leavesNoFd(async () => {
    const observed: string[] = [];
    using harness = new FetchHarness(async (request) => {
      request.signal.addEventListener("abort", () => observed.push("aborted"));
      await request.text().catch((error: Error) => observed.push(error.name));
      return new Response("x");
    });
    const client = harness.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    await harness.idle();
    client.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
    client.close();
    await harness.until(() => observed.length === 2);
    expect(observed.sort()).toEqual(["AbortError", "aborted"]);
  }));

test("reports the error of a handler whose client has disconnected, unless it is the AbortError", () =>
  leavesNoFd(async () => {
    const errors: string[] = [];
    const fates = ["the handler failed", "AbortError"];
    const gate = Promise.withResolvers<void>();
    let begun = 0;
    using harness = new FetchHarness(
      async ({ signal }) => {
        const own = begun++ === 0;
        await gate.promise;
        if (own) throw new Error(fates[0]);
        signal.throwIfAborted();
        return new Response("x");
      },
      { onError: (error) => void errors.push(String(error)) },
    );
    const clients = [harness.client(get("/1")), harness.client(get("/2"))];
    await harness.until(() => begun === 2);
    for (const client of clients) {
      client.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
      client.close();
    }
    await harness.until(() => harness.server.stats.open === 0);
    gate.resolve();
    await harness.idle();
    expect(errors).toEqual(["Error: the handler failed"]);
  }));

test("stop() waits for running handlers, and their responses say Connection: close", () =>
  leavesNoFd(async () => {
    const { harness, go, begun } = waiting({ deferAccept: false });
    using _ = harness;
    const client = harness.client(get("/1"));
    const idle = harness.client();
    await harness.until(() => begun.length === 1);
    const stopped = harness.server.stop();
    await harness.until(() => idle.recv(1)?.length === 0);
    await harness.idle();
    expect(harness.server.closed).toBe(false);
    go("/1");
    const [response] = parseResponses(await harness.rest(client));
    expect([response?.body, response?.headers["connection"]]).toEqual(["/1", "close"]);
    client.close();
    await harness.until(() => harness.server.closed);
    await stopped;
  }));

test("stop() delivers the responses to all requests that have begun, and the last one says Connection: close", () =>
  leavesNoFd(async () => {
    let begun = 0;
    const gate = Promise.withResolvers<void>();
    using harness = new FetchHarness(async (request) => {
      begun++;
      await gate.promise;
      return new Response(await request.text());
    });
    const post = (body: string): string =>
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const client = harness.client(post("1") + post("2") + post("3"));
    await harness.until(() => begun > 0);
    const stopped = harness.server.stop();
    await harness.idle();
    gate.resolve();
    const responses = parseResponses(await harness.rest(client));
    expect(responses.length).toBe(begun);
    expect(responses.at(-1)?.headers["connection"]).toBe("close");
    client.close();
    await harness.until(() => harness.server.closed);
    await stopped;
  }));

test("stop() aborts a handler that takes longer than graceMs", () =>
  leavesNoFd(async () => {
    const { harness, begun, aborted } = waiting();
    using _ = harness;
    const client = harness.client(get("/1"));
    await harness.until(() => begun.length === 1);
    const stopped = harness.server.stop({ graceMs: 1000 });
    await harness.idle();
    harness.clock.ms += 1000;
    await harness.until(() => harness.server.closed);
    await stopped;
    expect(aborted).toEqual(["/1 AbortError"]);
    expect(harness.fate(client)).toBe("reset");
  }));

test("a client that is still sending a rejected body receives the response", () =>
  leavesNoFd(async () => {
    for (const eager of [true, false]) {
      using harness = new FetchHarness(() => new Response("y".repeat(200_000)), { eager, maxBodyBytes: 1000 });
      const client = harness.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
      const piece = Buffer.alloc(50_000);
      for (let sent = 0, iterations = 0; sent < 3_000_000 && iterations < 1000; iterations++) {
        sent += Math.max(0, client.send(piece));
        harness.server.tick(0);
      }
      expect(await harness.text(client, /\.\n$/)).toStartWith("HTTP/1.1 413 ");
    }
  }));
