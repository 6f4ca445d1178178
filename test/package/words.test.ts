// The project's terms: words that other fields or earlier versions used for them do not come back (CONTRIBUTING.md, "Words").

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

/** What is wrong, and what to write instead. */
const terms: [pattern: RegExp, instead: string][] = [
  [/\b(?:lap|laps|#lap\w*|\w+_LAPS)\b/, "iteration"],
  [/\b(?:nobody|somebody|whoever|whomever)\b/i, "the client, the caller, the process, …"],
  [/\b(?:is told of|tells of|hears of|is heard)\b/i, "is notified, reports, receives"],
  [/\b(?:for ever|forevermore)\b/i, "indefinitely"],
  [/\b(?:anew|lest|shall)\b/i, "again; so that … not; must"],
  [/\bunless given\b/i, "default: …"],
  [/\ball the same\b/i, "anyway"],
  [/\bin the end\b/i, "at the end, finally"],
  [/\b(?:so many|so much|so often)\b/i, "at most N, N bytes, every N ms"],
  [/\b(?:stands?|stood) still\b/i, "is paused"],
  [/\b(?:elders|crossing|exorcise|haunted|stillborn)\b/i, "the mechanism's name"],
  [/\bthe document(?:'s)? (?:program|loop|server)\b/i, "the original program"],
  [/\b(?:refusal|refusals)\b/i, "rejection"],
  [/\b(?:behaviour|colour|honour|cancelled|serialise|initialise|licence)\b/i, "American spelling"],
];

/** These read version 1 traces, or reject the old name of a breakpoint with a hint. */
const readsOldName =
  /^(?:src\/trace\/trace-file|src\/tools\/debugger\/breakpoint-location|test\/trace\/file\.test|test\/debugger\/step\.test|docs\/trace-format)\b/;

const glob = new Bun.Glob("{src,native,test,bench,examples,docs,bin}/**/*.{ts,tsx,c,md,mjs,html}");
const files = [...glob.scanSync(root), ...new Bun.Glob("*.md").scanSync(root)]
  .filter(
    (file) => !/(?:^|\/)node_modules\/|^dist\/|^docs\/api\/|\.zh-CN\.md$|^CHANGELOG\.md$|words\.test\.ts$/.test(file),
  )
  .sort();

test("uses the field's terms, the same one for each concept", () => {
  const wrong = files.flatMap((file) =>
    readFileSync(join(root, file), "utf8")
      .split("\n")
      .flatMap((line, i) =>
        terms.flatMap(([pattern, instead]) => {
          const match = pattern.exec(line);
          if (match?.[0] === "lap" && readsOldName.test(file)) return [];
          return match === null ? [] : [`${file}:${i + 1}: "${match[0]}": write ${instead}`];
        }),
      ),
  );
  expect(wrong).toEqual([]);
});
