// `npm run sim`: the real server on the simulated kernel, for ITERATIONS iterations (default: a hundred million).
//
//   ITERATIONS=1000000 npm run sim   # shorter
//   FIRST_SEED=5000 npm run sim      # other scenarios
//   SEED=17 npm run sim              # only the scenarios of one seed
//   SCENARIO='{"seed":…}' npm run sim

import { replay, runSeed, simulate, SimulationFailure } from "./run-simulation.ts";
import { noTotals, type RunTotals } from "./world.ts";

const { ITERATIONS = "100000000", SEED, SCENARIO, FIRST_SEED = String(Date.now() % 1_000_000_000) } = process.env;

function describe({ ticks, calls, replies, faults }: RunTotals): string {
  const cpu = process.cpuUsage();
  const seconds = Math.round((cpu.user + cpu.system) / 1e6);
  return `${ticks} iterations, ${calls} system calls, ${replies} replies, ${faults} faults, ${seconds} s of processor time`;
}

try {
  if (SCENARIO !== undefined) {
    replay(SCENARIO);
    console.log("the scenario passes");
  } else if (SEED !== undefined) {
    const totals = noTotals();
    runSeed(Number(SEED), totals);
    console.log(describe(totals));
  } else {
    const first = Number(FIRST_SEED);
    console.log(`seeds from ${first}`);
    let nextMs = 0;
    const totals = await simulate(Number(ITERATIONS), first, (soFar, seeds) => {
      if (performance.now() < nextMs) return;
      nextMs = performance.now() + 10_000;
      console.log(`${seeds} seeds: ${describe(soFar)}`);
    });
    console.log(describe(totals));
    for (const [reason, count] of [...totals.endedBy].sort(([, a], [, b]) => b - a)) {
      console.log(`${String(count).padStart(10)}  ${reason || "still open at the end"}`);
    }
  }
} catch (error) {
  console.error(error instanceof SimulationFailure ? error.message : error);
  process.exitCode = 1;
}
