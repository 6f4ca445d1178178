// What a thread of another process did with its time, from /proc.

import { untracedSyscalls } from "../../kernel/ffi.ts";
import { nodeFs } from "../../kernel/node-fs.ts";
import { isMachineBusy, type ThreadTimes, type ThreadTimeSource } from "../thread-times.ts";

/** A tracer that keeps up reports a call within this time. */
const MAX_LAG_MS = 15;

/** Reads the totals of a thread. @see proc_pid_schedstat(5) */
export class ProcThreadTimes implements ThreadTimeSource {
  readonly isRemote = true;
  readonly #directory: string;
  readonly #lagMs: () => number;

  /** @param lagMs returns how long ago the last call that was reported has happened: if long, the program may have waited for that */
  constructor(pid: number, tid: number, lagMs: () => number) {
    this.#directory = `/proc/${pid}/task/${tid}`;
    this.#lagMs = lagMs;
  }

  /** Returns undefined if the tracer is behind: the program has gone on, or waits for it. */
  read(): ThreadTimes | undefined {
    if (this.#lagMs() > MAX_LAG_MS) return undefined;
    try {
      const [cpuNs = 0, queuedNs = 0] = this.#readFile("schedstat").split(" ").map(Number);
      return { cpuUs: cpuNs / 1e3, queuedUs: queuedNs / 1e3, sleeps: 0, preemptions: 0 }; // see isRemote
    } catch {
      return undefined; // the thread has ended, or the kernel lacks CONFIG_SCHED_INFO
    }
  }

  isMachineBusy(): boolean {
    return isMachineBusy(untracedSyscalls());
  }

  #readFile(name: string): string {
    return nodeFs().readFileSync(`${this.#directory}/${name}`, "utf8");
  }
}
