// What a debugging session steps through: a live server, or a trace that was saved.

import type { TraceEvent } from "../../trace/events.ts";
import { describeValue } from "./evaluate.ts";
import type { Breakpoint, RunMode, SourceLocation, Stop } from "./thread-messages.ts";
import { holds, StopConditions } from "./stop-conditions.ts";
import { FdTable } from "./fd-table.ts";

export interface TraceSource {
  readonly place: SourceLocation | undefined;
  readonly stopped: Promise<Stop>;
  go(mode: RunMode): Promise<Stop>;
  pause(): void;
  setBreakpoints(breakpoints: readonly Breakpoint[]): void;
  evaluate(expression: string): Promise<string>;
  end(): Promise<void>;
}

/** A trace that was saved, from its first wait on. */
export class RecordedTrace implements TraceSource {
  readonly place = undefined;
  readonly #events: readonly TraceEvent[];
  readonly #onEvents: (events: readonly TraceEvent[]) => void;
  readonly #table = new FdTable();
  readonly #stops: StopConditions;
  #at = 0;
  #stop: Stop;

  constructor(events: readonly TraceEvent[], onEvents: (events: readonly TraceEvent[]) => void) {
    this.#events = events;
    this.#onEvents = onEvents;
    this.#stops = new StopConditions({ kind: "next" }, (condition) => holds(condition, this.#view()));
    this.#stop = this.#play();
  }

  get stopped(): Promise<Stop> {
    return Promise.resolve(this.#stop);
  }

  go(mode: RunMode): Promise<Stop> {
    this.#stops.mode = mode;
    this.#stop = this.#play();
    return this.stopped;
  }

  pause(): void {}

  setBreakpoints(breakpoints: readonly Breakpoint[]): void {
    this.#stops.breakpoints = [...breakpoints];
  }

  evaluate(expression: string): Promise<string> {
    return Promise.resolve(describeValue(expression, this.#view()));
  }

  async end(): Promise<void> {}

  #play(): Stop {
    const begun = this.#at;
    for (let event; (event = this.#events[this.#at]) !== undefined;) {
      this.#at++;
      this.#table.see(event);
      if (!this.#stops.at(event)) continue;
      this.#onEvents(this.#events.slice(begun, this.#at));
      return { event, breakpoint: this.#stops.hit, hasEnded: false };
    }
    this.#onEvents(this.#events.slice(begun));
    return { event: this.#events.at(-1), breakpoint: undefined, hasEnded: true };
  }

  #view(): Parameters<typeof describeValue>[1] {
    const { ready, iteration, epfd, entries } = this.#table;
    return { event: this.#events[this.#at - 1], ready, iteration, epfd, entries };
  }
}
