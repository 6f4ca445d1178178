// A worker whose handler computes for a fifth of a millisecond or so: what more cores are for.

import { takeTask } from "../../src/workers/task.ts";
import { work } from "../../src/workers/worker.ts";

const ROUNDS = 60_000;

function compute(): number {
  let x = 1;
  for (let i = 0; i < ROUNDS; i++) x = (x * 1_103_515_245 + 12_345) | 0;
  return x;
}

const task = takeTask();
if (task === undefined) throw new Error("this is a worker of bench/workers.ts: start that");
work(task, { fetch: () => new Response(String(compute())) });
