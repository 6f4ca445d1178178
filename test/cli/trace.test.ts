// epoll-hello --trace, --trace-file, replay: a line for each event, as text or as JSON, and none lost.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EPOLLOUT, inspectFd, parseTrace, type TraceEvent } from "../../src/index.ts";
import { cli, endPrograms, type Program, run, start } from "../support/programs.ts";
import { eventually } from "../support/server-process.ts";

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

test("--trace prints each event before the loop waits again; --numeric has the document's numbers", async () => {
  const { program, port } = await serve("--trace", "--numeric", "--classic");
  await (await fetch(`http://127.0.0.1:${port}/some/path`)).text();
  await program.output(/^#\d+ epoll_wait\(\d+, -1\) = \[\(\d+, 1\)\] +\+\d+\.\d{3}s$/m);
  await program.output(/^ {6}recv\(\d+\) = \d+ +GET \/some\/path HTTP\/1\.1$/m);
  await program.output(/^#\d+ epoll_wait\(\d+, \d+\) = \[\(\d+, 4\)\] /m);
  await program.output(/^#\d+ epoll_wait\(\d+, \d+\) = \[\(\d+, 16\)\] /m);
  await program.output(/^ {6}close\(\d+\)$/m); // while it waits for ever
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  expect(program.stdout).toEndWith("served 1 request on 1 connection\n");
  expect(program.stdout).not.toMatch(/^127\.0\.0\.1:\d+ {2}GET/m); // the trace has it
});

test("--trace=json: standard output is a trace and nothing else", async () => {
  const { program, port } = await serve("--trace=json");
  await (await fetch(`http://127.0.0.1:${port}/`)).text();
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  const events = parseTrace(program.stdout, "stdout");
  expect(events.some((event) => event.type === "recv" && event.line === "GET / HTTP/1.1")).toBe(true);
  expect(program.stdout).not.toContain("bytes");
  expect(program.stderr).toStartWith("listening on http://127.0.0.1:");
});

test("--trace-file saves what --trace prints, and replay prints it again", () =>
  withFolder(async (folder) => {
    const file = join(folder, "trace.jsonl");
    const { program, port } = await serve("--trace", "--trace-file", file, "--show-bytes");
    await (await fetch(`http://127.0.0.1:${port}/`)).text();
    program.kill("SIGTERM");
    await program.exited;
    const printed = program.stdout.split("\n").filter((line) => /^(?:#| {6})/.test(line));
    const again = await run(["bun", cli, "replay", file]);
    expect(again).toMatchObject({ code: 0, stderr: "" });
    expect(again.stdout.split("\n").slice(0, -1)).toEqual(printed);
    expect(again.stdout).toContain('"GET / HTTP/1.1\\r\\n');
    expect((await run(["bun", cli, "replay", file, "--json"])).stdout).toBe(readFileSync(file, "utf8"));
    expect((await run(["bun", cli, "replay", file, "--numeric"])).stdout).toMatch(/= \[\(\d+, 1\)\]/);
  }));

test("a reader who reads late gets every line: the loop waits for him", () =>
  withFolder(async (folder) => {
    const [fifo, file] = [join(folder, "go"), join(folder, "all.jsonl")];
    await Bun.$`mkfifo ${fifo}`;
    const late = '"$0" "$1" --host 127.0.0.1 --port 0 --trace=json --trace-file "$3" | { read go <"$2"; cat; }';
    const program = start(["sh", "-c", late, process.execPath, cli, fifo, file]);
    const [, port] = await program.errors(/listening on http:\/\/\S+:(\d+) /m);
    const [pid] = (await Bun.$`pgrep -P ${program.pid} -f main.ts`.text()).trim().split("\n");
    const replies = Array.from({ length: 2000 }, () =>
      fetch(`http://127.0.0.1:${port}/`).then((reply) => reply.text()),
    );
    const pipe = openSync(`/proc/${pid}/fd/1`, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      await eventually(
        () => inspectFd(pipe).ready & EPOLLOUT, // however much it holds: that differs, see pipe(7)
        (room) => room === 0,
      );
    } finally {
      closeSync(pipe);
      writeFileSync(fifo, "go\n");
      await Promise.all(replies);
      process.kill(Number(pid), "SIGTERM");
      await program.exited;
    }
    const events: TraceEvent[] = parseTrace(program.stdout, "stdout"); // which sees a gap
    expect(events.filter(({ type }) => type === "send").length).toBe(2000);
    expect(program.stdout).toBe(readFileSync(file, "utf8"));
  }));

test("a reader who goes away does not end the server", async () => {
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

test("mistakes are told, with what to write instead", () =>
  withFolder(async (folder) => {
    const broken = join(folder, "broken.jsonl");
    writeFileSync(broken, "hello\n");
    const cases: [string[], RegExp, number][] = [
      [["--trace=xml"], /--trace takes text or json, not "xml"/, 2],
      [["--numeric"], /--numeric is for a trace: give --trace or --step, too/, 2],
      [["--show-bytes"], /--show-bytes is for a trace: give --trace or --step, too/, 2],
      [["--trace", "--workers", "2"], /a trace is of one process: leave out --workers/, 2],
      [["--trace-file", folder, "--port", "0"], /--trace-file cannot be written: EISDIR/, 2],
      [["--trace-file="], /--trace-file needs a value/, 2],
      [["replay"], /replay needs the file of a trace: epoll-hello replay FILE/, 2],
      [["replay", broken, "more"], /"more" is not an argument/, 2],
      [["replay", join(folder, "none")], /ENOENT: no such file or directory/, 1],
      [["replay", broken], /line 1: not valid JSON/, 1],
      [["--trace", "replay"], /replay comes first: epoll-hello replay/, 2],
    ];
    for (const [flags, message, code] of cases) {
      const ended = await run(["bun", cli, ...flags]);
      expect(ended.stderr).toMatch(message);
      expect({ flags, code: ended.code, stdout: ended.stdout }).toEqual({ flags, code, stdout: "" });
    }
  }));
