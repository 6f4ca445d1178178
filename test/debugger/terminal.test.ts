// epoll-hello --step at a terminal: the prompt, repeating a command with an empty line, Ctrl-C and Ctrl-D.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Terminal } from "../support/terminal.ts";

setDefaultTimeout(60_000);

test.skipIf(Bun.which("script") === null)(
  "prompts, repeats the command for an empty line, pauses at Ctrl-C and ends at a second Ctrl-C",
  async () => {
    await using terminal = new Terminal("--step", "--numeric", "--host", "127.0.0.1", "--port", "0");
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
    terminal.type("\x03"); // the loop is running: it pauses after its next event
    await terminal.until(/#\d+ epoll_wait[^]*\(epoll\) /);
    terminal.type("p 6 * 7\r");
    await terminal.until(/42\s*\n/);
    await terminal.until(/\(epoll\) /);
    terminal.type("c\r");
    await terminal.until(/c\s*\n/);
    terminal.type("\x03\x03");
    expect(await terminal.exit()).toBe(130);
  },
);

test.skipIf(Bun.which("script") === null)("ends at Ctrl-D", async () => {
  await using terminal = new Terminal("--step", "--host", "127.0.0.1", "--port", "0");
  await terminal.until(/\(epoll\) /);
  terminal.type("\x04");
  expect(await terminal.exit()).toBe(0);
});
