// Supervises worker processes that share an address: restarts crashed ones, performs rolling restarts, adds up totals.

import { WorkerProcess } from "./worker-process.ts";
import { type Totals, addTotals } from "./totals.ts";
import type { ListenSockets } from "./listen-sockets.ts";
import { type Backoff, WorkerSlot } from "./worker-slot.ts";

export interface SupervisorOptions {
  /** The program that a worker runs, and its arguments; it calls `takeWorkerTask` and `runWorker`. */
  command: readonly string[];
  /** The number of workers. */
  workers: number;
  /** The listening sockets; the supervisor closes them. */
  sockets: ListenSockets;
  backoff?: Partial<Backoff>;
  /** How often workers report their totals; default: 1000. */
  reportIntervalMs?: number;
  /** Called once, when all workers are serving. */
  onServing?: () => void;
  /** Called for each problem that the supervisor handles itself. */
  onWarning?: (message: string) => void;
}

export interface WorkerReport {
  /** The worker's number, from 1. */
  worker: number;
  pid: number;
  state: "starting" | "serving" | "draining" | "exited";
  ageMs: number;
  totals: Totals;
}

export interface SupervisorReport {
  /** The running workers. */
  workers: WorkerReport[];
  /** The number of worker processes that have exited, and their totals. */
  exited: { count: number; totals: Totals };
  /** The totals of all workers. */
  totals: Totals;
}

/** The result of `Supervisor.run`. */
export interface SupervisorResult {
  totals: Totals;
  /** Whether every worker crashed before any was serving. */
  hasFailed: boolean;
}

const GRACE_MS = 10_000; // the default of EpollServer.stop
/** In a rolling restart, how long an idle connection may stay open for one more request. */
const IDLE_MS = 2_000;
/** A worker that has not reported for this many intervals is unresponsive. */
const MAX_MISSED_REPORTS = 3;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #reportIntervalMs: number;
  readonly #slots: readonly WorkerSlot[];
  readonly #result = Promise.withResolvers<SupervisorResult>();
  #launched = 0;
  /** The slots whose worker crashed while no worker had been serving yet. */
  readonly #failedSlots = new Set<WorkerSlot>();
  #hasServed = false;
  #hasReportedServing = false;
  #isStopping = false;
  #hasFailed = false;
  #restart: Promise<void> | undefined;
  #isRestartRequested = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#reportIntervalMs = options.reportIntervalMs ?? 1_000;
    const backoff: Backoff = { minMs: 100, maxMs: 10_000, resetMs: 10_000, ...options.backoff };
    const owner = {
      launch: (slot: WorkerSlot) => this.#launch(slot),
      onCrash: (slot: WorkerSlot, wasServing: boolean) => this.#onCrash(slot, wasServing),
      onWarning: (message: string) => options.onWarning?.(message),
    };
    this.#slots = Array.from({ length: options.workers }, (_, i) => new WorkerSlot(i, owner, backoff));
  }

  /** Starts the workers. Resolves when all of them have exited after `stop`. */
  run(): Promise<SupervisorResult> {
    for (const slot of this.#slots) slot.start();
    return this.#result.promise;
  }

  /** Drains all workers. With `graceMs` 0, connections are closed immediately. */
  stop(graceMs: number = GRACE_MS): void {
    this.#isStopping = true;
    this.#options.sockets.close(); // first, so that new clients are refused instead of waiting in the accept queue
    for (const slot of this.#slots) slot.stop(graceMs);
    this.#resolveIfDone();
  }

  /**
   * Replaces all workers, one after the other. Resolves when the previous processes have exited.
   *
   * A call during a rolling restart starts one more round after it.
   */
  restart(): Promise<void> {
    if (this.#isStopping) return Promise.resolve();
    this.#isRestartRequested = true;
    this.#restart ??= this.#restartAll().finally(() => {
      this.#restart = undefined;
    });
    return this.#restart;
  }

  /** Asks the workers for their totals. */
  async report(): Promise<SupervisorReport> {
    await Promise.all(this.#processes().map((worker) => worker.updateTotals()));
    const now = performance.now();
    const workers = this.#slots.flatMap(({ index, processes }) =>
      [...processes].map(({ pid, state, startedMs, totals }): WorkerReport => ({
        worker: index + 1,
        pid,
        state,
        ageMs: now - startedMs,
        totals,
      })),
    );
    const exited = {
      count: this.#launched - workers.length,
      totals: addTotals(this.#slots.map((slot) => slot.exitedTotals)),
    };
    return { workers, exited, totals: this.totals };
  }

  /** The totals of all workers, as last reported. */
  get totals(): Totals {
    return addTotals(this.#slots.map(({ totals }) => totals));
  }

  /** Whether every serving worker has reported recently. */
  get isResponsive(): boolean {
    const since = performance.now() - MAX_MISSED_REPORTS * this.#reportIntervalMs;
    return this.#slots.every(
      ({ current }) => current === undefined || current.state !== "serving" || current.lastMessageMs >= since,
    );
  }

  #processes(): WorkerProcess[] {
    return this.#slots.flatMap(({ processes }) => [...processes]);
  }

  #launch({ index }: WorkerSlot): WorkerProcess {
    const { command, sockets } = this.#options;
    const worker = new WorkerProcess({
      command,
      listenFds: sockets.fdsFor(index),
      exclusive: sockets.balance === "shared",
      reportIntervalMs: this.#reportIntervalMs,
    });
    this.#launched++;
    void worker.serving.then((isServing) => isServing && this.#onServing());
    void worker.exited.then(() => queueMicrotask(() => this.#resolveIfDone())); // after its slot has removed it
    return worker;
  }

  #onServing(): void {
    this.#hasServed = true;
    if (this.#hasReportedServing || this.#isStopping) return;
    if (!this.#slots.every(({ current }) => current?.state === "serving")) return;
    this.#hasReportedServing = true;
    this.#options.onServing?.();
  }

  #onCrash(slot: WorkerSlot, wasServing: boolean): void {
    if (this.#hasServed || wasServing) return;
    this.#failedSlots.add(slot);
    if (this.#failedSlots.size < this.#slots.length) return;
    this.#hasFailed = true; // another attempt would fail the same way
    queueMicrotask(() => this.stop(0));
  }

  #resolveIfDone(): void {
    if (this.#isStopping && this.#processes().length === 0) {
      this.#result.resolve({ totals: this.totals, hasFailed: this.#hasFailed });
    }
  }

  async #restartAll(): Promise<void> {
    while (this.#isRestartRequested && !this.#isStopping) {
      this.#isRestartRequested = false;
      for (const slot of this.#slots) {
        if (await this.#replace(slot)) continue;
        this.#isRestartRequested = false;
        break;
      }
      // Wait for the previous processes, or successive restarts would accumulate draining ones.
      await Promise.all(
        this.#processes()
          .filter(({ state }) => state === "draining")
          .map(({ exited }) => exited),
      );
    }
  }

  async #replace(slot: WorkerSlot): Promise<boolean> {
    let what = "exited before it was serving";
    try {
      if ((await slot.replace(GRACE_MS, IDLE_MS)) || this.#isStopping) return true;
    } catch (error) {
      what = `could not be started: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.#options.onWarning?.(
      `the new worker ${slot.index + 1} ${what}; the restart is canceled, and the current workers keep serving`,
    );
    return false;
  }
}
