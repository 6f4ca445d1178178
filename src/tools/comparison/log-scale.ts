// A logarithmic scale from values to positions on a chart.

export interface Tick {
  readonly value: number;
  /** Whether the value is a power of ten. The other ticks are 2 to 9 times a power of ten. */
  readonly isDecade: boolean;
}

/** Tolerance for powers of ten that are not exact in binary. */
const EPSILON = 0.0001;

export class LogScale {
  readonly min: number;
  readonly max: number;
  readonly #from: number;
  readonly #to: number;

  /** Maps values from `min` to `max` to positions from `from` to `to`. If `min` and `max` are equal, the scale is a decade. */
  constructor(min: number, max: number, from: number, to: number) {
    this.min = min;
    this.max = max > min ? max : 10 * min;
    this.#from = from;
    this.#to = to;
  }

  /** Returns a scale of whole decades that contains all values. */
  static decades(values: readonly number[], from: number, to: number): LogScale {
    const min = 10 ** Math.floor(Math.log10(Math.min(...values)));
    return new LogScale(min, 10 ** Math.ceil(Math.log10(Math.max(...values))), from, to);
  }

  position(value: number): number {
    const fraction = Math.log10(value / this.min) / Math.log10(this.max / this.min);
    return this.#from + fraction * (this.#to - this.#from);
  }

  contains(value: number): boolean {
    return value >= this.min && value <= this.max;
  }

  get ticks(): Tick[] {
    const ticks: Tick[] = [];
    for (let power = Math.floor(Math.log10(this.min)); 10 ** power <= this.max * (1 + EPSILON); power++) {
      for (let times = 1; times < 10; times++) ticks.push({ value: times * 10 ** power, isDecade: times === 1 });
    }
    return ticks.filter(({ value }) => value >= this.min * (1 - EPSILON) && value <= this.max * (1 + EPSILON));
  }
}
