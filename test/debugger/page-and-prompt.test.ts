// --step --inspect: the prompt and the page show each other's breakpoints, commands and reasons for a pause.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import type { PageCommand } from "../../src/tools/inspector/messages.ts";
import { endPrograms } from "../support/programs.ts";
import { Terminal } from "../support/terminal.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const atTerminal = test.skipIf(Bun.which("script") === null);
const SERVER = ["--step", "--inspect=0", "--host", "127.0.0.1", "--port", "0"];

/** Posts a command as the page does. */
async function post(controlUrl: string, command: PageCommand): Promise<void> {
  const [page = "", token = ""] = controlUrl.split("#");
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`${page}commands`, { method: "POST", headers, body: JSON.stringify(command) });
  expect(response.status).toBeLessThan(300);
}

atTerminal("the prompt says when the page resumes, pauses and hits a breakpoint", async () => {
  await using terminal = new Terminal(...SERVER);
  const [, url = ""] = await terminal.until(/control it at (\S+)/);
  await terminal.until(/\(epoll\) /);
  await post(url, { kind: "resume", mode: { kind: "continue" } });
  await terminal.until(/The page has resumed the program\.\s+\(epoll\) /);
  terminal.type("p 1 + 1\r");
  await terminal.until(/The program is running; Ctrl-C interrupts it\.\s+\(epoll\) /);
  await post(url, { kind: "pause" });
  await terminal.until(/Paused by the page\s[^]*waiting in epoll_wait[^]*\(epoll\) /);
  await post(url, { kind: "add-breakpoint", on: "event", value: "accept" });
  terminal.type("b\r");
  await terminal.until(/Breakpoint \d+ at accept, set on the page\s+\(epoll\) /);
  terminal.type("connect\r");
  await terminal.until(/c1 is connected[^]*\(epoll\) /);
  terminal.type("c\r");
  await terminal.until(/Breakpoint \d+ at accept[^\n]*set on the page[^]*accept4[^]*\(epoll\) /);
  await post(url, { kind: "resume", mode: { kind: "step" } });
  await terminal.until(/The page has stepped[^]*\(epoll\) /);
  await post(url, { kind: "resume", mode: { kind: "continue" } });
  await terminal.until(/The page has resumed the program\.\s+\(epoll\) /);
  terminal.type("\x03"); // interrupts what the page has resumed
  await terminal.until(/waiting in epoll_wait[^]*\(epoll\) /);
  terminal.type("q\r");
  await terminal.until(/Quit anyway\? \(y or n\) /);
  terminal.type("y\r");
  expect(await terminal.exit()).toBe(0);
});
