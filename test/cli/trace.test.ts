// epoll-hello --trace, --trace-file and replay: one line per event, as text or as JSON, without losing any.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EPOLLOUT, inspectFd, parseTrace, type TraceEvent } from "../../src/index.ts";
import { cli, endPrograms, type Program, run, start } from "../support/programs.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

async function serve(...flags: string[]): Promise<{ program: Program; port: number }> {
  const program = start(["bun", cli, "--host", "127.0.0.1", "--port", "0", ...flags]);
  const where = /listening on http:\/\/\S+:(\d+) /m;
  const [, port] = await (flags.includes("--trace=json") ? program.errors(where) : program.output(where));
  return { program, port: Number(port) };
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("--trace prints all events before the loop waits again; --numeric prints masks as numbers", async () => {
  const { program, port } = await serve("--trace", "--numeric", "--classic");
  await (await fetch(`http://127.0.0.1:${port}/some/path`)).text();
  await program.output(/^#\d+ epoll_wait\(\d+, -1\) = \[\(\d+, 1\)\] +\+\d+\.\d{3}s$/m);
  await program.output(/^ {6}recv\(\d+\) = \d+ +GET \/some\/path HTTP\/1\.1$/m);
  await program.output(/^#\d+ epoll_wait\(\d+, \d+\) = \[\(\d+, 4\)\] /m);
  await program.output(/^#\d+ epoll_wait\(\d+, \d+\) = \[\(\d+, 16\)\] /m);
  await program.output(/^ {6}close\(\d+\)$/m); // while the loop waits indefinitely
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  expect(program.stdout).toEndWith("served 1 request on 1 connection\n");
  expect(program.stdout).not.toMatch(/^127\.0\.0\.1:\d+ {2}GET/m); // the trace contains the request line
});

test("--trace=json prints nothing but the trace on standard output", async () => {
  const { program, port } = await serve("--trace=json");
  await (await fetch(`http://127.0.0.1:${port}/`)).text();
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  const events = parseTrace(program.stdout, "stdout");
  expect(events.some((event) => event.type === "recv" && event.line === "GET / HTTP/1.1")).toBe(true);
  expect(program.stdout).not.toContain("bytes");
  expect(program.stderr).toStartWith("listening on http://127.0.0.1:");
});

test("--trace-file saves the trace, and replay prints the same lines from a file or standard input", () =>
  withFolder(async (folder) => {
    const file = join(folder, "trace.jsonl");
    const { program, port } = await serve("--trace", "--trace-file", file, "--show-bytes");
    await (await fetch(`http://127.0.0.1:${port}/`)).text();
    program.kill("SIGTERM");
    await program.exited;
    const printed = program.stdout.split("\n").filter((line) => /^(?:#| {6})/.test(line));
    const again = await run(["bun", cli, "replay", file]);
    expect(again).toMatchObject({ code: 0, stderr: program.stderr });
    expect(again.stdout.split("\n").slice(0, -1)).toEqual(printed);
    expect(again.stdout).toContain('"GET / HTTP/1.1\\r\\n');
    const piped = await run(["sh", "-c", '"$0" "$1" replay - <"$2"', process.execPath, cli, file]);
    expect(piped).toEqual(again);
    expect((await run(["bun", cli, "replay", file, "--json"])).stdout).toBe(readFileSync(file, "utf8"));
    expect((await run(["bun", cli, "replay", file, "--numeric"])).stdout).toMatch(/= \[\(\d+, 1\)\]/);
  }));

test("the loop blocks for a slow reader, which gets every line", () =>
  withFolder(async (folder) => {
    const [fifo, file] = [join(folder, "go"), join(folder, "all.jsonl")];
    await Bun.$`mkfifo ${fifo}`;
    const late = '"$0" "$1" --host 127.0.0.1 --port 0 --trace=json --trace-file "$3" | { read go <"$2"; cat; }';
    const program = start(["sh", "-c", late, process.execPath, cli, fifo, file]);
    const [, port] = await program.errors(/listening on http:\/\/\S+:(\d+) /m);
    const [pid] = (await Bun.$`pgrep -P ${program.pid} -f main.ts`.text()).trim().split("\n");
    const responses = Array.from({ length: 2000 }, () =>
      fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()),
    );
    const pipe = openSync(`/proc/${pid}/fd/1`, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      await eventually(
        () => inspectFd(pipe).ready & EPOLLOUT, // independent of the pipe's capacity, see pipe(7)
        (room) => room === 0,
      );
    } finally {
      closeSync(pipe);
      writeFileSync(fifo, "go\n");
      await Promise.all(responses);
      process.kill(Number(pid), "SIGTERM");
      await program.exited;
    }
    const events: TraceEvent[] = parseTrace(program.stdout, "stdout"); // throws if an event is missing
    expect(events.filter(({ type }) => type === "send").length).toBe(2000);
    expect(program.stdout).toBe(readFileSync(file, "utf8"));
  }));

test("keeps serving after the reader of the trace has gone", async () => {
  const program = start([
    "sh",
    "-c",
    '"$0" "$1" --host 127.0.0.1 --port 0 --trace=json | head -n 1',
    process.execPath,
    cli,
  ]);
  const [, port] = await program.errors(/listening on http:\/\/\S+:(\d+) /m);
  const [pid] = (await Bun.$`pgrep -P ${program.pid} -f main.ts`.text()).trim().split("\n");
  try {
    for (let i = 0; i < 3; i++) expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  } finally {
    process.kill(Number(pid), "SIGTERM");
  }
});

test("a truncated trace is shown up to the cut, in the terminal, the prompt and the inspector; a malformed one is not", () =>
  withFolder(async (folder) => {
    const file = join(folder, "t.jsonl");
    const moment = { us: 1, iteration: 0 };
    const lines = [
      { seq: 1, ...moment, type: "begin", version: 2, pid: 1, date: "" },
      { seq: 2, ...moment, type: "create", result: 6 },
      { seq: 3, ...moment, type: "wait", epfd: 6, timeoutMs: 0, maxEvents: 1, result: 0, events: [], blockedUs: 1 },
      { seq: 4, ...moment, type: "close", fd: 6, result: 0 },
    ].map((event) => `${JSON.stringify(event)}\n`);
    const note = `${file} is truncated: line 4 is incomplete, and the 3 before it are shown`;
    writeFileSync(file, lines.join("").slice(0, -12));
    const shown = await run(["bun", cli, "replay", file]);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toEndWith("#0 epoll_wait(6, 0) = []                       +0.000s\n");
    expect(shown.stderr).toStartWith(`warning: ${note}\n`);
    const script = `printf 'n\\nq\\n' | "$0" "$@"`;
    const stepped = await run(["sh", "-c", script, process.execPath, cli, "replay", file, "--step"]);
    expect(stepped).toMatchObject({ code: 0, stderr: `warning: ${note}\n` });
    expect(stepped.stdout).toContain("End of the trace.");
    const inspector = start(["bun", cli, "replay", file, "--inspect"]);
    await inspector.output(/ is at http:\/\/\S+;/);
    expect(inspector.stderr).toBe(`warning: ${note}\n`);
    inspector.kill("SIGTERM");
    expect(await inspector.exited).toBe(0);

    writeFileSync(file, lines.join("").replace('"events":[]', '"events":{}'));
    for (const flags of [[], ["--json"], ["--step"], ["--inspect"], ["--chrome", join(folder, "out.json")]]) {
      const { code, stderr } = await run(["bun", cli, "replay", file, ...flags]);
      const problem = 'not a trace event: "events" must be a list of pairs of numbers; received {}';
      expect({ flags, code, stderr }).toEqual({ flags, code: 1, stderr: `error: ${file}, line 3: ${problem}\n` });
    }
  }));

test("reports mistakes with a correction or a reason", () =>
  withFolder(async (folder) => {
    const broken = join(folder, "broken.jsonl");
    writeFileSync(broken, "hello\n");
    const cases: [string[], RegExp, number][] = [
      [["--trace=xml"], /--trace must be "text" or "json"; received "xml"/, 2],
      [["--numeric"], /--numeric requires --trace, --trace-file or --step/, 2],
      [["--show-bytes"], /--show-bytes requires --trace, --trace-file, --step, --inspect or --inspect-brk/, 2],
      [["--trace", "--workers", "2"], /--trace cannot be used with --workers/, 2],
      [["--trace-file", folder, "--port", "0"], /cannot write the trace file: EISDIR/, 1],
      [["--trace-file="], /--trace-file requires a value \(a file to write to\)/, 2],
      [["replay"], /replay requires a trace file: epoll-hello replay FILE/, 2],
      [["replay", "-", "--step"], /--step reads commands from standard input: pass the trace as a file/, 2],
      [["replay", broken, "more"], /unexpected argument "more"/, 2],
      [["replay", join(folder, "none")], /cannot read the trace: ENOENT: no such file or directory/, 1],
      [["replay", broken], /line 1: /, 1],
      [["--trace", "replay"], /replay must come first: epoll-hello replay/, 2],
    ];
    for (const [flags, message, code] of cases) {
      const result = await run(["bun", cli, ...flags]);
      expect(result.stderr).toMatch(message);
      expect({ flags, code: result.code, stdout: result.stdout }).toEqual({ flags, code, stdout: "" });
    }
  }));
