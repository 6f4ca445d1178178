// epoll-hello why: figures of this machine, as text, as JSON and as a picture; what is wrong is said before it measures.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli, endPrograms, run } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Figures {
  steps: { descriptors: number; select: number | null; poll: number; epoll: number }[];
  [name: string]: unknown;
}

test("--json: the figures, the machine, and nothing else", async () => {
  const { code, stdout, stderr } = await run(["bun", cli, "why", "--max", "2000", "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const { steps, crossover, ...others } = JSON.parse(stdout) as Figures;
  expect(Object.keys(crossover as object)).toEqual(["select", "poll"]);
  expect(others).toEqual({
    command: "epoll-hello why --max 2000",
    machine: {
      cpu: expect.any(String),
      cores: expect.any(Number),
      kernel: expect.stringMatching(/^\d+\.\d+/),
      arch: process.arch,
      bun: process.versions.bun,
    },
    unit: "ns",
    rounds: expect.any(Number),
    asked: 2000,
    openFiles: expect.any(Number),
    fdSetSize: 1024,
  });
  expect(steps.map(({ descriptors }) => descriptors)).toEqual([10, 20, 50, 100, 200, 500, 1000, 2000]);
  for (const { descriptors, select, poll, epoll } of steps) {
    for (const ns of [poll, epoll, select ?? 1]) {
      expect(Number.isFinite(ns)).toBe(true);
      expect(ns).toBeGreaterThan(0);
    }
    if (descriptors <= 500) expect(select).not.toBeNull(); // 1000 too, unless this test was given descriptors
    if (descriptors >= 1024) expect(select).toBeNull();
  }
});

test("a table, a chart, sentences, the machine and the command, in 80 columns and without colour in a pipe", async () => {
  const { code, stdout, stderr } = await run(["bun", cli, "why", "--max", "2000"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ +descriptors +select +poll +epoll_wait/m);
  expect(stdout).toMatch(/^ +2,000 +- +\S+ [nµm]s +\S+ [nµm]s +\S+$/m);
  expect(stdout).toMatch(/beyond FD_SETSIZE, 1024/);
  expect(stdout).toMatch(/^ +1 µs \+/m);
  expect(stdout).toMatch(/^Among 10, \S+ is the fastest/m);
  expect(stdout).toMatch(/^select ends after /m);
  expect(stdout).toContain(`Bun ${process.versions.bun}`);
  expect(stdout).toMatch(/^epoll-hello why --max 2000$/m);
  expect(stdout).not.toContain("\x1b");
  expect(stdout).not.toContain("It ends at");
  expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
});

test("--svg writes a picture beside the text, and says where", async () => {
  const file = join(directory, "why.svg");
  const { code, stdout } = await run(["bun", cli, "why", "--max", "20", "--svg", file]);
  expect(code).toBe(0);
  expect(stdout).toEndWith(`\nThe picture is in ${file}\n`);
  expect(readFileSync(file, "utf8")).toMatch(/^<svg [^]*epoll-hello why --max 20 [^]*<\/svg>\n$/);
});

test("--svg and --json go together, and standard output is JSON still", async () => {
  const file = join(directory, "both.svg");
  const { code, stdout } = await run(["bun", cli, "why", "--max", "10", "--json", "--svg", file]);
  expect(code).toBe(0);
  expect((JSON.parse(stdout) as Figures).steps).toHaveLength(1);
  expect(existsSync(file)).toBe(true);
});

test.skipIf(Bun.which("script") === null)(
  "on a terminal: progress in a line that goes again, and colour unless NO_COLOR",
  async () => {
    const command = ["script", "-qec", `"${process.execPath}" "${cli}" why --max 10`, "/dev/null"];
    for (const [noColor, hasColour] of [
      [undefined, true],
      ["1", false],
    ] as const) {
      const { code, stdout } = await run(command, { env: { TERM: "xterm", NO_COLOR: noColor } });
      expect(stdout).toStartWith("\r\x1b[Kmeasuring: 0 %\r\x1b[Kmeasuring: ");
      expect(stdout).toContain(" %\r\x1b[KWhy epoll: ");
      expect(stdout.includes("\x1b[36m")).toBe(hasColour);
      expect(code).toBe(0);
    }
  },
);

test("a soft limit is no limit: the hard one is", async () => {
  const script = 'ulimit -Sn 256 && exec "$0" "$@"';
  const { stdout } = await run(["sh", "-c", script, process.execPath, cli, "why", "--max", "500", "--json"]);
  expect((JSON.parse(stdout) as Figures).steps.at(-1)?.descriptors).toBe(500);
});

test("where the hard limit is too low it goes as far as it can, and says so", async () => {
  const script = 'ulimit -n 256 && exec "$0" "$@"';
  const { code, stdout } = await run(["sh", "-c", script, process.execPath, cli, "why", "--max", "500"]);
  expect(stdout).toMatch(/^It ends at \d+, not 500: this process may have 256 files open/m);
  expect(code).toBe(0);
});

test("where it leaves no room at all: exit 1, and what to do", async () => {
  const script = 'ulimit -n 40 && exec "$0" "$@"';
  const { code, stdout, stderr } = await run(["sh", "-c", script, process.execPath, cli, "why"]);
  expect(stderr).toMatch(/only 40 files may be open at once: raise the limit/);
  expect(stdout).toBe("");
  expect(code).toBe(1);
});

const wrong: [flags: string[], says: RegExp][] = [
  [["--port", "8800"], /unknown flag --port/],
  [["--version"], /unknown flag --version/],
  [["-v"], /unknown flag -v/],
  [["now"], /"now" is not an argument: .* --max 1000/],
  [["--max", "9"], /--max takes a whole number from 10 to 100000, not "9"/],
  [["--max", "many"], /--max takes .* not "many"/],
  [["--max"], /--max takes .* not nothing/],
  [["--svg"], /--svg needs a value/],
  [["--svg", "--json"], /--svg needs a value, and --json is a flag/],
  [["--json=yes"], /--json takes no value/],
];

for (const [flags, says] of wrong) {
  test(`why ${flags.join(" ")}: exit 2, and what to do`, async () => {
    const { code, stdout, stderr } = await run(["bun", cli, "why", ...flags]);
    expect(stderr).toMatch(says);
    expect(stderr).toContain("epoll-hello why --help");
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
}

test("why among the server's flags: exit 2, and where it belongs", async () => {
  const { code, stderr } = await run(["bun", cli, "--quiet", "why"]);
  expect(stderr).toContain("why comes first: epoll-hello why");
  expect(code).toBe(2);
});

test("a picture that cannot be written: exit 1 and why, before anything is measured", async () => {
  for (const [file, says] of [
    [join(directory, "no", "such", "why.svg"), "ENOENT"],
    [directory, "EISDIR"],
  ] as const) {
    const { code, stdout, stderr } = await run(["bun", cli, "why", "--svg", file]);
    expect(stderr).toContain(`the picture cannot be written: ${says}`);
    expect(stdout).toBe("");
    expect(code).toBe(1);
  }
});

test("what is in the picture's place stays until there is a new one", async () => {
  const file = join(directory, "old.svg");
  writeFileSync(file, "old");
  const script = 'ulimit -n 40 && exec "$0" "$@"'; // it ends after the check, before the picture
  const fails = async (path: string): Promise<number> =>
    (await run(["sh", "-c", script, process.execPath, cli, "why", "--svg", path])).code;
  expect(await fails(file)).toBe(1);
  expect(readFileSync(file, "utf8")).toBe("old");
  expect(await fails(join(directory, "new.svg"))).toBe(1);
  expect(existsSync(join(directory, "new.svg"))).toBe(false);
  expect((await run(["bun", cli, "why", "--max", "10", "--svg", file])).code).toBe(0);
  expect(readFileSync(file, "utf8")).toStartWith("<svg");
});

test("--help: its own flags, and the server's help knows of it", async () => {
  for (const flag of ["--help", "-h"]) {
    const { code, stdout } = await run(["bun", cli, "why", flag]);
    for (const name of ["epoll-hello why", "--max", "--svg", "--json"]) expect(stdout).toContain(name);
    expect(stdout).not.toContain("--port");
    expect(stdout).not.toContain("\x1b");
    expect(code).toBe(0);
  }
  const { stdout } = await run(["bun", cli, "--help"]);
  expect(stdout).toMatch(/^USAGE epoll-hello \[APP\|why\|replay\|lesson\] \[OPTIONS\]$/m);
  expect(stdout).toMatch(/^ +why +Time select, poll and epoll_wait/m);
});
