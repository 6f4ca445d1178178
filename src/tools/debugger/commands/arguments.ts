// Arguments of the debugger's commands, and the iteration, target or fd that a command applies to.

import type { TraceEvent } from "../../../trace/events.ts";
import type { DebuggerContext } from "../context.ts";
import type { Iteration } from "../iteration-history.ts";
import type { Breakpoint, SourceLocation } from "../thread-messages.ts";

/**
 * Parses a number of at most nine digits.
 *
 * @throws {Error} with the usage of the command
 */
export function parseNumber(text: string, usage: string): number {
  if (text === "") throw new Error(`usage: ${usage}`);
  if (!/^\d{1,9}$/.test(text)) throw new Error(`usage: ${usage} (${JSON.stringify(text)} is not a number)`);
  return Number(text);
}

/** An fd of a process. `pid` is undefined if it is one of this process. */
export interface ProcessFd {
  fd: number;
  pid: number | undefined;
}

/**
 * Parses an fd, `5`, or one of another process than that of the last event, `4711:5`.
 *
 * @throws {Error} with the usage of the command
 */
export function parseFd(text: string, { event, history }: DebuggerContext, usage: string): ProcessFd {
  const [, process, number] = /^(\d{1,7}):(\d{1,9})$/.exec(text) ?? [];
  if (process !== undefined && number !== undefined) return { fd: Number(number), pid: Number(process) };
  return { fd: parseNumber(text, usage), pid: event?.pid ?? history.table.pid };
}

/** Returns the breakpoints with these ids, which are separated by spaces or commas. */
export function findBreakpoints(context: DebuggerContext, ids: string): Breakpoint[] {
  const wanted = ids.split(/[\s,]+/).filter((id) => id !== "");
  if (wanted.length === 0) throw new Error("the number of a breakpoint is missing: b lists the breakpoints");
  return wanted.map((wantedId) => {
    const breakpoint = context.breakpoints.find(({ id }) => String(id) === wantedId);
    if (breakpoint === undefined) throw new Error(`no breakpoint ${wantedId}: b lists the breakpoints`);
    return breakpoint;
  });
}

/** Returns the source position that is viewed: of the selected call, of the last event, or of the past iteration's last event. */
export function currentPosition({ viewed, event, stack, frame }: DebuggerContext): string | undefined {
  if (viewed !== undefined) return viewed.events.findLast(({ at }) => at !== undefined)?.at;
  const selected = stack[frame];
  return selected === undefined ? event?.at : `${selected.file}:${selected.line}`;
}

/** Returns the iteration that is viewed, or else the current one. */
export function viewedIteration({ viewed, history }: DebuggerContext): Iteration {
  const iteration = viewed ?? history.last;
  if (iteration === undefined) throw new Error("no event has happened yet");
  return iteration;
}

/** Returns where the target listens. Throws if there is no running target. */
export function liveLocation({ source, hasEnded }: DebuggerContext): SourceLocation {
  if (source.location === undefined) {
    throw new Error("not available for a recorded trace, which has no kernel state and accepts no clients");
  }
  if (hasEnded) throw new Error("the program has ended");
  return source.location;
}

/** Returns the fd that is being dispatched: that of the event, or the first one of the ready list. */
export function dispatchedFd(event: TraceEvent | undefined): ProcessFd {
  if (event === undefined) throw new Error("no event has happened yet");
  if (event.type === "wait") {
    const [[fd] = [undefined]] = event.events;
    if (fd === undefined) throw new Error("no fd is being dispatched: the ready list is empty");
    return { fd, pid: event.pid };
  }
  if ("fd" in event && event.fd !== null && event.fd !== undefined) return { fd: event.fd, pid: event.pid };
  throw new Error("no fd is being dispatched");
}
