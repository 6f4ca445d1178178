// A worker as its supervisor sees it: one process from its start to its end.

import { EPOLLIN, F_DUPFD_CLOEXEC } from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { type Watch, watch } from "../event-loop/watch.ts";
import { ControlChannel, type WorkerCommand, type WorkerMessage } from "./control-channel.ts";
import { type Totals, zeroTotals } from "./totals.ts";
import { type WorkerTask, TASK_VARIABLE } from "./worker-task.ts";

export interface WorkerProcessOptions {
  /** The program and its arguments. */
  command: readonly string[];
  /** Listening sockets; they stay the caller's. */
  fds: readonly number[];
  exclusive: boolean;
  beatMs: number;
}

const CONTROL = 3; // after standard input, output and error
/** A worker that neither serves nor ends is given up after that. */
const START_MS = 30_000;
/** What is added to the time that a worker was given to finish, before it is killed. */
const MERCY_MS = 2_000;
const ANSWER_MS = 1_000;
const LONGEST_TIMER_MS = 0x7fffffff;

export class WorkerProcess {
  readonly pid: number;
  readonly startedMs: number = performance.now();
  /** What it has done, as it last said. */
  counts: Totals = zeroTotals();
  heardMs: number = performance.now();
  state: "starting" | "serving" | "finishing" | "ended" = "starting";
  /** Since when it serves. */
  servingMs: number | undefined;
  /** It serves: true; it ended before it did: false. */
  readonly serving: Promise<boolean>;
  /** It has ended, and all it said is heard. */
  readonly ended: Promise<void>;

  readonly #process: Bun.Subprocess;
  readonly #control: ControlChannel<WorkerCommand, WorkerMessage>;
  readonly #watch: Watch;
  readonly #serving = Promise.withResolvers<boolean>();
  #answer: PromiseWithResolvers<void> | undefined;
  #killTimer: ReturnType<typeof setTimeout> | undefined;

  /** @throws if the process cannot be started */
  constructor({ command, fds, exclusive, beatMs }: WorkerProcessOptions) {
    const [control, theirs] = ControlChannel.pair();
    this.#control = control;
    const task: WorkerTask = { control: CONTROL, fds: fds.map((_, i) => CONTROL + 1 + i), exclusive, beatMs };
    const sources = [theirs.fileno(), ...fds];
    const lent: number[] = [];
    try {
      // Each goes to its place by dup2(2), which would overwrite one that is still to be moved: lend them from above.
      for (const fd of sources) {
        lent.push(check(syscalls().fcntl(fd, F_DUPFD_CLOEXEC, CONTROL + sources.length), "fcntl", fd));
      }
      this.#process = Bun.spawn([...command], {
        stdio: ["ignore", "inherit", "inherit", ...lent],
        env: { ...process.env, ...forNobodyElse, [TASK_VARIABLE]: JSON.stringify(task) },
      });
    } catch (error) {
      control.close();
      throw error;
    } finally {
      for (const fd of lent) syscalls().close(fd);
      theirs.close();
    }
    this.pid = this.#process.pid;
    this.serving = this.#serving.promise;
    this.#watch = watch(control, EPOLLIN, () => this.#hear());
    this.ended = this.#process.exited.then(() => this.#over());
    this.#endsIn(START_MS);
  }

  /** How it ended, in words; once it has. */
  get fate(): string {
    const { signalCode, exitCode } = this.#process;
    return signalCode === null ? `ended with exit code ${exitCode}` : `was ended by ${signalCode}`;
  }

  /** Have it finish; who is not done in time is cut, and a worker that does not hear is killed. */
  finish(graceMs: number, idleMs: number): void {
    if (this.state === "ended") return;
    this.state = "finishing";
    this.#control.say({ kind: "finish", graceMs, idleMs });
    this.#endsIn(graceMs + MERCY_MS);
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** Have it say what it has done by now; one that does not answer is waited for no longer than a moment. */
  async ask(): Promise<void> {
    if (this.state === "ended") return; // one that starts may have served already, and not been heard yet
    if (this.#answer === undefined) {
      this.#answer = Promise.withResolvers();
      this.#control.say({ kind: "count" });
    }
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, ANSWER_MS);
    await Promise.race([this.#answer.promise, late.promise]);
    clearTimeout(timer);
  }

  #hear(): void {
    for (const report of this.#control.hear()) {
      this.heardMs = performance.now();
      if (report.kind === "serving") this.#serves();
      else this.counts = report.counts;
      if (report.kind === "counts" && report.isAnswer) this.#answered();
    }
    if (!this.#control.isOver || this.#watch.closed) return;
    this.#watch.close();
    if (this.state !== "finishing") this.#endsIn(MERCY_MS); // it is about to end
  }

  #serves(): void {
    this.servingMs = this.heardMs;
    if (this.state === "starting") {
      this.state = "serving";
      clearTimeout(this.#killTimer);
    }
    this.#serving.resolve(true);
  }

  /** Or it is killed. */
  #endsIn(ms: number): void {
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.kill(), Math.min(ms, LONGEST_TIMER_MS));
  }

  #answered(): void {
    this.#answer?.resolve();
    this.#answer = undefined;
  }

  #over(): void {
    this.#hear(); // its last words may have come with its end
    clearTimeout(this.#killTimer);
    this.#watch.close();
    this.#control.close();
    this.state = "ended";
    this.counts.open = 0; // whatever it last said
    this.#serving.resolve(false);
    this.#answered();
  }
}

/** A service manager talks to the supervisor. */
const forNobodyElse: Record<string, undefined> = {
  NOTIFY_SOCKET: undefined,
  WATCHDOG_USEC: undefined,
  WATCHDOG_PID: undefined,
  LISTEN_PID: undefined,
  LISTEN_FDS: undefined,
  LISTEN_FDNAMES: undefined,
};
