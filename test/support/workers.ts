// epoll-hello --workers observed from outside: its processes, and the totals that it prints.

import { readFileSync } from "node:fs";
import { WAIT_TIMEOUT_MS } from "./eventually.ts";
import { cli, type Program, start } from "./programs.ts";

export interface WorkersProgram {
  /** The supervisor. */
  program: Program;
  port: number;
  /** The pids of the workers. */
  pids(): number[];
  /** Makes the supervisor print its report, and returns the cells of each row by column name. */
  report(): Promise<Record<string, string>[]>;
}

/** Starts the command on 127.0.0.1, and waits until it is listening. */
export async function startWorkers(count: number, ...flags: string[]): Promise<WorkersProgram> {
  const address = flags.includes("--unix") ? [] : ["--host", "127.0.0.1", "--port", "0"];
  return workersOf(start(["bun", cli, ...address, "--workers", String(count), ...flags]));
}

export async function workersOf(program: Program): Promise<WorkersProgram> {
  const [, port] = await program.output(
    /^listening on (?:https?:\/\/\S+:(\d+)|unix:\S+) \(.*\) with \d+ workers? \(pid \d+\); stop/m,
  );
  return {
    program,
    port: Number(port),
    pids: () => childrenOf(program.pid),
    async report() {
      const before = program.stdout.length;
      program.kill("SIGUSR1");
      const table = (): string[] | undefined => {
        const lines = program.stdout.slice(before).split("\n");
        const first = lines.findIndex((line) => line.trimStart().startsWith("worker  "));
        const last = lines.findIndex((line) => line.trimStart().startsWith("total "));
        return first >= 0 && last >= 0 && last < lines.length - 1 ? lines.slice(first, last + 1) : undefined;
      };
      await waitUntil(
        () => table() !== undefined,
        () => program.stdout.slice(before),
      );
      return cellsOf(table() ?? []);
    },
  };
}

/** Returns the cells of each row by column name. Columns are right-aligned and separated by two spaces. */
function cellsOf(lines: string[]): Record<string, string>[] {
  const [header = "", ...rows] = lines;
  const columns = [...header.matchAll(/\S+( \S+)*/g)].map((match, i, all) => ({
    name: match[0],
    from: i === 0 ? 0 : (all[i - 1]?.index ?? 0) + (all[i - 1]?.[0].length ?? 0),
    to: match.index + match[0].length,
  }));
  return rows.map((row) => Object.fromEntries(columns.map(({ name, from, to }) => [name, row.slice(from, to).trim()])));
}

/** Returns the pids of a process's children. */
export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Returns whether a process exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/**
 * Polls until the condition holds.
 *
 * @param state returns the state that the error shows if the condition does not become true
 */
export async function waitUntil(condition: () => boolean | Promise<boolean>, state?: () => unknown): Promise<void> {
  for (const deadline = performance.now() + WAIT_TIMEOUT_MS; !(await condition());) {
    if (performance.now() > deadline) {
      const last = state === undefined ? "" : `; last state: ${Bun.inspect(state())}`;
      throw new Error(`timed out waiting for ${condition.toString()}${last}`);
    }
    await Bun.sleep(2);
  }
}
