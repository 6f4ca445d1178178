// epoll-hello --workers: requests a second, processor time for each, and how evenly the workers have them, with one and two workers.
//
//   bun bench/workers.ts [rounds] [load, by its number]        needs wrk
//
// Nothing is pinned: the kernel puts workers and load where there is room. wrk needs a core, too: where there are no more cores
// than workers, requests a second say how these share the machine, and not what another worker is worth; but for the handler that
// computes, beside which the load is nothing. Processor time for each request and the busiest worker's share are the workers' own.

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
const loads: [name: string, flags: string[], program: string[]][] = [
  ["64 kept connections", ["-c64"], hello],
  ["8 kept connections", ["-c8"], hello],
  ["64, each for one request", ["-c64", "-H", "Connection: close"], hello],
  ["64, a handler that computes", ["-c64"], computing],
];
const teams: [workers: number, balance: Balance][] = [
  [1, "shared"],
  [2, "shared"],
  [2, "reuseport"],
  [4, "shared"],
  [4, "reuseport"],
];

const rounds = Number(process.argv[2] ?? 5);
const only = process.argv[3] === undefined ? undefined : Number(process.argv[3]);
if (!Number.isInteger(rounds) || rounds < 1 || Bun.which("wrk") === null) {
  console.error("usage: bun bench/workers.ts [rounds, 5 unless given]; wrk has to be installed");
  process.exit(2);
}
const progress = (what: string): unknown => process.stderr.write(`\r\x1b[K${what}`);

interface Measure {
  requestsPerSecond: number;
  /** Of the workers, for each request. */
  cpuUs: number;
  /** Of the worker with most requests. */
  share: number;
}

const cores = availableParallelism();
console.log(`medians of ${rounds} rounds, each with new processes; ${cores} cores, one of which the load needs`);
for (const [name, flags, program] of only === undefined ? loads : loads.slice(only - 1, only)) {
  console.log(`\n${name.padEnd(28)}requests/s   µs of processor each   busiest worker's share, worst round`);
  const all = teams.map((): Measure[] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [i, [workers, balance]] of teams.entries()) {
      progress(`${name}, round ${round} of ${rounds}: ${workers} workers, ${balance}`);
      all[i]?.push(await measure(workers, balance, flags, program));
    }
  }
  progress("");
  for (const [i, [workers, balance]] of teams.entries()) {
    const of = (key: keyof Measure): number[] => (all[i] as Measure[]).map((measured) => measured[key]);
    const cells = [
      median(of("requestsPerSecond")).toFixed(0).padStart(10),
      median(of("cpuUs")).toFixed(2).padStart(23),
      `${(median(of("share")) * 100).toFixed(0)} %`.padStart(25),
      `${(Math.max(...of("share")) * 100).toFixed(0)} %`.padStart(13),
    ];
    console.log(`${`${workers}, ${workers === 1 ? "alone" : balance}`.padEnd(28)}${cells.join("")}`);
  }
}

/** New workers, asked for so long. */
async function measure(workers: number, balance: Balance, flags: string[], program: string[]): Promise<Measure> {
  const sockets = ListenSockets.open({ hostname: "127.0.0.1" }, workers, balance);
  const serving = Promise.withResolvers<void>();
  const command = [process.execPath, ...program];
  const supervisor = new Supervisor({
    command,
    workers,
    sockets,
    onServing: serving.resolve,
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
  if ((await wrk.exited) !== 0 || /Non-2xx|Socket errors/.test(text)) throw new Error(`wrk has failed: ${text}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
}

/** What each worker has done, and how much processor time all its threads have used: schedstat of proc(5). */
async function observe(supervisor: Supervisor): Promise<{ requests: number; cpuUs: number }[]> {
  const { workers } = await supervisor.report();
  return workers.map(({ pid, totals }) => {
    const tasks = readdirSync(`/proc/${pid}/task`);
    const ns = tasks.map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]));
    return { requests: totals.requests, cpuUs: ns.reduce((sum, each) => sum + each, 0) / 1000 };
  });
}
