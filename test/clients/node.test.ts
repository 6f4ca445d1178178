// Node's http and undici, each in its own process: keep-alive, pipelining, chunked bodies, 100 Continue.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { FetchServer } from "../support/fetch-server.ts";
import { run, endPrograms } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const hasNode = Bun.which("node") !== null;

/** Runs a program against the server; returns what it observed. */
async function observedBy(program: string, server: FetchServer): Promise<unknown> {
  const path = join(import.meta.dir, "programs", program);
  const { code, stdout, stderr } = await run([Bun.which("node") ?? "node", path, String(server.port)]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

test.skipIf(!hasNode)("http: every kind of request gets its response", async () => {
  await using server = await FetchServer.start();
  expect(await observedBy("http.mjs", server)).toEqual({
    "keep-alive": [
      [200, 5, false],
      [200, 16, true],
      [404, 12, true],
      [200, 10, true],
      [200, 100_000, true],
      [200, 5, true],
    ],
    HEAD: ["100000", 0, true],
    "body by length": [true, true],
    "body by chunks": [true, true],
    "Expect: 100-continue": ["continue", 100, true, true],
    "Expect: 100-continue, unread": ["close", "ignored"],
    "after a closed connection": ["a, b", false],
    "an upgrade that is ignored": [200, "hello"],
    "pipelined by hand, and half-closed": [
      "200",
      "after 20",
      "200",
      "hello",
      "200",
      "piece 2",
      "piece 1",
      "200",
      "after 1",
      "404",
      "no such page",
      "200",
      "hello",
    ],
    echo: [true, true],
  });
  expect(await server.stop()).toMatchObject({ open: 0, rejected: 0, timeouts: 0, errors: 0, thrown: [] });
});

test.skipIf(!hasNode)("undici: ten pipelined requests in order, and fetch", async () => {
  await using server = await FetchServer.start();
  expect(await observedBy("undici.mjs", server)).toEqual({
    "a hundred, pipelined": [true, 1],
    "HEADs among GETs": ["200 hello", "200 ", "200 hello", "200 "],
    "PUTs among GETs": Array.from({ length: 10 }, () => true),
    "a thousand over five connections": true,
    "fetch, form": [
      ["a", "1"],
      ["b", 1_000_003],
    ],
    "fetch, aborted": "AbortError",
    "fetch, echo": true,
  });
  await server.waitFor("aborted");
  expect(await server.stop()).toMatchObject({ open: 0, rejected: 0, timeouts: 0, thrown: [] });
});
