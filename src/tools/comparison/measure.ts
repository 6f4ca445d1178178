// Measures one call of select(2), poll(2) and epoll_wait(2), with one active fd among a growing number of idle ones.

import { readdirSync, readFileSync } from "node:fs";
import { hostClock } from "../../kernel/clock.ts";
import { invalidValue } from "../../kernel/errors.ts";
import { type Call, calls, FdPool } from "./fd-pool.ts";
import { DEFAULT_MAX_FDS, MIN_FDS } from "./limits.ts";

/** Odd, so that the median is one of the rounds. */
export const ROUNDS = 11;
/** The duration of a round of one call: far above the clock's resolution, yet short enough for the user. */
const ROUND_MS = 10;
const MIN_CALLS_PER_ROUND = 5;
const WARM_UP_MS = 2;
/** Fds left to Bun and to files opened during the measurement. */
const SPARE_FDS = 32;

/** The time of one call in nanoseconds, for a number of fds. `null`: select cannot watch that many. */
export interface Step {
  readonly fds: number;
  readonly select: number | null;
  readonly poll: number;
  readonly epoll: number;
}

export interface Measurement {
  readonly steps: readonly Step[];
  /** The requested maximum number of fds. The last step has fewer if the process cannot open that many. */
  readonly requestedFds: number;
  /** The soft limit of RLIMIT_NOFILE. Bun raises it to the hard limit at startup. */
  readonly openFilesLimit: number;
}

/**
 * Measures all steps. Blocks for some seconds.
 *
 * @param maxFds the largest number of fds
 * @param onProgress called with the fraction that is done, from 0 to 1
 * @throws {RangeError} if the process cannot open `MIN_FDS` more files
 * @throws {ErrnoError} ENFILE; ENOSPC if it would exceed /proc/sys/fs/epoll/max_user_watches; ENOMEM
 */
export function measure(maxFds: number = DEFAULT_MAX_FDS, onProgress?: (fraction: number) => void): Measurement {
  const openFilesLimit = readOpenFilesLimit();
  const available = openFilesLimit - readdirSync("/proc/self/fd").length - SPARE_FDS;
  const sizes = stepsUpTo(Math.min(maxFds, roundDown(available)));
  if (sizes.length === 0) {
    throw invalidValue(
      `this process may open only ${openFilesLimit} files; raise the limit, for example with: ulimit -n 4096`,
    );
  }
  using pool = new FdPool(Math.max(...sizes));
  const steps = sizes.map((size) => new StepMeasurement(size));
  // Every round measures all steps, so that other load on the machine affects all of them equally.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, step] of steps.entries()) {
      onProgress?.((round + i / steps.length) / ROUNDS);
      step.measure(pool, round);
    }
  }
  return { steps: steps.map((step) => step.result), requestedFds: maxFds, openFilesLimit };
}

/** Returns 10, 20, 50, 100, … up to `max`: round numbers, about evenly spaced on a logarithmic scale. */
export function stepsUpTo(max: number): number[] {
  const steps: number[] = [];
  if (max < MIN_FDS) return steps;
  for (let decade = MIN_FDS; decade < max; decade *= 10) {
    steps.push(...[decade, 2 * decade, 5 * decade].filter((step) => step < max));
  }
  if ((steps.at(-1) ?? 0) > 0.9 * max) steps.pop(); // nearly the same as the last step
  return [...steps, max];
}

/** The times of the three calls for one number of fds. */
class StepMeasurement {
  readonly #size: number;
  readonly #callsPerRound = new Map<Call, number>();
  readonly #ns: Record<Call, number[]> = { select: [], poll: [], epoll: [] };

  constructor(size: number) {
    this.#size = size;
  }

  /** Measures one round of each call. Each round starts with a different call. */
  measure(pool: FdPool, round: number): void {
    pool.useFirst(this.#size);
    for (let i = 0; i < calls.length; i++) {
      const call = calls[(round + i) % calls.length] as Call;
      if (call === "select" && pool.exceedsFdSetSize) continue;
      const times = this.#callsPerRound.get(call) ?? calibrate(pool, call);
      this.#callsPerRound.set(call, times);
      pool.wait(call, 1); // replaces what the previous call left in the processor's caches
      this.#ns[call].push((elapsedMs(pool, call, times) / times) * 1e6);
    }
  }

  get result(): Step {
    const { select, poll, epoll } = this.#ns;
    return {
      fds: this.#size,
      select: select.length > 0 ? median(select) : null,
      poll: median(poll),
      epoll: median(epoll),
    };
  }
}

/** Warms up, and returns how many calls take `ROUND_MS`. */
function calibrate(pool: FdPool, call: Call): number {
  for (let n = 1; ; n *= 4) {
    const ms = elapsedMs(pool, call, n);
    if (ms >= WARM_UP_MS) return Math.max(MIN_CALLS_PER_ROUND, Math.ceil((n * ROUND_MS) / ms));
  }
}

function elapsedMs(pool: FdPool, call: Call, times: number): number {
  const start = hostClock.now();
  pool.wait(call, times);
  return hostClock.now() - start;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

/** Returns the soft limit of RLIMIT_NOFILE of this process: proc_pid_limits(5). */
function readOpenFilesLimit(): number {
  const [, soft = "unlimited"] = /^Max open files +(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return soft === "unlimited" ? Infinity : Number(soft);
}

/** Rounds down to three digits, so that the last step is a readable number even if the limit determines it. */
function roundDown(n: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, n))) - 2);
  return Number.isFinite(n) ? Math.floor(n / unit) * unit : n;
}
