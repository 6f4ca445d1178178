// The command help, the lookup of commands by name, and the hint for a word that is not a command.

import { suggest } from "../../../kernel/suggest.ts";
import type { Command } from "../context.ts";

const MIN_SUGGESTED_LENGTH = 4;

/** Returns the commands, followed by help, which describes all of them. */
export function withHelp(commands: readonly Command[]): readonly Command[] {
  const help: Command = {
    names: ["h", "help", "?"],
    usage: "h [COMMAND]",
    help: "List the commands, or print the help of one.",
    worksWhileRunning: true,
    run: (context, argument) => {
      if (argument !== "") {
        const command = findCommand(all, argument);
        if (command === undefined) {
          const hint = commandLike(all, argument);
          throw new Error(`there is no command ${argument}${hint === undefined ? "" : `: did you mean ${hint}?`}`);
        }
        context.print(`${command.usage}\n        ${command.help}`);
        return;
      }
      const width = Math.max(...all.map(({ names }) => names.join(", ").length));
      for (const command of all) context.print(`${command.names.join(", ").padEnd(width)}  ${command.help}`);
      context.print(
        "Any other line is run as JavaScript. A blank line repeats the last command; ;; separates commands; " +
          "Ctrl-C interrupts; end of input quits.",
      );
    },
  };
  const all = [...commands, help];
  return all;
}

/** Finds a command by one of its names. */
export function findCommand(commands: readonly Command[], word: string): Command | undefined {
  return commands.find(({ names }) => names.includes(word));
}

/** Returns the name of a command that resembles a word. */
export function commandLike(commands: readonly Command[], word: string): string | undefined {
  // Any short word resembles a short name, so only the long names are suggested.
  return suggest(
    word,
    commands.flatMap(({ names }) => names).filter((name) => name.length >= MIN_SUGGESTED_LENGTH),
  );
}
