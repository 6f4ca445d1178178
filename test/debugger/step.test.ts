// epoll-hello --step: the document's walk, and pdb's manners, through a pipe as a user would type it.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli, endPrograms, run } from "../support/programs.ts";
import { session } from "../support/step-session.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

test("the document's walk, event list for event list", async () => {
  const { text, code } = await session(["connect", "n", "n", "send c1", "n", "n", "n", "n", "q"], "--numeric");
  const lists = [...text.matchAll(/^#\d+ epoll_wait\(EP, 1000\) = (\[.*?\])$/gm)].map(([, list]) => list);
  expect(lists).toEqual([
    "[]",
    "[(L, 1)]",
    "[]",
    expect.stringMatching(/^\[\(\w+, 1\)\]$/),
    expect.stringMatching(/, 4\)\]$/),
    expect.stringMatching(/, 16\)\]$/),
    "[]",
  ]);
  expect(code).toBe(0);
});

test("s goes from call to call, with the line of the run loop that made each", async () => {
  const { lines } = await session([
    "connect",
    "n",
    ...Array.from({ length: 4 }, () => "s"),
    "send",
    "n",
    ...Array.from({ length: 3 }, () => "s"),
    "q",
  ]);
  const shown = lines.filter((line) => /^(?:accept4|epoll_ctl|recv|send|C:)/.test(line));
  expect(shown).toEqual([
    "accept4(L) = C HERE",
    "C: none -> new",
    "epoll_ctl(EP, ADD, C, EPOLLIN)",
    "recv(C) = 35 GET / HTTP/1.1",
    "C: new -> sending",
    "epoll_ctl(EP, MOD, C, EPOLLOUT)",
  ]);
  expect(lines.filter((line) => /^> src\/server\/run-loop\.ts:\d+$/.test(line)).length).toBeGreaterThan(4);
});

test("breakpoints: by descriptor, mask, event, errno, iteration and state; with a condition, once, ignored, disabled, deleted", async () => {
  const { lines } = await session([
    "b EPOLLHUP",
    "b accept, event.result > 1000",
    "tbreak state sending",
    "b EAGAIN",
    "b iteration 9999",
    "disable 4",
    "connect;;send",
    "c",
    "p event.type",
    "c",
    "b",
    "cl 1 2",
    "ignore 5 3",
    "condition 5 iteration > 3",
    "b",
    "b nowhere",
    "cl 77",
    "q",
  ]);
  const at = (line: string): number => lines.indexOf(line);
  expect(at("Temporary breakpoint 3")).toBeGreaterThan(0);
  expect(at("Breakpoint 1")).toBeGreaterThan(at("Temporary breakpoint 3"));
  expect(lines).toContain('"state"');
  expect(lines).toContain("Breakpoint 1 at EPOLLHUP, hit 1 time");
  expect(lines).toContain("Breakpoint 2 at accept, if event.result > 1000");
  expect(lines).toContain("Breakpoint 4 at EAGAIN, disabled");
  expect(lines).toContain("Deleted breakpoint 2");
  expect(lines).toContain("Breakpoint 5 at iteration 9999, if iteration > 3, passed over 3 times");
  expect(lines.some((line) => line.startsWith('*** "nowhere" is nowhere to stop: fd N, iteration N'))).toBe(true);
  expect(lines).toContain("*** there is no breakpoint 77: b lists them");
});

test("commands of a breakpoint, display, and a blank line that repeats", async () => {
  const { lines } = await session([
    "b iteration 3",
    "commands",
    "p 6 * 7",
    "end",
    "display iteration",
    "c",
    "n",
    "",
    "q",
  ]);
  expect(lines).toContain("42");
  expect(lines).toContain("display iteration: 1");
  expect(lines.filter((line) => line.startsWith("display iteration:"))).toEqual([
    "display iteration: 1",
    "display iteration: 3 [old: 1]",
    "display iteration: 4 [old: 3]",
    "display iteration: 5 [old: 4]",
  ]);
});

