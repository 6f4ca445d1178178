// Commands that show the program: its source lines, and the calls that led to the pause.

import { parsePosition } from "../../source-lines.ts";
import type { Command, DebuggerContext } from "../context.ts";
import { currentPosition, parseNumber } from "./arguments.ts";

/** The number of lines that `longlist` prints on either side of the current line. */
const LONG_LIST_LINES = 20;

export const sourceCommands: readonly Command[] = [
  {
    names: ["l", "list"],
    usage: "l [. | LINE | FIRST, LAST]",
    help: "List source lines around the current line, and after that the lines that follow. `l .` starts again.",
    run: (context, argument) => {
      const { sources } = context;
      const position = positionOf(context);
      if (argument === ".") sources.reset();
      if (argument === "" || argument === ".") return context.print(sources.list(position));
      const [, first = "", last] = /^(\S+?)\s*(?:,\s*(\S+))?$/.exec(argument) ?? [];
      const line = parseNumber(first, "l [. | LINE | FIRST, LAST]");
      const [from, to] =
        last === undefined
          ? [Math.max(1, line - 5), line + 5]
          : [line, parseNumber(last, "l [. | LINE | FIRST, LAST]")];
      context.print(sources.listRange(position, from, to));
    },
  },
  {
    names: ["ll", "longlist"],
    usage: "ll",
    help: "List 41 source lines around the current line, with -> at it.",
    run: (context) => {
      const position = positionOf(context);
      const { line } = parsePosition(position) ?? { line: 1 };
      context.print(context.sources.listRange(position, Math.max(1, line - LONG_LIST_LINES), line + LONG_LIST_LINES));
    },
  },
  {
    names: ["bt", "w", "where", "backtrace"],
    usage: "bt",
    help: "Print the calls of the program that led to the pause, the innermost first, with > at the selected one.",
    run: printStack,
  },
  {
    names: ["u", "up"],
    usage: "up [COUNT]",
    help: "Select the caller, for l.",
    run: (context, argument) => selectFrame(context, argument === "" ? 1 : parseNumber(argument, "up [COUNT]")),
  },
  {
    names: ["d", "down"],
    usage: "down [COUNT]",
    help: "Select the called function, for l.",
    run: (context, argument) => selectFrame(context, -(argument === "" ? 1 : parseNumber(argument, "down [COUNT]"))),
  },
  {
    names: ["locals"],
    usage: "locals",
    help: "Explain how to see variables: local variables of the program cannot be read.",
    run: (context) => printLocals(context),
  },
];

/** Prints the stack, one call on each line. */
export function printStack(context: DebuggerContext): void {
  const { stack, frame, sources } = context;
  if (context.viewed !== undefined) throw new Error("the calls of a past iteration are not recorded");
  if (stack.length === 0) {
    const isLive = context.source.location !== undefined;
    if (context.source.pid !== undefined)
      throw new Error("the calls of this thread are not known: its stack could not be read");
    throw new Error(isLive ? "no function of the program is running" : "the calls are not recorded in a trace");
  }
  for (const [i, { name, file, line }] of stack.entries()) {
    const position = `${file}:${line}`;
    const text = sources.lineAt(position);
    context.print(`${i === frame ? ">" : " "} #${i} ${name === "" ? "(anonymous)" : name} at ${position}`);
    if (text !== undefined) context.print(`     ${text}`);
  }
}

/** Bun runs the program on a thread of its own, and its inspector does not attach to threads. */
export function printLocals(context: DebuggerContext): void {
  if (context.source.pid !== undefined) {
    return context.print(
      "Variables of another process cannot be read: use a debugger of its language, such as gdb or pdb. " +
        "p reads what the trace knows: fds, event, events and iteration.",
    );
  }
  context.print(
    "Local variables cannot be read: Bun's inspector does not attach to a thread. " +
      "p reads what can be reached from here: fds, event, server, modules (await import) and globals.",
  );
}

function selectFrame(context: DebuggerContext, by: number): void {
  const { stack, frame } = context;
  const last = stack.length - 1;
  if (last < 0) return printStack(context); // which says why
  const selected = Math.max(0, Math.min(last, frame + by));
  if (selected === frame) throw new Error(by < 0 ? "this is the innermost call" : "this is the outermost call");
  context.frame = selected;
  context.sources.reset();
  const { name, file, line } = stack[selected] as (typeof stack)[number];
  context.print(`> #${selected} ${name === "" ? "(anonymous)" : name} at ${file}:${line}`);
  const text = context.sources.lineAt(`${file}:${line}`);
  if (text !== undefined) context.print(`-> ${text}`);
}

function positionOf(context: DebuggerContext): string {
  const position = currentPosition(context);
  if (position === undefined) throw new Error("the source line of this event is not known");
  return position;
}
