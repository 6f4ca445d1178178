// Output that cannot be written: a full disk is an error, a reader that closes the pipe is not, and neither stops a server.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask } from "../support/client.ts";
import { cli, endPrograms, root, run, start } from "../support/programs.ts";
import { waitUntil } from "../support/workers.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

let folder: string;
let trace: string;
let program: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  trace = join(folder, "trace.jsonl");
  program = join(folder, "program.ts");
  const index = JSON.stringify(join(root, "src", "index.ts"));
  writeFileSync(program, `import { Epoll } from ${index}; const epoll = new Epoll(); epoll.poll(0); epoll.close();`);
  expect(await run(["bun", cli, program, "--trace-file", trace])).toMatchObject({ code: 0 });
});
afterAll(() => rmSync(folder, { recursive: true }));

const ENOSPC = "ENOSPC: no space left on device";
/** Runs a command with standard output redirected by the shell. */
const redirected = (to: string, command: string[]) =>
  run(["sh", "-c", `"$@" ${to}`, "sh", process.execPath, cli, ...command]);

const commands: Record<string, () => string[]> = {
  "--help": () => ["--help"],
  "--version": () => ["--version"],
  lesson: () => ["lesson"],
  "lesson NAME": () => ["lesson", "one-shot"],
  "lesson --json": () => ["lesson", "one-shot", "--json"],
  why: () => ["why", "--max", "10"],
  "why --json": () => ["why", "--max", "10", "--json"],
  replay: () => ["replay", trace],
  "replay --json": () => ["replay", trace, "--json"],
  "--trace of a program": () => [program, "--trace"],
};

for (const [name, command] of Object.entries(commands)) {
  test(`${name}: a full disk is an error, with exit code 1`, async () => {
    const { code, stderr } = await redirected("> /dev/full", command());
    expect(stderr).toMatch(/^error: cannot write to standard output: ENOSPC: no space left on device, write\n$/);
    expect(code).toBe(1);
  });

  test(`${name}: a reader that has closed the pipe is not an error`, async () => {
    // The shell prints the exit code of the command. Its reader has exited before the command writes.
    const script = '{ "$@"; echo "code $?" >&2; } | true';
    const { stderr } = await run(["bash", "-c", script, "bash", process.execPath, cli, ...command()]);
    expect(stderr).toBe("code 0\n");
  });
}

const address = ["--host", "127.0.0.1", "--port", "0"];

/** Starts a server whose standard output or trace cannot be written, sends requests, and stops it. */
async function serveAndStop(flags: string[], to: string, signal: NodeJS.Signals = "SIGTERM") {
  const path = join(folder, `${crypto.randomUUID()}.sock`);
  const server = start(["bash", "-c", `exec "$@" ${to}`, "bash", process.execPath, cli, ...flags, "--unix", path]);
  await waitUntil(() => {
    try {
      return ask({ path }).status === 200;
    } catch {
      return false;
    }
  });
  for (let i = 0; i < 20; i++) expect(ask({ path }).status).toBe(200);
  server.kill(signal);
  return { code: await server.exited, stdout: server.stdout, stderr: server.stderr };
}

for (const [name, flags, to, what] of [
  ["stdout", [], "> /dev/full", "standard output"],
  ["stdout --workers", ["--workers", "1"], "> /dev/full", "standard output"],
  ["--trace", ["--trace"], "> /dev/full", "standard output"],
  ["--trace=json", ["--trace=json"], "> /dev/full", "standard output"],
  ["--trace-file", ["--quiet", "--trace-file", "/dev/full"], "", "/dev/full"],
] as const) {
  test(`a server with a full disk (${name}) warns once and serves; then the exit code is 1`, async () => {
    const { code, stderr } = await serveAndStop([...flags], to);
    const lines = stderr.split("\n").filter((line) => line.startsWith("error:"));
    const [line] = lines;
    expect(line).toContain(`to ${what}: ${ENOSPC}, write`);
    if (!name.includes("workers")) expect(lines).toHaveLength(1);
    expect(code).toBe(1);
  });
}

test("a full disk does not hide the exit code of another failure", async () => {
  expect(await redirected("> /dev/full", ["--port", "x"])).toMatchObject({ code: 2 });
  writeFileSync(join(folder, "exits.ts"), `import ${JSON.stringify(program)}; process.exit(7);`);
  expect(await redirected("> /dev/full", [join(folder, "exits.ts"), "--trace"])).toMatchObject({ code: 7 });
  expect(await serveAndStop([], "> /dev/full", "SIGINT")).toMatchObject({ code: 1 });
});

test("a server whose reader has closed the pipe serves on, with exit code 0", async () => {
  for (const flags of [[], ["--trace"]]) {
    expect(await serveAndStop(flags, "> >(true)").catch(String)).toMatchObject({ code: 0, stderr: "" });
  }
});

test("standard error that is not read neither blocks the server nor fills its memory", async () => {
  const app = join(folder, "throws.ts");
  writeFileSync(app, 'export default () => { throw new Error("x".repeat(10_000)); };');
  const fifo = join(folder, "stderr");
  expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
  const keepsItOpen = openSync(fifo, "r+");
  try {
    const server = start(["sh", "-c", 'exec "$@" 2> "$0"', fifo, process.execPath, cli, app, ...address]);
    const [, port] = await server.output(/^listening on http:\S+:(\d+) /m);
    const at = { address: "127.0.0.1", port: Number(port), family: "IPv4" } as const;
    for (let i = 0; i < 500; i++) expect(ask(at).status).toBe(500); // 5 MB of warnings
    const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]);
    expect(kilobytes).toBeLessThan(200_000);
    server.kill("SIGTERM");
    expect(await server.exited).toBe(0);
  } finally {
    closeSync(keepsItOpen);
  }
});
