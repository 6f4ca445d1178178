// A worker process as the supervisor sees it, from start to exit.

import { EPOLLIN, F_DUPFD_CLOEXEC } from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { type Watch, watch } from "../event-loop/watch.ts";
import { ControlChannel, type WorkerCommand, type WorkerMessage } from "./control-channel.ts";
import { type Totals, zeroTotals } from "./totals.ts";
import { TASK_VARIABLE, type WorkerTask } from "./worker-task.ts";

export interface WorkerProcessOptions {
  /** The program and its arguments. */
  command: readonly string[];
  /** Listening sockets to inherit; the caller keeps and closes its own fds. */
  listenFds: readonly number[];
  exclusive: boolean;
  reportIntervalMs: number;
  /** The time in which the worker must be serving. */
  startTimeoutMs: number;
}

const CONTROL_FD = 3; // the first one after standard input, output and error
/** A worker that should have exited is killed after this additional time. */
const KILL_DELAY_MS = 2_000;
/** What a worker that is not serving yet gets after SIGTERM: its app may handle that, but no request is pending. */
const KILL_STARTING_DELAY_MS = 1_000;
const REPORT_TIMEOUT_MS = 1_000;
const MAX_TIMER_MS = 0x7fffffff;

export class WorkerProcess {
  readonly pid: number;
  readonly startedMs: number = performance.now();
  /** From the worker's last report. */
  totals: Totals = zeroTotals();
  lastMessageMs: number = performance.now();
  state: "starting" | "serving" | "draining" | "exited" = "starting";
  /** Whether the app has handlers of `socket` instead of HTTP, once the worker is serving. */
  socket: true | undefined;
  /** Whether its connections have TLS. */
  tls: true | undefined;
  /** When the worker started serving. */
  servingSinceMs: number | undefined;
  /** Whether `killBecause` has been called. */
  isHung: boolean = false;
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
  #killReason: string | undefined;
  /** The error that the worker reported before it exited. */
  #failure: string | undefined;
  /** How long a worker that was stopped before it was serving may take, if it is serving after all. */
  #stopTimeoutMs: number | undefined;

  /** @throws if the process cannot be started */
  constructor({ command, listenFds, exclusive, reportIntervalMs, startTimeoutMs }: WorkerProcessOptions) {
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
    try {
      this.#watch = watch(control, EPOLLIN, () => this.receive());
    } catch (error) {
      this.kill(); // no fd is left
      control.close();
      throw error;
    }
    this.exited = this.#process.exited.then(() => this.#onExit());
    this.#killIn(startTimeoutMs, `it was not serving within ${startTimeoutMs / 1000} s`);
  }

  /** How the process exited, for a message. Defined only after the exit. */
  get exitDescription(): string {
    const { signalCode, exitCode } = this.#process;
    const how = signalCode === null ? `exited with code ${exitCode}` : `was killed by ${signalCode}`;
    if (this.#failure !== undefined) return `${how}: ${this.#failure}`;
    return this.#killReason === undefined || signalCode === null ? how : `${how}, because ${this.#killReason}`;
  }

  /**
   * Asks the worker to drain: connections still open after `graceMs` are closed. A worker that does not exit after that is
   * killed. A worker that is not serving yet has nothing to drain, and ends immediately.
   */
  stop(graceMs: number, idleMs: number): void {
    if (this.state === "exited") return;
    this.receive(); // it may have started serving
    this.#control.send({ kind: "stop", graceMs, idleMs });
    if (this.servingSinceMs === undefined) {
      this.#process.kill(this.state === "draining" ? "SIGKILL" : "SIGTERM");
      this.#stopTimeoutMs = graceMs + KILL_DELAY_MS;
      this.#killIn(KILL_STARTING_DELAY_MS);
    } else if (!this.isHung) {
      this.#killIn(graceMs + KILL_DELAY_MS);
    }
    this.state = "draining";
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** Kills a worker that hangs. `reason` completes "was killed by SIGKILL, because". Not by SIGABRT: Bun reports a crash then. */
  killBecause(reason: string): void {
    this.isHung = true;
    this.#killReason = reason;
    this.kill();
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

  /** Handles the messages that have arrived. */
  receive(): void {
    for (const message of this.#control.receive()) {
      this.lastMessageMs = performance.now();
      if (message.kind === "serving") {
        this.socket = message.socket;
        this.tls = message.tls;
        this.#onServing();
      } else if (message.kind === "failed") {
        this.#failure = message.message;
      } else {
        this.totals = message.totals;
        if (message.isReply) this.#onReport();
      }
    }
    if (!this.#control.isClosed || this.#watch.closed) return;
    this.#watch.close();
    if (this.state !== "draining") this.#killIn(KILL_DELAY_MS, this.#killReason); // a worker closes its end only when it exits
  }

  #onServing(): void {
    this.servingSinceMs = this.lastMessageMs;
    if (this.state === "starting") {
      this.state = "serving";
      clearTimeout(this.#killTimer);
      this.#killReason = undefined;
    } else if (this.#stopTimeoutMs !== undefined) {
      this.#killIn(this.#stopTimeoutMs);
    }
    this.#serving.resolve(true);
  }

  #killIn(ms: number, reason?: string): void {
    clearTimeout(this.#killTimer);
    this.#killReason = reason;
    this.#killTimer = setTimeout(() => this.kill(), Math.min(ms, MAX_TIMER_MS));
  }

  #onReport(): void {
    this.#report?.resolve();
    this.#report = undefined;
  }

  #onExit(): void {
    this.receive(); // the final report may still be in the receive queue
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
