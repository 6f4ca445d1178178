// Validates flags: their spelling and number, their values, and which of them can be used together.

import { parseArgs } from "node:util";
import { outOfRange } from "../../kernel/errors.ts";
import { suggest } from "../../kernel/suggest.ts";
import { isSubcommand, UsageError } from "./command-line.ts";
import type { Flags } from "./flags.ts";

type Values<F extends Flags> = { [Name in keyof F]?: F[Name]["type"] extends "string" ? string : boolean };

export interface ParsedArguments<F extends Flags> {
  /** The flags that are given, by name. */
  given: Values<F>;
  positionals: string[];
  /** What follows `--`. */
  rest: string[];
}

/** @throws {UsageError} for unknown flags, repeated flags, missing values, and values of flags that take none */
export function parseFlags<F extends Flags>(rawArguments: readonly string[], flags: F): ParsedArguments<F> {
  const given: Record<string, string | boolean> = {};
  const positionals: string[] = [];
  const rest: string[] = [];
  const unknown: string[] = [];
  let isPastTerminator = false;
  for (const token of tokenize(rawArguments, flags)) {
    if (token.kind === "option-terminator") {
      isPastTerminator = true;
    } else if (token.kind === "positional") {
      (isPastTerminator ? rest : positionals).push(token.value);
    } else {
      const { name, rawName, value } = token;
      const target = Object.hasOwn(flags, name) ? name : negatedName(name, flags);
      if (target === undefined) {
        unknown.push(rawName);
        continue;
      }
      if (Object.hasOwn(given, target)) throw new UsageError(`--${target} is given more than once`);
      given[target] = flags[target]?.type === "string" ? requiredValue(name, value, flags) : target === name;
      if (flags[target]?.type === "boolean" && value !== undefined) throw new UsageError(`${rawName} takes no value`);
    }
  }
  if (unknown.length > 0 && !given["help"] && !given["version"]) throw unknownFlags(unknown, flags);
  return { given: given as Values<F>, positionals, rest };
}

type Token = NonNullable<ReturnType<typeof parseArgs>["tokens"]>[number];

function tokenize(rawArguments: readonly string[], flags: Flags): Token[] {
  const terminator = rawArguments.indexOf("--");
  const args = rawArguments.map((argument, i) => {
    // `--trace app.ts`: the app is not the format. A value of such a flag follows an equals sign.
    if (!argument.startsWith("--") || (terminator >= 0 && i > terminator)) return argument;
    const flag = Object.hasOwn(flags, argument.slice(2)) ? flags[argument.slice(2)] : undefined;
    const isBare = flag?.type === "string" && flag.bareValue !== undefined;
    return isBare ? `${argument}=${flag.bareValue}` : argument;
  });
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => {
      const short = flag.type === "boolean" ? flag.short : undefined;
      return [name, { type: flag.type, ...(short === undefined ? {} : { short }) }];
    }),
  );
  return parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

/** Returns `classic` for `no-classic`. */
function negatedName(name: string, flags: Flags): string | undefined {
  const positive = name.startsWith("no-") ? name.slice(3) : "";
  return Object.hasOwn(flags, positive) && flags[positive]?.type === "boolean" ? positive : undefined;
}

function requiredValue(name: string, value: string | undefined, flags: Flags): string {
  if (value === undefined || value === "" || value.startsWith("--") || value.includes("\0")) {
    throw missingValue(name, flags);
  }
  return value;
}

function missingValue(name: string, flags: Flags): UsageError {
  const flag = flags[name];
  const expects = flag?.type === "string" ? ` (${flag.expects})` : "";
  return new UsageError(`--${name} requires a value${expects}`);
}

function unknownFlags(unknown: readonly string[], flags: Flags): UsageError {
  const names = Object.keys(flags);
  const negated = names.filter((name) => flags[name]?.type === "boolean").map((name) => `no-${name}`);
  const list = unknown.map((rawName) => {
    const suggestion = suggest(rawName.replace(/^--?/, ""), [...names, ...negated]);
    return suggestion === undefined ? rawName : `${rawName} (did you mean --${suggestion}?)`;
  });
  return new UsageError(`unknown ${list.length === 1 ? "flag" : "flags"} ${list.join(", ")}`);
}

/** A flag with the flags that it cannot be used with. */
export type Conflicts = readonly (readonly [flag: string, others: readonly string[]])[];

/** @throws {UsageError} if two flags are given that exclude each other */
export function rejectConflicts(given: Readonly<Record<string, unknown>>, conflicts: Conflicts): void {
  for (const [flag, others] of conflicts) {
    if (!isGiven(given, flag)) continue;
    const other = others.find((name) => isGiven(given, name));
    if (other !== undefined) throw new UsageError(`--${flag} cannot be used with --${other}`);
  }
}

/** A flag with the flags of which it needs one. */
export type Requirements = readonly (readonly [flag: string, oneOf: readonly string[]])[];

/** @throws {UsageError} if a flag is given without one that it needs */
export function rejectIncomplete(given: Readonly<Record<string, unknown>>, requirements: Requirements): void {
  for (const [flag, oneOf] of requirements) {
    if (!isGiven(given, flag) || oneOf.some((name) => isGiven(given, name))) continue;
    const names = oneOf.map((name) => `--${name}`);
    const list = names.length > 1 ? `${names.slice(0, -1).join(", ")} or ${names.at(-1)}` : names[0];
    throw new UsageError(`--${flag} requires ${list}`);
  }
}

export function isGiven(given: Readonly<Record<string, unknown>>, flag: string): boolean {
  return given[flag] !== undefined && given[flag] !== false;
}

/** @throws {UsageError} if there are more arguments than the command takes */
export function rejectSurplus(positionals: readonly string[], max: number): void {
  const surplus = positionals[max];
  if (surplus === undefined) return;
  if (isSubcommand(surplus)) throw new UsageError(`${surplus} must come first: epoll-hello ${surplus}`);
  throw new UsageError(`unexpected argument ${JSON.stringify(surplus)}`);
}

/** @throws {UsageError} unless `text` is an integer from `min` to `max` */
export function parseInteger(flag: string, text: string, min: number, max: number, expects?: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (value >= min && value <= max) return value;
  throw mustBe(flag, expects ?? `an integer from ${min} to ${max}`, text);
}

/** Returns the error for a value that a flag does not take. */
export function mustBe(flag: string, expects: string, received: string): UsageError {
  return new UsageError(outOfRange(`--${flag}`, expects, received).message);
}
