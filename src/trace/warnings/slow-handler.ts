// The warning slow-handler: while the program handled one fd, its thread ran or blocked for long, and all other fds had to wait.

import type { ThreadTimes, ThreadTimeSource } from "../thread-times.ts";

/** How long the thread waited for a CPU is read at most once in this part of the threshold. */
const READS_PER_THRESHOLD = 5;
/** A call that blocks sleeps a few times, and long. Waiting for other threads of the engine, which are not scheduled, takes many short sleeps. */
const MAX_SLEEPS = 4;
/** A thread that has blocked for this many times the threshold has not waited for another thread of the engine. */
const CERTAIN_THRESHOLDS = 5;
/** If the thread waited for a CPU for this part of the time, other programs use the CPUs. */
const MAX_QUEUED_SHARE = 0.05;

/** What the thread did during a dispatch that took long, in microseconds. */
export interface SlowTime {
  /** On a CPU. */
  cpuUs: number;
  /** Blocked, in the program's own code or in a call that blocks. */
  blockedUs: number;
  /** False if the thread may have blocked because others of the engine were not scheduled: then it is a mistake only if it happens again. */
  isCertain: boolean;
}

export class SlowHandler {
  readonly #slowUs: number;
  readonly #times: ThreadTimeSource;
  #markedUs = -Infinity;
  #marked: ThreadTimes | undefined;
  #queueMarkedUs = -Infinity;
  /** `queuedUs` when it was read for the last time. */
  #queuedUs: number | undefined;

  constructor(slowUs: number, times: ThreadTimeSource) {
    this.#slowUs = slowUs;
    this.#times = times;
  }

  /**
   * Called when a dispatch may begin. Reads the thread's time, unless it was read shortly before.
   *
   * @param hasBlocked the thread has just waited, so that reading costs little in comparison
   */
  mark(nowUs: number, hasBlocked: boolean = false): void {
    const isQueueDue = nowUs - this.#queueMarkedUs >= this.#slowUs / READS_PER_THRESHOLD;
    if (hasBlocked || isQueueDue) this.#read(nowUs, isQueueDue);
  }

  /**
   * Returns what the thread did in a dispatch that took at least the threshold. Returns undefined if it was slow only because the thread
   * was not scheduled: another process used the CPU, and no program can prevent that.
   */
  judge(startUs: number, endUs: number): SlowTime | undefined {
    const before = this.#marked;
    const queuedBefore = this.#queuedUs;
    const leadUs = Math.max(0, startUs - this.#markedUs);
    const now = this.#read(endUs, true);
    const wallUs = endUs - startUs;
    const { isRemote } = this.#times;
    if (before === undefined || now === undefined)
      return isRemote ? undefined : { cpuUs: wallUs, blockedUs: 0, isCertain: true };
    // The thread's time was read up to `leadUs` before the dispatch began.
    const cpuUs = Math.min(wallUs, Math.max(0, now.cpuUs - before.cpuUs - leadUs));
    if (cpuUs >= this.#slowUs) return { cpuUs, blockedUs: 0, isCertain: true };
    const sleeps = now.sleeps - before.sleeps;
    if (!isRemote && (sleeps === 0 || sleeps > MAX_SLEEPS)) return undefined;
    const restUs = Math.max(0, wallUs - cpuUs - leadUs);
    const queuedUs =
      now.queuedUs !== undefined && queuedBefore !== undefined
        ? Math.min(restUs, now.queuedUs - queuedBefore)
        : now.preemptions > before.preemptions
          ? restUs
          : 0;
    const blockedUs = restUs - queuedUs;
    if (cpuUs + blockedUs < this.#slowUs) return undefined;
    if (isRemote) return this.#times.isMachineBusy() ? undefined : { cpuUs, blockedUs, isCertain: true };
    const isLong = blockedUs >= CERTAIN_THRESHOLDS * this.#slowUs;
    const isCertain = isLong || (queuedUs < MAX_QUEUED_SHARE * wallUs && !this.#times.isMachineBusy());
    return { cpuUs, blockedUs, isCertain };
  }

  #read(nowUs: number, withQueue: boolean): ThreadTimes | undefined {
    this.#markedUs = nowUs;
    this.#marked = this.#times.read(withQueue);
    if (withQueue) {
      this.#queueMarkedUs = nowUs;
      this.#queuedUs = this.#marked?.queuedUs;
    }
    return this.#marked;
  }
}
