// Commands that view past iterations, and save the trace.

import { existsSync, writeFileSync } from "node:fs";
import type { Command, DebuggerContext } from "../context.ts";
import { parseNumber } from "./arguments.ts";

export const historyCommands: readonly Command[] = [
  {
    names: ["back"],
    usage: "back [N]",
    help: "View the previous iteration, or the one N before; nothing is undone.",
    run: (context, argument) => moveView(context, -(argument === "" ? 1 : parseNumber(argument, "back [N]"))),
  },
  {
    names: ["fwd", "forward"],
    usage: "fwd [N]",
    help: "View the next iteration, or the one N after.",
    run: (context, argument) => moveView(context, argument === "" ? 1 : parseNumber(argument, "fwd [N]")),
  },
  {
    names: ["save"],
    usage: "save FILE",
    help: "Save the trace so far; epoll-hello replay FILE reads it.",
    isRepeatable: false,
    run: async (context, argument) => {
      const { history, print } = context;
      if (argument === "") throw new Error("usage: save FILE");
      if (history.isTruncated) {
        throw new Error(
          "the trace is too long to save: its beginning has been dropped (epoll-hello --trace-file records everything)",
        );
      }
      if (existsSync(argument) && !(await context.confirm(`${argument} exists. Overwrite it?`, false))) {
        return print(`not saved: ${argument} exists`);
      }
      const { events } = history;
      writeFileSync(argument, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
      print(`saved ${events.length} events to ${argument}`);
    },
  },
];

function moveView(context: DebuggerContext, by: number): void {
  const { iterations } = context.history;
  const newest = iterations.length - 1;
  const from = context.viewed === undefined ? newest : iterations.indexOf(context.viewed.iteration);
  const to = Math.max(0, Math.min(newest, from + by));
  if (to === from) throw new Error(by < 0 ? "this is the oldest iteration" : "this is the newest iteration");
  const iteration = context.history.at(iterations[to] as number);
  if (iteration === undefined) throw new Error("this iteration has been dropped from the history");
  context.viewed = to === newest ? undefined : iteration;
  context.sources.reset();
  context.print(`viewing iteration ${iteration.iteration} of ${iterations[newest]}`);
  for (const event of iteration.events) {
    const line = context.format(event);
    if (line !== undefined) context.print(line);
  }
}
