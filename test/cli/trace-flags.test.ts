// --trace and --trace-file together with --step and --inspect: each pair traces every event, and each output has its own place.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseTrace, readTrace, type TraceEvent } from "../../src/index.ts";
import { cli, endPrograms, root, run, start } from "../support/programs.ts";
import { folder, newFolder, removeFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(60_000);

afterEach(async () => {
  await endPrograms();
  removeFolder();
});

const ADDRESS = ["--host", "127.0.0.1", "--port", "0"];

/** Expects all events of a server that has handled one request, without a gap. */
function expectRequest(events: readonly TraceEvent[]): void {
  expect(events.some((event) => event.type === "recv" && event.line?.startsWith("GET /") === true)).toBe(true);
  expect(events.some((event) => event.type === "send" && event.line === "HTTP/1.1 200 OK")).toBe(true);
}

const TRACE_TEXT = /^ {6}recv\(\d+\) = \d+ +GET \/\S* HTTP\/1\.1$/m;
const SUMMARY = /^ *calls +errors +bytes +system call$/m;

/** Steps through one request. */
async function stepped(...flags: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const commands = ["connect", "send", ...Array.from({ length: 4 }, () => "n"), "recv", "q"].join("\\n");
  const script = `printf '${commands}\\n' | "$0" "$@"`;
  return await run(["sh", "-c", script, process.execPath, cli, "--step", ...ADDRESS, ...flags]);
}

for (const extra of [[], ["--inspect"]]) {
  const pair = ["--step", ...extra].join(" ");

  test(`${pair} --trace: the prompt is on standard output, the trace and its summary on standard error`, async () => {
    const { code, stdout, stderr } = await stepped("--trace", ...extra);
    expect(code).toBe(0);
    expect(stdout).toContain("(epoll) q\n");
    expect(stdout).toContain("HTTP/1.1 200 OK");
    expect(stderr).toMatch(TRACE_TEXT);
    expect(stderr).toMatch(SUMMARY);
    expect(stderr).not.toContain("(epoll)");
  });

  test(`${pair} --trace=json: standard error has nothing but the trace`, async () => {
    const { code, stderr } = await stepped("--trace=json", ...extra);
    expect(code).toBe(0);
    expectRequest(parseTrace(stderr, "stderr"));
  });

  test(`${pair} --trace-file saves every event`, async () => {
    const file = join(newFolder(), "t.jsonl");
    const { code, stdout, stderr } = await stepped("--trace-file", file, "--show-bytes", ...extra);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const events = readTrace(file);
    expectRequest(events);
    expect(events.some((event) => event.type === "recv" && event.bytes?.startsWith("GET ") === true)).toBe(true);
    expect(stdout).toContain("(epoll) q\n");
  });
}

test("--step with all of them at once", async () => {
  const file = join(newFolder(), "t.jsonl");
  const { code, stderr } = await stepped("--trace", "--trace-file", file, "--inspect", "--numeric", "--timestamps");
  expect(code).toBe(0);
  expectRequest(readTrace(file));
  expect(stderr).toMatch(/^ +\d+\.\d{6} #\d+ epoll_wait\(\d+, \d+\) = \[\(\d+, 1\)\] /m);
});

/** Handles a request under --inspect, and stops the server. */
async function inspected(...flags: string[]): Promise<{ stdout: string; stderr: string }> {
  const server = start(["bun", cli, "--inspect", ...ADDRESS, ...flags]);
  const where = /listening on http:\/\/\S+:(\d+) /;
  const [, port] = await (flags.includes("--trace=json") ? server.errors(where) : server.output(where));
  for (let i = 0; i < 50; i++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  return server;
}

test("--inspect --trace prints the trace on standard output, and the summary on standard error", async () => {
  const { stdout, stderr } = await inspected("--trace");
  expect(stdout).toMatch(TRACE_TEXT);
  expect(stdout).toContain("view it at http://");
  expect(stderr).toMatch(SUMMARY);
  expect(stderr).toMatch(/^ *50 .* send$/m);
});

test("--inspect --trace=json: standard output has nothing but the trace", async () => {
  const { stdout, stderr } = await inspected("--trace=json");
  const events = parseTrace(stdout, "stdout");
  expectRequest(events);
  expect(events.filter(({ type }) => type === "send")).toHaveLength(50);
  expect(stderr).toContain("view it at http://");
  expect(stderr).toContain("served 50 requests");
});

test("--inspect --trace-file saves every event", async () => {
  const file = join(newFolder(), "t.jsonl");
  const { stderr } = await inspected("--trace-file", file);
  expect(stderr).toBe("");
  expect(readTrace(file).filter(({ type }) => type === "send")).toHaveLength(50);
});

const PROGRAM = `import { Epoll, EPOLLIN, socketpair } from ${JSON.stringify(join(root, "src", "index.ts"))};
  const [local, peer] = socketpair();
  using epoll = new Epoll();
  epoll.register(local, EPOLLIN);
  peer.send("GET /?token=SECRET HTTP/1.1\\r\\nCookie: a=SECRET\\r\\n\\r\\n");
  epoll.poll(1000);
  local.recv(100);
  console.error("from the program");`;

test("a program under --step, traced to a file and to standard error", async () => {
  const program = join(newFolder(), "p.ts");
  const file = join(folder, "t.jsonl");
  writeFileSync(program, PROGRAM);
  const script = `printf 'n\\nc\\nq\\n' | "$0" "$@"`;
  const flags = [program, "--step", "--trace", "--trace-file", file, "--show-bytes"];
  const { stderr } = await run(["sh", "-c", script, process.execPath, cli, ...flags]);
  expect(stderr).toContain("from the program\n");
  expect(stderr).toContain('"GET /?token=<redacted 6 bytes> HTTP/1.1\\r\\nCookie: <redacted 8 bytes>\\r\\n\\r\\n"');
  const events = readTrace(file);
  expect(events[0]).toMatchObject({ type: "begin", program });
  expect(readFileSync(file, "utf8")).not.toContain("SECRET");
});

test("credentials are redacted in each output, unless --show-secrets is given", async () => {
  const program = join(newFolder(), "p.ts");
  const file = join(folder, "t.jsonl");
  writeFileSync(program, PROGRAM);
  for (const format of ["--trace", "--trace=json"]) {
    const flags = [program, format, "--trace-file", file, "--show-bytes"];
    const redacted = await run(["bun", cli, ...flags]);
    expect(redacted.code).toBe(0);
    expect(redacted.stdout).toContain("Cookie: <redacted 8 bytes>");
    expect(redacted.stdout + redacted.stderr + readFileSync(file, "utf8")).not.toContain("SECRET");
    const shown = await run(["bun", cli, ...flags, "--show-secrets"]);
    expect(shown.stdout).toContain("GET /?token=SECRET HTTP/1.1");
    expect(shown.stdout).toContain("Cookie: a=SECRET");
    expect(readFileSync(file, "utf8")).toContain("a=SECRET");
  }
});

test("the log of requests redacts credentials, too", async () => {
  for (const flags of [[], ["--show-secrets"]]) {
    const server = start(["bun", cli, ...ADDRESS, ...flags]);
    const [, port] = await server.output(/listening on http:\/\/\S+:(\d+) /);
    await (await fetch(`http://127.0.0.1:${port}/a?page=2&api_key=SECRET`)).text();
    const [, shown] = await server.output(/ {2}GET \/a\?page=2&api_key=(.*) HTTP\/1\.1 {2}200\n/);
    expect(shown).toBe(flags.length === 0 ? "<redacted 6 bytes>" : "SECRET");
    server.kill("SIGTERM");
    await server.exited;
  }
});

test("--trace of a program: its exit code, its output and its errors pass through, and the trace is complete", async () => {
  const program = join(newFolder(), "p.ts");
  const file = join(folder, "t.jsonl");
  const endings: [string, number, RegExp][] = [
    ["process.exit(7);", 7, /^from the program\n/],
    ["process.exitCode = 3;", 3, /^from the program\n/],
    ['throw new Error("broken");', 1, /error: .*p\.ts threw an error: (?:Error: )?broken/],
    ['setTimeout(() => { throw new Error("later"); });', 1, /error: later/],
    ['Promise.reject(new Error("rejected"));', 1, /error: rejected/],
  ];
  for (const [ending, code, message] of endings) {
    writeFileSync(program, `${PROGRAM}\n${ending}`);
    const result = await run(["bun", cli, program, "--trace", "--trace-file", file]);
    expect({ ending, code: result.code }).toEqual({ ending, code });
    expect(result.stderr).toMatch(message);
    expect(result.stderr).toMatch(SUMMARY);
    expect(readTrace(file).filter(({ type }) => type === "wait")).toHaveLength(1);
  }
});

test("rejects what makes no sense, with the reason", async () => {
  const cases: [string[], string][] = [
    [["--timestamps"], "--timestamps requires --trace"],
    [
      ["--trace=json", "--timestamps"],
      "--timestamps cannot be used with --trace=json: JSON has the time of every event",
    ],
    [
      ["--trace", "--workers", "2"],
      "--trace cannot be used with --workers: every worker has a loop of its own; trace one process",
    ],
    [["--step", "--quiet"], "--step cannot be used with --quiet: the prompt prints no requests that could be left out"],
    [
      ["replay", "x", "--json", "--timestamps"],
      "--json cannot be used with --timestamps: JSON has the time of every event",
    ],
    [["replay", "x", "--inspect", "--numeric"], "--inspect cannot be used with --numeric: the page prints nothing"],
  ];
  for (const [flags, message] of cases) {
    const result = await run(["bun", cli, ...flags]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain(message);
  }
});
