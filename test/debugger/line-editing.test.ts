// Line editing at the debugger's prompt: completion, the history of earlier sessions, and questions.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readHistory, writeHistory } from "../../src/tools/debugger/prompt-history.ts";
import { Terminal } from "../support/terminal.ts";

setDefaultTimeout(60_000);

const atTerminal = test.skipIf(Bun.which("script") === null);
const SERVER = ["--step", "--host", "127.0.0.1", "--port", "0"];

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
});
afterEach(() => {
  Terminal.stateHome = "/dev/null";
});
afterAll(() => rmSync(folder, { recursive: true }));

atTerminal("Tab completes commands, what they take, and properties", async () => {
  await using terminal = new Terminal(...SERVER);
  await terminal.until(/\(epoll\) /);
  terminal.type("conn\t");
  await terminal.until(/connect/);
  terminal.type("\r");
  await terminal.until(/c1 is connected[^]*\(epoll\) /);
  terminal.type("p server.stats.acc\t");
  await terminal.until(/server\.stats\.accepted/);
  terminal.type("\r");
  await terminal.until(/\n0\s+\(epoll\) /);
  terminal.type("let longName = 12\r");
  await terminal.until(/12\s+\(epoll\) /);
  terminal.type("p longN\t");
  await terminal.until(/longName/);
  terminal.type(" + 1\r");
  await terminal.until(/13\s+\(epoll\) /);
  terminal.type("info br\t");
  await terminal.until(/breakpoints/);
  terminal.type("\r");
  await terminal.until(/No breakpoints[^]*\(epoll\) /);
  terminal.type("b EPOLLH\t");
  await terminal.until(/EPOLLHUP/);
});

atTerminal("remembers the lines of earlier sessions, in a file that only its owner can read", async () => {
  Terminal.stateHome = join(folder, "state");
  const file = join(folder, "state", "epoll-hello", "history");
  {
    await using first = new Terminal(...SERVER);
    await first.until(/\(epoll\) /);
    first.type("p 20 + 22\r");
    await first.until(/42\s+\(epoll\) /);
    first.type("q\r");
    expect(await first.exit()).toBe(0);
  }
  expect(readFileSync(file, "utf8")).toBe("p 20 + 22\nq\n");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await using second = new Terminal(...SERVER);
  await second.until(/\(epoll\) /);
  second.type("\x1b[A\x1b[A\r"); // the line before the last one
  await second.until(/42\s+\(epoll\) /);
});

test("the history file is bounded, and it need not be writable or readable", () => {
  const file = join(folder, "bounded");
  const lines = Array.from({ length: 5_000 }, (_, i) => `p ${i}`);
  writeHistory(lines, 1_000, file);
  expect(readHistory(1_000, file)).toEqual(lines.slice(0, 1_000));
  expect(readHistory(10, file)).toEqual(lines.slice(0, 10));
  writeHistory(["p 1"], 10, "/dev/null/history");
  expect(readHistory(10, "/dev/null/history")).toEqual([]);
});

atTerminal("asks before it overwrites a file, and before it deletes all breakpoints", async () => {
  const file = join(folder, "trace.jsonl");
  writeFileSync(file, "precious");
  await using terminal = new Terminal(...SERVER);
  await terminal.until(/\(epoll\) /);
  terminal.type(`save ${file}\r`);
  await terminal.until(/trace\.jsonl exists\. Overwrite it\? \(y or n\) /);
  terminal.type("maybe\r");
  await terminal.until(/Please answer y or n\. /);
  terminal.type("\x03"); // no
  await terminal.until(/not saved[^]*\(epoll\) /);
  expect(readFileSync(file, "utf8")).toBe("precious");
  terminal.type(`save ${file}\r`);
  await terminal.until(/\(y or n\) /);
  terminal.type("y\r");
  await terminal.until(/saved \d+ events[^]*\(epoll\) /);
  expect(readFileSync(file, "utf8")).toStartWith('{"seq":1,');
  terminal.type("b accept\r");
  await terminal.until(/Breakpoint 1[^]*\(epoll\) /);
  terminal.type("delete\r");
  await terminal.until(/Delete all breakpoints\? \(y or n\) /);
  terminal.type("n\r");
  await terminal.until(/\(epoll\) /);
  terminal.type("commands\r");
  await terminal.until(/\(com\) /);
  terminal.type("silent\r");
  await terminal.until(/\(com\) /);
  terminal.type("end\r");
  await terminal.until(/\(epoll\) /);
  terminal.type("i b\r");
  await terminal.until(/Breakpoint 1 at accept[^]*\(epoll\) /);
  expect(existsSync(join("/dev/null", "epoll-hello"))).toBe(false);
});
