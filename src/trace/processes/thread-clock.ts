// What a thread of another process did with its time, from /proc.

import { untracedSyscalls } from "../../kernel/ffi.ts";
import { nodeFs } from "../../kernel/node-fs.ts";
import { isMachineBusy, type ThreadTimes, type ThreadTimeSource } from "../thread-times.ts";

/** Reads the totals of a thread. @see proc_pid_schedstat(5), proc_pid_status(5) */
export class ProcThreadTimes implements ThreadTimeSource {
  readonly #directory: string;
  readonly #stops: () => number;

  /** @param stops returns how often the tracer has stopped the thread: the kernel counts these as sleeps */
  constructor(pid: number, tid: number, stops: () => number) {
    this.#directory = `/proc/${pid}/task/${tid}`;
    this.#stops = stops;
  }

  read(): ThreadTimes | undefined {
    try {
      const [cpuNs = 0, queuedNs = 0] = this.#readFile("schedstat").split(" ").map(Number);
      const status = this.#readFile("status");
      const count = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0);
      return {
        cpuUs: cpuNs / 1e3,
        queuedUs: queuedNs / 1e3,
        sleeps: count("voluntary_ctxt_switches") - this.#stops(),
        preemptions: count("nonvoluntary_ctxt_switches"),
      };
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
