// Progress through the lessons: the report of the last lesson that ran, the current step, and the answers given.

import type { LessonInfo, LessonReport } from "../../lessons/lesson-report.ts";
import type { ServerConnection } from "./server-connection.ts";

/** Longer than the server waits for a lesson. */
const LESSON_TIMEOUT_MS = 40_000;

export class LessonProgress {
  list: LessonInfo[] = [];
  /** The id of the lesson that is running. */
  running: string | undefined;
  report: LessonReport | undefined;
  /** The index of the current step. */
  step: number = 0;
  /** The index of the answer chosen at each step. */
  answers: Record<number, number> = {};
  /** The ids of completed lessons. */
  completed: string[] = [];

  readonly #connection: ServerConnection;
  readonly #onChange: () => void;
  readonly #onError: (message: string | undefined) => void;

  constructor(connection: ServerConnection, onChange: () => void, onError: (message: string | undefined) => void) {
    this.#connection = connection;
    this.#onChange = onChange;
    this.#onError = onError;
  }

  async loadList(): Promise<void> {
    this.list = (await this.#connection.getJson<LessonInfo[]>("/lessons")) ?? [];
    this.#onChange();
  }

  /** Runs a lesson, and then shows its first step. */
  async start(id: string): Promise<void> {
    if (this.running !== undefined) return;
    this.running = id;
    this.report = undefined;
    this.step = 0;
    this.answers = {};
    this.#onChange();
    const response = await this.#connection.post(`/lesson?id=${id}`, {}, LESSON_TIMEOUT_MS);
    this.running = undefined;
    if (response?.ok) {
      this.report = (await response.json()) as LessonReport;
      this.#onError(this.report.error);
    } else {
      this.#onError((await response?.text()) ?? "The inspector server does not respond.");
    }
    this.#onChange();
  }

  goTo(step: number): void {
    const { report } = this;
    if (report === undefined || step < 0 || step >= report.steps.length) return;
    this.step = step;
    const isLast = step === report.steps.length - 1;
    if (isLast && !this.completed.includes(report.id)) this.completed = [...this.completed, report.id];
    this.#onChange();
  }

  /** Answers the question of the current step. */
  answer(choice: number): void {
    this.answers = { ...this.answers, [this.step]: choice };
    this.#onChange();
  }
}
