// A program in a Bun of its own, for what must not happen to the tests' own process: a signal, a limit, another user.

import { resolve } from "node:path";

export interface Ending {
  /** What it printed, as JSON if it is that. */
  output: unknown;
  stderr: string;
  exitCode: number;
  /** The signal that killed it, or null. */
  signal: NodeJS.Signals | null;
}

/** Run `code`, which may import from `./src/index.ts`; with at most `maxFds` descriptors if that is given. */
export async function runBun(code: string, { maxFds }: { maxFds?: number } = {}): Promise<Ending> {
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
