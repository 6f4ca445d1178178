// Commands that show the state of the loop, of its file descriptors and of the kernel.

import { ErrnoError } from "../../../kernel/errors.ts";
import type { Command, DebuggerContext } from "../context.ts";
import { describeValue } from "../evaluate.ts";
import type { EntryRegistration } from "../fd-table.ts";
import { describeEntry, formatFdTable, formatSource, showField, showMask } from "../format.ts";
import { compareInstances, explainFd } from "../kernel-statements.ts";
import { concerns } from "../stop-conditions.ts";
import { dispatchedFd, liveLocation, parseNumber, viewedIteration } from "./arguments.ts";

export const inspectionCommands: readonly Command[] = [
  {
    names: ["l", "list"],
    usage: "l",
    help: "Print the ready list of this iteration, with -> at the fd that is being handled.",
    run: (context) => {
      const { ready, entries, events } = viewedIteration(context);
      if (ready.length === 0) context.print("[]: no fd was ready");
      const event = events.at(-1);
      const isDispatching = event !== undefined && event.type !== "wait";
      const current = isDispatching ? ready.findIndex(([fd]) => concerns(event, fd)) : -1;
      for (const [i, [fd, mask]] of ready.entries()) {
        const entry = entries.find((candidate) => candidate.fd === fd);
        const description = entry === undefined ? "" : describeEntry(entry);
        context.print(`${i === current ? "->" : "  "} (${fd}, ${showMask(context, mask)})  ${description}`);
      }
    },
  },
  {
    names: ["ll", "longlist"],
    usage: "ll",
    help: "Print the source code around the system call, with -> at its line.",
    run: (context) => {
      const at = viewedIteration(context).events.at(-1)?.at;
      if (at === undefined) throw new Error("the source line of this event is not known");
      context.print(formatSource(at));
    },
  },
  {
    names: ["w", "where", "bt"],
    usage: "w",
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
    names: ["p"],
    usage: "p EXPRESSION",
    help: "Evaluate an expression and print it: JavaScript, with event, events, fds, fd(N), ep, iteration and server.",
    run: async (context, argument) => context.print(await valueOf(context, argument, "p EXPRESSION")),
  },
  {
    names: ["pp"],
    usage: "pp fds | fd N | EXPRESSION",
    help: "Evaluate an expression and print it; pp fds prints a table of the open fds.",
    run: async (context, argument) => {
      if (argument === "fds") return context.print(formatFdTable(context, viewedIteration(context).entries));
      context.print(await valueOf(context, argument, "pp fds | fd N | EXPRESSION"));
    },
  },
  {
    names: ["i", "info"],
    usage: "i FD",
    help: "Describe an fd.",
    run: (context, argument) => {
      const fd = parseNumber(argument, "i FD");
      const entry = viewedIteration(context).entries.find((candidate) => candidate.fd === fd);
      if (entry === undefined) throw new Error(`fd ${fd} does not belong to this loop; pp fds lists those that do`);
      context.print(`${fd}  ${describeEntry(entry)}`);
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
      const value = await valueOf(context, argument, "display [EXPRESSION]");
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
  {
    names: ["why"],
    usage: "why [FD]",
    help: "Explain why epoll_wait does or does not report an fd, from the current state of the kernel.",
    run: (context, argument) => {
      liveLocation(context);
      const fd = argument === "" ? dispatchedFd(context.event) : parseNumber(argument, "why [FD]");
      context.print(explainOpenFd(fd, context.history.table.entry(fd)?.registrations ?? []));
    },
  },
  {
    names: ["diff"],
    usage: "diff",
    help: "Compare the registered masks with the kernel's interest list.",
    run: (context) => {
      liveLocation(context);
      const { messages, registered, instances } = compareInstances(context.history.table.entries);
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
function explainOpenFd(fd: number, registrations: readonly EntryRegistration[]): string {
  try {
    return explainFd(fd, registrations);
  } catch (error) {
    if (error instanceof ErrnoError && error.code === "EBADF")
      throw new Error(`fd ${fd} is not open`, { cause: error });
    throw error;
  }
}

async function valueOf(context: DebuggerContext, expression: string, usage: string): Promise<string> {
  if (expression === "") throw new Error(`usage: ${usage}`);
  const code = expression.replace(/^fd\s+(\d+)$/, "fd($1)");
  if (context.viewed !== undefined) return describeValue(code, context.history.scopeOf(context.viewed));
  return await context.source.evaluate(code);
}
