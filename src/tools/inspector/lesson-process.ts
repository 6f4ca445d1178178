// Lessons in their own processes, so that one can use up all file descriptors without affecting the inspector.

import type { LessonReport } from "../lessons/lesson-report.ts";

const TIMEOUT_MS = 30_000;
const MAX_RUNNING = 2;

/** The EMFILE lesson opens file descriptors up to the limit; a low limit keeps it fast. */
const withFdLimit = Bun.which("sh") === null ? [] : ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh"];

let running = 0;

/**
 * Runs `epoll-hello lesson ID --json` and returns its report.
 *
 * @param command the command line that starts epoll-hello
 * @throws {Error} if too many lessons are running, or the lesson fails or times out
 */
export async function runLessonProcess(command: readonly string[], id: string): Promise<LessonReport> {
  if (running >= MAX_RUNNING) throw new Error(`${MAX_RUNNING} lessons are already running: wait for one to finish`);
  running++;
  try {
    const child = Bun.spawn([...withFdLimit, ...command, "lesson", id, "--json"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (stdout === "") {
      const reason = stderr.trim() || `it timed out after ${TIMEOUT_MS / 1_000} s`;
      throw new Error(`the lesson failed with exit code ${exitCode}: ${reason}`);
    }
    return JSON.parse(stdout) as LessonReport;
  } finally {
    running--;
  }
}
