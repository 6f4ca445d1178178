// The HTTP measure: every contender that is installed, side by side, over several rounds; medians, and our cost divided by theirs.
//
//   bun bench/http.ts [--rounds 5] [--seconds 3] [--only keep-alive-64,pipelined-16] [--servers run,bunServe]
//                     [--json FILE] [--markdown FILE] [--svg FILE]
//
// Needs wrk and ab; nginx, cc, node and python3 are left out where they are not there.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Contender, isInstalled, pinLoad, recipes } from "./support/contender.ts";
import { type Figures, load } from "./support/load.ts";
import { machine } from "./support/machine.ts";
import { median } from "./support/numbers.ts";
import { Idle } from "./support/idle.ts";
import { chart } from "./support/chart.ts";
import { markdown } from "./support/markdown.ts";
import { ratioOf } from "./support/ratios.ts";
import { type Entry, label, type Promised, type Work, works } from "./support/works.ts";

/** A first load that is not measured: the engine compiles while it lasts. */
const WARM_UP_SECONDS = 2;

/** What all rounds of a work showed, by contender. */
export type Result = { work: Work; rows: { name: string; rounds: Figures[]; idleBytes: number[] }[] };

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
const chosen = options.only?.split(",") ?? works.map(({ id }) => id);
const unknown = chosen.filter((id) => !works.some((work) => work.id === id));
const invited = options.servers?.split(",") ?? Object.keys(recipes);
unknown.push(...invited.filter((name) => !(name in recipes)));
const missing = ["wrk", "ab"].filter((tool) => Bun.which(tool) === null);
if (!(rounds >= 1) || !(seconds >= 1) || unknown.length > 0 || missing.length > 0) {
  console.error(`usage: bun bench/http.ts [--rounds 5] [--seconds 3] [--only WORK,…] [--servers NAME,…] [--json FILE] [--markdown FILE] [--svg FILE]
works: ${works.map(({ id }) => id).join(" ")}
servers: ${Object.keys(recipes).join(" ")}
${unknown.length > 0 ? `unknown: ${unknown.join(" ")}` : ""}${missing.length > 0 ? `not installed: ${missing.join(" ")}` : ""}`);
  process.exit(2);
}

pinLoad();
const progress = (what: string): unknown =>
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${what}` : what && `${what}\n`);
console.log(
  `${machine()}\nmedians of ${rounds} rounds of ${seconds} s; the server alone on a core, the load on another\n`,
);
const results: Result[] = [];
for (const work of works.filter(({ id }) => chosen.includes(id))) {
  const result = await measure(work);
  results.push(result);
  progress("");
  console.log(table(result));
}
if (options.json !== undefined)
  writeFileSync(options.json, JSON.stringify({ machine: machine(), rounds, seconds, results }, null, 1));
const command = `bun bench/http.ts --rounds ${rounds} --seconds ${seconds}`;
if (options.markdown !== undefined) writeFileSync(options.markdown, markdown(results, machine(), command));
if (options.svg !== undefined) {
  const pictured = results.filter(({ work }) => work.isPictured);
  writeFileSync(options.svg, chart(pictured.length > 0 ? pictured : results, machine(), `${command}: medians`));
}

async function measure(work: Work): Promise<Result> {
  const entries = work.entries.filter(({ recipe }) => invited.includes(recipe) && isInstalled(recipes[recipe]));
  const rows = entries.map((entry) => ({ name: label(entry), rounds: [] as Figures[], idleBytes: [] as number[] }));
  using stack = new DisposableStack();
  const servers: Contender[] = [];
  if (!work.isFresh) {
    for (const entry of entries) {
      progress(`${work.title}: warming up ${label(entry)}`);
      const server = stack.use(await Contender.start(recipes[entry.recipe], entry.kind));
      await load(server, work.load, WARM_UP_SECONDS);
      servers.push(server);
    }
  }
  for (let round = 1; round <= rounds; round++) {
    for (const [i, entry] of entries.entries()) {
      const row = rows[i];
      progress(`${work.title}: round ${round} of ${rounds}, ${label(entry)}`);
      row?.rounds.push(await once(work, entry, servers[i], row.idleBytes));
    }
  }
  return { work, rows };
}

async function once(work: Work, entry: Entry, running: Contender | undefined, idleBytes: number[]): Promise<Figures> {
  using stack = new DisposableStack();
  const server = running ?? stack.use(await Contender.start(recipes[entry.recipe], entry.kind));
  if (work.idle !== undefined && entry.isAlone !== true) {
    const before = server.residentBytes;
    const idle = stack.use(new Idle(server.address, work.idle));
    await idle.settled;
    if (idleBytes.length === 0) idleBytes.push((server.residentBytes - before) / work.idle);
  }
  return await load(server, work.load, seconds);
}

function table({ work, rows }: Result): string {
  const lines = [
    `## ${work.title}`,
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
        (idleBytes.length > 0 ? `   ${(idleBytes[0] ?? 0).toFixed(0)} bytes for each idle connection` : ""),
    );
  }
  for (const promise of work.promises ?? []) lines.push(verdict(promise, rows));
  return `${lines.join("\n")}\n`;
}

function verdict(promised: Promised, rows: Result["rows"]): string {
  const { ours, theirs, of, atMost } = promised;
  const measured = ratioOf(promised, rows);
  if (measured === undefined) return `${ours} ÷ ${theirs}: not measured`;
  const { ratio, least, most } = measured;
  const what = of === "userUs" ? ", user CPU only" : "";
  return `${ratio <= atMost ? "kept  " : "missed"}  ${ours} ÷ ${theirs}${what}: ${ratio.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)}), at most ${atMost.toFixed(2)}`;
}
