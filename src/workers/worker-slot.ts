// A worker's place among the others: one process at a time, another when it dies, and the next one before the last one goes.

import type { WorkerProcess } from "./worker-process.ts";
import { type Totals, zeroTotals, addTotals } from "./totals.ts";

/** How long a dead worker's place stays empty: doubled with each death, and as at first again once one has served for a while. */
export interface Backoff {
  firstMs: number;
  mostMs: number;
  /** So long is a while. */
  resetMs: number;
}

export interface WorkerSlotOwner {
  /** Start a process; throws if that cannot be. */
  launch(slot: WorkerSlot): WorkerProcess;
  /** A process has died that nobody had asked to; `wasServing`: it had served. */
  died(slot: WorkerSlot, wasServing: boolean): void;
  warn(message: string): void;
}

export class WorkerSlot {
  /** From 0. */
  readonly index: number;
  /** The one that serves, or is to. */
  current: WorkerProcess | undefined;
  /** All that have not ended: the current one, one that is to follow it, and those that finish. */
  readonly children: Set<WorkerProcess> = new Set();
  /** What those did that have ended. */
  ended: Totals = zeroTotals();

  readonly #owner: WorkerSlotOwner;
  readonly #backoff: Backoff;
  #delayMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopping = false;

  constructor(index: number, owner: WorkerSlotOwner, backoff: Backoff) {
    this.index = index;
    this.#owner = owner;
    this.#backoff = backoff;
    this.#delayMs = backoff.firstMs;
  }

  /** Have a process serve from now on. */
  start(): void {
    this.#timer = undefined;
    if (this.#isStopping) return;
    try {
      this.current = this.#launch();
    } catch (error) {
      this.#died(false, `could not be started: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /**
   * Put a new process in the current one's place: that one finishes once the new one serves.
   *
   * @returns whether the new one serves; if not, the old one goes on
   */
  async renew(graceMs: number, idleMs: number): Promise<boolean> {
    if (this.#isStopping || this.current === undefined) return true; // who is started anew is new
    const next = this.#launch();
    const serves = await next.serving;
    if (!serves || this.#isStopping) {
      if (!this.#isStopping && this.current === undefined) this.#startLater(); // the old one has died meanwhile
      return serves;
    }
    const old = this.current;
    this.current = next;
    clearTimeout(this.#timer);
    old?.finish(graceMs, idleMs);
    return true;
  }

  /** Have all of them finish, and start no other. */
  finish(graceMs: number): void {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    for (const child of this.children) child.finish(graceMs, 0);
  }

  /** What all of them did. */
  get counts(): Totals {
    return addTotals([this.ended, ...[...this.children].map(({ counts }) => counts)]);
  }

  #launch(): WorkerProcess {
    const child = this.#owner.launch(this);
    this.children.add(child);
    void child.ended.then(() => this.#over(child));
    return child;
  }

  #over(child: WorkerProcess): void {
    this.children.delete(child);
    this.ended = addTotals([this.ended, child.counts]);
    if (child !== this.current) return;
    this.current = undefined;
    if (this.#isStopping) return;
    const { servingMs, pid, fate } = child;
    if (servingMs !== undefined && performance.now() - servingMs >= this.#backoff.resetMs) {
      this.#delayMs = this.#backoff.firstMs;
    }
    this.#died(servingMs !== undefined, `(${pid}) ${fate}`);
  }

  #died(wasServing: boolean, how: string): void {
    this.#owner.died(this, wasServing);
    const delayMs = this.#startLater();
    // Not at once: a signal to all of them, as Ctrl-C is, may be about to reach the supervisor too.
    setTimeout(
      () => {
        if (this.#isStopping) return;
        this.#owner.warn(`worker ${this.index + 1} ${how}: another takes its place in ${delayMs} ms`);
      },
      Math.min(delayMs, this.#backoff.firstMs) / 2,
    ).unref();
  }

  #startLater(): number {
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(delayMs * 2, this.#backoff.mostMs);
    clearTimeout(this.#timer);
    if (!this.#isStopping) this.#timer = setTimeout(() => this.start(), delayMs);
    return delayMs;
  }
}
