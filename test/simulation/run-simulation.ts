// Runs random scenarios until a number of iterations is reached, and reports a failing one with the command that replays it.

import fc from "fast-check";
import { type Scenario, scenarios } from "./scenario.ts";
import { noTotals, runScenario, type RunTotals } from "./world.ts";

/** Scenarios per seed. */
const CHUNK = 50;

/** Thrown if a scenario fails: its message says how to replay it. */
export class SimulationFailure extends Error {}

/**
 * Runs the scenarios of one seed.
 *
 * @throws {SimulationFailure} with the smallest scenario that fails, and the seed
 */
export function runSeed(seed: number, totals: RunTotals): void {
  const property = fc.property(scenarios, (scenario) => runScenario(scenario, totals));
  const result = fc.check(property, {
    seed,
    numRuns: CHUNK,
    interruptAfterTimeLimit: 60_000,
    markInterruptAsFailure: false,
  });
  if (!result.failed) return;
  const [scenario] = result.counterexample ?? [];
  throw new SimulationFailure(
    `${(result.errorInstance as Error | undefined)?.stack ?? "no run was possible"}\n\n` +
      `scenario, shrunk ${result.numShrinks} times: ${JSON.stringify(scenario)}\n\n` +
      `replay: SEED=${seed} npm run sim`,
  );
}

/** Runs seeds from `seed` on until there were that many iterations. Returns the number of seeds. */
export async function simulate(
  iterations: number,
  seed: number,
  onProgress: (totals: RunTotals, seeds: number) => void = () => {},
): Promise<RunTotals> {
  const totals = noTotals();
  for (let seeds = 0; totals.ticks < iterations; seeds++) {
    runSeed(seed + seeds, totals);
    onProgress(totals, seeds + 1);
    await new Promise((resolve) => setImmediate(resolve)); // the timers of stopped servers
  }
  return totals;
}

/** Runs a scenario as `SimulationFailure` prints it. */
export function replay(json: string): void {
  const scenario = JSON.parse(json) as Scenario;
  scenario.maxConnections ??= Infinity; // JSON has no Infinity
  runScenario(scenario);
}
