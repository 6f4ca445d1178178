// Counts the instructions in user mode per realistic request, with valgrind and on one connection. Unlike processor time, the figures
// are the same on a busy machine. They don't contain the kernel's part.
//
//   bun bench/instructions.ts [--only real-static,real-json]        needs valgrind

import { parseArgs } from "node:util";
import { recipes } from "./support/contender.ts";
import { canCount, instructionsPerRequest, startCounted } from "./support/counted-server.ts";
import { machine } from "./support/machine.ts";
import { label, type Workload, workloads } from "./support/workloads.ts";

const AMOUNT = { warmUp: 20_000, windows: 5, requests: 1000 };

const { values: options } = parseArgs({ options: { only: { type: "string" } } });
const ours = workloads.filter(({ load }) => load.traffic !== undefined && load.connections === 64);
const chosen = options.only?.split(",") ?? ours.map(({ id }) => id);
if (!canCount || chosen.some((id) => !ours.some((workload) => workload.id === id))) {
  console.error(`usage: bun bench/instructions.ts [--only WORKLOAD,…]; needs valgrind
workloads: ${ours.map(({ id }) => id).join(" ")}`);
  process.exit(2);
}
const progress = (what: string): unknown => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${what}`);
console.log(`${machine()}\ninstructions in user mode per request, on one connection\n`);
for (const workload of ours.filter(({ id }) => chosen.includes(id))) {
  progress(workload.title);
  const lines = await measure(workload);
  progress("");
  console.log(`## ${workload.title}\n\n${lines.join("\n")}\n`);
}

async function measure({ entries, load: { traffic = "pages" } }: Workload): Promise<string[]> {
  using stack = new DisposableStack();
  const compared = entries.filter(({ recipe }) => ["run", "start", "bunServe"].includes(recipe));
  const starting = compared.map(({ recipe, kind }) => startCounted(recipes[recipe], kind));
  const servers = (await Promise.all(starting)).map((server) => stack.use(server));
  const counts = instructionsPerRequest(servers, traffic, AMOUNT);
  const bun = counts[compared.findIndex(({ recipe }) => recipe === "bunServe")] ?? NaN;
  return compared.map((entry, i) => {
    const count = counts[i] ?? NaN;
    return `${label(entry).padEnd(22)}${count.toFixed(0).padStart(9)}   ${(count / bun).toFixed(2)} × Bun.serve's`;
  });
}
