// What citty lets through, and is wrong all the same.

import { isSubcommand, UsageError } from "./command-line.ts";

/** citty lets through what it does not know; someone who mistyped a flag wants to hear of it. */
export function rejectUnknown(
  rawArguments: readonly string[],
  given: { _: string[] },
  flags: Record<string, { type: string; alias?: string }>,
  example: string,
): void {
  const known = new Map(Object.entries(flags));
  const aliases = new Set(Object.values(flags).map(({ alias }) => alias));
  for (const name of Object.keys(given)) {
    const dashed = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`); // citty gives traceFile, too
    if (name === "_" || aliases.has(name) || known.has(name) || known.has(dashed)) continue;
    const written = rawArguments.includes(`--no-${name}`) ? `no-${name}` : name;
    throw new UsageError(`unknown flag ${name.length === 1 ? "-" : "--"}${written}`);
  }
  for (const [name, { type }] of known) {
    if (type === "boolean" && rawArguments.some((argument) => argument.startsWith(`--${name}=`))) {
      throw new UsageError(`--${name} takes no value`);
    }
    const value = (given as Record<string, unknown>)[name];
    if (type === "string" && typeof value === "string" && value.startsWith("--")) {
      throw new UsageError(`--${name} needs a value, and ${value} is a flag`);
    }
  }
  const [word] = given._;
  if (isSubcommand(word)) throw new UsageError(`${word} comes first: epoll-hello ${word}`);
  if (word !== undefined) {
    throw new UsageError(`${JSON.stringify(word)} is not an argument: flags start with --, as in ${example}`);
  }
}

export function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (value >= least && value <= most) return value;
  const got = text === "" ? "nothing" : JSON.stringify(text);
  throw new UsageError(`${flag} takes a whole number from ${least} to ${most}, not ${got}`);
}

export function nonEmpty(flag: string, text: string): string {
  if (text === "" || text.includes("\0")) throw new UsageError(`${flag} needs a value`);
  return text;
}
