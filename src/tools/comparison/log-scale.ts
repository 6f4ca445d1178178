// class Scale: logarithmic, from a range of values to a range of places on a chart.

/** `10 ** n`, of a decade. */
export interface Tick {
  readonly value: number;
  /** A power of ten; the others are 2 to 9 times one. */
  readonly isDecade: boolean;
}

export class Scale {
  readonly least: number;
  readonly most: number;
  readonly #from: number;
  readonly #to: number;

  /** Values from `least` to `most` lie from place `from` to place `to`. */
  constructor(least: number, most: number, from: number, to: number) {
    this.least = least;
    this.most = most > least ? most : 10 * least; // a single value has a decade of its own
    this.#from = from;
    this.#to = to;
  }

  /** Whole decades around all of them. */
  static decades(values: readonly number[], from: number, to: number): Scale {
    const least = 10 ** Math.floor(Math.log10(Math.min(...values)));
    return new Scale(least, 10 ** Math.ceil(Math.log10(Math.max(...values))), from, to);
  }

  place(value: number): number {
    const share = Math.log10(value / this.least) / Math.log10(this.most / this.least);
    return this.#from + share * (this.#to - this.#from);
  }

  has(value: number): boolean {
    return value >= this.least && value <= this.most;
  }

  get ticks(): Tick[] {
    const ticks: Tick[] = [];
    for (let power = Math.floor(Math.log10(this.least)); 10 ** power <= this.most * 1.0001; power++) {
      for (let times = 1; times < 10; times++) ticks.push({ value: times * 10 ** power, isDecade: times === 1 });
    }
    return ticks.filter(({ value }) => value >= this.least * 0.9999 && value <= this.most * 1.0001);
  }
}
