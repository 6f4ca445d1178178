// Benchmark of epoll-hello --workers: requests per second, processor time per request, and how evenly requests are distributed.
//
//   bun bench/workers.ts [rounds] [number of one workload]        needs wrk
//
// Nothing is pinned: the kernel schedules the workers and wrk, which also needs a core. On a machine with no more cores than workers,
// the requests per second don't show what another worker adds, except with the handler that computes, because wrk then needs very
// little time. Processor time and the busiest worker's share count the workers only.

import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Balance, ListenSockets } from "../src/workers/listen-sockets.ts";
import { Supervisor } from "../src/workers/supervisor.ts";
import { median } from "./support/numbers.ts";

const SECONDS = 2;
const WARM_UP_SECONDS = 1;
const hello = [join(import.meta.dir, "../src/tools/cli/main.ts"), "--quiet"];
const computing = [join(import.meta.dir, "servers/computing-worker.ts")];
const workloads: [name: string, flags: string[], program: string[]][] = [
  ["64 persistent connections", ["-c64"], hello],
  ["8 persistent connections", ["-c8"], hello],
  ["64, one request each", ["-c64", "-H", "Connection: close"], hello],
  ["64, a handler that computes", ["-c64"], computing],
];
const setups: [workers: number, balance: Balance][] = [
  [1, "shared"],
  [2, "shared"],
  [2, "reuseport"],
  [4, "shared"],
  [4, "reuseport"],
];

const rounds = Number(process.argv[2] ?? 5);
const only = process.argv[3] === undefined ? undefined : Number(process.argv[3]);
if (!Number.isInteger(rounds) || rounds < 1 || Bun.which("wrk") === null) {
  console.error("usage: bun bench/workers.ts [rounds, default: 5]; needs wrk");
  process.exit(2);
}
const progress = (what: string): unknown => process.stderr.write(`\r\x1b[K${what}`);

interface Measure {
  requestsPerSecond: number;
  /** Processor time of all workers per request. */
  cpuUs: number;
  /** The share of requests that the busiest worker served. */
  share: number;
}

const cores = availableParallelism();
console.log(`medians of ${rounds} rounds, with new processes each; ${cores} cores, one of which wrk uses`);
for (const [name, flags, program] of only === undefined ? workloads : workloads.slice(only - 1, only)) {
  console.log(`\n${name.padEnd(28)}requests/s      CPU µs per request   busiest worker's share, worst round`);
  const all = setups.map((): Measure[] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [i, [workers, balance]] of setups.entries()) {
      progress(`${name}, round ${round} of ${rounds}: ${workers} workers, ${balance}`);
      all[i]?.push(await measure(workers, balance, flags, program));
    }
  }
  progress("");
  for (const [i, [workers, balance]] of setups.entries()) {
    const of = (key: keyof Measure): number[] => (all[i] as Measure[]).map((measured) => measured[key]);
    const cells = [
      median(of("requestsPerSecond")).toFixed(0).padStart(10),
      median(of("cpuUs")).toFixed(2).padStart(23),
      `${(median(of("share")) * 100).toFixed(0)} %`.padStart(25),
      `${(Math.max(...of("share")) * 100).toFixed(0)} %`.padStart(13),
    ];
    console.log(`${`${workers}${workers === 1 ? "" : `, ${balance}`}`.padEnd(28)}${cells.join("")}`);
  }
}

/** Starts new workers, loads them, and stops them. */
async function measure(workers: number, balance: Balance, flags: string[], program: string[]): Promise<Measure> {
  const sockets = ListenSockets.open({ hostname: "127.0.0.1" }, workers, balance);
  const serving = Promise.withResolvers<void>();
  const command = [process.execPath, ...program];
  const supervisor = new Supervisor({
    command,
    workers,
    sockets,
    onServing: () => serving.resolve(),
    onWarning: console.error,
  });
  const over = supervisor.run();
  try {
    await serving.promise;
    await load(sockets.url, flags, WARM_UP_SECONDS);
    const before = await observe(supervisor);
    const requestsPerSecond = await load(sockets.url, flags, SECONDS);
    const after = await observe(supervisor);
    const requests = after.map((worker, i) => worker.requests - (before[i]?.requests ?? 0));
    const cpuUs = after.reduce((sum, worker, i) => sum + worker.cpuUs - (before[i]?.cpuUs ?? 0), 0);
    const all = requests.reduce((sum, each) => sum + each, 0);
    return { requestsPerSecond, cpuUs: cpuUs / all, share: Math.max(...requests) / all };
  } finally {
    supervisor.stop(0);
    await over;
  }
}

async function load(url: string, flags: string[], seconds: number): Promise<number> {
  const wrk = Bun.spawn(["wrk", "-t1", `-d${seconds}s`, ...flags, url], { stdout: "pipe" });
  const text = await wrk.stdout.text();
  if ((await wrk.exited) !== 0 || /Non-2xx|Socket errors/.test(text)) throw new Error(`wrk failed: ${text}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
}

/** Returns each worker's request count and the processor time of all its threads, from schedstat (proc(5)). */
async function observe(supervisor: Supervisor): Promise<{ requests: number; cpuUs: number }[]> {
  const { workers } = await supervisor.report();
  return workers.map(({ pid, totals }) => {
    const tasks = readdirSync(`/proc/${pid}/task`);
    const ns = tasks.map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]));
    return { requests: totals.requests, cpuUs: ns.reduce((sum, each) => sum + each, 0) / 1000 };
  });
}
