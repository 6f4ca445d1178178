// The files of examples/deploy as the tests use them: as they are, except for ports and paths.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli, type Program, root, start } from "../support/programs.ts";

export const folder: string = join(root, "examples", "deploy");

/** Returns the text of a file of examples/deploy. */
export const textOf = (file: string): string => readFileSync(join(folder, file), "utf8");

/** Starts the app. Returns the program and its port. */
export async function startApp(...flags: string[]): Promise<{ program: Program; port: number }> {
  const program = start(["bun", cli, join(folder, "app.ts"), "--host", "127.0.0.1", "--port", "0", ...flags]);
  const [, port] = await program.output(/listening on http:\/\/127\.0\.0\.1:(\d+)/);
  return { program, port: Number(port) };
}

/** A copy of a configuration with other ports and paths. */
export class Configuration implements Disposable {
  readonly directory: string = mkdtempSync(join(tmpdir(), "epoll-hello-deploy-"));
  readonly path: string;

  /** @param replacements what is replaced: each must occur in the file */
  constructor(file: string, replacements: Readonly<Record<string, string | number>>) {
    let text = textOf(file);
    for (const [from, to] of Object.entries(replacements)) {
      if (!text.includes(from)) throw new Error(`${file} does not contain ${from}`);
      text = text.replaceAll(from, String(to).replaceAll("{directory}", this.directory));
    }
    this.path = join(this.directory, file);
    writeFileSync(this.path, text);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** Sends requests until the proxy has started and responds with 200. */
export async function untilServing(port: number): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/`, { keepalive: false }).catch(() => undefined);
    await response?.bytes();
    if (response?.ok === true) return;
    await Bun.sleep(10);
  }
}
