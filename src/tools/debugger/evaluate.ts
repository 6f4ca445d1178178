// What an expression at the prompt is worth. It is its user's own program, in its user's own terminal, and nobody else's.

import { formatMask } from "../../kernel/format-mask.ts";
import type { TraceEvent } from "../../trace/events.ts";
import type { FdEntry } from "./fd-table.ts";

/** What the names of a prompt stand for. */
export interface ExpressionScope {
  /** The last one. */
  event: TraceEvent | undefined;
  /** What the wait of this iteration has brought. */
  ready: readonly [fd: number, mask: number][];
  iteration: number;
  epfd: number;
  entries: readonly FdEntry[];
  /** Where there is one at hand. */
  server?: unknown;
}

/** @throws whatever the expression throws */
export function evaluate(
  expression: string,
  { event, ready, iteration, epfd, entries, server }: ExpressionScope,
): unknown {
  const shown = entries.map((entry) => ({
    ...entry,
    mask: entry.mask === undefined ? undefined : formatMask(entry.mask),
  }));
  const scope = {
    event,
    events: ready,
    iteration,
    ep: epfd,
    fds: Object.fromEntries(shown.map((entry) => [entry.fd, entry])),
    fd: (number: number) => shown.find((entry) => entry.fd === number),
    server,
  };
  // oxlint-disable-next-line typescript/no-implied-eval -- exactly that is asked for
  return new Function(...Object.keys(scope), `return (${expression}\n)`)(...Object.values(scope));
}

/** The same as a text; an error is a line that begins with `***`, as pdb's. */
export function describeValue(expression: string, view: ExpressionScope): string {
  try {
    return Bun.inspect(evaluate(expression, view));
  } catch (error) {
    return `*** ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
  }
}
