// Loading llhttp: an unexpected version of undici ends the server after its first response, and a server without free fds loads it
// later.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, run, endPrograms } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

/** Runs a program with another module in place of the parser's. */
async function runWith(makeBytes: string, code: string): Promise<{ stdout: string; code: number | null }> {
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
    const program = `import { EpollServer, Socket } from ${JSON.stringify(join(root, "src/index.ts"))};\n${code}`;
    return await run(["bun", "--preload", preload, "-e", program]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Answers two requests with run(), and prints their number or the error. */
const startWith = (makeBytes: string): ReturnType<typeof runWith> =>
  runWith(
    makeBytes,
    `const server = new EpollServer({ hostname: "127.0.0.1", onRequest: () => void (++answered === 2 && server.stop()) });
    let answered = 0;
    const clients = [0, 1].map(() => {
      const client = new Socket();
      client.connect({ address: "127.0.0.1", port: server.port });
      return client;
    });
    for (const [i, client] of clients.entries()) {
      client.send("GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n");
      client.shutdown(1);
      if (i === 0) server.tick(1000);
    }
    try { server.run(); console.log("answered", answered); }
    catch (error) { console.log(error.message); }
    process.exit(0);`,
  );

test("accepts the installed module", async () => {
  expect((await startWith("(real) => real")).stdout).toBe("answered 2\n");
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

test("an unexpected module is reported once after start(), and plain requests are still answered", async () => {
  const { stdout } = await runWith(
    "() => new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])",
    `const server = new EpollServer({ hostname: "127.0.0.1", fetch: () => new Response("hello") });
    let errors = 0;
    process.on("uncaughtException", () => errors++);
    await server.start();
    for (let i = 0; i < 5; i++) await (await fetch(server.url)).text();
    console.log(errors);
    process.exit(0);`,
  );
  expect(stdout).toBe("1\n");
});

test("without a free fd, plain requests are answered and others get 503, until one is free", async () => {
  const program = `const { EpollServer, Socket } = require(${JSON.stringify(join(root, "src/index.ts"))});
    const { closeSync, openSync } = require("node:fs");
    const server = new EpollServer({ hostname: "127.0.0.1", deferAccept: false, fetch: () => new Response("hello") });
    const clients = Array.from({ length: 3 }, () => {
      const client = new Socket();
      client.connect({ address: "127.0.0.1", port: server.port });
      return client;
    });
    while (server.stats.open < 3) server.tick(1000);
    const fds = [];
    try { for (;;) fds.push(openSync("/dev/null", "r")); } catch {}
    const statusOf = (client, text) => {
      client.send(text);
      for (;;) {
        server.tick(100);
        const bytes = client.recv(1000);
        if (bytes !== null) return Buffer.from(bytes).toString().slice(9, 12);
      }
    };
    const chunked = "POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n";
    const first = [statusOf(clients[0], "GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"), statusOf(clients[1], chunked)];
    for (const fd of fds) closeSync(fd);
    console.log(...first, statusOf(clients[2], chunked));
    process.exit(0);`;
  const { stdout, stderr } = await run(["bash", "-c", 'ulimit -n 100; exec bun -e "$0"', program]);
  expect([stdout, stderr]).toEqual(["200 503 200\n", ""]);
});
