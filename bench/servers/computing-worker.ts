// A worker whose handler computes for a fifth of a millisecond or so: what more cores are for.

import { takeWorkerTask } from "../../src/workers/worker-task.ts";
import { runWorker } from "../../src/workers/worker-main.ts";

const ROUNDS = 60_000;

function compute(): number {
  let x = 1;
  for (let i = 0; i < ROUNDS; i++) x = (x * 1_103_515_245 + 12_345) | 0;
  return x;
}

const task = takeWorkerTask();
if (task === undefined) throw new Error("this is a worker of bench/workers.ts: start that");
runWorker(task, { fetch: () => new Response(String(compute())) });
