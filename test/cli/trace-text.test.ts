// A trace as text: collapsed repeats, times between lines, and the summary at the end.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TraceDetail, TraceEvent } from "../../src/index.ts";
import { TraceText } from "../../src/tools/trace-text.ts";
import { cli, endPrograms, root, run } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

/** Formats events. `us` is the time between two of them. */
function textOf(details: readonly TraceDetail[], us = 1000, hasTimestamps = false): string[] {
  const lines: string[] = [];
  const text = new TraceText({
    isNumeric: false,
    hasTimestamps,
    print: (line) => lines.push(line.replace(/ +\+.*/, "")),
  });
  let iteration = 0;
  for (const [i, detail] of details.entries()) {
    if (detail.type === "wait") iteration++;
    text.add({ seq: i + 1, us: i * us, iteration, ...detail } as TraceEvent);
  }
  text.end();
  return lines;
}

const wait = (fds: number[], timeoutMs = -1): TraceDetail => {
  const events = fds.map((fd): [number, number] => [fd, 1]);
  return { type: "wait", epfd: 3, timeoutMs, maxEvents: 9, result: fds.length, events, blockedUs: 1 };
};
const recv = (fd: number, result: number): TraceDetail => ({ type: "recv", fd, wanted: 99, result });
const end: TraceDetail = { type: "iteration", workedUs: 1, dispatches: [] };
const warning: TraceDetail = { type: "warning", code: "busy-loop", fd: 5, message: "m" };

const times = <T>(n: number, make: (i: number) => T[]): T[] => Array.from({ length: n }, (_, i) => make(i)).flat();

test("collapses iterations that repeat quickly, after printing the first two", () => {
  const spin = times(1000, (i) => [wait([5], 10_000 - i), recv(5, 0), end]);
  expect(textOf([...spin, wait([6]), end], 10)).toEqual([
    "#1 epoll_wait(3, 10000) = [(5, EPOLLIN)]",
    "      recv(5) = 0                              end of stream",
    "#2 epoll_wait(3, 9999) = [(5, EPOLLIN)]",
    "      recv(5) = 0                              end of stream",
    "      … repeated × 998 (0.0 s)",
    "#1001 epoll_wait(3, -1) = [(6, EPOLLIN)]",
  ]);
});

test("prints the number of repeats while they go on, in growing intervals", () => {
  const lines = textOf(
    times(10_000, () => [wait([5]), end]),
    500,
  );
  const counts = lines.filter((line) => line.includes("repeated"));
  expect(counts).toEqual([
    "      … repeated × 1,000 (1.0 s)",
    "      … repeated × 2,000 (2.0 s)",
    "      … repeated × 4,000 (4.0 s)",
    "      … repeated × 8,000 (8.0 s)",
    "      … repeated × 9,998 (10.0 s)",
  ]);
});

test("collapses waits that return nothing, however far apart", () => {
  expect(textOf([...times(55, () => [wait([], 1000), end]), wait([5])], 500_000)).toEqual([
    "#1 epoll_wait(3, 1000) = []",
    "      … repeated × 2 (2.0 s)",
    "      … repeated × 4 (4.0 s)",
    "      … repeated × 8 (8.0 s)",
    "      … repeated × 16 (16.0 s)",
    "      … repeated × 32 (32.0 s)",
    "      … repeated × 54 (54.0 s)",
    "#56 epoll_wait(3, -1) = [(5, EPOLLIN)]",
  ]);
});

test("collapses calls that repeat within an iteration", () => {
  expect(textOf([wait([5]), ...times(300, () => [recv(5, 10)]), recv(5, -11), end])).toEqual([
    "#1 epoll_wait(3, -1) = [(5, EPOLLIN)]",
    "      recv(5) = 10",
    "      … repeated × 299 (0.3 s)",
    "      recv(5) = -1 EAGAIN",
  ]);
});

test("prints requests that are alike but not in a spin, and a single repeat as it is", () => {
  const request = [wait([5]), recv(5, 10), end];
  expect(
    textOf(
      times(4, () => request),
      500_000,
    ),
  ).toHaveLength(8);
  expect(
    textOf(
      times(3, () => request),
      10,
    ),
  ).toHaveLength(6);
  expect(textOf([wait([5]), recv(5, 10), recv(5, 10), end])).toHaveLength(3);
});

