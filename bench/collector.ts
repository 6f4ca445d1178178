// Whether the collector runs while static replies are served: it does only when something was allocated.
//
//   bun bench/collector.ts [millions of requests]        needs wrk

import { Contender, pinLoad, recipes } from "./support/contender.ts";
import { load } from "./support/load.ts";

const millions = Number(process.argv[2] ?? 10);
if (!(millions > 0) || Bun.which("wrk") === null) {
  console.error("usage: bun bench/collector.ts [millions of requests, 10 unless given]; wrk has to be installed");
  process.exit(2);
}
pinLoad();
// JavaScriptCore says of each collection that it runs, on standard error.
using server = await Contender.start(recipes.run, "static", { BUN_JSC_logGC: "1" });
const work = { connections: 64, pipelined: 16 };
await load(server, work, 3); // the engine compiles, and what that leaves is collected
const before = server.lines;
const start = server.residentBytes;
let requests = 0;
while (requests < millions * 1e6) {
  requests += (await load(server, work, 2)).requests;
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${(requests / 1e6).toFixed(1)} of ${millions} million`);
}
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
const grown = (server.residentBytes - start) / 1_048_576;
console.log(
  `${(requests / 1e6).toFixed(1)} million requests, pipelined by 16 on 64 connections: the collector ran ${server.lines - before} times; ` +
    `resident memory ${grown < 0 ? "" : "+"}${grown.toFixed(1)} MB`,
);