test("why, diff, i, pp fds, l, w, a, ll: what is known, and what the kernel says", async () => {
  const { text, lines } = await session([
    "connect",
    "n",
    "n",
    "send",
    "n",
    "s",
    "why",
    "diff",
    "pp fds",
    "l",
    "w",
    "a",
    "ll",
    "recv",
    "n",
    "n",
    "recv",
    "close",
    "q",
  ]);
  expect(text).toMatch(/\(epoll\) why\nC is a TCP connection with HERE, ESTABLISHED\. Nothing waits to be read\./);
  expect(lines).toContain("no difference: 2 descriptors are watched, and the kernel says so, too");
  expect(text).toMatch(/\nfd +what +mask +state +in +out +address\n/);
  expect(text).toMatch(/\n-> \(C, EPOLLIN\) {2}connection HERE, watched for EPOLLIN, new, 35 bytes in, 0 out\n/);
  expect(lines).toContain("-> recv(C) = 35 GET / HTTP/1.1");
  expect(lines).toContain('line = "GET / HTTP/1.1"');
  expect(text).toMatch(/\n +\d+ -> +const n = this\.#sys\.recv\(/);
  expect(lines).toContain("c1: nothing has come");
  expect(text).toMatch(/c1 has received 145 bytes: "HTTP\/1\.1 200 OK/);
  expect(lines).toContain("c1 is closed");
});

test("back and fwd look at iterations of the past; save and replay --step go through them again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const file = join(folder, "saved.jsonl");
    const { lines } = await session([
      "connect;;send",
      "n",
      "n",
      "n",
      "back 2",
      "p events",
      "fwd",
      "fwd",
      "fwd",
      `save ${file}`,
      "q",
    ]);
    expect(lines).toContain("viewing iteration 2 of 4");
    expect(lines).toContain("viewing iteration 3 of 4");
    expect(lines).toContain("*** this is the newest iteration");
    expect(lines.some((line) => /^\d+ events are in /.test(line))).toBe(true);
    const again = await session(["n", "n", "s", "why 5", "c", "n", "q"], "replay", file, "--step");
    expect(again.text).toMatch(
      /#1 epoll_wait[^]*\(epoll\) n[^]*#2 epoll_wait[^]*\(epoll\) n[^]*#3 epoll_wait[^]*\(epoll\) s\n/,
    );
    expect(again.lines).toContain(
      "*** this is a trace that was saved: there is no kernel to ask, and nobody to talk to",
    );
    expect(again.lines).toContain("The end.");
    expect(again.lines).toContain("*** the end: there is nothing more to step through");
    expect(again.code).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what is not understood is answered in a line; the end of input quits", async () => {
  const { lines, code } = await session([
    "foo",
    "p nothing.at.all",
    "why 9999",
    "until x",
    "send c9",
    "h why",
    "i 4444",
  ]);
  expect(lines).toContain('*** unknown command "foo": h lists them, p shows what an expression is worth');
  expect(lines.some((line) => line.startsWith("*** ReferenceError: "))).toBe(true);
  expect(lines.some((line) => line.startsWith("*** EBADF"))).toBe(true);
  expect(lines).toContain("*** unt ITERATION: a number is missing");
  expect(lines).toContain("*** there is no client c9 (open: none)");
  expect(lines).toContain("why FD");
  expect(lines).toContain("*** descriptor 4444 is none of the loop's: pp fds lists them");
  expect(code).toBe(0);
});

test("--no-classic steps through the eager loop", async () => {
  const { text } = await session(["connect;;send", "n", "s", "s", "s", "s", "s", "q"], "--no-classic");
  expect(text).toMatch(/recv\(C\) = 35 [^]*send\(C\) = 126 /);
});

test("what cannot be is refused", async () => {
  const broken = join(tmpdir(), `epoll-hello-${process.pid}.jsonl`);
  writeFileSync(broken, "x\n");
  try {
    for (const [flags, message, code] of [
      [["--step", "--workers", "2"], /--step cannot be used with --workers/, 2],
      [["--step", "--trace"], /--step cannot be used with --trace/, 2],
      [["--step", "--host", "203.0.113.1", "--port", "0"], /EADDRNOTAVAIL|203\.0\.113\.1/, 1],
      [["replay", broken, "--step"], /line 1: this is no JSON/, 1],
      [["replay", broken, "--step", "--json"], /--step cannot be used with --json/, 2],
    ] as [string[], RegExp, number][]) {
      const ended = await run(["bun", cli, ...flags]);
      expect(ended.stderr).toMatch(message);
      expect({ flags, code: ended.code }).toEqual({ flags, code });
    }
  } finally {
    rmSync(broken);
  }
});
