// The verdict of a soak: slopes of what could leak, and the replies that were lost.

/** What was measured at one time. */
export interface SoakSample {
  /** Seconds since the start. */
  atSeconds: number;
  fds: number;
  rssBytes: number;
  heapBytes: number;
  p50Ms: number;
  p99Ms: number;
}

export interface SoakResult {
  /** The samples after the warm-up. */
  samples: readonly SoakSample[];
  /** The largest number of connections that were open. */
  connections: number;
  replies: number;
  lost: number;
  wrong: number;
  refused: number;
  /** The server's fds before the first client, and after the last. */
  fdsBefore: number;
  fdsAfter: number;
  /** Connections that the server had open after the last client. */
  openAfter: number;
  exitCode: number;
}

export interface Check {
  what: string;
  value: string;
  limit: string;
  isFine: boolean;
}

const MB = 1_000_000;
/** The share by which a figure may grow between the warm-up and the end. */
const MAX_GROWTH = 0.05;
/** Garbage that has not been collected, and pages that the allocator keeps, vary by this much. */
const RSS_NOISE = 16 * MB;
const HEAP_NOISE = 4 * MB;
const FD_NOISE = 30;
/** The machine may be shared: only a latency that rises far is the server's. */
const MAX_P99_RATIO = 3;
/** A p99 below this is not slow, whatever it was before. */
const FINE_P99_MS = 25;

/** Returns the slope of the least squares line through the points. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const n = points.length;
  if (n < 2) return 0;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  const square = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return square === 0 ? 0 : points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / square;
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** Returns each check with its value and limit. */
export function checksOf(result: SoakResult): Check[] {
  const { samples } = result;
  const seconds = (samples.at(-1)?.atSeconds ?? 0) - (samples[0]?.atSeconds ?? 0);
  const growth = (key: "fds" | "rssBytes" | "heapBytes", noise: number, unit: number, name: string): Check => {
    const slope = slopeOf(samples.map((sample) => [sample.atSeconds, sample[key]] as const));
    const limit = Math.max(noise, MAX_GROWTH * medianOf(samples.map((sample) => sample[key])));
    const text = (value: number): string => (value / unit).toFixed(unit === 1 ? 0 : 1);
    return {
      what: `growth of ${name}`,
      value: `${text(slope * seconds)} (${text(slope * 3600)} an hour)`,
      limit: `at most ${text(limit)}`,
      isFine: slope * seconds <= limit,
    };
  };
  const none = (what: string, value: number): Check => ({
    what,
    value: String(value),
    limit: "0",
    isFine: value === 0,
  });
  const third = Math.ceil(samples.length / 3);
  const [early, late] = [samples.slice(0, third), samples.slice(-third)].map((part) =>
    medianOf(part.map(({ p99Ms }) => p99Ms)),
  ) as [number, number];
  return [
    { what: "replies checked", value: String(result.replies), limit: "at least 1", isFine: result.replies > 0 },
    none("lost replies and messages", result.lost),
    none("replies with wrong bytes", result.wrong),
    none("connections refused", result.refused),
    growth("fds", FD_NOISE, 1, "file descriptors"),
    growth("rssBytes", RSS_NOISE, MB, "resident memory, MB"),
    growth("heapBytes", HEAP_NOISE, MB, "heap after a collection, MB"),
    {
      what: "p99 in the last third ÷ the first, ms",
      value: `${late.toFixed(1)} ÷ ${early.toFixed(1)} = ${(late / early).toFixed(2)}`,
      limit: `at most ${MAX_P99_RATIO}, or ${FINE_P99_MS} ms`,
      isFine: late <= MAX_P99_RATIO * early || late <= FINE_P99_MS,
    },
    {
      what: "file descriptors without clients",
      value: String(result.fdsAfter),
      limit: `${result.fdsBefore}, as before them`,
      isFine: result.fdsAfter <= result.fdsBefore,
    },
    none("connections open without clients", result.openAfter),
    none("exit code of the server", result.exitCode),
  ];
}
