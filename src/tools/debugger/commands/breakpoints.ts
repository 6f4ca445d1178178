// Commands that set, list, change and delete breakpoints.

import { describeBreakpoint, describeIgnore, parseLocation } from "../breakpoint-location.ts";
import type { Command, DebuggerContext } from "../context.ts";
import { currentPosition, findBreakpoints, parseNumber } from "./arguments.ts";

const LOCATION = "LINE | FILE:LINE | fd N | iteration N | state NAME | EPOLLHUP | EAGAIN | accept";

export const breakpointCommands: readonly Command[] = [
  {
    names: ["b", "break"],
    usage: `b [${LOCATION}] [, CONDITION]`,
    help: "Set a breakpoint, which may have a condition; without arguments, list the breakpoints.",
    worksWhileRunning: true,
    run: (context, argument) => {
      if (argument === "") printBreakpoints(context);
      else setBreakpoint(context, argument, false);
    },
  },
  {
    names: ["tbreak"],
    usage: "tbreak LOCATION [, CONDITION]",
    help: "Set a temporary breakpoint, which is deleted when it is hit.",
    worksWhileRunning: true,
    run: (context, argument) => {
      if (argument === "") throw new Error("usage: tbreak LOCATION [, CONDITION]");
      setBreakpoint(context, argument, true);
    },
  },
  {
    names: ["watch"],
    usage: "watch EXPRESSION",
    help: "Pause after the event at which the value of an expression has changed.",
    worksWhileRunning: true,
    run: (context, argument) => {
      if (argument === "") throw new Error("usage: watch EXPRESSION");
      const watch = { on: "watch", value: argument, condition: undefined, isTemporary: false } as const;
      context.print(describeBreakpoint(context.addBreakpoint(watch)));
    },
  },
  {
    names: ["cl", "clear", "delete"],
    usage: "cl [N …]",
    help: "Delete breakpoints; without arguments, all of them.",
    isRepeatable: false,
    worksWhileRunning: true,
    run: async (context, argument) => {
      const deleted = argument === "" ? [...context.breakpoints] : findBreakpoints(context, argument);
      if (argument === "" && deleted.length > 0 && !(await context.confirm("Delete all breakpoints?", true))) return;
      for (const breakpoint of deleted) {
        context.deleteBreakpoint(breakpoint);
        context.print(`Deleted breakpoint ${breakpoint.id}`);
      }
    },
  },
  {
    names: ["condition"],
    usage: "condition N [EXPRESSION]",
    help: "Pause at breakpoint N only if EXPRESSION is true; without EXPRESSION, always.",
    worksWhileRunning: true,
    run: (context, argument) => {
      const [, id = "", condition = ""] = /^(\S*)\s*([^]*)$/.exec(argument) ?? [];
      for (const breakpoint of findBreakpoints(context, id)) {
        breakpoint.condition = condition === "" ? undefined : condition;
        context.print(describeBreakpoint(breakpoint));
      }
      context.updateBreakpoints();
    },
  },
  {
    names: ["disable"],
    usage: "disable N …",
    help: "Disable breakpoints.",
    worksWhileRunning: true,
    run: (context, argument) => setEnabled(context, argument, false),
  },
  {
    names: ["enable"],
    usage: "enable N …",
    help: "Enable breakpoints.",
    worksWhileRunning: true,
    run: (context, argument) => setEnabled(context, argument, true),
  },
  {
    names: ["ignore"],
    usage: "ignore N COUNT",
    help: "Ignore the next COUNT hits of breakpoint N.",
    worksWhileRunning: true,
    run: (context, argument) => {
      const [id = "", count = ""] = argument.split(/\s+/);
      for (const breakpoint of findBreakpoints(context, id)) {
        breakpoint.ignore = parseNumber(count, "ignore N COUNT");
        context.print(`Breakpoint ${breakpoint.id}: ${describeIgnore(breakpoint.ignore)}`);
      }
      context.updateBreakpoints();
    },
  },
  {
    names: ["commands"],
    usage: "commands [N]",
    help: "Run the lines that follow, up to a line `end`, whenever breakpoint N (default: the last one) is hit. `silent` as the first line hides the pause.",
    isRepeatable: false,
    run: (context, argument) => {
      const [breakpoint] = argument === "" ? context.breakpoints.slice(-1) : findBreakpoints(context, argument);
      if (breakpoint === undefined) throw new Error("there are no breakpoints: b LOCATION sets one");
      context.collectCommands(breakpoint.id);
    },
  },
];

/** Lists the breakpoints of the prompt, and those of the page. */
export function printBreakpoints(context: DebuggerContext): void {
  const fromPage = context.source.pageBreakpoints;
  if (context.breakpoints.length + fromPage.length === 0) {
    context.print("No breakpoints. Examples: b 42, b server.ts:42, b fd 5, b EPOLLHUP, b accept");
  }
  for (const breakpoint of context.breakpoints) context.print(describeBreakpoint(breakpoint));
  for (const breakpoint of fromPage) context.print(`${describeBreakpoint(breakpoint)}, set on the page`);
}

function setBreakpoint(context: DebuggerContext, argument: string, isTemporary: boolean): void {
  const comma = argument.indexOf(",");
  const text = (comma < 0 ? argument : argument.slice(0, comma)).trim();
  const location = parseLocation(text, (file, line) => context.sources.locate(file, line, currentPosition(context)));
  const condition = comma < 0 ? "" : argument.slice(comma + 1).trim();
  const breakpoint = { ...location, condition: condition === "" ? undefined : condition, isTemporary };
  context.print(describeBreakpoint(context.addBreakpoint(breakpoint)));
}

function setEnabled(context: DebuggerContext, ids: string, isEnabled: boolean): void {
  for (const breakpoint of findBreakpoints(context, ids)) {
    breakpoint.isEnabled = isEnabled;
    context.print(`${isEnabled ? "Enabled" : "Disabled"} breakpoint ${breakpoint.id}`);
  }
  context.updateBreakpoints();
}
