// Completion at the prompt: the names of commands, what `info` and `break` take, and the properties of a value.

import { CONNECTION_STATES, EVENT_TYPES } from "../breakpoint-values.ts";
import { MASK_NAMES } from "./breakpoint-location.ts";
import type { Command } from "./context.ts";

const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  b: ["fd", "iteration", "state", ...EVENT_TYPES, ...MASK_NAMES],
  i: ["breakpoints", "clients", "display", "fds", "locals", "stack"],
  state: CONNECTION_STATES,
};

/**
 * @param propertyNames returns the names of the properties of an expression's value; the names in scope if it is empty
 * @returns the words that complete the line, and the end of the line that they replace
 */
export async function completeLine(
  line: string,
  commands: readonly Command[],
  propertyNames: (expression: string) => Promise<string[]>,
): Promise<[words: string[], end: string]> {
  const [, before = "", object = "", start = ""] = /^(.*?)((?:[\w$]+\.)*)([\w$]*)$/.exec(line) ?? [];
  const isFirst = before.trim() === "" && object === "";
  const command = commands.find(({ names }) => names.includes(/^\w+/.exec(line.trimStart())?.[0] ?? ""));
  const words: string[] = [];
  if (isFirst) words.push(...commands.flatMap(({ names }) => names).filter((name) => /^\w+$/.test(name)));
  const listed =
    object === "" && !isFirst
      ? (ARGUMENTS[/(\w+)\s*$/.exec(before)?.[1] ?? ""] ?? aliasArguments(command, before))
      : undefined;
  if (listed !== undefined) words.push(...listed);
  else if (object !== "" || start !== "") words.push(...(await propertyNames(object.slice(0, -1))));
  const matching = [...new Set(words)].filter((word) => word.startsWith(start)).sort();
  return [matching.map((word) => `${object}${word}`), `${object}${start}`];
}

/** Returns what the long name of a command takes: `info`, `break`, `tbreak`. */
function aliasArguments(command: Command | undefined, before: string): readonly string[] | undefined {
  const isAfterName = /^\s*\w+\s+$/.test(before);
  return isAfterName ? command?.names.map((name) => ARGUMENTS[name]).find((words) => words !== undefined) : undefined;
}
