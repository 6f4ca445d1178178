// Commands that show the state of the loop, of its file descriptors and of the kernel.

import { ErrnoError } from "../../../kernel/errors.ts";
import type { Command, DebuggerContext } from "../context.ts";
import { describeEntry, formatFdTable, showField, showMask } from "../format.ts";
import { compareInstances, explainFd } from "../kernel-statements.ts";
import { concerns } from "../concerns.ts";
import { dispatchedFd, liveLocation, parseFd, type ProcessFd, viewedIteration } from "./arguments.ts";
import { printBreakpoints } from "./breakpoints.ts";
import { printLocals, printStack } from "./source.ts";

export const inspectionCommands: readonly Command[] = [
  {
    names: ["ready"],
    usage: "ready",
    help: "Print the ready list of this iteration, with -> at the fd that is being handled.",
    run: (context) => {
      const { ready, entries, events, pid } = viewedIteration(context);
      if (ready.length === 0) context.print("[]: no fd was ready");
      const event = events.at(-1);
      const isDispatching = event !== undefined && event.type !== "wait";
      const current = isDispatching ? ready.findIndex(([fd]) => concerns(event, fd, pid)) : -1;
      for (const [i, [fd, mask]] of ready.entries()) {
        const entry = entries.find((candidate) => candidate.fd === fd && candidate.pid === pid);
        const description = entry === undefined ? "" : describeEntry(entry);
        context.print(`${i === current ? "->" : "  "} (${fd}, ${showMask(context, mask)})  ${description}`);
      }
    },
  },
  {
    names: ["trace"],
    usage: "trace",
    help: "Print the events of this iteration, with -> at the last one.",
    run: (context) => {
      const lines = viewedIteration(context).events.flatMap((event) => context.format(event) ?? []);
      for (const [i, line] of lines.entries()) context.print(`${i === lines.length - 1 ? "->" : "  "} ${line}`);
    },
  },
  {
    names: ["a", "args"],
    usage: "a",
    help: "Print the fields of the last event: the arguments and the result of a system call.",
    run: (context) => {
      const common = new Set(["seq", "us", "iteration", "at"]);
      for (const [name, value] of Object.entries(viewedIteration(context).events.at(-1) ?? {})) {
        if (!common.has(name)) context.print(`${name} = ${showField(context, name, value)}`);
      }
    },
  },
  {
    names: ["i", "info"],
    usage: "i FD | breakpoints | display | stack | locals | fds | clients",
    help: "Describe an fd, or list the breakpoints (i b), the displays, the calls, the open fds or the clients.",
    worksWhileRunning: true,
    run: printInfo,
  },
  {
    names: ["why"],
    usage: "why [FD]",
    worksWhileRunning: true,
    help: "Explain why epoll_wait does or does not report an fd, from the current state of the kernel.",
    run: (context, argument) => {
      liveLocation(context);
      const fd = argument === "" ? dispatchedFd(context.event) : parseFd(argument, context, "why [FD]");
      context.print(explainOpenFd(context, fd));
    },
  },
  {
    names: ["diff"],
    usage: "diff",
    help: "Compare the registered masks with the kernel's interest list.",
    run: (context) => {
      liveLocation(context);
      const { messages, registered, instances } = compareInstances(context.history.table.entries, (pid) =>
        context.source.kernelOf(pid),
      );
      for (const message of messages) context.print(message);
      if (messages.length > 0) return;
      const fds = registered === 1 ? "1 fd is" : `${registered} fds are`;
      context.print(
        instances === 1
          ? `no differences: ${fds} registered, and the kernel's interest list is the same`
          : `no differences: ${registered} registrations with ${instances} epoll instances, and the kernel's interest lists are the same`,
      );
    },
  },
];

/** @throws {Error} if the fd is not open */
function explainOpenFd({ source, history }: DebuggerContext, { fd, pid }: ProcessFd): string {
  try {
    return explainFd(fd, history.table.entry(fd, pid)?.registrations ?? [], source.kernelOf(pid));
  } catch (error) {
    if (error instanceof ErrnoError && error.code === "EBADF")
      throw new Error(`fd ${fd} is not open`, { cause: error });
    throw error;
  }
}

const INFO: Readonly<Record<string, (context: DebuggerContext) => void>> = {
  breakpoints: printBreakpoints,
  clients: (context) => context.print(context.clients.names.join(", ") || "no client is connected"),
  display: ({ displays, print }) => {
    for (const [expression, value] of displays) print(`${expression}: ${value}`);
    if (displays.size === 0) print("No displays. Example: display server.stats");
  },
  fds: (context) => context.print(formatFdTable(context, viewedIteration(context).entries)),
  locals: printLocals,
  stack: printStack,
};

function printInfo(context: DebuggerContext, argument: string): void {
  const [topic, ...others] = Object.keys(INFO).filter((name) => argument !== "" && name.startsWith(argument));
  if (topic !== undefined && others.length === 0) return INFO[topic]?.(context);
  const { fd, pid } = parseFd(argument, context, "i FD | breakpoints | display | stack | locals | fds | clients");
  const { entries } = viewedIteration(context);
  const entry = entries.find((candidate) => candidate.fd === fd && candidate.pid === pid);
  if (entry === undefined) throw new Error(`fd ${fd} does not belong to this loop; i fds lists those that do`);
  context.print(`${fd}  ${describeEntry(entry)}`);
}
