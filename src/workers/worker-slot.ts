// A worker slot: runs one worker process, restarts it after a crash, and replaces it in a rolling restart.

import type { WorkerProcess } from "./worker-process.ts";
import { type Totals, zeroTotals, addTotals } from "./totals.ts";

/** The restart delay: doubled after each crash, and reset once a worker has served for `resetMs`. */
export interface Backoff {
  minMs: number;
  maxMs: number;
  resetMs: number;
}

export interface WorkerSlotOwner {
  /** Starts a process; throws if that fails. */
  launch(slot: WorkerSlot): WorkerProcess;
  /** A process exited without being asked to, or could not be started. `what` completes "worker 1". */
  onCrash(slot: WorkerSlot, wasServing: boolean, what: string): void;
  /** Returns the text of an error because of which a process could not be started. */
  describeError(error: unknown): string;
  onWarning(message: string): void;
}

export class WorkerSlot {
  /** From 0. */
  readonly index: number;
  /** The process that serves, or is starting to. */
  current: WorkerProcess | undefined;
  /** All running processes: the current one, its replacement, and those that are draining. */
  readonly processes: Set<WorkerProcess> = new Set();
  /** The totals of the processes that have exited. */
  exitedTotals: Totals = zeroTotals();

  readonly #owner: WorkerSlotOwner;
  readonly #backoff: Backoff;
  #delayMs: number;
  #restartTimer: ReturnType<typeof setTimeout> | undefined;
  #isStopping = false;

  constructor(index: number, owner: WorkerSlotOwner, backoff: Backoff) {
    this.index = index;
    this.#owner = owner;
    this.#backoff = backoff;
    this.#delayMs = backoff.minMs;
  }

  start(): void {
    this.#restartTimer = undefined;
    if (this.#isStopping) return;
    try {
      this.current = this.#launch();
    } catch (error) {
      this.#onCrash(false, `could not be started: ${this.#owner.describeError(error)}`);
    }
  }

  /**
   * Starts a new process, and drains the current one once the new one is serving.
   *
   * @returns undefined, or how the new process exited before it was serving; then the current one is kept
   */
  async replace(graceMs: number, idleMs: number): Promise<string | undefined> {
    if (this.#isStopping || this.current === undefined) return undefined; // the pending restart runs the new code
    const next = this.#launch();
    const isServing = await next.serving;
    if (!isServing || this.#isStopping) {
      if (!this.#isStopping && this.current === undefined) this.#scheduleRestart(); // the current one crashed meanwhile
      return isServing ? undefined : next.exitDescription;
    }
    const previous = this.current;
    this.current = next;
    clearTimeout(this.#restartTimer);
    previous?.stop(graceMs, idleMs);
    return undefined;
  }

  /** Stops all processes; no other is started. */
  stop(graceMs: number): void {
    this.#isStopping = true;
    clearTimeout(this.#restartTimer);
    for (const worker of this.processes) worker.stop(graceMs, 0);
  }

  /** The totals of all processes that this slot has run. */
  get totals(): Totals {
    return addTotals([this.exitedTotals, ...[...this.processes].map(({ totals }) => totals)]);
  }

  #launch(): WorkerProcess {
    const worker = this.#owner.launch(this);
    this.processes.add(worker);
    void worker.exited.then(() => this.#onExit(worker));
    return worker;
  }

  #onExit(worker: WorkerProcess): void {
    this.processes.delete(worker);
    this.exitedTotals = addTotals([this.exitedTotals, worker.totals]);
    if (worker !== this.current) return;
    this.current = undefined;
    if (this.#isStopping) return;
    const { servingSinceMs, pid, exitDescription } = worker;
    if (servingSinceMs !== undefined && performance.now() - servingSinceMs >= this.#backoff.resetMs) {
      this.#delayMs = this.#backoff.minMs;
    }
    this.#onCrash(servingSinceMs !== undefined, `(pid ${pid}) ${exitDescription}`);
  }

  #onCrash(wasServing: boolean, what: string): void {
    this.#owner.onCrash(this, wasServing, what);
    const delayMs = this.#scheduleRestart();
    // Delayed: a signal to the whole process group, such as Ctrl-C, may reach the supervisor a moment later.
    setTimeout(
      () => {
        if (this.#isStopping) return;
        this.#owner.onWarning(`worker ${this.index + 1} ${what}; restarting in ${delayMs} ms`);
      },
      Math.min(delayMs, this.#backoff.minMs) / 2,
    ).unref();
  }

  #scheduleRestart(): number {
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(delayMs * 2, this.#backoff.maxMs);
    clearTimeout(this.#restartTimer);
    if (!this.#isStopping) this.#restartTimer = setTimeout(() => this.start(), delayMs);
    return delayMs;
  }
}
