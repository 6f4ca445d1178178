// Lesson: one connection, and all that wait for one are woken; with EPOLLEXCLUSIVE one of them.

import { readdirSync, readFileSync } from "node:fs";
import { EPOLLEXCLUSIVE, EPOLLIN } from "../../kernel/constants.ts";
import type { Herd, HerdAnswer, HerdTask } from "./thundering-herd-worker.ts";
import type { Lesson } from "./lesson.ts";
import { WAIT_MS as RUNNER_WAIT_MS, type LessonRunner } from "./lesson-runner.ts";

const WAITERS = 4;
const WAIT_MS = 600;

export const thunderingHerd: Lesson = {
  id: "thundering-herd",
  title: "The thundering herd",
  point:
    "Where several threads or processes wait for one listener, one connection wakes them all, for nothing but one; EPOLLEXCLUSIVE wakes one.",
  async run(stage) {
    stage.step(
      "All wait for the same",
      `${WAITERS} threads, each with an epoll of its own, watch one listener. Nobody has connected.`,
    );
    const all = await herd(stage, EPOLLIN);
    stage.ask("One client connects. How many of the four are woken?", ["1", "2", "4"], String(all.woken));

    stage.step("And then", "All of them call accept. There is one connection.");
    stage.check("accept returned a connection to", all.accepted, 1);
    stage.check("accept said EAGAIN to", all.empty, WAITERS - 1);

    stage.step(
      "EPOLLEXCLUSIVE",
      "The same, each registered for EPOLLIN|EPOLLEXCLUSIVE: the kernel wakes one of those that wait. The others sleep on. This is what `epoll-hello --workers N --balance shared` does.",
    );
    const one = await herd(stage, EPOLLIN | EPOLLEXCLUSIVE);
    stage.check("are woken", one.woken, 1);
    stage.check("accept returned a connection to", one.accepted, 1);
    stage.check("accept said EAGAIN to", one.empty, 0);
  },
};

async function herd(stage: LessonRunner, mask: number): Promise<{ woken: number; accepted: number; empty: number }> {
  const { listener, connect } = stage.listener4();
  const workers = Array.from(
    { length: WAITERS },
    () => new Worker(new URL("./thundering-herd-worker.ts", import.meta.url).href),
  );
  try {
    const heard = workers.map((worker) => new Conversation(worker));
    const task: HerdTask = { listener: listener.fileno(), mask, timeoutMs: WAIT_MS };
    for (const worker of workers) worker.postMessage(task);
    const epolls = await Promise.all(heard.map((one) => one.next("waits")));
    await untilBlocked(epolls.map(({ value }) => value));
    connect();
    const woken = await Promise.all(heard.map((one) => one.next("woken")));
    for (const worker of workers) worker.postMessage("accept");
    const accepted = await Promise.all(heard.map((one) => one.next("accepted")));
    return {
      woken: woken.filter(({ value }) => value > 0).length,
      accepted: accepted.filter(({ value }) => value === 1).length,
      empty: accepted.filter(({ value }) => value === -1).length,
    };
  } finally {
    const ends = workers.map((worker) => new Promise((resolve) => worker.addEventListener("close", resolve)));
    for (const worker of workers) worker.terminate();
    await Promise.all(ends); // a thread's own descriptors go with it
    listener.close();
  }
}

/** What a thread says, in its order. */
class Conversation {
  readonly #said: HerdAnswer[] = [];
  #heard = Promise.withResolvers<void>();

  constructor(worker: Worker) {
    worker.addEventListener("message", ({ data }: MessageEvent<HerdAnswer>) => {
      this.#said.push(data);
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    });
  }

  async next(kind: Herd): Promise<HerdAnswer> {
    for (;;) {
      const said = this.#said.find((one) => one.kind === kind);
      if (said !== undefined) return said;
      await this.#heard.promise;
    }
  }
}

/** Until a thread of this process is in a system call on each of these, as /proc tells; or for a moment, where it does not. */
async function untilBlocked(epolls: readonly number[]): Promise<void> {
  const wanted = new Set(epolls.map((fd) => `0x${fd.toString(16)}`));
  for (const end = performance.now() + RUNNER_WAIT_MS / 4; performance.now() < end;) {
    const waiting = new Set(
      readdirSync("/proc/self/task").flatMap((task) => {
        try {
          return readFileSync(`/proc/self/task/${task}/syscall`, "latin1").split(" ")[1] ?? [];
        } catch {
          return [];
        }
      }),
    );
    if ([...wanted].every((fd) => waiting.has(fd))) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
