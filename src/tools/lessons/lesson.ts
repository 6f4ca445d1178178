// What a lesson is: a small program on real sockets, told step by step, whose every claim is checked against the kernel.

import type { TraceEvent } from "../../trace/events.ts";
import type { LessonRunner } from "./lesson-runner.ts";

export interface LessonInfo {
  id: string;
  title: string;
  /** What there is to learn, in a sentence. */
  point: string;
}

export interface Lesson extends LessonInfo {
  run(stage: LessonRunner): void | Promise<void>;
}

/** A claim, and what the kernel has answered. */
export interface LessonCheck {
  claim: string;
  wanted: string;
  found: string;
  holds: boolean;
}

/** Asked before the events of the step are shown. */
export interface LessonQuestion {
  ask: string;
  choices: string[];
  /** Which one it is, as the kernel has answered. */
  answer: number;
}

export interface LessonStep {
  title: string;
  text: string;
  checks: LessonCheck[];
  question: LessonQuestion | undefined;
  /** Its last event. */
  seq: number;
}

/** A lesson that was run, from beginning to end. */
export interface LessonReport extends LessonInfo {
  steps: LessonStep[];
  /** All that the kernel was asked. */
  events: TraceEvent[];
  holds: boolean;
  /** It ended too early, by this. */
  error: string | undefined;
}
