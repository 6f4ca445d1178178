// A lesson in a process of its own, where it may use up all descriptors and nobody else is hurt.

import type { LessonReport } from "../lessons/lesson.ts";

const LONGEST_MS = 30_000;
const MOST_RUNNING = 2;

/** A lesson uses up all that it may have: let it be few. */
const fewDescriptors = Bun.which("sh") === null ? [] : ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh"];

let running = 0;

/**
 * Run `epoll-hello lesson ID --json`.
 *
 * @param command how this program is started
 * @throws {Error} if it fails, or takes too long
 */
export async function runLesson(command: readonly string[], id: string): Promise<LessonReport> {
  if (running >= MOST_RUNNING) throw new Error("other lessons are running: wait for them");
  running++;
  try {
    const child = Bun.spawn([...fewDescriptors, ...command, "lesson", id, "--json"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: LONGEST_MS,
      killSignal: "SIGKILL",
    });
    const [text, errors, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (text === "") throw new Error(`the lesson has failed (exit ${code}): ${errors.trim() || "it took too long"}`);
    return JSON.parse(text) as LessonReport;
  } finally {
    running--;
  }
}
