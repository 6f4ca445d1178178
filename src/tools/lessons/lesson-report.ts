// The report of a lesson that was run: its steps, the statements checked in each, and the traced system calls.

import type { TraceEvent } from "../../trace/events.ts";

export interface LessonInfo {
  id: string;
  title: string;
  /** What the lesson teaches, in one or two sentences. */
  point: string;
}

/** A statement, and whether the kernel confirmed it. */
export interface LessonCheck {
  claim: string;
  /** The value that the claim ends with; `"true"` for a claim that is complete without one. */
  expected: string;
  actual: string;
  holds: boolean;
}

/** A question that the reader answers before the result of the step is shown. */
export interface LessonQuestion {
  prompt: string;
  choices: string[];
  /** The index of the correct choice, as the kernel decided; -1 if none is correct. */
  answer: number;
}

export interface LessonStep {
  title: string;
  text: string;
  checks: LessonCheck[];
  question: LessonQuestion | undefined;
  /** The number of the last event of the step; 0 if nothing has been traced yet. */
  seq: number;
}

/** Whether a check's claim is complete without its value: "the send queue holds data". */
export function isStatement({ expected }: LessonCheck): boolean {
  return expected === "true";
}

export interface LessonReport extends LessonInfo {
  steps: LessonStep[];
  /** The traced system calls of all steps. */
  events: TraceEvent[];
  /** Whether every check holds and the lesson ran to its end. */
  holds: boolean;
  /** The error that ended the lesson early, if one did. */
  error: string | undefined;
}
