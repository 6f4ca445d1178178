// Runs sessions of epoll-hello --step with commands from a pipe.

import { expect } from "bun:test";
import { cli, run } from "./programs.ts";

interface SessionResult {
  text: string;
  /** The lines without indentation and alignment. */
  lines: string[];
  code: number;
}

/** Runs `--step` on a free port with these commands as input. `flags` may also be `replay FILE --step`. */
export async function session(commands: string[], ...flags: string[]): Promise<SessionResult> {
  const isReplay = flags[0] === "replay";
  return await typedInto(commands, isReplay ? flags : ["--step", "--host", "127.0.0.1", "--port", "0", ...flags]);
}

/** Runs epoll-hello with exactly these arguments and with these commands as input. */
export async function typedInto(commands: string[], args: string[]): Promise<SessionResult> {
  const typed = commands.map((line) => `${line}\n`).join("");
  const script = `printf %s ${shellQuote(typed)} | "$0" "$@"`;
  const { stdout, stderr, code } = await run(["sh", "-c", script, process.execPath, cli, ...args]);
  expect(stderr).toBe("");
  const text = withStableNames(stdout);
  return { text, lines: text.split("\n").map((line) => line.replace(/ {2,}(?=\S)/g, " ").trim()), code };
}

/**
 * Replaces everything that differs from run to run: the fd of the listener with L, of the first connection with C and of
 * the epoll instance with EP, addresses with HERE, and dates with NOW.
 */
export function withStableNames(stdout: string): string {
  const names: [string | undefined, string][] = [
    [/epoll_wait\((\d+),/.exec(stdout)?.[1], "EP"],
    [/accept4\((\d+)\)/.exec(stdout)?.[1] ?? /\[\((\d+), (?:1|EPOLLIN)\)\]/.exec(stdout)?.[1], "L"],
    [/accept4\(\d+\) = (\d+)/.exec(stdout)?.[1] ?? /\[\((\d+), (?:4|EPOLLOUT)\)\]/.exec(stdout)?.[1], "C"],
  ];
  let text = stdout
    .replace(/ +\+\d+\.\d{3}s$/gm, "")
    .replace(/127\.0\.0\.1:\d+/g, "HERE")
    .replace(/Date: [^\\]+/, "Date: NOW");
  for (const [number, name] of names)
    if (number !== undefined) text = text.replaceAll(new RegExp(`(?<=[( ]|^)${number}\\b`, "gm"), name);
  return text;
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
