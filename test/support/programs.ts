// Programs under test: starts them, reads their output, and kills them by pid after each test.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const root: string = join(import.meta.dir, "..", "..");
export const cli: string = join(root, "src", "tools", "cli", "main.ts");

export interface Program {
  readonly pid: number;
  /** The output so far. */
  stdout: string;
  stderr: string;
  /** Resolves to the exit code once all output is read; 128 + N if signal N killed the program. */
  readonly exited: Promise<number>;
  /** Waits until standard output matches, and returns the match. */
  output(pattern: RegExp): Promise<RegExpExecArray>;
  /** Waits until standard error matches, and returns the match. */
  errors(pattern: RegExp): Promise<RegExpExecArray>;
  kill(signal: NodeJS.Signals): void;
}

const running = new Set<Bun.Subprocess>();

/** Lets `endPrograms` kill a process that a test has started by itself. */
export function endAfterTest<Child extends Bun.Subprocess>(child: Child): Child {
  running.add(child);
  void child.exited.then(() => running.delete(child));
  return child;
}

/** Returns the pids of a process and of all that it has started, the parents first. */
function treeOf(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const children = threads.flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" "),
    );
    return [pid, ...children.filter(Boolean).flatMap((child) => treeOf(Number(child)))];
  } catch {
    return [pid]; // it has exited
  }
}

/**
 * Kills all programs that a test has started, and what they have started: strace leaves the traced program behind, and a shell
 * its pipeline. Every test file that starts programs passes this function to `afterEach`:
 * an `afterEach` in this file would apply only to the first test file.
 */
export async function endPrograms(): Promise<void> {
  for (const child of running) {
    const [, ...descendants] = treeOf(child.pid);
    child.kill("SIGKILL"); // first, or a supervisor would start new workers
    for (const pid of descendants) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // it has exited
      }
    }
  }
  await Promise.all([...running].map((child) => child.exited));
  running.clear();
}

/** Starts a program. `bun` means the Bun that runs the tests. */
export function start(
  command: string[],
  { cwd = root, env = {} }: { cwd?: string; env?: Record<string, string | undefined> } = {},
): Program {
  const [name = "", ...rest] = command;
  const child = Bun.spawn([name === "bun" ? process.execPath : name, ...rest], {
    cwd,
    // Programs that look for bun on PATH find the one in node_modules.
    env: {
      ...process.env,
      PATH: `${join(root, "node_modules", ".bin")}:${process.env["PATH"]}:/usr/sbin:/sbin`,
      FORCE_COLOR: undefined,
      ...env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  running.add(child);
  let arrival = Promise.withResolvers<void>();
  let hasEnded = false;
  const program: Program = {
    pid: child.pid,
    stdout: "",
    stderr: "",
    exited: finish(),
    output: (pattern) => waitFor("stdout", pattern),
    errors: (pattern) => waitFor("stderr", pattern),
    kill: (signal) => child.kill(signal),
  };
  return program;

  async function waitFor(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(program[stream]);
      if (match !== null) return match;
      if (hasEnded) {
        throw new Error(
          `${command.join(" ")} exited without output matching ${pattern}:\n${program.stdout}\n${program.stderr}`,
        );
      }
      await arrival.promise;
    }
  }

  async function finish(): Promise<number> {
    await Promise.all([read(child.stdout, "stdout"), read(child.stderr, "stderr")]);
    const code = await child.exited;
    running.delete(child);
    hasEnded = true;
    arrival.resolve();
    return code;
  }

  async function read(stream: ReadableStream<Uint8Array>, to: "stdout" | "stderr"): Promise<void> {
    await undefined; // lets `program` be initialized first
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      program[to] += decoder.decode(bytes, { stream: true });
      arrival.resolve();
      arrival = Promise.withResolvers();
    }
  }
}

/** Runs a program until it exits. */
export async function run(
  command: string[],
  options?: { cwd?: string; env?: Record<string, string | undefined> },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const program = start(command, options);
  const code = await program.exited;
  return { code, stdout: program.stdout, stderr: program.stderr };
}
