// What a thread did with its time: ran, waited for a CPU, or blocked.

import { Buffer } from "node:buffer";
import type { Syscalls } from "../kernel/ffi.ts";

/** Totals of a thread, in microseconds. */
export interface ThreadTimes {
  /** On a CPU. */
  cpuUs: number;
  /** Ready to run, but waiting for a CPU. Undefined if it was not asked for, or if the kernel lacks CONFIG_SCHED_INFO. */
  queuedUs: number | undefined;
  /** How often the thread has blocked. */
  sleeps: number;
  /** How often the kernel has taken the CPU from it. */
  preemptions: number;
}

/** What a thread has done with its time. */
export interface ThreadTimeSource {
  /**
   * Returns undefined if the kernel refuses.
   *
   * @param withQueue include `queuedUs`
   */
  read(withQueue: boolean): ThreadTimes | undefined;
  /** Returns whether processes compete for the CPUs. */
  isMachineBusy(): boolean;
  /**
   * The times are those of another process, which a tracer stops: how often it has slept does not show whether it has blocked, and if
   * the machine is busy, it may have waited for the tracer.
   */
  readonly isRemote: boolean;
}

/** Reads the totals of the calling thread. @see proc_pid_schedstat(5), getrusage(2), CLOCK_THREAD_CPUTIME_ID in clock_gettime(2) */
export class ThreadClock {
  readonly #sys: Syscalls;
  readonly #out = new Int32Array(new ArrayBuffer(24));

  constructor(sys: Syscalls) {
    this.#sys = sys;
  }

  /**
   * Returns undefined if the kernel refuses.
   *
   * @param withQueue include `queuedUs`: takes about 5 µs instead of 0.5
   */
  read(withQueue: boolean): ThreadTimes | undefined {
    if (this.#sys.thread_times(this.#out, withQueue ? 1 : 0) < 0) return undefined;
    const [cpuS = 0, cpuNs = 0, queuedS = 0, queuedNs = 0, sleeps = 0, preemptions = 0] = this.#out;
    return {
      cpuUs: cpuS * 1e6 + cpuNs / 1e3,
      queuedUs: queuedS < 0 ? undefined : queuedS * 1e6 + queuedNs / 1e3,
      sleeps,
      preemptions,
    };
  }
}

/** Returns the source of the calling thread's times. */
export function ownThreadTimes(sys: () => Syscalls): ThreadTimeSource {
  let clock: ThreadClock | undefined;
  return {
    read: (withQueue) => (clock ??= new ThreadClock(sys())).read(withQueue),
    isMachineBusy: () => isMachineBusy(sys()),
    isRemote: false,
  };
}

/** In this part of the last ten seconds, in percent, a process of an idle machine may have waited for a CPU. */
const MAX_IDLE_PRESSURE = 5;
const PRESSURE_FILE: Uint8Array = Buffer.from("/proc/pressure/cpu\0");
const O_CLOEXEC = 0o2000000;

/** Returns whether processes compete for the CPUs: some waited for one. True if the kernel does not say. @see /proc/pressure/cpu */
export function isMachineBusy(sys: Syscalls): boolean {
  const fd = sys.open(PRESSURE_FILE, O_CLOEXEC);
  if (fd < 0) return true;
  const bytes = Buffer.alloc(64);
  const length = sys.read(fd, bytes, 0, bytes.length);
  sys.close(fd);
  const [, share] = /^some avg10=([\d.]+)/.exec(bytes.toString("latin1", 0, Math.max(0, length))) ?? [];
  return share === undefined || Number(share) > MAX_IDLE_PRESSURE;
}
