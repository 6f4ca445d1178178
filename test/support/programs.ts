// A program under test: started, read line by line, and ended by its id.

import { join } from "node:path";

export const root: string = join(import.meta.dir, "..", "..");
export const cli: string = join(root, "src", "tools", "cli", "main.ts");

export interface Program {
  readonly pid: number;
  /** All it wrote so far. */
  stdout: string;
  stderr: string;
  /** Its exit code, once all it wrote is read; 128 + the signal's number if one ended it. */
  readonly exited: Promise<number>;
  /** Wait until its standard output matches, and return the match. */
  output(pattern: RegExp): Promise<RegExpExecArray>;
  /** The same for its standard error. */
  errors(pattern: RegExp): Promise<RegExpExecArray>;
  kill(signal: NodeJS.Signals): void;
}

const running = new Set<Bun.Subprocess>();

/**
 * End all that a test has started, however the test ended. Each file that starts programs has it for its `afterEach`: one
 * that is set here would hold for the first file only.
 */
export async function endPrograms(): Promise<void> {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all([...running].map((child) => child.exited));
  running.clear();
}

/** Start a program; `bun` is this bun. */
export function start(
  command: string[],
  { cwd = root, env = {} }: { cwd?: string; env?: Record<string, string | undefined> } = {},
): Program {
  const [name = "", ...rest] = command;
  const child = Bun.spawn([name === "bun" ? process.execPath : name, ...rest], {
    cwd,
    // A program that looks for bun finds the one that the project brings.
    env: {
      ...process.env,
      PATH: `${join(root, "node_modules", ".bin")}:${process.env["PATH"]}:/usr/sbin:/sbin`,
      ...env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  running.add(child);
  let heard = Promise.withResolvers<void>();
  let isOver = false;
  const program: Program = {
    pid: child.pid,
    stdout: "",
    stderr: "",
    exited: finish(),
    output: (pattern) => said("stdout", pattern),
    errors: (pattern) => said("stderr", pattern),
    kill: (signal) => child.kill(signal),
  };
  return program;

  async function said(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(program[stream]);
      if (match !== null) return match;
      if (isOver) {
        throw new Error(`${command.join(" ")} ended without ${pattern}:\n${program.stdout}\n${program.stderr}`);
      }
      await heard.promise;
    }
  }

  async function finish(): Promise<number> {
    await Promise.all([read(child.stdout, "stdout"), read(child.stderr, "stderr")]);
    const code = await child.exited;
    running.delete(child);
    isOver = true;
    heard.resolve();
    return code;
  }

  async function read(stream: ReadableStream<Uint8Array>, to: "stdout" | "stderr"): Promise<void> {
    await undefined; // `program` is there then
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      program[to] += decoder.decode(bytes, { stream: true });
      heard.resolve();
      heard = Promise.withResolvers();
    }
  }
}

/** Run a program to its end. */
export async function run(
  command: string[],
  options?: { cwd?: string; env?: Record<string, string | undefined> },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const program = start(command, options);
  const code = await program.exited;
  return { code, stdout: program.stdout, stderr: program.stderr };
}
