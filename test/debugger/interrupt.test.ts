// Ctrl-C at the debugger's prompt: it interrupts expressions, waits and busy programs, and a second one always ends the session.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../support/programs.ts";
import { Terminal } from "../support/terminal.ts";

setDefaultTimeout(60_000);

const atTerminal = test.skipIf(Bun.which("script") === null);
const SERVER = ["--step", "--host", "127.0.0.1", "--port", "0"];

let folder = "";
let busy = "";
let blocked = "";
let waiting = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const library = JSON.stringify(join(root, "src", "index.ts"));
  const program = (name: string, body: string): string => {
    const file = join(folder, name);
    writeFileSync(file, `import { Epoll, EventFd } from ${library};\nconst counter = new EventFd(1);\n${body}\n`);
    return file;
  };
  busy = program("busy.ts", "counter.read();\nfor (;;) Math.random();");
  blocked = program("blocked.ts", "counter.read();\nBun.sleepSync(600_000);");
  waiting = program("waiting.ts", "using epoll = new Epoll();\nepoll.register(counter, 4);\nfor (;;) epoll.poll();");
});
afterAll(() => rmSync(folder, { recursive: true }));

atTerminal("interrupts an endless expression, and the session goes on", async () => {
  await using terminal = new Terminal(...SERVER);
  await terminal.until(/\(epoll\) /);
  for (const expression of ["p (() => { while (true); })()", "for (;;) Bun.inspect({ a: 1 })", "while (true) {}"]) {
    terminal.type(`${expression}\r`);
    await terminal.until(/\n/);
    terminal.type("p 1\r"); // answered while the expression is evaluated
    await terminal.until(/An expression is being evaluated; Ctrl-C interrupts it\./);
    terminal.type("\x03");
    await terminal.until(/\*\*\* interrupted\s+\(epoll\) /);
  }
  terminal.type("p 6 * 7\r");
  await terminal.until(/42\s+\(epoll\) /);
  terminal.type("q\r");
  expect(await terminal.exit()).toBe(0);
});

atTerminal("interrupts an endless expression about a past iteration", async () => {
  await using terminal = new Terminal(...SERVER);
  await terminal.until(/\(epoll\) /);
  terminal.type("n\r");
  await terminal.until(/#2 [^]*\(epoll\) /);
  terminal.type("back\r");
  await terminal.until(/\(epoll, viewing #1\) /);
  terminal.type("while (true) {}\r");
  await terminal.until(/\n/);
  await Bun.sleep(200); // no state to wait for: the thread that prints is the one that evaluates
  terminal.type("\x03");
  await terminal.until(/\*\*\* interrupted\s+\(epoll, viewing #1\) /);
  terminal.type("p 2 * 3\r");
  await terminal.until(/6\s+\(epoll, viewing #1\) /);
  terminal.type("\x04");
  expect(await terminal.exit()).toBe(0);
});

atTerminal("interrupts a condition that never returns in a saved trace", async () => {
  const file = join(folder, "saved.jsonl");
  const moment = { us: 1, iteration: 1 };
  const events = [
    { seq: 1, us: 0, iteration: 0, type: "begin", version: 2, pid: 1, date: "2026-01-01T00:00:00.000Z" },
    { seq: 2, ...moment, type: "wait", epfd: 3, timeoutMs: -1, maxEvents: 1, result: 0, events: [], blockedUs: 1 },
    { seq: 3, ...moment, type: "close", fd: 4, result: 0 },
    { seq: 4, ...moment, type: "close", fd: 5, result: 0 },
  ];
  writeFileSync(file, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  await using terminal = new Terminal("replay", file, "--step");
  await terminal.until(/\(epoll\) /);
  terminal.type("b close, (() => { for (;;); })()\r");
  await terminal.until(/Breakpoint 1 at close[^]*\(epoll\) /);
  terminal.type("c\r");
  await terminal.until(/c\s*\n/);
  await Bun.sleep(200); // no state to wait for: the thread that prints is the one that evaluates
  terminal.type("\x03");
  await terminal.until(/close\(4\)\s+\(epoll\) /);
  terminal.type("disable 1\r");
  await terminal.until(/\(epoll\) /);
  terminal.type("c\r");
  await terminal.until(/End of the trace\.\s+\(epoll\) /);
  terminal.type("q\r");
  expect(await terminal.exit()).toBe(0);
});

atTerminal("says what a busy program does, which q and a second Ctrl-C end", async () => {
  for (const end of ["q\r", "\x04", "\x03"]) {
    await using terminal = new Terminal(busy, "--step");
    await terminal.until(/read\(\d+\)[^]*\(epoll\) /);
    terminal.type("c\r");
    await terminal.until(/c\s*\n/);
    terminal.type("\x03");
    await terminal.until(/The program has been busy for \d+\.\d s since read\(\d+\) = 8 at \S+busy\.ts:3\./);
    await terminal.until(/\(epoll\) /);
    terminal.type(end);
    expect(await terminal.exit()).toBe(end === "\x03" ? 130 : 0);
  }
});

atTerminal("names the system call in which a program is blocked", async () => {
  await using terminal = new Terminal(blocked, "--step");
  await terminal.until(/read\(\d+\)[^]*\(epoll\) /);
  terminal.type("s\r");
  await terminal.until(/s\s*\n/);
  terminal.type("\x03");
  await terminal.until(/The program has been blocked in \w+ for \d+\.\d s since read\(\d+\) = 8 at \S+blocked\.ts:3\./);
  terminal.type("\x03");
  expect(await terminal.exit()).toBe(130);
});

atTerminal("pauses a program that waits indefinitely", async () => {
  await using terminal = new Terminal(waiting, "--step");
  await terminal.until(/\(epoll\) /);
  terminal.type("b wait, event.iteration > 5\r");
  await terminal.until(/\(epoll\) /);
  terminal.type("c\r");
  await terminal.until(/Breakpoint 1[^]*\(epoll\) /);
  terminal.type("cl\r");
  await terminal.until(/Delete all breakpoints\? \(y or n\) /);
  terminal.type("y\r");
  await terminal.until(/\(epoll\) /);
  terminal.type("q\r");
  expect(await terminal.exit()).toBe(0);
});
