// Benchmark of memory: the resident set of each server at the start, after a number of requests, and after ten times as many.
//
//   bun bench/memory.ts [--requests 1000000] [--growth 10] [--servers run,start,bunServe,nodeOnNode] [--kinds static,json]
//
// The requests are realistic, no two alike. They go to the servers in turns, so that all are measured under the same conditions.
// `--growth 10` continues to ten times the number of requests; `--growth 1`, the default, doesn't. Needs wrk.

import { parseArgs } from "node:util";
import type { Kind } from "./servers/handler.ts";
import {
  Contender,
  isInstalled,
  type Memory,
  memoryOf,
  pinLoad,
  type RecipeName,
  recipes,
} from "./support/contender.ts";
import { load } from "./support/load.ts";
import { machine } from "./support/machine.ts";
import { median } from "./support/numbers.ts";

const MAX_RATIO = 1.1;
/** By how much the resident set may differ between two moments in which the garbage collector has just run, or not. */
const MAX_GROWTH = 1.05;
const TURN_SECONDS = 2;
/** The number of samples of which the last figures of a run are the median. */
const SAMPLES = 5;
const KINDS: readonly Kind[] = ["static", "json"];

const { values: options } = parseArgs({
  options: {
    requests: { type: "string", default: "1000000" },
    growth: { type: "string", default: "1" },
    servers: { type: "string", default: "run,start,bunServe,nodeOnNode" },
    kinds: { type: "string", default: KINDS.join() },
  },
});
const requests = Number(options.requests);
const growth = Number(options.growth);
const names = options.servers.split(",") as RecipeName[];
const kinds = options.kinds.split(",") as Kind[];
const unknown = [...names.filter((name) => !(name in recipes)), ...kinds.filter((kind) => !KINDS.includes(kind))];
if (!(requests >= 1) || !(growth >= 1) || unknown.length > 0 || Bun.which("wrk") === null) {
  console.error(`usage: bun bench/memory.ts [--requests 1000000] [--growth 1] [--servers NAME,…] [--kinds static,json]; needs wrk
servers: ${Object.keys(recipes).join(" ")}
${unknown.length > 0 ? `unknown: ${unknown.join(" ")}` : ""}`);
  process.exit(2);
}

interface Row {
  server: Contender;
  requests: number;
  start: Memory;
  /** The figures after each turn. */
  turns: { requests: number; memory: Memory }[];
}

pinLoad();
const progress = (what: string): unknown =>
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${what}` : what && `${what}\n`);
console.log(`${machine()}\nresident set (proportional set) in MB; 64 connections, realistic requests\n`);
for (const kind of kinds) await measure(kind);

async function measure(kind: Kind): Promise<void> {
  using stack = new DisposableStack();
  const rows: Row[] = [];
  // Only Bun's servers have handlers that return JSON.
  const chosen = names.filter(
    (name) => isInstalled(recipes[name]) && (kind === "static" || /^run|start|bunServe/.test(name)),
  );
  for (const name of chosen) {
    const server = stack.use(await Contender.start(recipes[name], kind));
    const response = await fetch(server.url, { keepalive: false });
    await response.text();
    rows.push({ server, requests: 0, start: memoryOf(server.pid), turns: [] });
  }
  for (const goal of growth > 1 ? [requests, requests * growth] : [requests]) {
    while (rows.some((row) => row.requests < goal)) {
      for (const row of rows) {
        if (row.requests >= goal) continue;
        progress(`${kind}, ${row.server.name}: ${row.requests} of ${goal} requests`);
        row.requests += (await load(row.server, { connections: 64, traffic: "pages" }, TURN_SECONDS)).requests;
        row.turns.push({ requests: row.requests, memory: memoryOf(row.server.pid) });
      }
    }
  }
  progress("");
  report(kind, rows);
}

function report(kind: Kind, rows: Row[]): void {
  const bun = rows.find(({ server }) => server.name === recipes.bunServe.name);
  console.log(
    `## ${kind}\n\nserver                         start         after ${requests}${growth > 1 ? `         after ${requests * growth}` : ""}`,
  );
  for (const row of rows) {
    const cells = [row.start, after(row, requests), ...(growth > 1 ? [after(row, requests * growth)] : [])].map(
      ({ rss, pss }) => `${mega(rss)} (${mega(pss)})`.padStart(16),
    );
    console.log(`${row.server.name.padEnd(22)}${cells.join("    ")}`);
  }
  for (const row of rows.filter(({ server }) => server.name.startsWith("EpollServer"))) {
    const { name } = row.server;
    if (bun !== undefined) {
      target(`${name} ÷ Bun.serve at the start`, row.start.rss / bun.start.rss, MAX_RATIO);
      const ratio = after(row, requests).rss / after(bun, requests).rss;
      target(`${name} ÷ Bun.serve after ${requests} requests`, ratio, MAX_RATIO);
    }
    if (growth === 1) continue;
    const ratio = after(row, requests * growth).rss / after(row, requests).rss;
    target(`${name} after ${requests * growth} ÷ after ${requests} requests`, ratio, MAX_GROWTH);
  }
  console.log();
}

function target(what: string, ratio: number, atMost: number): void {
  console.log(
    `${ratio <= atMost ? "met   " : "missed"}  ${what}: ${ratio.toFixed(2)}, target: at most ${atMost.toFixed(2)}`,
  );
}

/** Returns the medians of the turns around the one that completed the given number of requests. */
function after({ turns }: Row, count: number): Memory {
  const last = turns.findIndex((turn) => turn.requests >= count);
  const around = turns.slice(Math.max(0, last - SAMPLES + 1), last + 1).map(({ memory }) => memory);
  return { rss: median(around.map(({ rss }) => rss)), pss: median(around.map(({ pss }) => pss)) };
}

function mega(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}