test("an iteration that begins like the last one but goes on differently is printed whole", () => {
  const lines = textOf([...times(4, () => [wait([5]), recv(5, 1), end]), wait([5]), recv(5, 1), recv(5, 2), end], 10);
  expect(lines.slice(-4)).toEqual([
    "      … repeated × 2 (0.0 s)",
    "#5 epoll_wait(3, -1) = [(5, EPOLLIN)]",
    "      recv(5) = 1",
    "      recv(5) = 2",
  ]);
});

test("prints a warning where it occurs, after the repeats before it", () => {
  const spin = times(100, (i) => (i === 50 ? [wait([5]), warning, end] : [wait([5]), end]));
  expect(textOf(spin, 10).slice(2)).toEqual([
    "      … repeated × 48 (0.0 s)",
    "#51 epoll_wait(3, -1) = [(5, EPOLLIN)]",
    "      warning: m (busy-loop)",
    "      … repeated × 49 (0.0 s)",
  ]);
});

test("loses no line and no iteration, whatever repeats", () => {
  let state = 1;
  const random = (n: number): number => (state = (state * 48_271) % 2_147_483_647) % n;
  for (let round = 0; round < 300; round++) {
    const events = times(random(40), () => [
      wait(random(3) === 0 ? [] : [5 + random(2)]),
      ...times(random(3), () => [recv(5, random(2))]),
      ...(random(9) === 0 ? [warning] : []),
      end,
    ]);
    const lines = textOf(events, 1000);
    const warnings = lines.filter((line) => line.includes("warning")).length;
    expect(warnings).toBe(events.filter(({ type }) => type === "warning").length);
    // Each iteration is printed, or counted in the last number of a run of repeats.
    let counted = 0;
    let repeated = 0;
    for (const line of lines) {
      const number = /^#(\d+)/.exec(line)?.[1];
      repeated = Number(/… repeated × (\d+)/.exec(line)?.[1] ?? repeated);
      if (number === undefined) continue;
      expect(Number(number)).toBe(counted + repeated + 1);
      counted = Number(number);
      repeated = 0;
    }
    expect(counted + repeated).toBe(events.filter(({ type }) => type === "wait").length);
  }
});

test("--timestamps begins each line with the time since the previous one", () => {
  const lines = textOf([wait([5]), recv(5, 1), recv(5, 2), end], 1500, true);
  expect(lines).toEqual([
    "    0.000000 #1 epoll_wait(3, -1) = [(5, EPOLLIN)]",
    "    0.001500       recv(5) = 1",
    "    0.001500       recv(5) = 2",
  ]);
  const spin = textOf(
    times(5, () => [wait([5]), end]),
    1500,
    true,
  );
  expect(spin.at(-1)).toBe("                   … repeated × 3 (0.0 s)");
});

test("a program that spins: its warning is not drowned, and the summary on standard error counts every call", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const program = join(folder, "spin.ts");
    writeFileSync(
      program,
      `import { Epoll, EPOLLIN, socketpair } from ${JSON.stringify(join(root, "src", "index.ts"))};
       const [local, peer] = socketpair();
       using epoll = new Epoll();
       epoll.register(local, EPOLLIN);
       peer.send("x");
       for (let i = 0; i < 20_000; i++) epoll.poll(1000);
       for (let i = 0; i < 3; i++) local.recv(10);
       process.exit(7);`,
    );
    const { stdout, stderr, code } = await run(["bun", cli, program, "--trace"]);
    expect(code).toBe(7);
    expect(stdout.split("\n").length).toBeLessThan(5000); // an iteration may take longer on a busy machine
    expect(stdout).toMatch(/^ {6}… repeated × [\d,]+ \(\d+\.\d s\)$/m);
    expect(stdout).toMatch(/warning: .* \(busy-loop\)/);
    expect(stdout).not.toContain(", ADD, 2, "); // the command's own calls, for standard error
    expect(stderr).toMatch(/^ +calls +errors +bytes +system call$/m);
    expect(stderr).toMatch(/^20,000 +epoll_wait$/m);
    expect(stderr).toMatch(/^ +3 +2 +1 +recv$/m);
    expect(stderr).toMatch(/^\d+\.\d{3} s: \d+\.\d{3} s in 20,000 waits, \d+\.\d{3} s between them$/m);
    expect(stderr).toMatch(/^warnings: busy-loop \(\d+\)/m);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
