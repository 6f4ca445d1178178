// Lesson: one connection wakes every thread that waits for the listener; with EPOLLEXCLUSIVE, it wakes one.

import { readdirSync, readFileSync } from "node:fs";
import { EPOLLEXCLUSIVE, EPOLLIN } from "../../kernel/constants.ts";
import { moduleFile } from "../../kernel/package-root.ts";
import { EventFd } from "../../io/eventfd.ts";
import { ARRIVAL_TIMEOUT_MS, type Lesson, type LessonRunner } from "./lesson-runner.ts";
import type { WaiterReport, WaiterTask } from "./thundering-herd-worker.ts";

const THREADS = 4;

export const thunderingHerd: Lesson = {
  id: "thundering-herd",
  title: "The thundering herd",
  point:
    "If several threads or processes wait for the same listener, one connection wakes them all, but only one can accept it. " +
    "EPOLLEXCLUSIVE wakes one.",
  async run(runner) {
    runner.step(
      "Four threads wait",
      "Each thread has its own epoll instance, and all of them wait for the same listening socket.",
    );
    const herd = await connectOnce(runner, EPOLLIN);
    runner.ask("One client connects. How many of the four threads wake up?", ["1", "2", "4"], String(herd.woken));

    runner.step("All of them call accept", "There is only one connection, so accept fails in all other threads.");
    runner.check("threads that accepted a connection:", herd.accepted, 1);
    runner.check("threads whose accept failed with EAGAIN:", herd.failed, THREADS - 1);

    runner.step(
      "EPOLLEXCLUSIVE",
      "The threads wait again, with EPOLLIN|EPOLLEXCLUSIVE. The kernel wakes one of them, and the others stay blocked. " +
        "`epoll-hello --workers N --balance shared` uses this flag.",
    );
    const exclusive = await connectOnce(runner, EPOLLIN | EPOLLEXCLUSIVE);
    runner.check("threads woken:", exclusive.woken, 1);
    runner.check("threads that accepted a connection:", exclusive.accepted, 1);
    runner.check("threads whose accept failed with EAGAIN:", exclusive.failed, 0);
  },
};

/** Connects one client while all threads wait for the listener, and counts what happens in them. */
async function connectOnce(
  runner: LessonRunner,
  mask: number,
): Promise<{ woken: number; accepted: number; failed: number }> {
  const { listener, connect } = runner.listen();
  const end = new EventFd();
  const workers = Array.from({ length: THREADS }, () => new Worker(moduleFile("tools/lessons/thundering-herd-worker")));
  try {
    const reports = workers.map((worker) => new ReportQueue(worker));
    const all = (kind: WaiterReport["kind"]): Promise<number[]> =>
      Promise.all(reports.map((queue) => queue.next(kind)));
    const task: WaiterTask = { listenerFd: listener.fileno(), mask, endFd: end.fileno() };
    for (const worker of workers) worker.postMessage(task);
    await waitUntilBlocked(await all("waiting"));
    connect();
    await Promise.race(reports.map((queue) => queue.next("woken")));
    end.write(1); // ends the waits of the other threads, which report whether epoll_wait had an event of the listener as well
    const woken = await all("woken");
    for (const worker of workers) worker.postMessage("accept");
    const accepted = await all("accepted");
    return {
      woken: woken.filter((events) => events > 0).length,
      accepted: accepted.filter((result) => result === 1).length,
      failed: accepted.filter((result) => result === -1).length,
    };
  } finally {
    const closed = workers.map((worker) => new Promise((resolve) => worker.addEventListener("close", resolve)));
    for (const worker of workers) worker.terminate();
    await Promise.all(closed); // Bun closes a thread's own fds when the thread ends
    end.close();
  }
}

/** The reports of one thread. */
class ReportQueue {
  readonly #reports: WaiterReport[] = [];
  #changed = Promise.withResolvers<void>();

  constructor(worker: Worker) {
    worker.addEventListener("message", ({ data }: MessageEvent<WaiterReport>) => {
      this.#reports.push(data);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
  }

  /** Waits for a report of this kind, and returns its value. */
  async next(kind: WaiterReport["kind"]): Promise<number> {
    for (;;) {
      const report = this.#reports.find((one) => one.kind === kind);
      if (report !== undefined) return report.value;
      await this.#changed.promise;
    }
  }
}

/**
 * Waits until a thread of this process is blocked in a system call on each of the epoll fds. Where /proc does not show system
 * calls (some containers), waits for a fixed time.
 */
async function waitUntilBlocked(epfds: readonly number[]): Promise<void> {
  const expected = epfds.map((fd) => `0x${fd.toString(16)}`);
  for (const deadline = performance.now() + ARRIVAL_TIMEOUT_MS / 4; performance.now() < deadline;) {
    const blocked = new Set(readdirSync("/proc/self/task").flatMap(firstSyscallArgument));
    if (expected.every((fd) => blocked.has(fd))) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** @see proc_pid_syscall(5) */
function firstSyscallArgument(tid: string): string | [] {
  try {
    return readFileSync(`/proc/self/task/${tid}/syscall`, "latin1").split(" ")[1] ?? [];
  } catch {
    return []; // the thread has ended
  }
}
