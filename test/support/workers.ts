// epoll-hello --workers, seen from outside: which processes there are, and what they say they did.

import { readFileSync } from "node:fs";
import { TIMEOUT_MS } from "./descriptors.ts";
import { cli, type Program, start } from "./programs.ts";

export interface Team {
  program: Program;
  port: number;
  /** Its workers' processes. */
  pids(): number[];
  /** The table that it prints: the cells of each line, by column. */
  report(): Promise<Record<string, string>[]>;
}

/** Start it on 127.0.0.1, and wait until it says that it listens. */
export async function startTeam(workers: number, ...flags: string[]): Promise<Team> {
  const place = flags.includes("--unix") ? [] : ["--host", "127.0.0.1", "--port", "0"];
  return teamOf(start(["bun", cli, ...place, "--workers", String(workers), ...flags]));
}

export async function teamOf(program: Program): Promise<Team> {
  const [, port] = await program.output(
    /^listening on (?:http:\/\/\S+:(\d+)|unix:\S+) \(.*\) with \d+ workers?; stop/m,
  );
  return {
    program,
    port: Number(port),
    pids: () => childrenOf(program.pid),
    async report() {
      const before = program.stdout.length;
      program.kill("SIGUSR1");
      for (;;) {
        const lines = program.stdout.slice(before).split("\n");
        const first = lines.findIndex((line) => line.trimStart().startsWith("worker  "));
        const last = lines.findIndex((line) => line.trimStart().startsWith("sum "));
        if (first >= 0 && last >= 0 && last < lines.length - 1) return cellsOf(lines.slice(first, last + 1));
        await Bun.sleep(1);
      }
    },
  };
}

/** Columns are two spaces apart, and flush right. */
function cellsOf(lines: string[]): Record<string, string>[] {
  const [head = "", ...rows] = lines;
  const columns = [...head.matchAll(/\S+( \S+)*/g)].map((match, i, all) => ({
    name: match[0],
    from: i === 0 ? 0 : (all[i - 1]?.index ?? 0) + (all[i - 1]?.[0].length ?? 0),
    to: match.index + match[0].length,
  }));
  return rows.map((row) => Object.fromEntries(columns.map(({ name, from, to }) => [name, row.slice(from, to).trim()])));
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Wait until it is so. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const patience = performance.now() + TIMEOUT_MS; !(await isSo());) {
    if (performance.now() > patience) throw new Error(`waited in vain until ${isSo.toString()}`);
    await Bun.sleep(2);
  }
}
