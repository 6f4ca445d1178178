// The lessons, in the order in which they are best taken.

import { emfile } from "./emfile.ts";
import { fdReuse } from "./fd-reuse.ts";
import { forgottenEpollout } from "./forgotten-epollout.ts";
import { hello } from "./hello.ts";
import { hupRdhup } from "./hup-rdhup.ts";
import type { Lesson, LessonInfo, LessonReport } from "./lesson.ts";
import { levelEdge } from "./level-edge.ts";
import { oneShot } from "./one-shot.ts";
import { partialWrite } from "./partial-write.ts";
import { slowClient } from "./slow-client.ts";
import { LessonRunner } from "./lesson-runner.ts";
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

/** Run one, here and now. @returns undefined: there is none of this name */
export function runLesson(id: string): Promise<LessonReport> | undefined {
  const lesson = lessons.find((one) => one.id === id);
  return lesson === undefined ? undefined : new LessonRunner().play(lesson);
}
