// A worker whose handler computes for a fraction of a millisecond per request, so that more cores help.

import { takeWorkerTask } from "../../src/workers/worker-task.ts";
import { runWorker } from "../../src/workers/worker-main.ts";

const ROUNDS = 60_000;

function compute(): number {
  let x = 1;
  for (let i = 0; i < ROUNDS; i++) x = (x * 1_103_515_245 + 12_345) | 0;
  return x;
}

const task = takeWorkerTask();
if (task === undefined) throw new Error("computing-worker.ts is started by bench/workers.ts");
runWorker(task, () => ({ fetch: () => new Response(String(compute())) }));
