// The warning slow-handler: while the program handled one fd, its thread ran or blocked for long, and all other fds had to wait.

import type { Syscalls } from "../../kernel/ffi.ts";
import { ThreadClock, type ThreadTimes } from "../thread-times.ts";

/** The thread's time is read at most once in this part of the threshold. */
const READS_PER_THRESHOLD = 5;

/** What the thread did during a dispatch that took long, in microseconds. */
export interface SlowTime {
  /** On a CPU. */
  cpuUs: number;
  /** Blocked, in the program's own code or in a call that blocks. */
  blockedUs: number;
}

export class SlowHandler {
  readonly #slowUs: number;
  readonly #sys: () => Syscalls;
  #clock: ThreadClock | undefined;
  #markedUs = -Infinity;
  #marked: ThreadTimes | undefined;

  constructor(slowUs: number, sys: () => Syscalls) {
    this.#slowUs = slowUs;
    this.#sys = sys;
  }

  /**
   * Called when a dispatch may begin. Reads the thread's time, unless it was read shortly before.
   *
   * @param hasBlocked the thread has just waited, so that reading costs little in comparison
   */
  mark(nowUs: number, hasBlocked: boolean = false): void {
    if (!hasBlocked && nowUs - this.#markedUs < this.#slowUs / READS_PER_THRESHOLD) return;
    this.#markedUs = nowUs;
    this.#marked = this.#read();
  }

  /**
   * Returns what the thread did in a dispatch that took at least the threshold. Returns undefined if it was slow only because the thread
   * was not scheduled: another process used the CPU, and no program can prevent that.
   */
  judge(startUs: number, endUs: number): SlowTime | undefined {
    const before = this.#marked;
    const now = this.#read();
    const wallUs = endUs - startUs;
    const leadUs = Math.max(0, startUs - this.#markedUs);
    this.#markedUs = endUs;
    this.#marked = now;
    if (before === undefined || now === undefined) return { cpuUs: wallUs, blockedUs: 0 };
    // The thread's time was read up to `leadUs` before the dispatch began.
    const cpuUs = Math.min(wallUs, Math.max(0, now.cpuUs - before.cpuUs - leadUs));
    const queuedUs = queuedBetween(before, now, wallUs - cpuUs);
    const blockedUs = Math.max(0, wallUs - cpuUs - leadUs - queuedUs);
    return cpuUs + blockedUs < this.#slowUs ? undefined : { cpuUs, blockedUs };
  }

  #read(): ThreadTimes | undefined {
    return (this.#clock ??= new ThreadClock(this.#sys())).read();
  }
}

/** Returns how long the thread waited for a CPU. Without the kernel's figure, a thread that did not block must have waited. */
function queuedBetween(before: ThreadTimes, now: ThreadTimes, restUs: number): number {
  if (before.queuedUs !== undefined && now.queuedUs !== undefined)
    return Math.min(restUs, now.queuedUs - before.queuedUs);
  const hasOnlyBlocked = now.sleeps > before.sleeps && now.preemptions === before.preemptions;
  return hasOnlyBlocked ? 0 : restUs;
}
