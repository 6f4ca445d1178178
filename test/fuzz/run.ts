// Long runs of the fuzz tests, with a new seed each time.
//
//   bun test/fuzz/run.ts [TARGET…]     default: all
//
// Environment: FUZZ_SECONDS, for each property (default 60); FUZZ_SEED, to repeat a run; FUZZ_PATH, to repeat one failure.

import { join } from "node:path";

/** Test files by target. */
const TARGETS: Readonly<Record<string, string>> = {
  http: "test/fuzz/http",
  websocket: "test/fuzz/websocket",
  proxy: "test/fuzz/proxy",
  trace: "test/fuzz/trace",
  prompt: "test/fuzz/prompt",
  calls: "test/io/random-calls",
};

const root = join(import.meta.dir, "..", "..");
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(TARGETS, name));
if (unknown.length > 0) {
  console.error(`there is no target ${unknown.join(", ")}: the targets are ${Object.keys(TARGETS).join(", ")}`);
  process.exit(2);
}

const seed = process.env["FUZZ_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
const env = { FUZZ_SECONDS: "60", ...process.env, FUZZ_SEED: seed };
let failed = 0;
for (const name of wanted.length > 0 ? wanted : Object.keys(TARGETS)) {
  const child = Bun.spawn([process.execPath, "test", `./${TARGETS[name]}.test.ts`], {
    cwd: root,
    env,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  if ((await child.exited) !== 0) failed++;
}
console.log(
  failed === 0 ? `no failure with seed ${seed}` : `${failed} targets failed; FUZZ_SEED=${seed} repeats the run`,
);
process.exit(failed === 0 ? 0 : 1);
