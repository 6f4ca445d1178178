// Evaluation of the JavaScript expressions in commands, conditions and displays.

import { formatMask } from "../../kernel/format-mask.ts";
import type { TraceEvent } from "../../trace/events.ts";
import type { FdEntry } from "./fd-table.ts";

/** The state of the loop that an expression can refer to. */
export interface ExpressionScope {
  /** `event`: the last event. */
  event: TraceEvent | undefined;
  /** `events`: the ready list of this iteration. */
  ready: readonly [fd: number, mask: number][];
  /** `iteration`: the number of this iteration. */
  iteration: number;
  /** `ep`: the fd of the epoll instance. */
  epfd: number;
  /** `fds` and `fd(N)`: the open fds. */
  entries: readonly FdEntry[];
  /** `server`: the EpollServer, if one is debugged. */
  server?: unknown;
}

/** @throws whatever the expression throws */
export function evaluate(expression: string, scope: ExpressionScope): unknown {
  const entries = scope.entries.map((entry) => ({
    ...entry,
    mask: entry.mask === undefined ? undefined : formatMask(entry.mask),
  }));
  const names = {
    event: scope.event,
    events: scope.ready,
    iteration: scope.iteration,
    ep: scope.epfd,
    fds: Object.fromEntries(entries.map((entry) => [entry.fd, entry])),
    fd: (number: number) => entries.find((entry) => entry.fd === number),
    server: scope.server,
  };
  // oxlint-disable-next-line typescript/no-implied-eval -- users evaluate expressions in their own process, at their own terminal
  return new Function(...Object.keys(names), `return (${expression}\n)`)(...Object.values(names));
}

/** Returns the value of an expression as text. An error becomes a line that begins with `***`, as in pdb. */
export function describeValue(expression: string, scope: ExpressionScope): string {
  try {
    return Bun.inspect(evaluate(expression, scope));
  } catch (error) {
    return `*** ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
  }
}
