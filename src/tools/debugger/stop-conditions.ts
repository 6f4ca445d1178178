// The conditions for a pause, checked after each event: the run mode, a pause request, a breakpoint or a watched expression.

import type { TraceEvent } from "../../trace/events.ts";
import { hasLine } from "../../trace/format.ts";
import { concerns } from "./concerns.ts";
import type { Breakpoint, RunMode, StopReason } from "./thread-messages.ts";

/** Evaluates the expressions of breakpoints. */
export interface BreakpointExpressions {
  /** @throws whatever the expression throws */
  isTrue(condition: string): boolean;
  /** Returns the value of an expression as text. An error becomes text as well. */
  valueOf(expression: string): string;
}

export class StopConditions {
  /** Pause after the next event, whatever it is. */
  isPausing: boolean = false;
  /** The id of the breakpoint that was hit by the last event. */
  hit: number | undefined;

  readonly #expressions: BreakpointExpressions;
  #mode: RunMode;
  /** How many more times the mode has to be reached. */
  #remaining: number;
  #breakpoints: Breakpoint[] = [];
  /** The last value of each watched expression, by breakpoint id. */
  readonly #watched = new Map<number, string>();

  constructor(mode: RunMode, expressions: BreakpointExpressions) {
    this.#mode = mode;
    this.#remaining = countOf(mode);
    this.#expressions = expressions;
  }

  get mode(): RunMode {
    return this.#mode;
  }

  set mode(mode: RunMode) {
    this.#mode = mode;
    this.#remaining = countOf(mode);
  }

  get breakpoints(): Breakpoint[] {
    return this.#breakpoints;
  }

  set breakpoints(breakpoints: Breakpoint[]) {
    this.#breakpoints = breakpoints;
    const watches = breakpoints.filter(({ on }) => on === "watch");
    for (const id of this.#watched.keys()) if (!watches.some((watch) => watch.id === id)) this.#watched.delete(id);
    for (const { id, value } of watches) {
      if (!this.#watched.has(id)) this.#watched.set(id, this.#expressions.valueOf(String(value)));
    }
  }

  /** Returns why to pause after this event; undefined to continue. */
  reasonToStop(event: TraceEvent): StopReason | undefined {
    if (!hasLine(event)) return undefined; // there would be nothing to print
    this.hit = undefined;
    const reason = this.#breakpointReason(event) ?? this.#modeReason(event);
    if (reason !== undefined) this.isPausing = false;
    return reason;
  }

  #modeReason(event: TraceEvent): StopReason | undefined {
    if (this.isPausing) return { kind: "pause" };
    return isReached(this.#mode, event) && --this.#remaining <= 0 ? { kind: "step" } : undefined;
  }

  /** Counts the hits of all breakpoints; returns the reason of the first one to pause at. */
  #breakpointReason(event: TraceEvent): StopReason | undefined {
    let first: StopReason | undefined;
    for (const breakpoint of this.#breakpoints) {
      const reason = breakpoint.isEnabled ? this.#check(breakpoint, event) : undefined;
      if (reason === undefined) continue;
      breakpoint.hits++;
      if (breakpoint.ignore > 0) {
        breakpoint.ignore--;
      } else if (first === undefined) {
        first = reason;
        this.hit = breakpoint.id;
      }
    }
    if (first === undefined || this.#mode.kind !== "continue" || --this.#remaining <= 0) return first;
    this.hit = undefined;
    return undefined;
  }

  #check(breakpoint: Breakpoint, event: TraceEvent): StopReason | undefined {
    const { id, on, value, condition } = breakpoint;
    let reason: StopReason = { kind: "breakpoint" };
    if (on === "watch") {
      const before = this.#watched.get(id);
      const now = this.#expressions.valueOf(String(value));
      if (now === before) return undefined;
      this.#watched.set(id, now);
      reason = { kind: "watch", detail: `${value}: ${before} -> ${now}` };
    } else if (!matches(breakpoint, event)) {
      return undefined;
    }
    if (condition === undefined) return reason;
    try {
      return this.#expressions.isTrue(condition) ? reason : undefined;
    } catch (error) {
      return { kind: "failed-condition", detail: `the condition ${condition} failed: ${error}` };
    }
  }
}

function countOf(mode: RunMode): number {
  return ("count" in mode && mode.count) || 1;
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
      return event.type === "wait" || !concerns(event, mode.fd, mode.pid);
    case "continue":
      return false;
  }
}

/** Returns whether a position, such as `/home/me/server.ts:42`, is the line of a breakpoint, such as `server.ts:42`. */
export function isAtLine(position: string, line: string): boolean {
  return position === line || position.endsWith(`/${line}`);
}

function matches({ on, value }: Breakpoint, event: TraceEvent): boolean {
  switch (on) {
    case "fd":
      return concerns(event, Number(value));
    case "pid":
      return event.pid === value;
    case "tid":
      return event.tid === value;
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
    case "line":
      return event.at !== undefined && isAtLine(event.at, String(value));
    case "watch":
      return false; // decided by its value
  }
}
