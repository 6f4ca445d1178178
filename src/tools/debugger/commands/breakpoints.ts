// Commands that set, list, change and delete breakpoints.

import { describeBreakpoint, describeIgnore, parseLocation } from "../breakpoint-location.ts";
import type { Command, DebuggerContext } from "../context.ts";
import { findBreakpoints, parseNumber } from "./arguments.ts";

export const breakpointCommands: readonly Command[] = [
  {
    names: ["b", "break"],
    usage: "b [fd N | iteration N | state NAME | EPOLLHUP | EAGAIN | accept] [, CONDITION]",
    help: "Set a breakpoint, which may have a condition; without arguments, list the breakpoints.",
    run: (context, argument) => setBreakpoint(context, argument, false),
  },
  {
    names: ["tbreak"],
    usage: "tbreak LOCATION [, CONDITION]",
    help: "Set a temporary breakpoint, which is deleted when it is hit.",
    run: (context, argument) => setBreakpoint(context, argument, true),
  },
  {
    names: ["cl", "clear"],
    usage: "cl [N …]",
    help: "Delete breakpoints; without arguments, all of them.",
    run: (context, argument) => {
      const deleted = argument === "" ? [...context.breakpoints] : findBreakpoints(context, argument);
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
    run: (context, argument) => setEnabled(context, argument, false),
  },
  {
    names: ["enable"],
    usage: "enable N …",
    help: "Enable breakpoints.",
    run: (context, argument) => setEnabled(context, argument, true),
  },
  {
    names: ["ignore"],
    usage: "ignore N COUNT",
    help: "Ignore the next COUNT hits of breakpoint N.",
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
    help: "Run the lines that follow, up to a line `end`, whenever breakpoint N (default: the last one) is hit.",
    run: (context, argument) => {
      const [breakpoint] = argument === "" ? context.breakpoints.slice(-1) : findBreakpoints(context, argument);
      if (breakpoint === undefined) throw new Error("there are no breakpoints: b LOCATION sets one");
      context.collectCommands(breakpoint.id);
    },
  },
];

function setBreakpoint(context: DebuggerContext, argument: string, isTemporary: boolean): void {
  if (argument === "") {
    if (context.breakpoints.length === 0) context.print("No breakpoints. Examples: b fd 5, b EPOLLHUP, b accept");
    for (const breakpoint of context.breakpoints) context.print(describeBreakpoint(breakpoint));
    return;
  }
  const comma = argument.indexOf(",");
  const location = parseLocation((comma < 0 ? argument : argument.slice(0, comma)).trim());
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
