// Counts garbage collections while static responses are served. There are none if nothing is allocated per request.
//
//   bun bench/collector.ts [millions of requests]        needs wrk

import { Contender, pinLoad, recipes } from "./support/contender.ts";
import { load } from "./support/load.ts";

const millions = Number(process.argv[2] ?? 10);
if (!(millions > 0) || Bun.which("wrk") === null) {
  console.error("usage: bun bench/collector.ts [millions of requests, default: 10]; needs wrk");
  process.exit(2);
}
pinLoad();
// JavaScriptCore writes a line to standard error for each collection.
using server = await Contender.start(recipes.run, "static", { BUN_JSC_logGC: "1" });
const workload = { connections: 64, pipelined: 16 };
await load(server, workload, 3); // warm-up: the JIT compiles, and its garbage is collected
const before = server.lines;
const start = server.residentBytes;
let requests = 0;
while (requests < millions * 1e6) {
  requests += (await load(server, workload, 2)).requests;
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${(requests / 1e6).toFixed(1)} of ${millions} million`);
}
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
const grown = (server.residentBytes - start) / 1_048_576;
console.log(
  `${(requests / 1e6).toFixed(1)} million requests, pipelined by 16 on 64 connections: the garbage collector ran ${server.lines - before} times; ` +
    `resident memory ${grown < 0 ? "" : "+"}${grown.toFixed(1)} MB`,
);
