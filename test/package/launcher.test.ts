// The launcher of the command: through bunx, npx, node and a shell, with and without Bun, and under systemd.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";
import { ask } from "../support/client.ts";
import { endPrograms, type Program, root, run, start } from "../support/programs.ts";
import { freePort } from "../support/sockets.ts";
import { childrenOf, isAlive, waitUntil } from "../support/workers.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const launcher = join("node_modules", ".bin", "epoll-hello");
const NEEDS_BUN = "epoll-hello needs Bun 1.4 or newer: https://bun.sh\n";
const MISSING_BUN = `cannot find bun in PATH; ${NEEDS_BUN}`;
const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

let directory = "";
let project = ""; // has the package as a dependency
/** Directories for PATH: the tools that the launcher uses, with and without Bun. */
let withBun = "";
let withoutBun = "";

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  project = join(directory, "project");
  mkdirSync(join(project, "node_modules", ".bin"), { recursive: true });
  writeFileSync(join(project, "package.json"), "{}");
  symlinkSync(root, join(project, "node_modules", "epoll-hello"));
  symlinkSync("../epoll-hello/bin/epoll-hello.mjs", join(project, launcher));
  withBun = toolDirectory("with-bun", ["sh", "readlink"], ["bun", "bunx"]);
  withoutBun = toolDirectory("without-bun", ["sh", "readlink"], []);
});
afterAll(() => rmSync(directory, { recursive: true }));

function toolDirectory(name: string, tools: string[], namesOfBun: string[]): string {
  const path = join(directory, name);
  mkdirSync(path);
  for (const tool of tools) symlinkSync(realpathSync(Bun.which(tool) ?? ""), join(path, tool));
  for (const bun of namesOfBun) symlinkSync(realpathSync(process.execPath), join(path, bun));
  return path;
}

const runInProject = (command: string[], env: Record<string, string> = {}) => run(command, { cwd: project, env });

test("runs the command with the Bun on PATH", async () => {
  expect(await runInProject([join(project, launcher), "--version"], { PATH: withBun })).toEqual({
    code: 0,
    stdout: `${version}\n`,
    stderr: "",
  });
});

test("bunx runs it where only Bun is installed", async () => {
  const { code, stdout } = await runInProject([join(withBun, "bunx"), "--no-install", "epoll-hello", "--version"], {
    PATH: withBun,
  });
  expect([code, stdout]).toEqual([0, `${version}\n`]);
});

test("bun runs it as a module", async () => {
  expect(await runInProject(["bun", launcher, "--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test("without Bun, prints one sentence and exits with code 127", async () => {
  const result = await runInProject([join(project, launcher), "--version"], { PATH: withoutBun });
  expect(result).toEqual({ code: 127, stdout: "", stderr: MISSING_BUN });
});

const node = Bun.which("node");

test.skipIf(node === null)("under Node, prints which version of Bun it needs, and exits with code 127", async () => {
  const result = await runInProject([node ?? "", launcher, "--version"], { PATH: withoutBun });
  expect(result).toEqual({ code: 127, stdout: "", stderr: NEEDS_BUN });
});

const npx = Bun.which("npx");

test.skipIf(node === null || npx === null)(
  "npx without Bun prints the same sentence and exits with code 127",
  async () => {
    const nodeOnly = toolDirectory("node-only", ["sh", "readlink", "node"], []);
    const env = { PATH: nodeOnly, npm_config_cache: join(directory, "npm"), npm_config_update_notifier: "false" };
    const { code, stderr } = await runInProject(
      [node ?? "", realpathSync(npx ?? ""), "--no-install", "epoll-hello"],
      env,
    );
    expect(stderr).toContain(MISSING_BUN);
    expect(code).toBe(127);
  },
);

const bunx = (...args: string[]): Program =>
  start(["bun", "x", "--no-install", "epoll-hello", "--host", "127.0.0.1", "--port", "0", ...args], { cwd: project });

test.each([[[]], [["--workers", "2"]], [["--inspect"]]])(
  "%p: a signal that ends bunx alone leaves no process behind",
  async (args) => {
    const program = bunx(...args);
    await program.output(/^listening on /m);
    const [pid = 0] = childrenOf(program.pid);
    const processes = [pid, ...childrenOf(pid)];
    expect(processes.length).toBe(args.includes("--workers") ? 3 : 1);
    program.kill("SIGUSR1");
    await waitUntil(() => !processes.some(isAlive));
    expect(await program.exited).toBe(128 + 10);
    expect(program.stdout).toContain("served 0 requests on 0 connections\n");
  },
);

test("bunx --workers: the printed pid is the supervisor's, which reports on SIGUSR1", async () => {
  const program = bunx("--workers", "2");
  const [, pid = ""] = await program.output(/ with 2 workers \(pid (\d+)\); stop with Ctrl-C\n/);
  expect(childrenOf(program.pid)).toEqual([Number(pid)]);
  process.kill(Number(pid), "SIGUSR1");
  await program.output(/^ *worker +pid +state [^]*^ *total /m);
  process.kill(Number(pid), "SIGTERM");
  expect(await program.exited).toBe(0);
});

const hasActivation = Bun.which("systemd-socket-activate") !== null;

async function activated(command: string[]): Promise<{ program: Program; port: number }> {
  const port = freePort("127.0.0.1");
  const program = start(["systemd-socket-activate", `--listen=127.0.0.1:${port}`, ...command, "--systemd"], {
    cwd: project,
  });
  await program.errors(/^Listening on /m);
  return { program, port };
}

test.skipIf(!hasActivation)("systemd-socket-activate node_modules/.bin/epoll-hello --systemd serves", async () => {
  const { program, port } = await activated([launcher]);
  const response = ask({ address: "127.0.0.1", family: "IPv4", port }, GET);
  expect(response.body).toBe("Hello from Epoll server!");
  program.kill("SIGTERM"); // systemd-socket-activate has become the server by execve(2)
  expect(await program.exited).toBe(0);
});

test.skipIf(!hasActivation)(
  "through bunx, which does not pass the sockets on, fails with the command to use",
  async () => {
    const { program, port } = await activated(["bunx", "--no-install", "epoll-hello"]);
    await fetch(`http://127.0.0.1:${port}/`).catch(() => {});
    expect(await program.exited).toBe(1);
    expect(program.stderr).toContain("the sockets were passed to the parent process, which did not pass them on");
    expect(program.stderr).toContain("systemd-socket-activate -l 8800 node_modules/.bin/epoll-hello --systemd\n");
  },
);
