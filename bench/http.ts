// The HTTP benchmark: runs all installed servers alternately for several rounds, and prints medians and ratios. Before a server is
// measured, its responses are checked.
//
//   bun bench/http.ts [--rounds 5] [--seconds 3] [--only real-static,real-json] [--servers run,bunServe]
//                     [--json FILE] [--markdown FILE] [--svg FILE]
//
// Needs wrk and ab. nginx, cc, node and python3 are skipped if they aren't installed.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { checkAnswers } from "./support/check-answers.ts";
import { Contender, isInstalled, pinLoad, recipes } from "./support/contender.ts";
import { type Figures, load } from "./support/load.ts";
import { machine } from "./support/machine.ts";
import { median } from "./support/numbers.ts";
import { IdleConnections } from "./support/idle-connections.ts";
import { chart } from "./support/chart.ts";
import { markdown } from "./support/markdown.ts";
import { ratioOf } from "./support/ratios.ts";
import { type Entry, label, NOTES, type TargetRatio, type Workload, workloads } from "./support/workloads.ts";

/** A first load that isn't measured, because the JIT is still compiling: until the server has had this number of requests. */
const WARM_UP_REQUESTS = 50_000;
const MOST_WARM_UPS = 10;

/** The figures of all rounds of a workload, by server. */
export type Result = { workload: Workload; rows: { name: string; rounds: Figures[]; idleBytes: number[] }[] };

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    only: { type: "string" },
    servers: { type: "string" },
    json: { type: "string" },
    markdown: { type: "string" },
    svg: { type: "string" },
  },
});
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
const chosen = options.only?.split(",") ?? workloads.map(({ id }) => id);
const unknown = chosen.filter((id) => !workloads.some((workload) => workload.id === id));
const servers = options.servers?.split(",") ?? Object.keys(recipes);
unknown.push(...servers.filter((name) => !(name in recipes)));
const missing = ["wrk", "ab"].filter((tool) => Bun.which(tool) === null);
if (!(rounds >= 1) || !(seconds >= 1) || unknown.length > 0 || missing.length > 0) {
  console.error(`usage: bun bench/http.ts [--rounds 5] [--seconds 3] [--only WORKLOAD,…] [--servers NAME,…] [--json FILE] [--markdown FILE] [--svg FILE]
workloads: ${workloads.map(({ id }) => id).join(" ")}
servers: ${Object.keys(recipes).join(" ")}
${unknown.length > 0 ? `unknown: ${unknown.join(" ")}` : ""}${missing.length > 0 ? `not installed: ${missing.join(" ")}` : ""}`);
  process.exit(2);
}

pinLoad();
const progress = (what: string): unknown =>
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${what}` : what && `${what}\n`);
console.log(
  `${machine()}\nmedians of ${rounds} rounds of ${seconds} s; the server on one core, the load generator on another; 64 connections unless the title says otherwise\n`,
);
const results: Result[] = [];
for (const workload of workloads.filter(({ id }) => chosen.includes(id))) {
  const result = await measure(workload);
  results.push(result);
  progress("");
  console.log(table(result));
}
if (options.json !== undefined)
  writeFileSync(options.json, JSON.stringify({ machine: machine(), rounds, seconds, results }, null, 1));
const command = `bun bench/http.ts --rounds ${rounds} --seconds ${seconds}`;
if (options.markdown !== undefined) writeFileSync(options.markdown, markdown(results, machine(), command));
if (options.svg !== undefined) {
  const pictured = results.filter(({ workload }) => workload.isPictured);
  writeFileSync(options.svg, chart(pictured.length > 0 ? pictured : results, machine(), `${command}: medians`));
}

async function measure(workload: Workload): Promise<Result> {
  const entries = workload.entries.filter(({ recipe }) => servers.includes(recipe) && isInstalled(recipes[recipe]));
  const rows = entries.map((entry) => ({ name: label(entry), rounds: [] as Figures[], idleBytes: [] as number[] }));
  using stack = new DisposableStack();
  const running: Contender[] = [];
  if (!workload.isFresh) {
    for (const entry of entries) {
      progress(`${workload.title}: warming up ${label(entry)}`);
      const server = stack.use(await Contender.start(recipes[entry.recipe], entry.kind));
      await checkAnswers(server, entry.kind, workload.load);
      await warmUp(server, workload);
      running.push(server);
    }
  }
  for (let round = 1; round <= rounds; round++) {
    for (const [i, entry] of entries.entries()) {
      const row = rows[i];
      progress(`${workload.title}: round ${round} of ${rounds}, ${label(entry)}`);
      row?.rounds.push(await measureOnce(workload, entry, running[i], row.idleBytes));
    }
  }
  return { workload, rows };
}

async function warmUp(server: Contender, workload: Workload): Promise<void> {
  for (let i = 0, requests = 0; i < MOST_WARM_UPS && requests < WARM_UP_REQUESTS; i++)
    requests += (await load(server, workload.load, seconds)).requests;
}

async function measureOnce(
  workload: Workload,
  entry: Entry,
  running: Contender | undefined,
  idleBytes: number[],
): Promise<Figures> {
  using stack = new DisposableStack();
  const server = running ?? stack.use(await Contender.start(recipes[entry.recipe], entry.kind));
  if (workload.idle !== undefined && entry.hasNoIdle !== true) {
    const before = server.residentBytes;
    const idle = stack.use(new IdleConnections(server.address, workload.idle));
    await idle.settled;
    if (idleBytes.length === 0) idleBytes.push((server.residentBytes - before) / workload.idle);
  }
  return await load(server, workload.load, Math.max(seconds, workload.seconds ?? 0));
}

function table({ workload, rows }: Result): string {
  const lines = [
    `## ${workload.title}`,
    "",
    "server                         req/s   CPU µs   user  system  p50 µs  p99 µs   RSS MB",
  ];
  for (const { name, rounds, idleBytes } of rows) {
    const of = (key: keyof Figures): number => median(rounds.map((figures) => figures[key]));
    const cell = (value: number, width: number, digits = 0): string => value.toFixed(digits).padStart(width);
    lines.push(
      name.padEnd(27) +
        cell(of("perSecond"), 9) +
        cell(of("cpuUs"), 9, 2) +
        cell(of("userUs"), 7, 2) +
        cell(of("systemUs"), 8, 2) +
        cell(of("p50Us"), 8) +
        cell(of("p99Us"), 8) +
        cell(of("residentBytes") / 1_048_576, 9) +
        (idleBytes.length > 0 ? `   ${(idleBytes[0] ?? 0).toFixed(0)} bytes per idle connection` : ""),
    );
  }
  for (const target of workload.targets ?? []) lines.push(compare(target, rows));
  return `${lines.join("\n")}\n`;
}

function compare(target: TargetRatio, rows: Result["rows"]): string {
  const { ours, theirs, of, atMost } = target;
  const measured = ratioOf(target, rows);
  if (measured === undefined) return `${ours} ÷ ${theirs}: not measured`;
  const { ratio, least, most } = measured;
  return `${ratio <= atMost ? "met   " : "missed"}  ${ours} ÷ ${theirs}${NOTES[of]}: ${ratio.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)}), target: at most ${atMost.toFixed(2)}`;
}
