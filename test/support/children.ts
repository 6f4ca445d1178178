// Runs code in a separate Bun process, for tests that send signals, set limits or change the user.

import { resolve } from "node:path";

/** The result of a process. */
export interface BunResult {
  /** Standard output, parsed if it is JSON. */
  output: unknown;
  stderr: string;
  exitCode: number;
  /** The signal that killed the process, or null. */
  signal: NodeJS.Signals | null;
}

/** Runs `code`, which may import from `./src/index.ts`, with an optional limit on open file descriptors. */
export async function runBun(code: string, { maxFds }: { maxFds?: number } = {}): Promise<BunResult> {
  const limit = maxFds === undefined ? "" : `ulimit -n ${maxFds};`;
  const child = Bun.spawn(["sh", "-c", `${limit} exec "$0" -e "$1"`, process.execPath, code], {
    cwd: resolve(import.meta.dir, "../.."),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return {
    output: parse(stdout),
    stderr,
    exitCode: child.exitCode ?? -1,
    signal: child.signalCode as NodeJS.Signals | null,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
