// Why tests that pass on Node don't pass on Bun: one entry for each, in reasons.json.

import reasonsFile from "./reasons.json" with { type: "json" };

export interface Reason {
  readonly addon: string;
  readonly file: string;
  /** The test's name. If omitted, the reason is for the file as a whole. */
  readonly test?: string;
  /** One sentence. */
  readonly reason: string;
  /** Whether the test passes at times: then a pass doesn't make the entry stale. */
  readonly sometimes?: boolean;
}

const reasons = reasonsFile as readonly Reason[];
const used = new Set<Reason>();

/**
 * Returns the reasons of a file's differences, and those differences that have none.
 * A reason for the file as a whole explains them all.
 */
export function explain(
  addon: string,
  file: string,
  tests: readonly string[],
): { reasons: string[]; unexplained: string[] } {
  const ofFile = reasons.filter((entry) => entry.addon === addon && entry.file === file);
  const found = new Set<string>();
  const unexplained: string[] = [];
  for (const test of tests) {
    const entry = ofFile.find((entry) => entry.test === undefined || entry.test === test);
    if (entry === undefined) {
      unexplained.push(test);
      continue;
    }
    used.add(entry);
    found.add(entry.reason);
  }
  return { reasons: [...found], unexplained };
}

/** Returns the reasons that explained nothing in a run of all of these files: they no longer apply. */
export function staleReasons(filesRun: ReadonlySet<string>): Reason[] {
  return reasons.filter(
    (entry) => !used.has(entry) && entry.sometimes !== true && filesRun.has(`${entry.addon} ${entry.file}`),
  );
}
