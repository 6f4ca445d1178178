// The event sources of a debugging session: a live target, or a recorded trace.

import type { TraceEvent } from "../../trace/events.ts";
import { findSourceFile } from "../source-lines.ts";
import { describeValue, type ExpressionScope } from "./evaluate.ts";
import { FdTable } from "./fd-table.ts";
import { isTrue, StopConditions } from "./stop-conditions.ts";
import type { Breakpoint, RunMode, SourceLocation, Stop } from "./thread-messages.ts";

export interface TraceSource {
  /** Where a live target listens; undefined for a recorded trace. */
  readonly location: SourceLocation | undefined;
  /** Returns whether a source file may be read. A recorded trace may name any file, and opens only those of its program. */
  canReadSource(file: string): boolean;
  /** Resolves at the next pause or the end; immediately if it is paused. */
  readonly stopped: Promise<Stop>;
  /** Resumes; resolves at the next pause or the end. */
  go(mode: RunMode): Promise<Stop>;
  /** Pauses after the next event. */
  pause(): void;
  setBreakpoints(breakpoints: readonly Breakpoint[]): void;
  /** Returns the value of an expression as text. */
  evaluate(expression: string): Promise<string>;
  end(): Promise<void>;
}

/** A recorded trace, paused at its first wait. */
export class RecordedTrace implements TraceSource {
  readonly location = undefined;
  readonly #events: readonly TraceEvent[];
  readonly #onEvents: (events: readonly TraceEvent[]) => void;
  readonly #fdTable = new FdTable();
  readonly #stopConditions: StopConditions;
  /** The number of events that have been played. */
  #position = 0;
  #stop: Stop;

  /** @param onEvents called with the events that have been played since the last stop */
  constructor(events: readonly TraceEvent[], onEvents: (events: readonly TraceEvent[]) => void) {
    this.#events = events;
    this.#onEvents = onEvents;
    this.#stopConditions = new StopConditions({ kind: "next" }, (condition) => isTrue(condition, this.#scope));
    this.#stop = this.#play();
  }

  get stopped(): Promise<Stop> {
    return Promise.resolve(this.#stop);
  }

  go(mode: RunMode): Promise<Stop> {
    this.#stopConditions.mode = mode;
    this.#stop = this.#play();
    return this.stopped;
  }

  pause(): void {}

  canReadSource(file: string): boolean {
    const [first] = this.#events;
    return findSourceFile(file, first?.type === "begin" ? first.program : undefined) !== undefined;
  }

  setBreakpoints(breakpoints: readonly Breakpoint[]): void {
    this.#stopConditions.breakpoints = [...breakpoints];
  }

  evaluate(expression: string): Promise<string> {
    return Promise.resolve(describeValue(expression, this.#scope));
  }

  async end(): Promise<void> {}

  #play(): Stop {
    const start = this.#position;
    for (let event; (event = this.#events[this.#position]) !== undefined;) {
      this.#position++;
      this.#fdTable.apply(event);
      if (!this.#stopConditions.shouldStop(event)) continue;
      this.#onEvents(this.#events.slice(start, this.#position));
      return { event, breakpoint: this.#stopConditions.hit, hasEnded: false };
    }
    this.#onEvents(this.#events.slice(start));
    return { event: this.#events.at(-1), breakpoint: undefined, hasEnded: true };
  }

  get #scope(): ExpressionScope {
    const { ready, iteration, epfd, entries } = this.#fdTable;
    return { event: this.#events[this.#position - 1], ready, iteration, epfd, entries };
  }
}
