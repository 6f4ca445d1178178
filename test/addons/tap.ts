// The results in TAP output: the top-level test points, by name.

export interface TapResult {
  /** Names of the tests that passed. */
  readonly passed: readonly string[];
  /** Names of the tests that failed. */
  readonly failed: readonly string[];
  readonly skipped: number;
  /** Whether the plan was printed: without it the run ended early. */
  readonly isComplete: boolean;
}

/** Parses the top-level test points of TAP (https://testanything.org). Indented points belong to subtests, and aren't counted. */
export function parseTap(output: string): TapResult {
  const passed: string[] = [];
  const failed: string[] = [];
  let skipped = 0;
  let isComplete = false;
  for (const line of output.split("\n")) {
    if (/^1\.\.\d+/.test(line)) isComplete = true;
    const point = /^(not )?ok\b(?: \d+)?(?: - | )?(.*)$/.exec(line);
    if (point === null) continue;
    const [name = "", directive = ""] = (point[2] ?? "").split(/\s#\s*(?=\S)/);
    if (/^(?:skip|todo)/i.test(directive)) skipped++;
    else (point[1] === undefined ? passed : failed).push(stableName(name));
  }
  return { passed, failed, skipped, isComplete };
}

/** Returns a test's name without what differs between runs: times, dates and counts in it. */
function stableName(name: string): string {
  return name.trim().replaceAll(/\d{3,}/g, "N");
}
