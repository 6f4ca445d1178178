// The commands help and quit, and the lookup of commands by name.

import { suggest } from "../../../kernel/suggest.ts";
import type { Command } from "../context.ts";

/** Command names of other debuggers, with the names of these commands here. */
const ALIASES: Record<string, string> = {
  print: "p",
  delete: "cl",
  finish: "r",
  backtrace: "bt",
};

const MIN_SUGGESTED_LENGTH = 4;

/** Returns the commands, followed by help, which describes all of them, and quit. */
export function withHelpAndQuit(commands: readonly Command[]): readonly Command[] {
  const help: Command = {
    names: ["h", "help", "?"],
    usage: "h [COMMAND]",
    help: "List the commands, or print the help of one.",
    run: (context, argument) => {
      if (argument !== "") {
        const command = findCommand(all, argument);
        context.print(`${command.usage}\n        ${command.help}`);
        return;
      }
      const width = Math.max(...all.map(({ names }) => names.join(", ").length));
      for (const command of all) context.print(`${command.names.join(", ").padEnd(width)}  ${command.help}`);
      context.print("An empty line repeats the last command; ;; separates commands; end of input quits.");
    },
  };
  const quit: Command = {
    names: ["q", "quit", "exit"],
    usage: "q",
    help: "Stop the program and quit.",
    run: (context) => {
      context.isOver = true;
    },
  };
  const all = [...commands, help, quit];
  return all;
}

/**
 * Finds a command by one of its names.
 *
 * @throws {Error} with a suggestion, if a command has a similar name
 */
export function findCommand(commands: readonly Command[], word: string): Command {
  const name = word === "!" ? "p" : word;
  const command = commands.find(({ names }) => names.includes(name));
  if (command !== undefined) return command;
  // Any short word resembles a short name, so only the long names are suggested.
  const longNames = commands
    .flatMap(({ names }) => names)
    .filter((longName) => longName.length >= MIN_SUGGESTED_LENGTH);
  const closest = ALIASES[word] ?? suggest(word, longNames);
  const hint = closest === undefined ? "h lists the commands, p evaluates an expression" : `did you mean ${closest}?`;
  throw new Error(`unknown command ${JSON.stringify(word)}: ${hint}`);
}
