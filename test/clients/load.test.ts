// ab and wrk: thousands of concurrent requests without a failure. Speed is not tested here.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FetchServer } from "../support/fetch-server.ts";
import { run, endPrograms } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const modes = [
  { blocks: true, options: { eager: true } },
  { blocks: true, options: { eager: false } },
  { blocks: false, options: { eager: true } },
];

for (const mode of modes.slice(0, scaled(1, modes.length))) {
  describe(JSON.stringify(mode), () => {
    test.skipIf(Bun.which("ab") === null)("ab, HTTP/1.0 with and without keep-alive", async () => {
      await using server = await FetchServer.start(mode);
      for (const flags of [[], ["-k"]]) {
        for (const target of ["/hello", "/stream?bytes=30000"]) {
          const counts = await ab([...flags, "-n", "2000", "-c", "50"], `${server.url}${target}`);
          expect(counts).toEqual({ complete: 2000, failed: 0, isAllOk: true });
        }
      }
      expect(await server.stop()).toMatchObject({ open: 0, requests: 8000, rejected: 0, timeouts: 0, thrown: [] });
    });

    test.skipIf(Bun.which("ab") === null)("ab with a body", async () => {
      await using server = await FetchServer.start(mode);
      const folder = mkdtempSync(join(tmpdir(), "epoll-hello-ab-"));
      try {
        const body = join(folder, "body");
        writeFileSync(body, Buffer.alloc(20_000, "x"));
        const flags = ["-k", "-n", "1000", "-c", "20", "-p", body, "-T", "text/plain"];
        for (const target of ["/hash", "/collect", "/ignore"]) {
          expect(await ab(flags, `${server.url}${target}`)).toEqual({ complete: 1000, failed: 0, isAllOk: true });
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
      expect(await server.stop()).toMatchObject({ open: 0, requests: 3000, rejected: 0, timeouts: 0, thrown: [] });
    });

    test.skipIf(Bun.which("wrk") === null)("wrk, on a hundred connections", async () => {
      await using server = await FetchServer.start(mode);
      for (const target of ["/hello", "/stream?bytes=30000"]) {
        const url = `${server.url}${target}`;
        const { code, stdout } = await run(["wrk", "-t", "1", "-c", "100", "-d", "1s", "--timeout", "30s", url]);
        expect(code).toBe(0);
        expect(Number(/(\d+) requests in/.exec(stdout)?.[1])).toBeGreaterThan(100);
        expect(stdout).not.toMatch(/Socket errors|Non-2xx/);
      }
      expect(await server.stop()).toMatchObject({ open: 0, rejected: 0, timeouts: 0, thrown: [] });
    });
  });
}

/** Runs ab and returns its counts. */
async function ab(flags: string[], url: string): Promise<{ complete: number; failed: number; isAllOk: boolean }> {
  const { code, stdout, stderr } = await run(["ab", "-q", "-r", "-s", "30", ...flags, url]);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  const count = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(stdout)?.[1]);
  return {
    complete: count("Complete requests"),
    failed: count("Failed requests"),
    isAllOk: !stdout.includes("Non-2xx responses"),
  };
}
