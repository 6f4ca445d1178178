// Workers that do not respond: one that serves is replaced after a timeout, one that does not serve yet is stopped immediately.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../support/client.ts";
import { cli, endPrograms, type Program, run, start } from "../support/programs.ts";
import { childrenOf, isAlive, startWorkers, waitUntil, workersOf } from "../support/workers.ts";

setDefaultTimeout(60_000);

let folder = "";
let pids: number[] = [];
afterEach(async () => {
  for (const pid of pids) if (isAlive(pid)) process.kill(pid, "SIGKILL"); // a stopped worker outlives its supervisor
  pids = [];
  await endPrograms();
  if (folder !== "") rmSync(folder, { recursive: true });
  folder = "";
});

function appOf(code: string): string {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const file = join(folder, "app.ts");
  writeFileSync(file, code);
  return file;
}

const at = (port: number) => ({ address: "127.0.0.1", port, family: "IPv4" }) as const;
const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;

test("a worker that is stopped by SIGSTOP is killed and replaced", async () => {
  const workers = await startWorkers(2, "--worker-timeout", "2");
  pids = workers.pids();
  const [stopped = 0] = pids;
  process.kill(stopped, "SIGSTOP");
  await workers.program.errors(
    new RegExp(
      `\\(pid ${stopped}\\) was killed by SIGKILL, because it had not responded for 2 s; restarting in 100 ms`,
    ),
  );
  await waitUntil(() => workers.pids().length === 2 && !workers.pids().includes(stopped));
  using client = new Client(at(workers.port), get("/"));
  expect(client.readResponse().status).toBe(200);
});

const HANGS = `export default {
  fetch(request) {
    if (request.url.endsWith("/hang")) for (;;);
    return new Response(String(process.pid));
  },
};`;

const address = ["--host", "127.0.0.1", "--port", "0"];

test("a worker in an infinite loop is killed and replaced", async () => {
  const program = start(["bun", cli, appOf(HANGS), ...address, "--workers", "1", "--worker-timeout", "2"]);
  const { port } = await workersOf(program);
  pids = childrenOf(program.pid);
  using hanging = new Client(at(port), get("/hang"));
  await program.errors(/was killed by SIGKILL, because it had not responded for 2 s/);
  expect(hanging.fate()).toMatch(/end|reset/);
  const response = await fetch(`http://127.0.0.1:${port}/`);
  expect(pids).not.toContain(Number(await response.text()));
});

test("--worker-timeout 0 lets a worker compute as long as it likes", async () => {
  // Computes for longer than the shortest timeout that can be set.
  const app = appOf(`export default {
    fetch() {
      for (const end = performance.now() + 2500; performance.now() < end; );
      return new Response(String(process.pid));
    },
  };`);
  const program = start(["bun", cli, app, ...address, "--workers", "1", "--worker-timeout", "0"]);
  const { port } = await workersOf(program);
  pids = childrenOf(program.pid);
  expect(pids).toContain(Number(await (await fetch(`http://127.0.0.1:${port}/`)).text()));
  expect(program.stderr).toBe("");
});

test("workers are not killed because the supervisor was stopped for a while", async () => {
  const workers = await startWorkers(2, "--worker-timeout", "1");
  const before = workers.pids();
  pids = [workers.program.pid, ...before];
  for (const pid of pids) process.kill(pid, "SIGSTOP"); // as Ctrl-Z
  await Bun.sleep(2_000); // longer than the timeout
  for (const pid of pids) process.kill(pid, "SIGCONT");
  const rows = await workers.report();
  expect(rows.filter((row) => row["state"] === "serving").map((row) => Number(row["pid"]))).toEqual(before);
  expect(workers.program.stderr).toBe("");
});

test.each(["-1", "x", "1.5", "86401"])("--worker-timeout %s is refused", async (value) => {
  expect(await run(["bun", cli, "--workers", "2", "--worker-timeout", value])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`--worker-timeout must be an integer from 0 to 86400; received "${value}"`),
  });
});

/** Starts an app that does not finish loading, and waits until both workers load it. */
async function startLoading(code: string): Promise<Program> {
  const file = appOf("");
  const marker = join(folder, "loading");
  writeFileSync(
    file,
    `require("node:fs").appendFileSync(${JSON.stringify(marker)}, ".");\n${code}\nexport default {};`,
  );
  const program = start(["bun", cli, file, ...address, "--workers", "2"]);
  await waitUntil(() => existsSync(marker) && readFileSync(marker, "utf8") === "..");
  pids = childrenOf(program.pid);
  return program;
}

const LOADS = {
  "that waits": "await new Promise((resolve) => setTimeout(resolve, 2 ** 30));",
  "that blocks": "for (;;);",
  "that waits and handles SIGTERM":
    'process.on("SIGTERM", () => {}); await new Promise(() => setInterval(() => {}, 1e6));',
};

for (const [what, code] of Object.entries(LOADS)) {
  for (const [signal, exitCode] of [
    ["SIGTERM", 0],
    ["SIGINT", 130],
    ["SIGQUIT", 131],
  ] as const) {
    test(`${signal} while the workers load an app ${what} stops them without waiting for requests`, async () => {
      const program = await startLoading(code);
      const start = performance.now();
      program.kill(signal);
      expect(await program.exited).toBe(exitCode);
      expect(performance.now() - start).toBeLessThan(12_000); // when a worker that serves would be killed
      expect(program.stderr).toBe("");
      await waitUntil(() => !pids.some(isAlive));
    });
  }
}

test("a second signal while the workers load an app kills them", async () => {
  const program = await startLoading(LOADS["that waits and handles SIGTERM"]);
  program.kill("SIGINT");
  program.kill("SIGTERM");
  expect([130, 0]).toContain(await program.exited); // signals that are pending at the same time have no order
  await waitUntil(() => !pids.some(isAlive));
});

test("SIGHUP while the workers load an app replaces them by ones that load it again", async () => {
  const program = await startLoading(LOADS["that blocks"]);
  writeFileSync(join(folder, "app.ts"), "export default () => new Response('new');");
  program.kill("SIGHUP");
  const { port } = await workersOf(program);
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("new");
  await waitUntil(() => !pids.some(isAlive));
});
