// The regression guard: compares a revision with its parent by instructions per realistic request, and fails if any figure is over
// 3 % higher. With --short, it measures two figures, and none if the library hasn't changed. A figure that is over the limit is measured
// again with new processes, and must be over it again.
//
//   bun bench/guard.ts [--short | --cpu-time] [REVISION, default: HEAD] [BASE, default: the parent of REVISION]
//
// Valgrind counts the instructions in user mode, on one connection. Without valgrind, or with --cpu-time, wrk loads both revisions
// alternately on 64 connections, and the processor time in user mode is compared. That is much less exact: the guard then fails only
// if three rounds of four are over the limit. --short needs valgrind.

import { parseArgs } from "node:util";
import { Contender, pinLoad } from "./support/contender.ts";
import { type Amount, canCount, CountedServer, instructionsPerRequest } from "./support/counted-server.ts";
import { load } from "./support/load.ts";
import { machine } from "./support/machine.ts";
import { median, quantile } from "./support/numbers.ts";
import { checkOut, commitOf, isSameLibrary } from "./support/revision.ts";
import type { TrafficName } from "./support/traffic.ts";
import type { Kind } from "./servers/handler.ts";

const LIMIT = 1.03;
/** JavaScriptCore compiles after a tenth of the usual calls, so that a short warm-up is enough. */
const COMPILES_EARLY = { BUN_JSC_jitPolicyScale: "0.1" };
const AMOUNT: Amount = { warmUp: 4000, windows: 5, requests: 500 };
const ROUNDS = 15;
const SECONDS = 2;
const WARM_UPS = 4;

interface Case {
  title: string;
  mode: "run" | "start";
  kind: Kind;
  traffic: TrafficName;
  isShort?: boolean;
}

const cases: readonly Case[] = [
  { title: "run(), a static response", mode: "run", kind: "static", traffic: "pages", isShort: true },
  { title: "run(), JSON", mode: "run", kind: "json", traffic: "pages", isShort: true },
  { title: "start(), JSON", mode: "start", kind: "json", traffic: "pages" },
  { title: "run(), JSON, async", mode: "run", kind: "jsonAsync", traffic: "pages" },
  { title: "run(), an app on Hono", mode: "run", kind: "router", traffic: "api" },
  { title: "run(), forms", mode: "run", kind: "form", traffic: "forms" },
];

/** A figure of the base and of the revision, and the ratio that is compared with the limit. */
interface Comparison {
  figures: [base: number, revision: number];
  ratio: number;
}

/** The commands of both servers. */
type Commands = readonly [base: string[], revision: string[]];

const { values: options, positionals } = parseArgs({
  options: { short: { type: "boolean", default: false }, "cpu-time": { type: "boolean", default: false } },
  allowPositionals: true,
});
const [revisionName = "HEAD", baseName] = positionals;
const countsInstructions = canCount && !options["cpu-time"];
const [revision, base] = [commitOf(revisionName), commitOf(baseName ?? `${revisionName}^`)];
const problem =
  positionals.length > 2
    ? "more than two revisions"
    : revision === undefined
      ? `no revision ${revisionName}`
      : base === undefined && baseName !== undefined
        ? `no revision ${baseName}`
        : options.short && !countsInstructions
          ? "--short counts instructions, and needs valgrind"
          : !countsInstructions && Bun.which("wrk") === null
            ? "needs valgrind or wrk"
            : undefined;
if (problem !== undefined || revision === undefined) {
  console.error(
    "usage: bun bench/guard.ts [--short | --cpu-time] [REVISION, default: HEAD] [BASE, default: its parent]",
  );
  console.error(problem);
  process.exit(2);
}
if (base === undefined) {
  console.log(`the parent of ${revisionName} isn't in this clone: nothing to compare`);
  process.exit();
}
if (options.short && baseName === undefined && isSameLibrary(base, revision)) {
  console.log(`the library is the same as in the parent of ${revisionName}: nothing to compare`);
  process.exit();
}

const progress = (what: string): unknown =>
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${what}` : what && `${what}\n`);
const unit = countsInstructions ? "instructions in user mode, counted by valgrind" : "user processor time, in µs";
console.log(`${machine()}\n${unit}, per request: ${revision.slice(0, 9)} compared with ${base.slice(0, 9)}\n`);
const commands = [checkOut(base, "old"), checkOut(revision, "new")] as const;
let failures = 0;
for (const { title, mode, kind, traffic } of cases.filter(({ isShort }) => !options.short || isShort)) {
  progress(title);
  const pair = [commands[0](mode, kind), commands[1](mode, kind)] as const;
  const measure = countsInstructions ? count : time;
  let measured = await measure(pair, traffic);
  if (measured.ratio > LIMIT) {
    progress(`${title}: again, because the ratio was ${measured.ratio.toFixed(3)}`);
    measured = await measure(pair, traffic);
  }
  progress("");
  const { figures, ratio } = measured;
  const [before, after] = figures.map((figure) => figure.toFixed(countsInstructions ? 0 : 2).padStart(9));
  const isOver = ratio > LIMIT;
  if (isOver) failures++;
  console.log(`${isOver ? "over  " : "within"} ${title.padEnd(26)}${before}${after}   × ${ratio.toFixed(3)}`);
}
console.log(`\nlimit: × ${LIMIT}; over it: ${failures}`);
process.exit(failures > 0 ? 1 : 0);

async function count(pair: Commands, traffic: TrafficName): Promise<Comparison> {
  using stack = new DisposableStack();
  const starting = pair.map((command, i) =>
    CountedServer.start(i === 0 ? "base" : "revision", command, COMPILES_EARLY),
  );
  const servers = (await Promise.all(starting)).map((server) => stack.use(server));
  const [before = NaN, after = NaN] = instructionsPerRequest(servers, traffic, AMOUNT);
  return { figures: [before, after], ratio: after / before };
}

async function time(pair: Commands, traffic: TrafficName): Promise<Comparison> {
  pinLoad();
  using stack = new DisposableStack();
  const workload = { connections: 64, traffic };
  const servers: Contender[] = [];
  for (const command of pair) {
    const server = stack.use(await Contender.start({ name: "EpollServer", command: () => command }, "static"));
    for (let i = 0; i < WARM_UPS; i++) await load(server, workload, SECONDS);
    servers.push(server);
  }
  const rounds = servers.map(() => [] as number[]);
  for (let round = 1; round <= ROUNDS; round++) {
    progress(`round ${round} of ${ROUNDS}`);
    for (const [i, server] of servers.entries()) rounds[i]?.push((await load(server, workload, SECONDS)).userUs);
  }
  const [before = [], after = []] = rounds;
  const ratios = after.map((us, round) => us / (before[round] as number));
  return { figures: [median(before), median(after)], ratio: quantile(ratios, 0.25) };
}
