// A worker process as the supervisor sees it, from start to exit.

import { EPOLLIN, F_DUPFD_CLOEXEC } from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { type Watch, watch } from "../event-loop/watch.ts";
import { ControlChannel, type WorkerCommand, type WorkerMessage } from "./control-channel.ts";
import { type Totals, zeroTotals } from "./totals.ts";
import { START_TIMEOUT_MS, TASK_VARIABLE, type WorkerTask } from "./worker-task.ts";

export interface WorkerProcessOptions {
  /** The program and its arguments. */
  command: readonly string[];
  /** Listening sockets to inherit; the caller keeps and closes its own fds. */
  listenFds: readonly number[];
  exclusive: boolean;
  reportIntervalMs: number;
}

const CONTROL_FD = 3; // the first one after standard input, output and error
/** A worker that should have exited is killed after this additional time. */
const KILL_DELAY_MS = 2_000;
const REPORT_TIMEOUT_MS = 1_000;
const MAX_TIMER_MS = 0x7fffffff;

export class WorkerProcess {
  readonly pid: number;
  readonly startedMs: number = performance.now();
  /** From the worker's last report. */
  totals: Totals = zeroTotals();
  lastMessageMs: number = performance.now();
  state: "starting" | "serving" | "draining" | "exited" = "starting";
  /** When the worker started serving. */
  servingSinceMs: number | undefined;
  /** Resolves to true when the worker is serving, or to false if it exits before that. */
  readonly serving: Promise<boolean>;
  /** Resolves when the process has exited and its last message has been read. */
  readonly exited: Promise<void>;

  readonly #process: Bun.Subprocess;
  readonly #control: ControlChannel<WorkerCommand, WorkerMessage>;
  readonly #watch: Watch;
  readonly #serving = Promise.withResolvers<boolean>();
  #report: PromiseWithResolvers<void> | undefined;
  #killTimer: ReturnType<typeof setTimeout> | undefined;

  /** @throws if the process cannot be started */
  constructor({ command, listenFds, exclusive, reportIntervalMs }: WorkerProcessOptions) {
    const [control, theirs] = ControlChannel.pair();
    this.#control = control;
    const task: WorkerTask = {
      controlFd: CONTROL_FD,
      listenFds: listenFds.map((_, i) => CONTROL_FD + 1 + i),
      exclusive,
      reportIntervalMs,
    };
    const sources = [theirs.fileno(), ...listenFds];
    const duplicates: number[] = [];
    try {
      // Bun.spawn moves each fd to its number in the child by dup2(2), which could overwrite one that is not moved yet.
      // Duplicates above the target range avoid that.
      for (const fd of sources) {
        duplicates.push(check(syscalls().fcntl(fd, F_DUPFD_CLOEXEC, CONTROL_FD + sources.length), "fcntl", fd));
      }
      this.#process = Bun.spawn([...command], {
        stdio: ["ignore", "inherit", "inherit", ...duplicates],
        env: { ...process.env, ...SUPERVISOR_ONLY_ENV, [TASK_VARIABLE]: JSON.stringify(task) },
      });
    } catch (error) {
      control.close();
      throw error;
    } finally {
      for (const fd of duplicates) syscalls().close(fd);
      theirs.close();
    }
    this.pid = this.#process.pid;
    this.serving = this.#serving.promise;
    this.#watch = watch(control, EPOLLIN, () => this.#receive());
    this.exited = this.#process.exited.then(() => this.#onExit());
    this.#killIn(START_TIMEOUT_MS);
  }

  /** How the process exited, for a message. Defined only after the exit. */
  get exitDescription(): string {
    const { signalCode, exitCode } = this.#process;
    return signalCode === null ? `exited with code ${exitCode}` : `was killed by ${signalCode}`;
  }

  /**
   * Asks the worker to drain: connections still open after `graceMs` are closed. A worker that does not exit after that is
   * killed.
   */
  stop(graceMs: number, idleMs: number): void {
    if (this.state === "exited") return;
    this.state = "draining";
    this.#control.send({ kind: "stop", graceMs, idleMs });
    this.#killIn(graceMs + KILL_DELAY_MS);
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** Asks the worker for its totals, and waits for the reply, at most `REPORT_TIMEOUT_MS`. */
  async updateTotals(): Promise<void> {
    if (this.state === "exited") return; // a worker in state "starting" may have served requests already
    if (this.#report === undefined) {
      this.#report = Promise.withResolvers();
      this.#control.send({ kind: "report" });
    }
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, REPORT_TIMEOUT_MS);
    await Promise.race([this.#report.promise, timeout.promise]);
    clearTimeout(timer);
  }

  #receive(): void {
    for (const message of this.#control.receive()) {
      this.lastMessageMs = performance.now();
      if (message.kind === "serving") this.#onServing();
      else this.totals = message.totals;
      if (message.kind === "totals" && message.isReply) this.#onReport();
    }
    if (!this.#control.isClosed || this.#watch.closed) return;
    this.#watch.close();
    if (this.state !== "draining") this.#killIn(KILL_DELAY_MS); // a worker closes its end only when it exits
  }

  #onServing(): void {
    this.servingSinceMs = this.lastMessageMs;
    if (this.state === "starting") {
      this.state = "serving";
      clearTimeout(this.#killTimer);
    }
    this.#serving.resolve(true);
  }

  #killIn(ms: number): void {
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.kill(), Math.min(ms, MAX_TIMER_MS));
  }

  #onReport(): void {
    this.#report?.resolve();
    this.#report = undefined;
  }

  #onExit(): void {
    this.#receive(); // the final report may still be in the receive queue
    clearTimeout(this.#killTimer);
    this.#watch.close();
    this.#control.close();
    this.state = "exited";
    this.totals.open = 0; // the kernel has closed its connections
    this.#serving.resolve(false);
    this.#onReport();
  }
}

/** Variables to remove from a worker's environment: only the supervisor talks to the service manager. */
const SUPERVISOR_ONLY_ENV: Record<string, undefined> = {
  NOTIFY_SOCKET: undefined,
  WATCHDOG_USEC: undefined,
  WATCHDOG_PID: undefined,
  LISTEN_PID: undefined,
  LISTEN_FDS: undefined,
  LISTEN_FDNAMES: undefined,
};
