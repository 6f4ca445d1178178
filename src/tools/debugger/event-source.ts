// The event sources of a debugging session: a live target, or a recorded trace.

import type { TraceEvent } from "../../trace/events.ts";
import type { KernelView } from "../../trace/kernel-view.ts";
import { Evaluator, type ExpressionScope, interruptible, isInterruption } from "./evaluate.ts";
import { FdTable } from "./fd-table.ts";
import { StopConditions } from "./stop-conditions.ts";
import type { Breakpoint, Controller, RunMode, SourceLocation, Stop, StopReason } from "./thread-messages.ts";

export interface TraceSource {
  /** Where a live target listens; undefined for a recorded trace. */
  readonly location: SourceLocation | undefined;
  readonly isRunning: boolean;
  /** The last pause, or the end; undefined while it runs. */
  readonly stop: Stop | undefined;
  /** Resolves at the next pause or the end; immediately if it is paused. */
  readonly stopped: Promise<Stop>;
  /** Whether an expression is being evaluated while the target is paused. */
  readonly isEvaluating: boolean;
  /** The exit code of a program that has ended. */
  readonly exitCode: number | undefined;
  /** The signal that has ended a program. */
  readonly signal: string | undefined;
  /** The process that is traced; undefined: a loop of this process, or a recorded trace. */
  readonly pid: number | undefined;
  /** The breakpoints that were set on the inspector's page. */
  readonly pageBreakpoints: readonly Breakpoint[];
  /** Resumes; resolves at the next pause or the end. */
  go(mode: RunMode, by: Controller): Promise<Stop>;
  /** Pauses: immediately if the target waits, otherwise after its next event. */
  pause(by: Controller): void;
  setBreakpoints(breakpoints: readonly Breakpoint[]): void;
  /** Runs JavaScript; returns the value of its last expression as text. */
  evaluate(code: string): Promise<string>;
  /** Makes the running evaluation throw. */
  interruptEvaluation(): void;
  /** Returns the names of the properties of an expression's value; the names in scope if the expression is empty. */
  propertyNames(expression: string): Promise<string[]>;
  /** Returns the kernel's view of a process of a live target. */
  kernelOf(pid: number | undefined): KernelView;
  /** Describes what a target does that does not pause. */
  describeActivity(): string;
  /** @param isForced without waiting until the server has closed its connections */
  end(isForced: boolean): Promise<void>;
}

/** A recorded trace, paused at its first wait. */
export class RecordedTrace implements TraceSource {
  readonly location = undefined;
  readonly isRunning = false;
  readonly isEvaluating = false;
  readonly exitCode = undefined;
  readonly signal = undefined;
  readonly pid = undefined;
  readonly pageBreakpoints: readonly Breakpoint[] = [];
  readonly #events: readonly TraceEvent[];
  readonly #onEvents: (events: readonly TraceEvent[]) => void;
  readonly #fdTable = new FdTable();
  readonly #stopConditions: StopConditions;
  readonly #evaluator: Evaluator;
  /** The number of events that have been played. */
  #position = 0;
  #stop: Stop;

  /**
   * @param onEvents called with the events that have been played since the last stop
   * @param onSettled called when a promise of an evaluated expression has settled
   */
  constructor(
    events: readonly TraceEvent[],
    onEvents: (events: readonly TraceEvent[]) => void,
    onSettled: (text: string) => void,
  ) {
    this.#events = events;
    this.#onEvents = onEvents;
    this.#evaluator = new Evaluator(onSettled);
    this.#stopConditions = new StopConditions(
      { kind: "next" },
      {
        isTrue: (condition) => this.#evaluator.isTrue(condition, this.#scope),
        valueOf: (expression) => this.#evaluator.describeValue(expression, this.#scope),
      },
    );
    this.#stop = this.#play();
  }

  get stop(): Stop {
    return this.#stop;
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

  setBreakpoints(breakpoints: readonly Breakpoint[]): void {
    this.#stopConditions.breakpoints = [...breakpoints];
  }

  evaluate(code: string): Promise<string> {
    return Promise.resolve(this.#evaluator.run(code, this.#scope));
  }

  interruptEvaluation(): void {}

  kernelOf(): KernelView {
    throw new Error("not available for a recorded trace, which has no kernel state");
  }

  propertyNames(expression: string): Promise<string[]> {
    return Promise.resolve(this.#evaluator.propertyNames(expression, this.#scope));
  }

  describeActivity(): string {
    return "";
  }

  async end(): Promise<void> {}

  /** Plays events up to the next stop. SIGINT ends it, as a long trace or a condition that never returns may require. */
  #play(): Stop {
    const start = this.#position;
    let reason: StopReason | undefined;
    try {
      reason = interruptible(() => this.#playToStop());
    } catch (error) {
      if (!isInterruption(error)) throw error;
      reason = { kind: "pause" };
    }
    this.#onEvents(this.#events.slice(start, this.#position));
    return this.#stopAt(this.#events[this.#position - 1], reason ?? { kind: "ended" });
  }

  #playToStop(): StopReason | undefined {
    for (let event; (event = this.#events[this.#position]) !== undefined;) {
      this.#position++;
      this.#fdTable.apply(event);
      const reason = this.#stopConditions.reasonToStop(event);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  #stopAt(event: TraceEvent | undefined, reason: StopReason): Stop {
    const hasEnded = reason.kind === "ended";
    const breakpoint = hasEnded ? undefined : this.#stopConditions.hit;
    return { event, breakpoint, hasEnded, reason, by: "prompt", stack: [] };
  }

  get #scope(): ExpressionScope {
    const { ready, iteration, epfd, entries } = this.#fdTable;
    return { event: this.#events[this.#position - 1], ready, iteration, epfd, entries };
  }
}
