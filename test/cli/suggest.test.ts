// suggest(): the name that a misspelled word most likely means.

import { expect, setDefaultTimeout, test } from "bun:test";
import { suggest } from "../../src/kernel/suggest.ts";

setDefaultTimeout(60_000);

const names = ["port", "host", "trace", "trace-file", "why", "lesson"];

test.each([
  ["prot", "port"],
  ["prt", "port"],
  ["hosts", "host"],
  ["lessons", "lesson"],
  ["PORT", "port"],
  ["wyh", "why"],
  ["tracefile", "trace-file"],
  ["les", "lesson"],
  ["trace-f", "trace"],
] as const)("suggests a name for %s: %s", (word, expected) => {
  expect(suggest(word, names)).toBe(expected);
});

test.each(["", "xyz", "server", "ab", "application"])("suggests nothing for %p", (word) => {
  expect(suggest(word, names)).toBeUndefined();
});
