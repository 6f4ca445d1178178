// The formats of times, ratios and counts.

import { expect, setDefaultTimeout, test } from "bun:test";
import { formatDecade, formatInteger, formatRatio, formatTime } from "../../src/tools/comparison/format.ts";

setDefaultTimeout(60_000);

test("times have three digits and a unit", () => {
  const written: [number, string][] = [
    [0.5, "0.50 ns"],
    [99.94, "99.9 ns"],
    [573.6, "574 ns"],
    [999.4, "999 ns"],
    [999.6, "1.00 µs"],
    [12_345, "12.3 µs"],
    [999_499, "999 µs"],
    [999_500, "1.00 ms"],
    [11_310_773, "11.3 ms"],
    [2e9, "2.00 s"],
  ];
  for (const [ns, text] of written) expect(formatTime(ns)).toBe(text);
});

test("ratios have two or three digits, integers have thousands separators", () => {
  expect([0.968, 1.06, 1.1, 3.14, 9.97, 26.13, 119.7, 20_336].map(formatRatio)).toEqual([
    "0.97",
    "1.06",
    "1.1",
    "3.1",
    "10.0",
    "26.1",
    "120",
    "20,300",
  ]);
  expect(formatInteger(19_900)).toBe("19,900");
});

test("formatDecade() omits trailing zeros", () => {
  expect([1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e9].map(formatDecade)).toEqual([
    "1 ns",
    "10 ns",
    "100 ns",
    "1 µs",
    "10 µs",
    "100 µs",
    "1 ms",
    "1 s",
  ]);
});
