// One test file of an addon in a process of its own, under Node or Bun.

import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { here, suitesFolder } from "./checkout.ts";
import type { Suite } from "./suites.ts";
import { parseTap } from "./tap.ts";

/** "plain" is Bun without the preload. */
export type Runtime = "node" | "bun" | "plain";

export interface FileResult {
  readonly ok: boolean;
  /** How the process ended: "exit 0", "SIGABRT", "timed out after 60 s". */
  readonly end: string;
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  readonly skipped: number;
  /** The line of output that says best what went wrong. */
  readonly message: string;
}

/** Not resolved: Bun would not find what has been installed since it started. */
const mocha: string = join(here, "node_modules", "mocha", "bin", "_mocha");

/** Returns the command line of a test file. */
function commandOf(suite: Suite, file: string, runtime: Runtime): string[] {
  const isNode = runtime === "node";
  const command = [isNode ? "node" : process.execPath];
  if (suite.gc === true) command.push("--expose-gc");
  if (suite.framework !== "mocha")
    return [...command, ...(suite.setup ?? []).flatMap((module) => ["--require", join(here, module)]), file];
  command.push(mocha, "--no-config", "--no-package", "--reporter", "tap", "--exit", "--timeout", "10000");
  if (isNode && file.endsWith(".ts")) command.push("--require", "tsx/cjs");
  for (const module of suite.setup ?? []) command.push("--require", join(here, module));
  return [...command, file];
}

/** Returns the line that names the failure: an error's, a panic's, or the last one. */
function failureIn(output: string): string {
  const lines = Bun.stripANSI(output)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const telling = /unsupported uv function|^panic|Segmentation|symbol lookup|undefined symbol|Bun has crashed/i;
  const error = /(?:^|\s)(?:\w*Error\b|AssertionError|error:)/;
  return (
    lines.find((line) => telling.test(line)) ??
    lines.find((line) => error.test(line)) ??
    lines.at(-1) ??
    ""
  ).slice(0, 200);
}

/** Runs a file and returns its results. The process group is killed once `timeout` ms have passed. */
export async function runFile(
  suite: Suite,
  folder: string,
  file: string,
  runtime: Runtime,
  environment: Record<string, string>,
  timeout: number,
): Promise<FileResult> {
  const logs = join(suitesFolder, "logs", suite.addon);
  mkdirSync(logs, { recursive: true });
  const log = join(logs, `${file.replaceAll("/", "-")}.${runtime}.log`);
  const fd = openSync(log, "w");
  let isTimedOut = false;
  const program = Bun.spawn(commandOf(suite, file, runtime), {
    cwd: folder,
    stdin: "ignore",
    stdout: fd,
    stderr: fd,
    env: { ...process.env, NODE_ENV: "test", ...environment },
    detached: true,
  });
  closeSync(fd);
  const timer = setTimeout(() => {
    isTimedOut = true;
    killGroup(program.pid);
  }, timeout);
  await program.exited;
  clearTimeout(timer);
  // What the file started and left running ends with it.
  killGroup(program.pid);
  const output = readFileSync(log, "utf8");
  const end = isTimedOut
    ? `timed out after ${timeout / 1000} s`
    : program.signalCode === null
      ? `exit ${program.exitCode}`
      : String(program.signalCode);
  const tap =
    suite.framework === "program"
      ? { passed: program.exitCode === 0 ? [file] : [], failed: program.exitCode === 0 ? [] : [file], skipped: 0 }
      : parseTap(output);
  const ok = !isTimedOut && program.exitCode === 0 && tap.failed.length === 0;
  return { ok, end, ...tap, message: ok ? "" : failureIn(output) };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group is empty.
  }
}
