// Formats measured times, ratios and counts for tables, charts and sentences.

/** Returns three digits and a unit: `574 ns`, `1.92 µs`, `12.8 ms`. */
export function formatTime(ns: number): string {
  // From these limits on, a value would round up to 1000 of the unit.
  if (ns < 999.5) return `${threeDigits(ns)} ns`;
  if (ns < 999_500) return `${threeDigits(ns / 1e3)} µs`;
  return ns < 999_500_000 ? `${threeDigits(ns / 1e6)} ms` : `${threeDigits(ns / 1e9)} s`;
}

/** Returns `19,900` for 19900. */
export function formatInteger(n: number): string {
  return n.toLocaleString("en-US");
}

/** Returns a factor: `1.02`, `3.1`, `22,400`. */
export function formatRatio(ratio: number): string {
  if (ratio < 1.095) return ratio.toFixed(2); // one digit would not show which one is faster
  if (ratio < 99.95) return ratio.toFixed(1);
  return formatInteger(Number(ratio.toPrecision(3)));
}

/** Returns `100 ns` or `10 µs` for a power of ten. */
export function formatDecade(ns: number): string {
  return formatTime(ns).replace(/\.0+(?= )/, "");
}

function threeDigits(value: number): string {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}
