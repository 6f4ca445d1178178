// What a thread did with its time: ran, waited for a CPU, or blocked.

import type { Syscalls } from "../kernel/ffi.ts";

/** Totals of a thread, in microseconds. */
export interface ThreadTimes {
  /** On a CPU. */
  cpuUs: number;
  /** Ready to run, but waiting for a CPU. Undefined if the kernel does not say: without CONFIG_SCHED_INFO. */
  queuedUs: number | undefined;
  /** How often the thread has blocked. */
  sleeps: number;
  /** How often the kernel has taken the CPU from it. */
  preemptions: number;
}

/** Reads the totals of the calling thread, which takes about 5 µs. @see proc_pid_schedstat(5), getrusage(2) */
export class ThreadClock {
  readonly #sys: Syscalls;
  readonly #out = new Int32Array(new ArrayBuffer(24));

  constructor(sys: Syscalls) {
    this.#sys = sys;
  }

  /** Returns undefined if the kernel refuses. */
  read(): ThreadTimes | undefined {
    if (this.#sys.thread_times(this.#out) < 0) return undefined;
    const [cpuS = 0, cpuNs = 0, queuedS = 0, queuedNs = 0, sleeps = 0, preemptions = 0] = this.#out;
    return {
      cpuUs: cpuS * 1e6 + cpuNs / 1e3,
      queuedUs: queuedS < 0 ? undefined : queuedS * 1e6 + queuedNs / 1e3,
      sleeps,
      preemptions,
    };
  }
}
