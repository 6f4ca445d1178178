// epoll-hello at a pseudoterminal, for what only happens there: Ctrl-C, Ctrl-D, and signals with a controlling terminal.

import { readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { cli } from "./programs.ts";

/** Runs epoll-hello at a pseudoterminal, by script(1). */
export class Terminal {
  /** The directory of the prompt's history file; by default, one that cannot be written to. */
  static stateHome: string = "/dev/null";

  text = "";
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> };

  constructor(...args: string[]) {
    const command = [process.execPath, cli, ...args].map((word) => `'${word}'`).join(" ");
    // With exec: a shell that waits would report a Ctrl-C that the command has handled.
    this.#child = Bun.spawn(["script", "--quiet", "--return", "--flush", "--command", `exec ${command}`, "/dev/null"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
      env: { ...process.env, TERM: "xterm", SHELL: "/bin/sh", XDG_STATE_HOME: Terminal.stateHome },
    });
    this.#reader = this.#child.stdout.getReader();
  }

  /** The pid of the command: script(1) starts a shell, which starts it. */
  get pid(): number {
    for (let { pid } = this.#child; ;) {
      const child = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")[0];
      if (child === undefined || child === "" || readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("bun"))
        return pid;
      pid = Number(child);
    }
  }

  type(keys: string): void {
    this.#child.stdin.write(keys);
    void this.#child.stdin.flush();
  }

  /** Waits for output that matches, after what previous calls have matched. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) {
        this.text = this.text.slice(match.index + match[0].length);
        return match;
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
