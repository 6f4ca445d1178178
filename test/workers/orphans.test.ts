// A supervisor that is killed by SIGKILL, in each phase: no worker outlives it, and nothing holds the port.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AF_INET, type ErrnoError, Socket } from "../../src/index.ts";
import { Client } from "../support/client.ts";
import { cli, endPrograms, type Program, start } from "../support/programs.ts";
import { childrenOf, isAlive, waitUntil, workersOf } from "../support/workers.ts";

setDefaultTimeout(60_000);

let folder = "";
afterEach(async () => {
  for (const pid of loadingPids()) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  await endPrograms();
  if (folder !== "") rmSync(folder, { recursive: true });
  folder = "";
});

const NEVER_LOADS = "await new Promise((resolve) => setTimeout(resolve, 2 ** 30)); export default {};";
const BLOCKS = "for (;;); export default {};";
const SERVES = `export default {
  fetch(request) {
    if (request.url.endsWith("/hang")) for (;;);
    return new Response("hello");
  },
};`;

/** Writes an app that records the pid of each process that loads it. */
function appOf(code: string): string {
  folder ||= mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const file = join(folder, "app.ts");
  const record = `require("node:fs").appendFileSync(${JSON.stringify(join(folder, "pids"))}, process.pid + "\\n");`;
  writeFileSync(file, `${record}\n${code}\n`);
  return file;
}

function loadingPids(): number[] {
  try {
    return readFileSync(join(folder, "pids"), "utf8").trim().split("\n").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function supervise(app: string, port: number): Program {
  return start(["bun", cli, app, "--host", "127.0.0.1", "--port", String(port), "--workers", "2"]);
}

/** Returns a port that was free a moment ago. Ports below those that the kernel assigns are not taken by other tests. */
function freePort(): number {
  for (;;) {
    using socket = new Socket(AF_INET);
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    try {
      socket.bind({ address: "127.0.0.1", port });
      return port;
    } catch {
      // in use
    }
  }
}

const at = (port: number) => ({ address: "127.0.0.1", port, family: "IPv4" }) as const;
const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;

function isRefused(port: number): boolean {
  try {
    new Client(at(port)).close();
    return false;
  } catch (error) {
    return (error as ErrnoError).code === "ECONNREFUSED";
  }
}

/** Kills the supervisor, and waits until no process is left. */
async function killSupervisor({ program, port }: { program: Program; port?: number }): Promise<void> {
  const workers = [...new Set([...childrenOf(program.pid), ...loadingPids()])];
  expect(workers.length).toBeGreaterThan(0);
  program.kill("SIGKILL");
  await waitUntil(
    () => ![program.pid, ...workers, ...loadingPids()].some(isAlive),
    () => workers.filter(isAlive),
  );
  if (port !== undefined) await waitUntil(() => isRefused(port)); // a zombie's other threads may still have its fds
}

test("while the workers are being spawned", async () => {
  const port = freePort();
  const program = supervise(appOf(NEVER_LOADS), port);
  await waitUntil(() => childrenOf(program.pid).length > 0);
  await killSupervisor({ program, port });
});

for (const [what, code] of [
  ["waits", NEVER_LOADS],
  ["blocks", BLOCKS],
] as const) {
  test(`while the workers load an app that ${what}`, async () => {
    const port = freePort();
    const program = supervise(appOf(code), port);
    await waitUntil(() => loadingPids().length === 2);
    await killSupervisor({ program, port });
  });

  test(`while the address is read from an app that ${what}`, async () => {
    const program = start(["bun", cli, appOf(code), "--workers", "2"]);
    await waitUntil(() => loadingPids().length === 1);
    await killSupervisor({ program });
  });

  test(`in a rolling restart, while a new worker loads an app that ${what}`, async () => {
    const { program, port } = await workersOf(supervise(appOf(SERVES), 0));
    await waitUntil(() => loadingPids().length === 2);
    appOf(code);
    program.kill("SIGHUP");
    await waitUntil(() => loadingPids().length === 3);
    await killSupervisor({ program, port });
  });
}

test("while the workers serve", async () => {
  const { program, port } = await workersOf(supervise(appOf(SERVES), 0));
  using client = new Client(at(port), get("/"));
  expect(client.readResponse().body).toBe("hello");
  await killSupervisor({ program, port });
});

test("while a worker hangs", async () => {
  const { program, port } = await workersOf(supervise(appOf(SERVES), 0));
  using client = new Client(at(port), get("/hang"));
  using other = new Client(at(port), get("/hang"));
  await killSupervisor({ program, port });
  expect([client.fate(), other.fate()]).toEqual([
    expect.stringMatching(/end|reset/),
    expect.stringMatching(/end|reset/),
  ]);
});

test("while the workers stop", async () => {
  const { program, port } = await workersOf(supervise(appOf(SERVES), 0));
  using client = new Client(at(port), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  program.kill("SIGTERM");
  await waitUntil(() => childrenOf(program.pid).length === 1); // the other one has no request
  program.kill("SIGKILL");
  client.send("cd");
  expect(client.readResponse()).toMatchObject({ status: 200, body: "hello" }); // a pending request is still served
  await killSupervisor({ program, port });
});
