// epoll-hello lesson: a small program on real sockets, told step by step, with what the kernel has answered.

import { formatEvent } from "../../../index.ts";
import type { LessonReport } from "../../lessons/lesson-report.ts";
import { LESSONS, runLesson } from "../../lessons/all-lessons.ts";
import { UsageError } from "../command-line.ts";
import { flushLines, printLine, wrap } from "../stdout.ts";

/** Run one, and show it, or list them; returns the exit code: 1 if the kernel has answered something else. */
export async function lesson(id: string | undefined, isJson: boolean): Promise<number> {
  if (id === undefined) {
    const width = Math.max(...LESSONS.map((one) => one.id.length));
    for (const one of LESSONS) printLine(isJson ? JSON.stringify(one) : `${one.id.padEnd(width)}  ${one.title}`);
    return 0;
  }
  const report = await runLesson(id);
  if (report === undefined) {
    throw new UsageError(`there is no lesson ${JSON.stringify(id)}: ${LESSONS.map((one) => one.id).join(", ")}`);
  }
  if (isJson) printLine(JSON.stringify(report));
  else for (const line of text(report)) printLine(line);
  flushLines();
  return report.holds ? 0 : 1;
}

function text({ title, point, steps, events, error }: LessonReport): string[] {
  let shown = 0;
  return [
    title,
    ...wrap(point),
    ...steps.flatMap(({ title, text, checks, question, seq }, i) => {
      const mine = events.slice(shown, events.findLastIndex((event) => event.seq <= seq) + 1);
      shown += mine.length;
      const lines = mine.flatMap((event) => formatEvent(event) ?? []);
      return [
        "",
        `${i + 1}. ${title}`,
        ...wrap(text),
        ...abridged(lines),
        ...checks
          .filter(({ claim }) => claim !== question?.prompt)
          .map(({ claim, expected, actual, holds }) =>
            holds ? `   ok: ${claim} ${actual}` : `   NOT SO: ${claim} ${actual}, not ${expected}`,
          ),
        ...(question === undefined
          ? []
          : [`   ${question.prompt} ${question.choices[question.answer] ?? "something else"}`]),
      ];
    }),
    ...(error === undefined ? [] : ["", `It ended here: ${error}`]),
  ];
}

const MOST_LINES = 16;

/** A lesson about a loop that spins has more lines than anybody reads. */
function abridged(lines: string[]): string[] {
  if (lines.length <= MOST_LINES) return lines;
  const half = MOST_LINES / 2;
  return [...lines.slice(0, half), `      ... ${lines.length - 2 * half} lines more`, ...lines.slice(-half)];
}
