// The length and the seed of a fuzz test: short and always the same in `npm test`; long and new with `npm run fuzz`.

import fc from "fast-check";

const seconds = Number(process.env["FUZZ_SECONDS"] ?? 0);
const seed = process.env["FUZZ_SEED"];
const path = process.env["FUZZ_PATH"];

/** Whether this is a long run. */
export const isFuzzRun: boolean = seconds > 0;

/**
 * Runs a property, first with the examples of the corpus. A failure prints its seed and path; FUZZ_SEED and FUZZ_PATH repeat it.
 *
 * @param quickRuns the number of runs in `npm test`
 */
export async function fuzz<Ts extends [unknown, ...unknown[]]>(
  name: string,
  property: fc.IAsyncPropertyWithHooks<Ts> | fc.IPropertyWithHooks<Ts>,
  quickRuns: number,
  examples: Ts[] = [],
): Promise<void> {
  const details = await fc.check(property as fc.IAsyncProperty<Ts>, {
    seed: seed === undefined ? 20_261_128 : Number(seed),
    numRuns: isFuzzRun ? 1_000_000_000 : quickRuns,
    examples,
    ...(path === undefined ? {} : { path, endOnFailure: true }),
    ...(isFuzzRun ? { interruptAfterTimeLimit: seconds * 1000 } : {}),
  });
  if (details.failed) throw new Error(fc.defaultReportMessage(details) ?? "failed", { cause: details.errorInstance });
  if (isFuzzRun) console.log(`fuzz: ${name}: ${details.numRuns} runs with seed ${details.seed}`);
}
