// epoll-hello --step at a terminal: the prompt, repeating a command with an empty line, Ctrl-C and Ctrl-D.

import { expect, setDefaultTimeout, test } from "bun:test";
import { stripVTControlCharacters } from "node:util";
import { cli } from "../support/programs.ts";

setDefaultTimeout(60_000);

/** Runs epoll-hello at a pseudoterminal, by script(1). */
class Terminal {
  text = "";
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> };

  constructor(...args: string[]) {
    const command = [process.execPath, cli, ...args].map((word) => `'${word}'`).join(" ");
    this.#child = Bun.spawn(["script", "--quiet", "--return", "--flush", "--command", command, "/dev/null"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
      env: { ...process.env, TERM: "xterm", SHELL: "/bin/sh" },
    });
    this.#reader = this.#child.stdout.getReader();
  }

  type(keys: string): void {
    this.#child.stdin.write(keys);
    void this.#child.stdin.flush();
  }

  /** Waits for output that matches, after what previous calls have matched. */
  async until(pattern: RegExp): Promise<void> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) {
        this.text = this.text.slice(match.index + match[0].length);
        return;
      }
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`the program ended without ${pattern}:\n${this.text}`);
      this.text += stripVTControlCharacters(new TextDecoder().decode(value));
    }
  }

  async exit(): Promise<number> {
    while (!(await this.#reader.read()).done);
    return await this.#child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

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
