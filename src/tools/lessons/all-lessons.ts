// All lessons, in the recommended order.

import { emfile } from "./emfile.ts";
import { fdReuse } from "./fd-reuse.ts";
import { forgottenEpollout } from "./forgotten-epollout.ts";
import { hello } from "./hello.ts";
import { hupRdhup } from "./hup-rdhup.ts";
import type { LessonInfo, LessonReport } from "./lesson-report.ts";
import { type Lesson, LessonRunner } from "./lesson-runner.ts";
import { levelEdge } from "./level-edge.ts";
import { oneShot } from "./one-shot.ts";
import { partialWrite } from "./partial-write.ts";
import { slowClient } from "./slow-client.ts";
import { thunderingHerd } from "./thundering-herd.ts";

const lessons: readonly Lesson[] = [
  hello,
  partialWrite,
  forgottenEpollout,
  levelEdge,
  oneShot,
  hupRdhup,
  emfile,
  slowClient,
  fdReuse,
  thunderingHerd,
];

export const LESSONS: readonly LessonInfo[] = lessons.map(({ id, title, point }) => ({ id, title, point }));

/** Runs a lesson in this process. Returns undefined if there is no lesson with this id. */
export function runLesson(id: string): Promise<LessonReport> | undefined {
  const lesson = lessons.find((one) => one.id === id);
  return lesson === undefined ? undefined : new LessonRunner().run(lesson);
}
