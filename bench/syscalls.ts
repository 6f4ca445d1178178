// Counts system calls per request with strace(1). Tracing slows the server down, so calls that depend on timing, such as epoll_wait,
// are slightly off; the others are exact.
//
//   bun bench/syscalls.ts        needs strace, wrk and ab

import { Contender, isInstalled, pinLoad, recipes } from "./support/contender.ts";
import { type Load, load } from "./support/load.ts";

const SECONDS = 2;
const WORKLOADS: [title: string, load: Load][] = [
  ["keep-alive, 64 connections", { connections: 64 }],
  ["keep-alive, 64 connections, pipelined 16", { connections: 64, pipelined: 16 }],
  ["one request per connection, 20 at a time", { connections: 20, closes: true }],
];
const missing = ["strace", "wrk"].filter((tool) => Bun.which(tool) === null);
if (missing.length > 0) {
  console.error(`not installed: ${missing.join(" ")}`);
  process.exit(2);
}
pinLoad();
for (const [title, workload] of WORKLOADS) {
  console.log(`## ${title}`);
  for (const recipe of [recipes.run, recipes.start, recipes.reference, recipes.nginx, recipes.bunServe]) {
    if (!isInstalled(recipe)) continue;
    using server = await Contender.start(recipe, "static");
    await load(server, workload, 1);
    const strace = Bun.spawn(["strace", "-c", "-f", "-U", "calls,name", "-p", String(server.pid)], {
      stdout: "ignore",
      stderr: "pipe",
    });
    const output = strace.stderr.text();
    await Bun.sleep(500); // strace doesn't report when it has attached
    const { requests } = await load(server, workload, SECONDS);
    strace.kill("SIGINT");
    const counts = [...(await output).matchAll(/^ *(\d+) +(\w+)$/gm)]
      .filter(([, , name]) => name !== "total")
      .map(([, count, name]) => ({ name, each: Number(count) / requests }))
      .filter(({ each }) => each >= 0.005)
      .sort((a, b) => b.each - a.each);
    const sum = counts.reduce((total, { each }) => total + each, 0);
    console.log(
      `${recipe.name.padEnd(22)}${sum.toFixed(2).padStart(6)}  ${counts.map(({ name, each }) => `${name} ${each.toFixed(2)}`).join(", ")}`,
    );
  }
  console.log();
}
