// Metrics in the text format of Prometheus, version 0.0.4.

export type Labels = Readonly<Record<string, string>>;

/** The Content-Type of the format. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Counts observations in buckets. */
export class Histogram {
  /** The sum of all observed values. */
  sum: number = 0;
  /** The number of observed values. */
  count: number = 0;
  readonly #bounds: readonly number[];
  readonly #counts: number[];

  /** @param bounds the upper bound of each bucket, ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.sum += value;
    this.count++;
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) (this.#counts[bucket] as number)++;
  }

  /** Returns the number of values up to each bound. */
  cumulative(): [bound: number, count: number][] {
    let total = 0;
    return this.#bounds.map((bound, i) => [bound, (total += this.#counts[i] as number)]);
  }
}

/** Builds the text. */
export class MetricsText {
  #text = "";
  readonly #labels: Labels;

  /** @param labels added to every sample */
  constructor(labels: Labels) {
    this.#labels = labels;
  }

  counter(name: string, help: string, value: number): void {
    this.#family(name, "counter", help);
    this.#sample(name, {}, value);
  }

  gauge(name: string, help: string, value: number): void {
    this.#family(name, "gauge", help);
    this.#sample(name, {}, value);
  }

  /** Adds a metric with one sample for each value of a label. */
  byLabel(
    name: string,
    type: "counter" | "gauge",
    help: string,
    label: string,
    values: Readonly<Record<string, number>>,
  ): void {
    this.#family(name, type, help);
    for (const [key, value] of Object.entries(values)) this.#sample(name, { [label]: key }, value);
  }

  histogram(name: string, help: string, histogram: Histogram): void {
    this.#family(name, "histogram", help);
    for (const [bound, count] of histogram.cumulative()) this.#sample(`${name}_bucket`, { le: String(bound) }, count);
    this.#sample(`${name}_bucket`, { le: "+Inf" }, histogram.count);
    this.#sample(`${name}_sum`, {}, histogram.sum);
    this.#sample(`${name}_count`, {}, histogram.count);
  }

  toString(): string {
    return this.#text;
  }

  #family(name: string, type: string, help: string): void {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  #sample(name: string, own: Labels, value: number): void {
    const labels = Object.entries({ ...this.#labels, ...own }).map(([label, text]) => `${label}="${escaped(text)}"`);
    this.#text += `${name}${labels.length === 0 ? "" : `{${labels.join(",")}}`} ${value}\n`;
  }
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
