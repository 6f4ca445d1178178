// class Supervisor: keeps workers on one listening place, replaces those that die, renews them one after the other, and adds up what they did.

import { WorkerProcess } from "./worker-process.ts";
import { type Totals, addTotals } from "./totals.ts";
import type { ListenSockets } from "./listen-sockets.ts";
import { type Backoff, WorkerSlot } from "./worker-slot.ts";

export interface SupervisorOptions {
  /** The program that a worker is, and its arguments; it calls `takeTask` and `work`. */
  command: readonly string[];
  /** How many. */
  workers: number;
  /** Where; closed by the supervisor. */
  place: ListenSockets;
  backoff?: Partial<Backoff>;
  /** How often workers tell their counts unasked. */
  beatMs?: number;
  /** Called once, when all of them serve. */
  onServing?: () => void;
  /** Called for each trouble that it copes with. */
  onWarning?: (message: string) => void;
}

/** A worker, for people. */
export interface WorkerReport {
  /** From 1. */
  worker: number;
  pid: number;
  state: "starting" | "serving" | "finishing" | "ended";
  ageMs: number;
  counts: Totals;
}

export interface WorkersReport {
  /** Those that live. */
  workers: WorkerReport[];
  /** How many have ended, and what they did. */
  ended: { count: number; counts: Totals };
  total: Totals;
}

/** What is known in the end. */
export interface Outcome {
  total: Totals;
  /** Every worker died before any had served. */
  isFailure: boolean;
}

const GRACE_MS = 10_000; // as EpollServer.stop
/** In a renewal: how long a connection at rest may stay for one more request. */
const IDLE_MS = 2_000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #beatMs: number;
  readonly #slots: readonly WorkerSlot[];
  readonly #over = Promise.withResolvers<Outcome>();
  #started = 0;
  /** Workers that have died before any has served. */
  readonly #stillborn = new Set<WorkerSlot>();
  #hasServed = false;
  #isComplete = false;
  #isStopping = false;
  #isFailure = false;
  #renewal: Promise<void> | undefined;
  #isRenewalDue = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#beatMs = options.beatMs ?? 1_000;
    const backoff: Backoff = { firstMs: 100, mostMs: 10_000, resetMs: 10_000, ...options.backoff };
    const owner = {
      launch: (slot: WorkerSlot) => this.#launch(slot),
      died: (slot: WorkerSlot, wasServing: boolean) => this.#died(slot, wasServing),
      warn: (message: string) => options.onWarning?.(message),
    };
    this.#slots = Array.from({ length: options.workers }, (_, i) => new WorkerSlot(i, owner, backoff));
  }

  /** Start the workers; resolved when all have ended. */
  run(): Promise<Outcome> {
    for (const slot of this.#slots) slot.start();
    return this.#over.promise;
  }

  /** Have all workers finish what has begun; `graceMs` 0 cuts it short. */
  stop(graceMs: number = GRACE_MS): void {
    this.#isStopping = true;
    this.#options.place.close(); // first: who comes when the last worker has gone shall be refused, and not wait
    for (const slot of this.#slots) slot.finish(graceMs);
    this.#settle();
  }

  /** Renew the workers, one after the other; once more if that is under way. Resolved when the old ones have ended. */
  renew(): Promise<void> {
    if (this.#isStopping) return Promise.resolve();
    this.#isRenewalDue = true;
    this.#renewal ??= this.#renewAll().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  /** Ask the workers what they did. */
  async report(): Promise<WorkersReport> {
    await Promise.all(this.#children().map((child) => child.ask()));
    const now = performance.now();
    const workers = this.#slots.flatMap(({ index, children }) =>
      [...children].map(({ pid, state, startedMs, counts }): WorkerReport => ({
        worker: index + 1,
        pid,
        state,
        ageMs: now - startedMs,
        counts,
      })),
    );
    const ended = { count: this.#started - workers.length, counts: addTotals(this.#slots.map((slot) => slot.ended)) };
    return { workers, ended, total: this.total };
  }

  /** What all workers did, as far as they have said. */
  get total(): Totals {
    return addTotals(this.#slots.map(({ counts }) => counts));
  }

  /** Every worker that should serve has said something lately. */
  get isAlive(): boolean {
    const since = performance.now() - 3 * this.#beatMs;
    return this.#slots.every(
      ({ current }) => current === undefined || current.state !== "serving" || current.heardMs >= since,
    );
  }

  #children(): WorkerProcess[] {
    return this.#slots.flatMap(({ children }) => [...children]);
  }

  #launch({ index }: WorkerSlot): WorkerProcess {
    const { command, place } = this.#options;
    const exclusive = place.balance === "shared";
    const child = new WorkerProcess({ command, fds: place.fdsFor(index), exclusive, beatMs: this.#beatMs });
    this.#started++;
    void child.serving.then((serves) => serves && this.#serves());
    void child.ended.then(() => queueMicrotask(() => this.#settle())); // once its slot knows
    return child;
  }

  #serves(): void {
    this.#hasServed = true;
    if (this.#isComplete || this.#isStopping) return;
    if (!this.#slots.every(({ current }) => current?.state === "serving")) return;
    this.#isComplete = true;
    this.#options.onServing?.();
  }

  #died(slot: WorkerSlot, wasServing: boolean): void {
    if (this.#hasServed || wasServing) return;
    this.#stillborn.add(slot);
    if (this.#stillborn.size < this.#slots.length) return;
    this.#isFailure = true; // it will be no better the next time
    queueMicrotask(() => this.stop(0));
  }

  #settle(): void {
    if (this.#isStopping && this.#children().length === 0) {
      this.#over.resolve({ total: this.total, isFailure: this.#isFailure });
    }
  }

  async #renewAll(): Promise<void> {
    while (this.#isRenewalDue && !this.#isStopping) {
      this.#isRenewalDue = false;
      for (const slot of this.#slots) {
        if (await this.#renewed(slot)) continue;
        this.#isRenewalDue = false;
        break;
      }
      // Or renewals that follow each other would have more and more processes finish.
      await Promise.all(
        this.#children()
          .filter(({ state }) => state === "finishing")
          .map(({ ended }) => ended),
      );
    }
  }

  async #renewed(slot: WorkerSlot): Promise<boolean> {
    let why = "has ended before it served";
    try {
      if ((await slot.renew(GRACE_MS, IDLE_MS)) || this.#isStopping) return true;
    } catch (error) {
      why = `could not be started: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.#options.onWarning?.(`the new worker ${slot.index + 1} ${why}: the others go on as they are`);
    return false;
  }
}
