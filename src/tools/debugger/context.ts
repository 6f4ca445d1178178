// The interfaces between the debugger's commands and the session that runs them.

import type { TraceEvent } from "../../trace/events.ts";
import type { TraceSource } from "./event-source.ts";
import type { Iteration, IterationHistory } from "./iteration-history.ts";
import type { SourceViewer } from "./source-viewer.ts";
import type { TestClients } from "./test-clients.ts";
import type { Breakpoint, RunMode, StackFrame } from "./thread-messages.ts";

/** A debugging session, as the commands see it. */
export interface DebuggerContext {
  readonly source: TraceSource;
  readonly history: IterationHistory;
  readonly clients: TestClients;
  readonly sources: SourceViewer;
  /** The breakpoints of the prompt. Call `updateBreakpoints` after a change. */
  readonly breakpoints: readonly Breakpoint[];
  /** The expressions that are displayed at each pause, with their last values. */
  readonly displays: Map<string, string>;
  /** Print masks as numbers. */
  readonly isNumeric: boolean;
  /** The event after which the loop is paused. */
  readonly event: TraceEvent | undefined;
  readonly hasEnded: boolean;
  /** The calls of the program that led to the pause, the innermost first. Empty for a recorded trace. */
  readonly stack: readonly StackFrame[];
  /** The index of the selected frame in `stack`. */
  frame: number;
  /** The past iteration that is viewed; undefined: the current one. */
  viewed: Iteration | undefined;
  /** Set to end the session. */
  isOver: boolean;

  /** Prints one or more lines. */
  print(text: string): void;
  /** Asks a question that is answered with y or n. Without a terminal, the answer is `ifNobodyAnswers`. */
  confirm(question: string, ifNobodyAnswers: boolean): Promise<boolean>;
  format(event: TraceEvent): string | undefined;
  /** Resumes the loop, and prints where it pauses next. */
  go(mode: RunMode): Promise<void>;
  /** Runs JavaScript in the debugged thread, or for the iteration that is viewed; returns the value as text. */
  evaluate(code: string): Promise<string>;
  addBreakpoint(breakpoint: Pick<Breakpoint, "on" | "value" | "condition" | "isTemporary">): Breakpoint;
  deleteBreakpoint(breakpoint: Breakpoint): void;
  updateBreakpoints(): void;
  /** Collects the lines that follow, up to `end`, as the commands of a breakpoint. */
  collectCommands(breakpoint: number): void;
  /** Starts the server or the program again. Breakpoints and displays are kept. */
  restart(): Promise<void>;
}

/** A command of the prompt. */
export interface Command {
  /** The names of the command, the shortest first. */
  names: readonly string[];
  /** With a space if the command takes arguments. */
  usage: string;
  help: string;
  /** False if a blank line must not run the command again, because it has side effects. Default: true. */
  isRepeatable?: boolean;
  /** Whether the command can be used while the program runs. Default: false. */
  worksWhileRunning?: boolean;
  /** Whether the command resumes the program. Default: false. */
  resumes?: boolean;
  run(context: DebuggerContext, argument: string): void | Promise<void>;
}
