// The interfaces between the debugger's commands and the session that runs them.

import type { TraceEvent } from "../../trace/events.ts";
import type { TraceSource } from "./event-source.ts";
import type { Iteration, IterationHistory } from "./iteration-history.ts";
import type { TestClients } from "./test-clients.ts";
import type { Breakpoint, RunMode } from "./thread-messages.ts";

/** A debugging session, as the commands see it. */
export interface DebuggerContext {
  readonly source: TraceSource;
  readonly history: IterationHistory;
  readonly clients: TestClients;
  /** All breakpoints. Call `updateBreakpoints` after a change. */
  readonly breakpoints: readonly Breakpoint[];
  /** The expressions that are displayed at each pause, with their last values. */
  readonly displays: Map<string, string>;
  /** Print masks as numbers. */
  readonly isNumeric: boolean;
  /** The event after which the loop is paused. */
  readonly event: TraceEvent | undefined;
  readonly hasEnded: boolean;
  /** The past iteration that is viewed; undefined: the current one. */
  viewed: Iteration | undefined;
  /** Set to end the session. */
  isOver: boolean;

  /** Prints one or more lines. */
  print(text: string): void;
  format(event: TraceEvent): string | undefined;
  /** Resumes the loop, and prints where it pauses next. */
  go(mode: RunMode): Promise<void>;
  addBreakpoint(breakpoint: Pick<Breakpoint, "on" | "value" | "condition" | "isTemporary">): Breakpoint;
  deleteBreakpoint(breakpoint: Breakpoint): void;
  updateBreakpoints(): void;
  /** Collects the lines that follow, up to `end`, as the commands of a breakpoint. */
  collectCommands(breakpoint: number): void;
}

/** A command of the prompt. */
export interface Command {
  /** The names of the command, the shortest first. */
  names: readonly string[];
  usage: string;
  help: string;
  run(context: DebuggerContext, argument: string): void | Promise<void>;
}
