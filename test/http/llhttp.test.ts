// The check of the llhttp build at startup: an unexpected version of undici fails then, not at the first request.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, run, endPrograms } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

/** Starts a server with another module in place of the parser's. */
async function startWith(makeBytes: string): Promise<{ stdout: string; code: number | null }> {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const preload = join(directory, "preload.ts");
    const path = join(root, "node_modules", "undici/lib/llhttp/llhttp_simd-wasm.js");
    writeFileSync(
      preload,
      `const real = new Uint8Array(require(${JSON.stringify(path)}));
      const make = ${makeBytes};
      require.cache[${JSON.stringify(path)}] = { id: "other", exports: make(real), loaded: true, children: [], paths: [] };`,
    );
    const program = `const { EpollServer } = require(${JSON.stringify(join(root, "src/index.ts"))});
      try { new EpollServer({ hostname: "127.0.0.1" }); console.log("started"); }
      catch (error) { console.log(error.message); }
      process.exit(0);`;
    return await run(["bun", "--preload", preload, "-e", program]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("accepts the installed module", async () => {
  expect((await startWith("(real) => real")).stdout).toBe("started\n");
});

test("rejects a module without the required functions", async () => {
  const empty = "() => new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])";
  expect((await startWith(empty)).stdout).toMatch(
    /^epoll-hello cannot use the installed version of undici: its llhttp lacks _initialize, .*llhttp_execute/,
  );
});

test("rejects a module that parses differently", async () => {
  // Changes the names of the fields that the parser recognizes.
  const patched = `(real) => {
    const bytes = Buffer.from(real);
    for (let at; (at = bytes.indexOf("ransfer-encoding")) >= 0;) bytes.write("X", at + 3);
    for (let at; (at = bytes.indexOf("ontent-length")) >= 0;) bytes.write("X", at + 3);
    for (let at; (at = bytes.indexOf("TTP/")) >= 0;) bytes.write("X", at);
    return bytes;
  }`;
  const { stdout } = await startWith(patched);
  expect(stdout).toMatch(/^epoll-hello cannot use the installed version of undici: its llhttp parses differently/);
});
