// Parses flags, and rejects unknown and repeated flags, missing values, and flags that exclude each other.

import { outOfRange } from "../../kernel/errors.ts";
import { suggest } from "../../kernel/suggest.ts";
import { isSubcommand, UsageError } from "./command-line.ts";
import type { Flags } from "./flags.ts";

export interface ParsedArguments<F extends Flags> {
  /** The values of the flags that are given, by name. */
  given: { -readonly [Name in keyof F]?: F[Name] extends { type: "boolean" } ? boolean : string };
  positionals: readonly string[];
  /** What follows `--`. */
  rest: readonly string[];
}

/** @throws {UsageError} for unknown flags, repeated flags, missing values, and values of flags that take none */
export function parseFlags<F extends Flags>(rawArguments: readonly string[], flags: F): ParsedArguments<F> {
  const terminator = rawArguments.includes("--") ? rawArguments.indexOf("--") : rawArguments.length;
  const args = rawArguments.slice(0, terminator).map((argument) => withBareValue(argument, flags));
  const tokens = tokenize(args, flags);
  const written = tokens.filter((token) => token.kind === "option");
  rejectMistakes(written, flags);
  const given: Record<string, string | boolean> = {};
  for (const { name, value } of written) {
    const target = targetOf(name, flags);
    if (target !== undefined) given[target] = value ?? target === name;
  }
  return {
    given: given as ParsedArguments<F>["given"],
    positionals: tokens.flatMap((token) => (token.kind === "positional" ? [token.value] : [])),
    rest: rawArguments.slice(terminator + 1),
  };
}

/** Returns `--trace=text` for `--trace`: the parser would take the app in `--trace app.ts` for the format. */
function withBareValue(argument: string, flags: Flags): string {
  const flag = argument.startsWith("--") ? flagNamed(argument.slice(2), flags) : undefined;
  return flag?.type === "string" && flag.bareValue !== undefined ? `${argument}=${flag.bareValue}` : argument;
}

function flagNamed(name: string, flags: Flags): Flags[string] | undefined {
  const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
  return flag?.type === "positional" ? undefined : flag;
}

/** Checks the flags in the order in which they are written. */
function rejectMistakes(written: readonly WrittenFlag[], flags: Flags): void {
  const given = new Set<string>();
  const unknown: string[] = [];
  for (const { name, rawName, value } of written) {
    const target = targetOf(name, flags);
    if (target === undefined) {
      unknown.push(rawName);
      continue;
    }
    if (given.has(target)) throw new UsageError(`--${target} is given more than once`);
    given.add(target);
    const isBoolean = flags[target]?.type === "boolean";
    if (isBoolean && value !== undefined) throw new UsageError(`${rawName} takes no value`);
    if (!isBoolean && isMissing(value)) throw missingValue(target, flags);
  }
  if (unknown.length > 0 && !given.has("help") && !given.has("version")) throw unknownFlags(unknown, flags);
}

interface WrittenFlag {
  name: string;
  /** With its dashes. */
  rawName: string;
  value?: string | undefined;
}

type Token = ({ kind: "option" } & WrittenFlag) | { kind: "positional"; value: string };

/** Splits arguments into flags and positional arguments. Loads the parser only if there are any, because that takes 3 ms. */
function tokenize(args: readonly string[], flags: Flags): Token[] {
  if (args.length === 0) return [];
  const { parseArgs } = process.getBuiltinModule("node:util");
  const options = Object.fromEntries(
    Object.entries(flags).flatMap(([name, { type, ...flag }]) => {
      if (type === "positional") return [];
      const short = "alias" in flag && typeof flag.alias === "string" ? { short: flag.alias } : {};
      return [[name, { type, ...short }]];
    }),
  );
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  return tokens.filter((token) => token.kind !== "option-terminator");
}

/** Returns the name of the flag that is written as `name`: `classic` for `no-classic`. Undefined if there is none. */
function targetOf(name: string, flags: Flags): string | undefined {
  if (flagNamed(name, flags) !== undefined) return name;
  const positive = name.startsWith("no-") ? name.slice(3) : "";
  return flagNamed(positive, flags)?.type === "boolean" ? positive : undefined;
}

function isMissing(value: string | undefined): boolean {
  return value === undefined || value === "" || value.startsWith("--") || value.includes("\0");
}

function missingValue(name: string, flags: Flags): UsageError {
  const flag = flags[name];
  const expects = flag?.type === "string" ? ` (${flag.expects})` : "";
  return new UsageError(`--${name} requires a value${expects}`);
}

function unknownFlags(unknown: readonly string[], flags: Flags): UsageError {
  const names = Object.keys(flags).filter((name) => flagNamed(name, flags) !== undefined);
  const negated = names.filter((name) => flags[name]?.type === "boolean").map((name) => `no-${name}`);
  const list = unknown.map((rawName) => {
    const suggestion = suggest(rawName.replace(/^--?/, ""), [...names, ...negated]);
    return suggestion === undefined ? rawName : `${rawName} (did you mean --${suggestion}?)`;
  });
  return new UsageError(`unknown ${list.length === 1 ? "flag" : "flags"} ${list.join(", ")}`);
}

/** Flags, each with those that it cannot be used with, and the reason. */
export type Conflicts = readonly (readonly [flag: string, others: readonly string[], reason?: string])[];

/** @throws {UsageError} if two flags are given that exclude each other */
export function rejectConflicts(given: Readonly<Record<string, unknown>>, conflicts: Conflicts): void {
  for (const [flag, others, reason] of conflicts) {
    if (!isGiven(given, flag)) continue;
    const other = others.find((name) => isGiven(given, name));
    if (other === undefined) continue;
    throw new UsageError(`--${flag} cannot be used with --${other}${reason === undefined ? "" : `: ${reason}`}`);
  }
}

/** Flags, each with those of which it requires one. */
export type Requirements = readonly (readonly [flag: string, oneOf: readonly string[]])[];

/** @throws {UsageError} if a flag is given without any of those that it requires */
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

/** Returns the error for an invalid value of a flag. */
export function mustBe(flag: string, expects: string, received: string): UsageError {
  return new UsageError(outOfRange(`--${flag}`, expects, received).message);
}
