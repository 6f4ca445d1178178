// Commands that evaluate JavaScript.

import type { Command } from "../context.ts";
import { formatFdTable } from "../format.ts";
import { viewedIteration } from "./arguments.ts";

export const evaluationCommands: readonly Command[] = [
  {
    names: ["p", "print"],
    usage: "p EXPRESSION",
    help: "Evaluate an expression and print it: JavaScript, with event, events, fds, fd(N), ep, iteration and server.",
    run: async (context, argument) => {
      if (argument === "") throw new Error("usage: p EXPRESSION");
      context.print(await context.evaluate(argument));
    },
  },
  {
    names: ["pp"],
    usage: "pp fds | fd N | EXPRESSION",
    help: "Evaluate an expression and print it; pp fds prints a table of the open fds.",
    run: async (context, argument) => {
      if (argument === "") throw new Error("usage: pp fds | fd N | EXPRESSION");
      if (argument === "fds") return context.print(formatFdTable(context, viewedIteration(context).entries));
      context.print(await context.evaluate(argument.replace(/^fd\s+(\d+)$/, "fd($1)")));
    },
  },
  {
    names: ["!"],
    usage: "! STATEMENT",
    help: "Run a JavaScript statement, as any line does that is not a command: expressions, let, for, await.",
    isRepeatable: false,
    run: async (context, argument) => {
      if (argument === "") throw new Error("usage: ! STATEMENT");
      const value = await context.evaluate(argument);
      if (value !== "undefined") context.print(value);
    },
  },
  {
    names: ["display"],
    usage: "display [EXPRESSION]",
    help: "Print an expression at every pause where its value has changed; without arguments, list the displays.",
    run: async (context, argument) => {
      if (argument === "") {
        for (const [expression, value] of context.displays) context.print(`${expression}: ${value}`);
        return;
      }
      const value = await context.evaluate(argument);
      context.displays.set(argument, value);
      context.print(`display ${argument}: ${value}`);
    },
  },
  {
    names: ["undisplay"],
    usage: "undisplay [EXPRESSION]",
    help: "Stop displaying an expression; without arguments, all of them.",
    run: (context, argument) => {
      if (argument === "") context.displays.clear();
      else if (!context.displays.delete(argument)) throw new Error(`${argument} is not displayed`);
    },
  },
];
