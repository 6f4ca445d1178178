// Supervises worker processes that share an address: restarts crashed ones, performs rolling restarts, totals their traffic.

import { WorkerProcess } from "./worker-process.ts";
import { START_TIMEOUT_MS } from "./worker-task.ts";
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
  /**
   * A serving worker that has not reported for this long is killed and replaced, and so is one that is not serving after this
   * time, or after 30 s if that is longer. Default: 30000. Infinity: never.
   */
  workerTimeoutMs?: number;
  /** Called once, when all workers are serving. `socket`: the app has these handlers instead of HTTP. `tls`: it has TLS. */
  onServing?: (app: { socket?: true | undefined; tls?: true | undefined }) => void;
  /** Called for each problem that the supervisor handles itself. */
  onWarning?: (message: string) => void;
  /** Returns the text of an error because of which a process could not be started; default: its message. */
  describeError?: (error: unknown) => string;
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
  /** How each worker ended before any was serving. */
  failures: string[];
}

const GRACE_MS = 10_000; // the default of EpollServer.stop
/** In a rolling restart, how long an idle connection may stay open for one more request. */
const IDLE_MS = 2_000;
/** A worker that has not reported for this many intervals is unresponsive. */
const MAX_MISSED_REPORTS = 3;
const WORKER_TIMEOUT_MS = 30_000;
/** How often workers are checked, in parts of their timeout. A worker reports at least twice as often. */
const CHECKS_PER_TIMEOUT = 4;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #reportIntervalMs: number;
  readonly #workerTimeoutMs: number;
  readonly #slots: readonly WorkerSlot[];
  readonly #result = Promise.withResolvers<SupervisorResult>();
  #launched = 0;
  /** How the worker of each slot ended while no worker had been serving yet. */
  readonly #failures = new Map<WorkerSlot, string>();
  #checkTimer: ReturnType<typeof setInterval> | undefined;
  #lastCheckMs = 0;
  /** When the silence of workers begins to count: this process, or all of them, may have been stopped before. */
  #aliveSinceMs = 0;
  #hasServed = false;
  #hasReportedServing = false;
  #isStopping = false;
  #hasFailed = false;
  #restart: Promise<void> | undefined;
  #isRestartRequested = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#workerTimeoutMs = options.workerTimeoutMs ?? WORKER_TIMEOUT_MS;
    this.#reportIntervalMs = Math.min(
      options.reportIntervalMs ?? 1_000,
      this.#workerTimeoutMs / (2 * CHECKS_PER_TIMEOUT),
    );
    const backoff: Backoff = { minMs: 100, maxMs: 10_000, resetMs: 10_000, ...options.backoff };
    const owner = {
      launch: (slot: WorkerSlot) => this.#launch(slot),
      onCrash: (slot: WorkerSlot, wasServing: boolean, what: string) => this.#onCrash(slot, wasServing, what),
      describeError: (error: unknown) => this.#describeError(error),
      onWarning: (message: string) => options.onWarning?.(message),
    };
    this.#slots = Array.from({ length: options.workers }, (_, i) => new WorkerSlot(i, owner, backoff));
  }

  /** Starts the workers. Resolves when all of them have exited after `stop`. */
  run(): Promise<SupervisorResult> {
    for (const slot of this.#slots) slot.start();
    const intervalMs = this.#workerTimeoutMs / CHECKS_PER_TIMEOUT;
    if (intervalMs !== Infinity) {
      this.#lastCheckMs = performance.now();
      this.#checkTimer = setInterval(() => this.#replaceHungWorkers(intervalMs), intervalMs);
    }
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
      startTimeoutMs: Math.max(START_TIMEOUT_MS, this.#workerTimeoutMs),
    });
    this.#launched++;
    void worker.serving.then((isServing) => isServing && this.#onServing());
    void worker.exited.then(() => queueMicrotask(() => this.#resolveIfDone())); // after its slot has removed it
    return worker;
  }

  #onServing(): void {
    this.#hasServed = true;
    this.#reportServing();
  }

  #reportServing(): void {
    if (this.#hasReportedServing || this.#isStopping) return;
    if (!this.#slots.every(({ current }) => current?.state === "serving")) return;
    this.#hasReportedServing = true;
    const { socket, tls } = this.#slots[0]?.current ?? {};
    this.#options.onServing?.({ socket, tls });
  }

  #onCrash(slot: WorkerSlot, wasServing: boolean, what: string): void {
    if (this.#hasServed || wasServing) return;
    this.#failures.set(slot, what);
    if (this.#failures.size < this.#slots.length) return;
    this.#hasFailed = true; // another attempt would fail the same way
    queueMicrotask(() => this.stop(0));
  }

  #resolveIfDone(): void {
    if (!this.#isStopping || this.#processes().length > 0) return;
    clearInterval(this.#checkTimer);
    const failures = [...this.#failures].map(([{ index }, what]) => `worker ${index + 1} ${what}`);
    this.#result.resolve({ totals: this.totals, hasFailed: this.#hasFailed, failures });
  }

  #replaceHungWorkers(intervalMs: number): void {
    const now = performance.now();
    // After Ctrl-Z, or a call that blocked this process, the workers need time to report.
    if (now - this.#lastCheckMs > 2 * intervalMs) this.#aliveSinceMs = now;
    this.#lastCheckMs = now;
    for (const { processes } of this.#slots) {
      for (const worker of processes) {
        worker.receive(); // its reports may be waiting
        const { state, lastMessageMs, isHung } = worker;
        const isSilent = now - Math.max(lastMessageMs, this.#aliveSinceMs) >= this.#workerTimeoutMs;
        if (state !== "serving" || isHung || !isSilent) continue;
        const reason = `it had not responded for ${this.#workerTimeoutMs / 1000} s`;
        worker.killBecause(reason);
      }
    }
  }

  #describeError(error: unknown): string {
    const describe = this.#options.describeError ?? ((one) => (one instanceof Error ? one.message : String(one)));
    return describe(error);
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
    let what: string;
    try {
      const how = await slot.replace(GRACE_MS, IDLE_MS);
      this.#reportServing(); // the worker that was replaced may never have served
      if (how === undefined || this.#isStopping) return true;
      what = how;
    } catch (error) {
      what = `could not be started: ${this.#describeError(error)}`;
    }
    this.#options.onWarning?.(
      `the new worker ${slot.index + 1} was not serving: it ${what}; the restart is canceled, and the current workers keep serving`,
    );
    return false;
  }
}
