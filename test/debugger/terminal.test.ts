// epoll-hello --step at a terminal: the prompt, repeating a command with an empty line, Ctrl-C and Ctrl-D.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Terminal } from "../support/terminal.ts";

setDefaultTimeout(60_000);

const atTerminal = test.skipIf(Bun.which("script") === null);
const SERVER = ["--step", "--host", "127.0.0.1", "--port", "0"];

atTerminal("prompts, repeats the command for an empty line, pauses at Ctrl-C and ends at a second Ctrl-C", async () => {
  await using terminal = new Terminal(...SERVER, "--numeric");
  await terminal.until(/#1 epoll_wait\(\d+, 1000\) = \[\]/);
  await terminal.until(/\(epoll\) /);
  terminal.type("n\r");
  await terminal.until(/#2 epoll_wait/);
  await terminal.until(/\(epoll\) /);
  terminal.type("\r"); // an empty line: n again
  await terminal.until(/#3 epoll_wait/);
  await terminal.until(/\(epoll\) /);
  terminal.type("c\r");
  await terminal.until(/c\s*\n/);
  terminal.type("\x03"); // the loop waits: it pauses at once
  await terminal.until(/waiting in epoll_wait\(\d+, 1000\): no fd is ready\s+\(epoll\) /);
  terminal.type("p 6 * 7\r");
  await terminal.until(/42\s*\n/);
  await terminal.until(/\(epoll\) /);
  terminal.type("c\r");
  await terminal.until(/c\s*\n/);
  terminal.type("\x03\x03");
  expect(await terminal.exit()).toBe(130);
});

atTerminal("ends at Ctrl-D", async () => {
  await using terminal = new Terminal(...SERVER);
  await terminal.until(/\(epoll\) /);
  terminal.type("\x04");
  expect(await terminal.exit()).toBe(0);
});

atTerminal("ends at a second Ctrl-C at the prompt, and says so after the first", async () => {
  await using terminal = new Terminal(...SERVER);
  await terminal.until(/\(epoll\) /);
  terminal.type("\x03");
  await terminal.until(/Ctrl-C again, Ctrl-D or q quits\.\s+\(epoll\) /);
  terminal.type("\x03");
  expect(await terminal.exit()).toBe(130);
});

atTerminal("runs lines that are typed ahead, one after the other", async () => {
  await using terminal = new Terminal(...SERVER);
  await terminal.until(/\(epoll\) /);
  terminal.type("n\rn\rp `i${iteration}`\r");
  await terminal.until(/"i3"\s+\(epoll\) /);
});

atTerminal("answers at once while the program runs, and runs the commands that need no pause", async () => {
  await using terminal = new Terminal(...SERVER);
  await terminal.until(/\(epoll\) /);
  terminal.type("c\r");
  await terminal.until(/c\s*\n/);
  terminal.type("p 1 + 1\r");
  await terminal.until(/The program is running; Ctrl-C interrupts it\.\s+\(epoll\) /);
  terminal.type("b accept\r");
  await terminal.until(/Breakpoint 1 at accept\s+\(epoll\) /);
  terminal.type("connect\r");
  await terminal.until(/Breakpoint 1\s+> [^]*accept4\(\d+\) = \d+[^]*\(epoll\) /);
  terminal.type("q\r");
  await terminal.until(/1 client is connected\. Quit anyway\? \(y or n\) /);
  terminal.type("n\r");
  await terminal.until(/\(epoll\) /);
  terminal.type("q\r");
  await terminal.until(/\(y or n\) /);
  terminal.type("y\r");
  expect(await terminal.exit()).toBe(0);
});
