// The conditions for a pause, checked after each event: the run mode, a pause request, or a breakpoint.

import type { TraceEvent } from "../../trace/events.ts";
import { hasLine } from "../../trace/format.ts";
import { evaluate, type ExpressionScope } from "./evaluate.ts";
import type { Breakpoint, RunMode } from "./thread-messages.ts";

/** Returns whether an expression is true. An expression that throws counts as false. */
export function isTrue(condition: string, scope: ExpressionScope): boolean {
  try {
    return Boolean(evaluate(condition, scope));
  } catch {
    return false;
  }
}

export class StopConditions {
  mode: RunMode;
  /** Pause after the next event, whatever it is. */
  isPausing: boolean = false;
  breakpoints: Breakpoint[] = [];
  /** The id of the breakpoint that was hit by the last event. */
  hit: number | undefined;

  readonly #isTrue: (condition: string) => boolean;

  /** @param isTrue evaluates the condition of a breakpoint */
  constructor(mode: RunMode, isTrue: (condition: string) => boolean) {
    this.mode = mode;
    this.#isTrue = isTrue;
  }

  /** Returns whether to pause after this event. */
  shouldStop(event: TraceEvent): boolean {
    if (!hasLine(event)) return false; // there would be nothing to print
    this.hit = this.#hitBreakpoint(event);
    const shouldStop = this.isPausing || this.hit !== undefined || isReached(this.mode, event);
    if (shouldStop) this.isPausing = false;
    return shouldStop;
  }

  /** Counts the hits of all breakpoints; returns the id of the first one to pause at. */
  #hitBreakpoint(event: TraceEvent): number | undefined {
    let hit: number | undefined;
    for (const breakpoint of this.breakpoints) {
      if (!breakpoint.isEnabled || !matches(breakpoint, event)) continue;
      if (breakpoint.condition !== undefined && !this.#isTrue(breakpoint.condition)) continue;
      breakpoint.hits++;
      if (breakpoint.ignore > 0) breakpoint.ignore--;
      else hit ??= breakpoint.id;
    }
    return hit;
  }
}

function isReached(mode: RunMode, event: TraceEvent): boolean {
  switch (mode.kind) {
    case "step":
      return true;
    case "next":
      return event.type === "wait";
    case "until":
      return event.type === "wait" && event.iteration >= mode.iteration;
    case "return":
      return event.type === "wait" || !concerns(event, mode.fd);
    case "continue":
      return false;
  }
}

/** Returns whether an event is about an fd. */
export function concerns(event: TraceEvent, fd: number): boolean {
  if (event.type === "wait") return event.events.some(([ready]) => ready === fd);
  if (event.type === "create") return event.result === fd;
  if (event.type === "accept") return event.result === fd || event.fd === fd;
  return "fd" in event && event.fd === fd;
}

function matches({ on, value }: Breakpoint, event: TraceEvent): boolean {
  switch (on) {
    case "fd":
      return concerns(event, Number(value));
    case "mask":
      return event.type === "wait" && event.events.some(([, mask]) => (mask & Number(value)) !== 0);
    case "event":
      return event.type === value;
    case "errno":
      return "result" in event && event.result === -Number(value);
    case "iteration":
      return event.type === "wait" && event.iteration === value;
    case "state":
      return event.type === "state" && event.to === value;
  }
}
