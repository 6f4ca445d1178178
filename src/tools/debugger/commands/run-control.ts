// Commands that resume the loop, start it again or end the session.

import type { Command, DebuggerContext } from "../context.ts";
import type { RunMode } from "../thread-messages.ts";
import { dispatchedFd, parseNumber } from "./arguments.ts";

const returnCommand = {
  usage: "r",
  help: "Continue until this fd has been handled.",
  resumes: true,
  run: (context: DebuggerContext): Promise<void> => context.go({ kind: "return", ...dispatchedFd(context.event) }),
};

export const runControlCommands: readonly Command[] = [
  {
    names: ["n", "next"],
    usage: "n [COUNT]",
    help: "Continue until epoll_wait returns, COUNT times.",
    resumes: true,
    run: (context, argument) => context.go(counted("next", argument, "n [COUNT]")),
  },
  {
    names: ["s", "step"],
    usage: "s [COUNT]",
    help: "Continue to the next event: a system call, a state change or a warning; COUNT times.",
    resumes: true,
    run: (context, argument) => context.go(counted("step", argument, "s [COUNT]")),
  },
  { names: ["r", "return", "finish"], ...returnCommand },
  {
    names: ["c", "cont", "continue"],
    usage: "c [COUNT]",
    help: "Continue until a breakpoint is hit, or for the COUNTth time. Ctrl-C pauses.",
    resumes: true,
    run: (context, argument) => context.go(counted("continue", argument, "c [COUNT]")),
  },
  {
    names: ["unt", "until"],
    usage: "unt [ITERATION]",
    help: "Continue until an iteration begins; without a number, the next one.",
    resumes: true,
    run: (context, argument) => {
      const current = context.history.last?.iteration ?? 0;
      const iteration = argument === "" ? current + 1 : parseNumber(argument, "unt [ITERATION]");
      if (iteration <= current)
        throw new Error(`iteration ${iteration} has already begun; this is iteration ${current}`);
      return context.go({ kind: "until", iteration });
    },
  },
  {
    names: ["run", "restart"],
    usage: "run",
    help: "Start the server or the program again. Breakpoints are kept.",
    isRepeatable: false,
    worksWhileRunning: true,
    run: async (context) => {
      if (!context.hasEnded && !(await context.confirm("Start again from the beginning?", true))) return;
      await context.restart();
    },
  },
  {
    names: ["q", "quit", "exit"],
    usage: "q",
    help: "Stop the server or the program and quit.",
    isRepeatable: false,
    worksWhileRunning: true,
    run: async (context) => {
      const connected = context.hasEnded ? 0 : countConnections(context);
      const clients = connected === 1 ? "1 client is" : `${connected} clients are`;
      if (connected > 0 && !(await context.confirm(`${clients} connected. Quit anyway?`, true))) return;
      context.isOver = true;
    },
  },
];

function counted(kind: "next" | "step" | "continue", argument: string, usage: string): RunMode {
  if (argument === "") return { kind };
  const count = parseNumber(argument, usage);
  if (count === 0) throw new Error(`usage: ${usage} (COUNT must be at least 1)`);
  return { kind, count };
}

function countConnections({ source, history }: DebuggerContext): number {
  if (source.location === undefined) return 0; // a recorded trace
  return history.table.entries.filter(({ kind }) => kind === "connection").length;
}
