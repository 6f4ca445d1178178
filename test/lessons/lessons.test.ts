// The lessons: the kernel confirms every statement, everything is closed, and a wrong statement is detected.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { LESSONS, runLesson } from "../../src/tools/lessons/all-lessons.ts";
import type { LessonReport } from "../../src/tools/lessons/lesson-report.ts";
import { LessonRunner } from "../../src/tools/lessons/lesson-runner.ts";
import { leavesNoFd } from "../support/fds.ts";
import { cli, run } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);

test("cover the common mistakes in epoll programs", () => {
  expect(LESSONS.map(({ id }) => id)).toEqual([
    "hello",
    "partial-write",
    "forgotten-epollout",
    "level-edge",
    "one-shot",
    "hup-rdhup",
    "emfile",
    "slow-client",
    "fd-reuse",
    "thundering-herd",
  ]);
});

/** The correct answer to the question of each lesson. */
const ANSWERS: Record<string, string> = {
  hello: "EPOLLHUP",
  "partial-write": "fewer than 1,000,000",
  "forgotten-epollout": "[]",
  "level-edge": "[(level, EPOLLIN)]",
  "one-shot": "[]",
  "hup-rdhup": "[(conn, EPOLLIN|EPOLLRDHUP)]",
  emfile: "[]",
  "slow-client": "HTTP/1.1 408 Request Timeout",
  "fd-reuse": "the one that b had",
  "thundering-herd": "4",
};

describe.each(LESSONS.map(({ id }) => id))("%s", (id) => {
  test("every statement holds, and every fd is closed", () =>
    leavesNoFd(async () => {
      const report = (await runLesson(id)) as LessonReport;
      expect(report.error).toBeUndefined();
      const refuted = report.steps.flatMap(({ title, checks }) =>
        checks.filter(({ holds }) => !holds).map((check) => ({ title, ...check })),
      );
      expect(refuted).toEqual([]);
      expect(report.holds).toBe(true);
    }));

  test("asks a question, and reports the events of its steps in order", async () => {
    const { steps, events } = (await runLesson(id)) as LessonReport;
    const questions = steps.flatMap(({ question }) => question ?? []);
    expect(questions.map(({ choices, answer }) => choices[answer])).toEqual([ANSWERS[id]]);
    for (const { choices } of questions) expect(choices.length).toBeGreaterThan(1);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    const ends = steps.map(({ seq }) => seq);
    expect(ends).toEqual(ends.toSorted((a, b) => a - b));
    expect(ends.at(-1)).toBe(events.length);
    for (const { title, text, checks } of steps) {
      expect([title, text, checks.length > 0].every(Boolean)).toBe(true);
      const claims = checks.map(({ claim }) => claim);
      expect(new Set(claims).size).toBe(claims.length); // the page uses them as keys
    }
  });
});

const info = { id: "test", title: "Test", point: "None." };

test("a statement that is wrong is reported with the actual value", async () => {
  const report = await new LessonRunner().run({
    ...info,
    run(runner) {
      runner.step("Step", "Text.");
      runner.check("2 + 2 is", 2 + 2, 5);
      runner.confirm("1 is 1", [1].includes(1));
      runner.confirm("1 is 2", [2].includes(1));
      runner.ask("Is it?", ["yes", "no"], "perhaps");
    },
  });
  expect(report.holds).toBe(false);
  expect(report.steps[0]?.checks).toEqual([
    { claim: "2 + 2 is", expected: "5", actual: "4", holds: false },
    { claim: "1 is 1", expected: "true", actual: "true", holds: true },
    { claim: "1 is 2", expected: "true", actual: "false", holds: false },
    { claim: "Is it?", expected: "one of the choices", actual: "perhaps", holds: false },
  ]);
});

test("an error in a lesson is reported", async () => {
  const report = await new LessonRunner().run({
    ...info,
    run(runner) {
      runner.step("Step", "Text.");
      throw new Error("out of memory");
    },
  });
  expect(report).toMatchObject({ holds: false, error: "out of memory" });
});

test("epoll-hello lesson lists the lessons", async () => {
  const { code, stdout, stderr } = await run(["bun", cli, "lesson"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^level-edge +Level-triggered and edge-triggered$/m);
});

test("epoll-hello lesson ID prints the steps with the system calls and the kernel's answers", async () => {
  const { code, stdout } = await run(["bun", cli, "lesson", "level-edge"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^#2 epoll_wait\(\d+, 50\) = \[\(\d+, EPOLLIN\)\]/m);
  expect(stdout).toContain("   ok: What does epoll_wait return? [(level, EPOLLIN)]\n");
  expect(stdout).toContain("bytes left in the receive queue of edge: 3\n");
});

test.each(LESSONS.slice(0, scaled(3, LESSONS.length)).map(({ id }) => id))(
  "epoll-hello lesson %s marks every result, and shows no teardown",
  async (id) => {
    const { stdout } = await run(["bun", cli, "lesson", id]);
    const { steps } = (await runLesson(id)) as LessonReport;
    expect(stdout.match(/^ {3}ok: /gm)).toHaveLength(steps.flatMap(({ checks }) => checks).length);
    expect(stdout).not.toMatch(/: true$/m);
    expect(stdout).not.toMatch(/ close\(\d+\)\n {6}close\(/);
    expect(stdout).toMatch(/\n {3}ok: .*\n$/);
  },
);

test("does not print the data of a lesson that sends a lot of it", async () => {
  const { stdout } = await run(["bun", cli, "lesson", "partial-write"]);
  expect(stdout).toContain("send(");
  expect(stdout.length).toBeLessThan(10_000);
});

test("epoll-hello lesson ID --json prints the report", async () => {
  const { stdout } = await run(["bun", cli, "lesson", "hup-rdhup", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ id: "hup-rdhup", holds: true });
});

test.each([
  [["lesson", "nonsense"], /"nonsense"[^]*hello, partial-write/],
  [["lesson", "hello", "more"], /"more"/],
  [["lesson", "--jason"], /--jason/],
  [["--quiet", "lesson"], /epoll-hello lesson/],
])("%p exits with 2 and says what to do", async (args, message) => {
  const { code, stderr } = await run(["bun", cli, ...args]);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});
