// epoll-hello why: measurements as text, JSON and SVG; mistakes are reported before measuring.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli, endPrograms, run } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Measurements {
  steps: { fds: number; select: number | null; poll: number; epoll: number }[];
  [name: string]: unknown;
}

/** Few, to save time: only the table is tested with more than select can watch. */
const JSON_FDS = scaled(20, 2_000);

test("--json prints the measurements and the machine, and nothing else", async () => {
  const { code, stdout, stderr } = await run(["bun", cli, "why", "--max", `${JSON_FDS}`, "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const { steps, crossover, ...others } = JSON.parse(stdout) as Measurements;
  expect(Object.keys(crossover as object)).toEqual(["select", "poll"]);
  expect(others).toEqual({
    command: `epoll-hello why --max ${JSON_FDS}`,
    machine: {
      cpu: expect.any(String),
      cores: expect.any(Number),
      kernel: expect.stringMatching(/^\d+\.\d+/),
      arch: process.arch,
      bun: process.versions.bun,
    },
    unit: "ns",
    rounds: expect.any(Number),
    requestedFds: JSON_FDS,
    openFilesLimit: expect.any(Number),
    fdSetSize: 1024,
  });
  expect(steps.map(({ fds }) => fds)).toEqual([10, 20, 50, 100, 200, 500, 1000, 2000].filter((fds) => fds <= JSON_FDS));
  for (const { fds, select, poll, epoll } of steps) {
    for (const ns of [poll, epoll, select ?? 1]) {
      expect(Number.isFinite(ns)).toBe(true);
      expect(ns).toBeGreaterThan(0);
    }
    if (fds <= 500) expect(select).not.toBeNull(); // also at 1000, unless this test inherited many fds
    if (fds >= 1024) expect(select).toBeNull();
  }
});

test("prints a table, a chart, a summary, the machine and the command, in 80 columns, without color on a pipe", async () => {
  const { code, stdout, stderr } = await run(["bun", cli, "why", "--max", "2000"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ +fds +select +poll +epoll_wait/m);
  expect(stdout).toMatch(/^ +2,000 +- +\S+ [nµm]s +\S+ [nµm]s +\S+$/m);
  expect(stdout).toMatch(/above FD_SETSIZE \(1024\)/);
  expect(stdout).toMatch(/^ +1 µs \+/m);
  expect(stdout).toMatch(/^With 10 file descriptors, \S+ is the fastest/m);
  expect(stdout).toMatch(/^select stops after /m);
  expect(stdout).toContain(`Bun ${process.versions.bun}`);
  expect(stdout).toMatch(/^epoll-hello why --max 2000$/m);
  expect(stdout).not.toContain("\x1b");
  expect(stdout).not.toContain("Measured up to");
  expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
});

test("--svg also writes an SVG chart", async () => {
  const file = join(directory, "why.svg");
  const { code, stdout } = await run(["bun", cli, "why", "--max", "20", "--svg", file]);
  expect(code).toBe(0);
  expect(stdout).toEndWith(`\nwrote ${file}\n`);
  expect(readFileSync(file, "utf8")).toMatch(/^<svg [^]*epoll-hello why --max 20 [^]*<\/svg>\n$/);
});

test("--svg can be used with --json", async () => {
  const file = join(directory, "both.svg");
  const { code, stdout } = await run(["bun", cli, "why", "--max", "10", "--json", "--svg", file]);
  expect(code).toBe(0);
  expect((JSON.parse(stdout) as Measurements).steps).toHaveLength(1);
  expect(existsSync(file)).toBe(true);
});

test.skipIf(Bun.which("script") === null)(
  "on a terminal: shows progress and erases it, and colors the output unless NO_COLOR is set",
  async () => {
    const command = ["script", "-qec", `"${process.execPath}" "${cli}" why --max 10`, "/dev/null"];
    for (const [noColor, isColored] of [
      [undefined, true],
      ["1", false],
    ] as const) {
      const { code, stdout } = await run(command, { env: { TERM: "xterm", NO_COLOR: noColor } });
      expect(stdout).toStartWith("\r\x1b[Kmeasuring: 0 %\r\x1b[Kmeasuring: ");
      expect(stdout).toContain(" %\r\x1b[KWhy epoll: ");
      expect(stdout.includes("\x1b[36m")).toBe(isColored);
      expect(code).toBe(0);
    }
  },
);

test("the soft limit of open files does not matter, the hard one does", async () => {
  const script = 'ulimit -Sn 64 && exec "$0" "$@"';
  const { stdout } = await run(["sh", "-c", script, process.execPath, cli, "why", "--max", "50", "--json"]);
  expect((JSON.parse(stdout) as Measurements).steps.at(-1)?.fds).toBe(50);
});

test("with a low hard limit, measures as far as possible, and says so", async () => {
  const script = 'ulimit -n 80 && exec "$0" "$@"';
  const { code, stdout } = await run(["sh", "-c", script, process.execPath, cli, "why", "--max", "100"]);
  expect(stdout).toMatch(/^Measured up to \d+ instead of 100 file descriptors: this process may open 80\s+files/m);
  expect(code).toBe(0);
});

test("exits with code 1 and a hint if the hard limit is too low for any measurement", async () => {
  const script = 'ulimit -n 40 && exec "$0" "$@"';
  const { code, stdout, stderr } = await run(["sh", "-c", script, process.execPath, cli, "why"]);
  expect(stderr).toMatch(/this process may open only 40 files; raise the limit/);
  expect(stdout).toBe("");
  expect(code).toBe(1);
});

const wrong: [flags: string[], message: RegExp][] = [
  [["--port", "8800"], /unknown flag --port/],
  [["--version"], /unknown flag --version/],
  [["-v"], /unknown flag -v/],
  [["now"], /unexpected argument "now"/],
  [["--max", "9"], /--max must be an integer from 10 to 100000; received "9"/],
  [["--max", "many"], /--max must be .*; received "many"/],
  [["--max"], /--max requires a value \(an integer from 10 to 100000\)/],
  [["--svg"], /--svg requires a value/],
  [["--svg", "--json"], /--svg requires a value \(a file to write to\)/],
  [["--json=yes"], /--json takes no value/],
];

for (const [flags, message] of wrong) {
  test(`why ${flags.join(" ")} exits with code 2, and says what to do`, async () => {
    const { code, stdout, stderr } = await run(["bun", cli, "why", ...flags]);
    expect(stderr).toMatch(message);
    expect(stderr).toContain("epoll-hello why --help");
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
}

test("rejects why after other flags with exit code 2, and says where it belongs", async () => {
  const { code, stderr } = await run(["bun", cli, "--quiet", "why"]);
  expect(stderr).toContain("why must come first: epoll-hello why");
  expect(code).toBe(2);
});

test("exits with code 1 before measuring if the SVG file cannot be written", async () => {
  for (const [file, message] of [
    [join(directory, "no", "such", "why.svg"), "ENOENT"],
    [directory, "EISDIR"],
  ] as const) {
    const { code, stdout, stderr } = await run(["bun", cli, "why", "--svg", file]);
    expect(stderr).toContain(`cannot write the SVG file: ${message}`);
    expect(stdout).toBe("");
    expect(code).toBe(1);
  }
});

test("keeps an existing file until the new chart is complete", async () => {
  const file = join(directory, "old.svg");
  writeFileSync(file, "old");
  const script = 'ulimit -n 40 && exec "$0" "$@"'; // fails after the check, before the chart is written
  const fails = async (path: string): Promise<number> =>
    (await run(["sh", "-c", script, process.execPath, cli, "why", "--svg", path])).code;
  expect(await fails(file)).toBe(1);
  expect(readFileSync(file, "utf8")).toBe("old");
  expect(await fails(join(directory, "new.svg"))).toBe(1);
  expect(existsSync(join(directory, "new.svg"))).toBe(false);
  expect((await run(["bun", cli, "why", "--max", "10", "--svg", file])).code).toBe(0);
  expect(readFileSync(file, "utf8")).toStartWith("<svg");
});

test("--help lists its own flags, and epoll-hello --help lists the command", async () => {
  for (const flag of ["--help", "-h"]) {
    const { code, stdout } = await run(["bun", cli, "why", flag]);
    for (const name of ["epoll-hello why", "--max", "--svg", "--json"]) expect(stdout).toContain(name);
    expect(stdout).not.toContain("--port");
    expect(stdout).not.toContain("\x1b");
    expect(code).toBe(0);
  }
  const { stdout } = await run(["bun", cli, "--help"]);
  expect(stdout).toMatch(/^ +epoll-hello why\|replay\|lesson\|addons \[OPTIONS\]$/m);
  expect(stdout).toMatch(/^ +why +measure select, poll and epoll_wait/m);
});
