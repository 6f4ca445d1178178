// Benchmark of the time from process start to the first response, for EpollServer and Bun.serve, with a new process each time.
//
//   bun bench/startup.ts [rounds]

import { Client } from "../test/support/client.ts";
import { Contender, pinLoad, recipes } from "./support/contender.ts";
import { machine } from "./support/machine.ts";
import { median, quantile } from "./support/numbers.ts";

const rounds = Number(process.argv[2] ?? 31);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error("usage: bun bench/startup.ts [rounds, default: 31]");
  process.exit(2);
}
pinLoad();
const contenders = [recipes.run, recipes.start, recipes.bunServe];
const times = contenders.map(() => [] as number[]);
for (let round = 0; round <= rounds; round++) {
  for (const [i, recipe] of contenders.entries()) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kround ${round} of ${rounds}: ${recipe.name}`);
    const start = Bun.nanoseconds();
    using server = await Contender.start(recipe, "static");
    using client = new Client(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    if (client.readResponse().status !== 200) throw new Error(`${recipe.name} doesn't respond`);
    if (round > 0) times[i]?.push((Bun.nanoseconds() - start) / 1e6); // round 0 reads the files into the page cache
  }
}
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");

console.log(`${machine()}\nfrom start to first response, ${rounds} times each, alternating, ms\n`);
console.log("server                  median   fastest   median ÷ Bun.serve's");
const [, , bun = []] = times;
for (const [i, { name }] of contenders.entries()) {
  const all = times[i] ?? [];
  const ratio = median(all.map((one, round) => one / (bun[round] as number)));
  console.log(
    `${name.padEnd(22)}${median(all).toFixed(1).padStart(8)}${quantile(all, 0).toFixed(1).padStart(10)}${ratio.toFixed(2).padStart(23)}`,
  );
}
