// What one call of select(2), poll(2) and epoll_wait(2) takes, with one active descriptor among ever more idle ones.

import { readdirSync, readFileSync } from "node:fs";
import { hostClock } from "../../kernel/clock.ts";
import { type Call, calls, FdSet } from "./fd-set.ts";
import { DEFAULT_MAX_FDS, MIN_FDS } from "./limits.ts";

/** An odd number, so that the median is one of them. */
export const ROUNDS = 11;
/** How long one round of one call lasts: far above what the clock can tell apart, far below what a person notices. */
const ROUND_MS = 10;
const LEAST_CALLS_PER_ROUND = 5;
const WARM_UP_MS = 2;
/** Descriptors that are left to Bun and to whoever opens a file meanwhile. */
const SPARE = 32;

/** What one call takes, in nanoseconds; `null` where select cannot watch so many. */
export interface Step {
  readonly descriptors: number;
  readonly select: number | null;
  readonly poll: number;
  readonly epoll: number;
}

export interface Measurement {
  readonly steps: readonly Step[];
  /** How many descriptors were asked for; the last step has fewer if so many cannot be open. */
  readonly asked: number;
  /** RLIMIT_NOFILE, the soft limit. Bun has raised it to the hard one when it started. */
  readonly openFiles: number;
}

/**
 * Measure. It blocks for some seconds, opens as many descriptors as are asked for or possible, and closes them.
 *
 * @param asked how many idle descriptors at most
 * @param onProgress called now and then with the share that is done, from 0 to 1
 * @throws {RangeError} if not even ten descriptors can be opened
 * @throws {ErrnoError} ENFILE if the whole system has no more; ENOSPC over /proc/sys/fs/epoll/max_user_watches; ENOMEM
 */
export function measure(asked: number = DEFAULT_MAX_FDS, onProgress?: (share: number) => void): Measurement {
  const openFiles = openFilesLimit();
  const room = openFiles - readdirSync("/proc/self/fd").length - SPARE;
  const sizes = stepsUpTo(Math.min(asked, round(room)));
  if (sizes.length === 0) {
    throw new RangeError(`only ${openFiles} files may be open at once: raise the limit, as with ulimit -n 4096`);
  }
  using crowd = new FdSet(Math.max(...sizes));
  const cells = sizes.map((size) => new Cells(size));
  // Each round has all of them: what disturbs the machine for a while disturbs none more than the others.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, cell] of cells.entries()) {
      onProgress?.((round + i / cells.length) / ROUNDS);
      cell.measure(crowd, round);
    }
  }
  return { steps: cells.map((cell) => cell.step), asked, openFiles };
}

/** 10, 20, 50, 100, ... and the last: evenly spaced, as far as round numbers can be, where each decade is as wide. */
export function stepsUpTo(most: number): number[] {
  const steps: number[] = [];
  if (most < MIN_FDS) return steps;
  for (let decade = MIN_FDS; decade < most; decade *= 10) {
    steps.push(...[decade, 2 * decade, 5 * decade].filter((step) => step < most));
  }
  // A step that all but coincides with the last would say the same twice.
  if ((steps.at(-1) ?? 0) > 0.9 * most) steps.pop();
  return [...steps, most];
}

/** The figures of one step. */
class Cells {
  readonly #size: number;
  readonly #times = new Map<Call, number>();
  readonly #ns: Record<Call, number[]> = { select: [], poll: [], epoll: [] };

  constructor(size: number) {
    this.#size = size;
  }

  /** A round of each call; each time another one begins. */
  measure(crowd: FdSet, round: number): void {
    crowd.gather(this.#size);
    for (let i = 0; i < calls.length; i++) {
      const call = calls[(round + i) % calls.length] as Call;
      if (call === "select" && crowd.isBeyondSelect) continue;
      const times = this.#times.get(call) ?? callsPerRound(crowd, call);
      this.#times.set(call, times);
      crowd.wait(call, 1); // what the previous call has left in the processor's caches is its own
      this.#ns[call].push((timeMs(crowd, call, times) / times) * 1e6);
    }
  }

  get step(): Step {
    const { select, poll, epoll } = this.#ns;
    return {
      descriptors: this.#size,
      select: select.length > 0 ? median(select) : null,
      poll: median(poll),
      epoll: median(epoll),
    };
  }
}

/** Warm up, and see meanwhile how many calls make a round. */
function callsPerRound(crowd: FdSet, call: Call): number {
  for (let n = 1; ; n *= 4) {
    const ms = timeMs(crowd, call, n);
    if (ms >= WARM_UP_MS) return Math.max(LEAST_CALLS_PER_ROUND, Math.ceil((n * ROUND_MS) / ms));
  }
}

function timeMs(crowd: FdSet, call: Call, times: number): number {
  const start = hostClock.now();
  crowd.wait(call, times);
  return hostClock.now() - start;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

/** RLIMIT_NOFILE of this process: proc_pid_limits(5). */
function openFilesLimit(): number {
  const [, soft = "unlimited"] = /^Max open files +(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return soft === "unlimited" ? Infinity : Number(soft);
}

/** Down to three digits: where the limit cuts the last step off, it is still a number to remember. */
function round(n: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, n))) - 2);
  return Number.isFinite(n) ? Math.floor(n / unit) * unit : n;
}
