// class LogHistogram: a histogram of durations with logarithmic buckets, in memory that several threads can share.

/** Buckets per octave. The values in one bucket differ by at most 1/16. */
const STEPS = 16;
/** Durations are counted in tenths of a microsecond: the largest that has its own bucket is 429 s. */
const UNITS_PER_US = 10;
const MAX_UNITS = 0xffff_ffff;
const BUCKETS = 29 * STEPS;

/** Index in the totals: the number of durations, the largest one, and their sum. */
const [COUNT, MAX, SUM] = [0, 1, 2];
const TOTALS_BYTES = 3 * Float64Array.BYTES_PER_ELEMENT;

/** The number of bytes of a histogram. */
export const HISTOGRAM_BYTES: number = TOTALS_BYTES + BUCKETS * Uint32Array.BYTES_PER_ELEMENT;

/** A range of durations in microseconds, and how many were recorded. */
export interface HistogramBar {
  fromUs: number;
  toUs: number;
  count: number;
}

/** The figures of a histogram. Percentiles are exact to 1/16; the maximum is exact. */
export interface HistogramSummary {
  count: number;
  meanUs: number;
  p50Us: number;
  p90Us: number;
  p99Us: number;
  maxUs: number;
  /** One bar for each power of two, from the smallest to the largest duration. */
  bars: HistogramBar[];
}

export class LogHistogram {
  readonly #totals: Float64Array;
  readonly #buckets: Uint32Array;

  /** @param memory HISTOGRAM_BYTES at `offset`, a multiple of 8; all 0 for an empty histogram */
  constructor(memory: SharedArrayBuffer, offset: number = 0) {
    this.#totals = new Float64Array(memory, offset, TOTALS_BYTES / Float64Array.BYTES_PER_ELEMENT);
    this.#buckets = new Uint32Array(memory, offset + TOTALS_BYTES, BUCKETS);
  }

  record(us: number): void {
    const totals = this.#totals;
    totals[COUNT] = (totals[COUNT] as number) + 1;
    totals[SUM] = (totals[SUM] as number) + us;
    if (us > (totals[MAX] as number)) totals[MAX] = us;
    const index = bucketOf(Math.min(MAX_UNITS, Math.round(us * UNITS_PER_US)));
    this.#buckets[index] = (this.#buckets[index] as number) + 1;
  }

  get summary(): HistogramSummary {
    const buckets = this.#buckets.slice(); // another thread may be recording
    const count = buckets.reduce((sum, n) => sum + n, 0);
    const maxUs = this.#totals[MAX] as number;
    const percentile = (share: number): number => {
      let left = Math.max(1, Math.ceil(count * share));
      const index = buckets.findIndex((n) => (left -= n) <= 0);
      return Math.min(maxUs, upperUs(index));
    };
    return {
      count,
      meanUs: count === 0 ? 0 : (this.#totals[SUM] as number) / count,
      p50Us: count === 0 ? 0 : percentile(0.5),
      p90Us: count === 0 ? 0 : percentile(0.9),
      p99Us: count === 0 ? 0 : percentile(0.99),
      maxUs,
      bars: barsOf(buckets),
    };
  }
}

/** Below 16 units every unit has its bucket; above, every octave has 16. */
function bucketOf(units: number): number {
  if (units < STEPS) return units;
  const octave = 31 - Math.clz32(units);
  return (octave - 3) * STEPS + ((units >>> (octave - 4)) & (STEPS - 1));
}

/** Returns the smallest duration of a bucket. */
function lowerUs(index: number): number {
  if (index < STEPS) return index / UNITS_PER_US;
  const octave = Math.floor(index / STEPS) + 3;
  return ((STEPS + (index % STEPS)) * 2 ** (octave - 4)) / UNITS_PER_US;
}

/** Returns the largest duration of a bucket. */
function upperUs(index: number): number {
  return lowerUs(index + 1) - 1 / UNITS_PER_US;
}

function barsOf(buckets: Uint32Array): HistogramBar[] {
  const bars: HistogramBar[] = [];
  for (let start = 0; start < BUCKETS; start += STEPS) {
    const count = buckets.subarray(start, start + STEPS).reduce((sum, n) => sum + n, 0);
    bars.push({ fromUs: lowerUs(start), toUs: lowerUs(start + STEPS), count });
  }
  const first = bars.findIndex(({ count }) => count > 0);
  return first < 0 ? [] : bars.slice(first, bars.findLastIndex(({ count }) => count > 0) + 1);
}
