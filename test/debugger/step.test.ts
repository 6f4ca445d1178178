// epoll-hello --step: all commands of the debugger, typed through a pipe.

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli, endPrograms, run } from "../support/programs.ts";
import { session } from "../support/step-session.ts";

setDefaultTimeout(60_000);
afterAll(endPrograms);

// They mostly wait for epoll_wait to time out, so they run at the same time.

test.concurrent("walks through the original program's event lists", async () => {
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

test.concurrent("s pauses after every call, and shows the line of the run loop that made it", async () => {
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

test.concurrent("sets, lists, disables, ignores and deletes breakpoints on every kind of location, with conditions", async () => {
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
  expect(lines).toContain("Breakpoint 5 at iteration 9999, if iteration > 3, ignore next 3 hits");
  expect(lines).toContain("Breakpoint 5: ignore next 3 hits");
  expect(lines).toContain("Temporary breakpoint 3 at state sending");
  expect(
    lines.some((line) => line.startsWith('*** "nowhere" is not a breakpoint location: use LINE, FILE:LINE, fd N')),
  ).toBe(true);
  expect(lines).toContain("*** no breakpoint 77: b lists the breakpoints");
});

test.concurrent("runs the commands of a breakpoint, displays expressions, and repeats the last command for an empty line", async () => {
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

test.concurrent("shows the state of the loop and of the kernel: why, diff, pp fds, ready, trace, l, a, ll, recv", async () => {
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
    "ready",
    "trace",
    "l",
    "a",
    "ll",
    "recv",
    "n",
    "n",
    "recv",
    "close",
    "q",
  ]);
  expect(text).toMatch(/\(epoll\) why\nfd C is a TCP connection with HERE, ESTABLISHED\. There is nothing to read\./);
  expect(lines).toContain("no differences: 2 fds are registered, and the kernel's interest list is the same");
  expect(text).toMatch(/\n *fd {2}type +mask +state +received +sent {2}address\n/);
  expect(text).toMatch(
    /\n-> \(C, EPOLLIN\) {2}connection HERE, registered for EPOLLIN, new, 35 bytes received, 0 sent\n/,
  );
  expect(lines).toContain("-> recv(C) = 35 GET / HTTP/1.1");
  expect(lines).toContain('line = "GET / HTTP/1.1"');
  expect(text).toMatch(/\n +\d+ -> +const n = this\.#sys\.recv\(/);
  expect(lines).toContain("c1: nothing has arrived yet");
  expect(text).toMatch(/c1 received 145 bytes: "HTTP\/1\.1 200 OK/);
  expect(lines).toContain("c1 is closed");
});

test.concurrent("back and fwd view past iterations; replay --step steps through a saved trace", async () => {
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
    expect(lines.some((line) => /^saved \d+ events to /.test(line))).toBe(true);
    const again = await session(["n", "n", "s", "why 5", "c", "n", "q"], "replay", file, "--step");
    expect(again.text).toMatch(
      /#1 epoll_wait[^]*\(epoll\) n[^]*#2 epoll_wait[^]*\(epoll\) n[^]*#3 epoll_wait[^]*\(epoll\) s\n/,
    );
    expect(again.lines).toContain(
      "*** not available for a recorded trace, which has no kernel state and accepts no clients",
    );
    expect(again.lines).toContain("End of the trace.");
    expect(again.lines).toContain("*** nothing to continue: the trace has ended (run starts again)");
    expect(again.code).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.concurrent("reports an invalid command in one line, and quits at the end of the input", async () => {
  const { lines, code } = await session([
    "foo",
    "p nothing.at.all",
    "why 9999",
    "until x",
    "send c9",
    "h why",
    "i 4444",
    "unt",
    "unt 0",
    "unt 1",
    "ignore 1",
    "connct",
    "b lap 12",
    "b acept",
  ]);
  expect(lines).toContain("*** ReferenceError: foo is not defined");
  expect(lines.some((line) => line.startsWith("*** ReferenceError: "))).toBe(true);
  expect(lines).toContain("*** fd 9999 is not open");
  expect(lines).toContain('*** usage: unt [ITERATION] ("x" is not a number)');
  expect(lines).toContain("*** no client c9 (connected: none)");
  expect(lines).toContain("why [FD]");
  expect(lines).toContain("*** fd 4444 does not belong to this loop; i fds lists those that do");
  expect(lines).toContain("*** iteration 0 has already begun; this is iteration 2");
  expect(lines).toContain("*** iteration 1 has already begun; this is iteration 2");
  expect(lines).toContain("*** no breakpoint 1: b lists the breakpoints");
  expect(lines).toContain("*** ReferenceError: connct is not defined (did you mean the command connect?)");
  expect(lines).toContain('*** "lap 12" is not a breakpoint location: did you mean "iteration 12"?');
  expect(lines).toContain('*** "acept" is not a breakpoint location: did you mean accept?');
  expect(code).toBe(0);
});

test.concurrent("h lists every command with its help, and explains one", async () => {
  const { lines } = await session(["h", "h tbreak", "q"]);
  expect(lines).toContain("n, next Continue until epoll_wait returns, COUNT times.");
  expect(lines).toContain("q, quit, exit Stop the server or the program and quit.");
  expect(lines).toContain("tbreak LOCATION [, CONDITION]");
  expect(lines).toContain("Set a temporary breakpoint, which is deleted when it is hit.");
});

test.concurrent("ignore skips a number of hits, then the loop pauses again", async () => {
  const { lines } = await session(["b wait", "ignore 1 3", "c", "p iteration", "b", "q"]);
  expect(lines).toContain("5"); // paused at 1; 2, 3 and 4 are ignored
  expect(lines).toContain("Breakpoint 1 at wait, hit 4 times");
});

test.concurrent("--no-classic steps through the eager loop", async () => {
  const { text } = await session(["connect;;send", "n", "s", "s", "s", "s", "s", "q"], "--no-classic");
  expect(text).toMatch(/recv\(C\) = 35 [^]*send\(C\) = 126 /);
});

test.concurrent("rejects flags that cannot be used together, and files that are not traces", async () => {
  const broken = join(tmpdir(), `epoll-hello-${process.pid}.jsonl`);
  writeFileSync(broken, "x\n");
  try {
    for (const [flags, message, code] of [
      [["--step", "--workers", "2"], /--step cannot be used with --workers/, 2],
      [
        ["--step", "--systemd"],
        /--step cannot be used with --systemd: while the loop is paused, it can't report to systemd/,
        2,
      ],
      [["--step", "--host", "203.0.113.1", "--port", "0"], /EADDRNOTAVAIL|203\.0\.113\.1/, 1],
      [["replay", broken, "--step"], /line 1: not valid JSON/, 1],
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
