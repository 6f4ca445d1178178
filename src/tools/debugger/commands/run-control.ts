// Commands that resume the loop: next, step, return, continue and until.

import type { Command } from "../context.ts";
import { dispatchedFd, parseNumber } from "./arguments.ts";

export const runControlCommands: readonly Command[] = [
  {
    names: ["n", "next"],
    usage: "n",
    help: "Continue until epoll_wait returns.",
    run: (context) => context.go({ kind: "next" }),
  },
  {
    names: ["s", "step"],
    usage: "s",
    help: "Continue to the next event: a system call, a state change or a warning.",
    run: (context) => context.go({ kind: "step" }),
  },
  {
    names: ["r", "return"],
    usage: "r",
    help: "Continue until this fd has been handled.",
    run: (context) => context.go({ kind: "return", fd: dispatchedFd(context.event) }),
  },
  {
    names: ["c", "cont", "continue"],
    usage: "c",
    help: "Continue until a breakpoint is hit.",
    run: (context) => context.go({ kind: "continue" }),
  },
  {
    names: ["unt", "until"],
    usage: "unt ITERATION",
    help: "Continue until an iteration begins.",
    run: (context, argument) => {
      const iteration = parseNumber(argument, "unt ITERATION");
      const current = context.history.last?.iteration ?? 0;
      if (iteration <= current)
        throw new Error(`iteration ${iteration} has already begun; this is iteration ${current}`);
      return context.go({ kind: "until", iteration });
    },
  },
];
