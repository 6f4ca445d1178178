// A session with epoll-hello --step, as a user would type it, through a pipe.

import { expect } from "bun:test";
import { cli, run } from "./programs.ts";

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A session; numbers that are another each time have names: the listener is L, the first connection C, the epoll instance EP. */
export async function session(
  commands: string[],
  ...flags: string[]
): Promise<{ text: string; lines: string[]; code: number }> {
  return await typedInto(
    commands,
    flags[0] === "replay" ? flags : ["--step", "--host", "127.0.0.1", "--port", "0", ...flags],
  );
}

/** The same with nothing but these arguments. */
export async function typedInto(
  commands: string[],
  args: string[],
): Promise<{ text: string; lines: string[]; code: number }> {
  const typed = commands.map((line) => `${line}\n`).join("");
  const { stdout, stderr, code } = await run([
    "sh",
    "-c",
    `printf %s ${quoted(typed)} | "$0" "$@"`,
    process.execPath,
    cli,
    ...args,
  ]);
  expect(stderr).toBe("");
  const text = named(stdout);
  return { text, lines: text.split("\n").map((line) => line.replace(/ {2,}(?=\S)/g, " ").trim()), code };
}

/** The same for every run: numbers that are another each time have names. */
export function named(stdout: string): string {
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
