// epoll-hello lesson: runs a lesson on real sockets, and prints its steps with the kernel's results.

import { formatEvent } from "../../../index.ts";
import { suggest } from "../../../kernel/suggest.ts";
import { LESSONS, runLesson } from "../../lessons/all-lessons.ts";
import { isStatement, type LessonCheck, type LessonReport } from "../../lessons/lesson-report.ts";
import { formatTable } from "../../table.ts";
import { UsageError } from "../command-line.ts";
import { EXIT_FAILURE } from "../exit-codes.ts";
import { flushLines, printLine } from "../stdout.ts";
import { wrap } from "../wrap.ts";

/** Runs a lesson, or lists all of them. Returns the exit code: 1 if the kernel returned something unexpected. */
export async function lesson(id: string | undefined, isJson: boolean): Promise<number> {
  if (id === undefined) {
    const lines = isJson
      ? LESSONS.map((one) => JSON.stringify(one))
      : formatTable(LESSONS.map(({ id: name, title }) => [name, title]));
    for (const line of lines) printLine(line);
    return 0;
  }
  const report = await runLesson(id);
  if (report === undefined) throw unknownLesson(id);
  if (isJson) printLine(JSON.stringify(report));
  else for (const line of formatLesson(report)) printLine(line);
  flushLines();
  return report.holds ? 0 : EXIT_FAILURE;
}

function unknownLesson(id: string): UsageError {
  const names = LESSONS.map((one) => one.id);
  const suggestion = suggest(id, names);
  const hint = suggestion === undefined ? `available lessons: ${names.join(", ")}` : `did you mean "${suggestion}"?`;
  return new UsageError(`unknown lesson ${JSON.stringify(id)}; ${hint}`);
}

function formatLesson({ title, point, steps, events, error }: LessonReport): string[] {
  let shown = 0;
  return [
    title,
    ...wrap(point),
    ...steps.flatMap(({ title: stepTitle, text, checks, seq }, i) => {
      const ofStep = events.slice(shown, events.findLastIndex((event) => event.seq <= seq) + 1);
      shown += ofStep.length;
      const lines = ofStep.flatMap((event) => formatEvent(event) ?? []);
      return ["", `${i + 1}. ${stepTitle}`, ...wrap(text), ...abridged(lines), ...checks.map(formatCheck)];
    }),
    ...(error === undefined ? [] : ["", `The lesson ended with an error: ${error}`]),
  ];
}

function formatCheck(check: LessonCheck): string {
  const { claim, expected, actual, holds } = check;
  if (isStatement(check)) return `   ${holds ? "ok" : "FAILED"}: ${claim}`;
  return holds ? `   ok: ${claim} ${actual}` : `   FAILED: ${claim} ${actual}, expected ${expected}`;
}

const MAX_LINES = 16;

/** Omits the middle of a long list of events, such as those of a loop that spins. */
function abridged(lines: string[]): string[] {
  if (lines.length <= MAX_LINES) return lines;
  const half = MAX_LINES / 2;
  return [...lines.slice(0, half), `      ... ${lines.length - 2 * half} more lines`, ...lines.slice(-half)];
}
