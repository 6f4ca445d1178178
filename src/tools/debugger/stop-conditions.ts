// Whether a loop stops behind an event: how far it was told to go, and breakpoints.

import type { TraceEvent } from "../../trace/events.ts";
import { hasLine } from "../../trace/format.ts";
import { evaluate, type ExpressionScope } from "./evaluate.ts";
import type { Breakpoint, RunMode } from "./thread-messages.ts";

/** Whether an expression is true; one that fails is not. */
export function holds(condition: string, view: ExpressionScope): boolean {
  try {
    return Boolean(evaluate(condition, view));
  } catch {
    return false;
  }
}

export class StopConditions {
  mode: RunMode;
  /** At the next event, whatever it is. */
  isPausing: boolean = false;
  breakpoints: Breakpoint[] = [];
  /** The one that matched last. */
  hit: number | undefined;

  readonly #holds: (condition: string) => boolean;

  /** @param holds whether an expression is true */
  constructor(mode: RunMode, holds: (condition: string) => boolean) {
    this.mode = mode;
    this.#holds = holds;
  }

  at(event: TraceEvent): boolean {
    if (!hasLine(event)) return false; // there would be nothing to show
    this.hit = this.#breakAt(event);
    const isThere = this.isPausing || this.hit !== undefined || hasArrived(this.mode, event);
    if (isThere) this.isPausing = false;
    return isThere;
  }

  #breakAt(event: TraceEvent): number | undefined {
    let hit: number | undefined;
    for (const breakpoint of this.breakpoints) {
      if (!breakpoint.isEnabled || !matches(breakpoint, event)) continue;
      if (breakpoint.condition !== undefined && !this.#holds(breakpoint.condition)) continue;
      breakpoint.hits++;
      if (breakpoint.ignore > 0) breakpoint.ignore--;
      else hit ??= breakpoint.id;
    }
    return hit;
  }
}

function hasArrived(mode: RunMode, event: TraceEvent): boolean {
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

/** Whether an event is about a descriptor. */
export function concerns(event: TraceEvent, fd: number): boolean {
  if (event.type === "wait") return event.events.some(([one]) => one === fd);
  if (event.type === "create" || event.type === "accept") {
    return event.result === fd || (event.type === "accept" && event.fd === fd);
  }
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
