// The lessons: the kernel confirms each claim, nothing is left behind, and one that claims what is not so is found out.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { LessonReport } from "../../src/tools/lessons/lesson.ts";
import { LESSONS, runLesson } from "../../src/tools/lessons/all-lessons.ts";
import { LessonRunner } from "../../src/tools/lessons/lesson-runner.ts";
import { leavesNoFd } from "../support/fds.ts";
import { cli, run } from "../support/programs.ts";

setDefaultTimeout(60_000);

test("there is one for each of the things that programs with epoll get wrong", () => {
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

describe.each(LESSONS.map(({ id }) => id))("%s", (id) => {
  test("the kernel confirms each claim, and all that was opened is closed", () =>
    leavesNoFd(async () => {
      const report = (await runLesson(id)) as LessonReport;
      expect(report.error).toBeUndefined();
      const refuted = report.steps.flatMap(({ title, checks }) =>
        checks.filter(({ holds }) => !holds).map((check) => ({ title, ...check })),
      );
      expect(refuted).toEqual([]);
      expect(report.holds).toBe(true);
    }));

  test("it asks something, and shows the events of its steps, in order", async () => {
    const { steps, events } = (await runLesson(id)) as LessonReport;
    const questions = steps.flatMap(({ question }) => question ?? []);
    expect(questions.length).toBeGreaterThan(0);
    for (const { choices, answer } of questions) {
      expect(choices.length).toBeGreaterThan(1);
      expect(choices[answer]).toBeString();
    }
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    const ends = steps.map(({ seq }) => seq);
    expect(ends).toEqual(ends.toSorted((a, b) => a - b));
    expect(ends.at(-1)).toBe(events.length);
    for (const { title, text, checks } of steps) {
      expect([title, text, checks.length > 0].every(Boolean)).toBe(true);
    }
  });
});

test("a claim that is not so, and a program that fails, are told", async () => {
  const info = { id: "wrong", title: "wrong", point: "none" };
  const wrong = await new LessonRunner().play({
    ...info,
    run(stage) {
      stage.step("one", "text");
      stage.check("two and two", 2 + 2, 5);
    },
  });
  expect(wrong.holds).toBe(false);
  expect(wrong.steps[0]?.checks).toEqual([{ claim: "two and two", wanted: "5", found: "4", holds: false }]);
  const failed = await new LessonRunner().play({
    ...info,
    run(stage) {
      stage.step("one", "text");
      throw new Error("a fuse has blown");
    },
  });
  expect(failed).toMatchObject({ holds: false, error: "a fuse has blown" });
});

test("epoll-hello lesson: a list; one as text, with the kernel's answers; one as JSON", async () => {
  const list = await run(["bun", cli, "lesson"]);
  expect(list).toMatchObject({ code: 0, stderr: "" });
  expect(list.stdout).toMatch(/^level-edge +Level against edge$/m);
  const text = await run(["bun", cli, "lesson", "level-edge"]);
  expect(text.code).toBe(0);
  expect(text.stdout).toMatch(/^#2 epoll_wait\(\d+, 50\) = \[\(\d+, EPOLLIN\)\]/m);
  expect(text.stdout).toContain("   What does epoll_wait return? [(level, EPOLLIN)]\n");
  expect(text.stdout).toContain("   ok: and yet there are bytes to read on edge 3\n");
  const json = await run(["bun", cli, "lesson", "hup-rdhup", "--json"]);
  expect(JSON.parse(json.stdout)).toMatchObject({ id: "hup-rdhup", holds: true });
});

test.each([
  [["lesson", "nonsense"], /unknown lesson "nonsense"; available lessons: hello, partial-write/],
  [["lesson", "hello", "more"], /unexpected argument "more"/],
  [["lesson", "--jason"], /unknown flag --jason/],
  [["--quiet", "lesson"], /lesson must come first: epoll-hello lesson/],
])("%p: exit 2, and what to do", async (args, message) => {
  const { code, stderr } = await run(["bun", cli, ...args]);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});
