// Benchmark on Bun's event loop: the wake-up latency of watch() and of a Bun socket, and the cost of a request under start() and run().
//
//   bun bench/bun-loop.ts [rounds]        needs wrk

import { EPOLLIN, socketpair, watch } from "epoll-hello";
import { Contender, pinLoad, recipes } from "./support/contender.ts";
import { median, quantile } from "./support/numbers.ts";

const WAKE_UPS = 2000;
const WARM_UP = 500;
const CONNECTIONS = [1, 4, 64];
const SECONDS = 2;

const rounds = Number(process.argv[2] ?? 5);
if (!Number.isInteger(rounds) || rounds < 1 || Bun.which("wrk") === null) {
  console.error("usage: bun bench/bun-loop.ts [rounds, default: 5]; needs wrk");
  process.exit(2);
}
const progress = (what: string): unknown => process.stderr.write(`\r\x1b[K${what}`);

// ---- idle wake-ups, measured before processes are pinned, so that the bridge thread can use the other core ----

const [ours, oursPeer] = socketpair();
const [bunsPeer, buns] = socketpair();
let sentAt = 0;
let woken = (): void => {};
const latencies = { watch: [] as number[], bun: [] as number[] };
const watcher = watch(ours, EPOLLIN, () => {
  ours.recv(10);
  latencies.watch.push(Bun.nanoseconds() - sentAt);
  woken();
});
const socket = await Bun.connect({
  fd: buns.detach(),
  socket: {
    data() {
      latencies.bun.push(Bun.nanoseconds() - sentAt);
      woken();
    },
  },
} as never);
for (let i = 0; i < WARM_UP + WAKE_UPS; i++) {
  if (i % 100 === 0) progress(`wake-up ${i} of ${WARM_UP + WAKE_UPS}`);
  for (const peer of [oursPeer, bunsPeer]) {
    await Bun.sleep(1); // long enough for the loop to become idle
    const received = new Promise<void>((resolve) => (woken = resolve));
    sentAt = Bun.nanoseconds();
    peer.send("a");
    await received;
  }
}
progress("");
console.log(`idle wake-up, ${WAKE_UPS} each, alternating, µs        p50    p99`);
for (const [name, all] of Object.entries({ "watch()": latencies.watch, "Bun's own socket": latencies.bun })) {
  const cell = (share: number): string => (quantile(all.slice(WARM_UP), share) / 1000).toFixed(0).padStart(7);
  console.log(`${name.padEnd(45)}${cell(0.5)}${cell(0.99)}`);
}

watcher.close();
socket.end();

// ---- requests ----

pinLoad();
using run = await Contender.start(recipes.run, "app");
using start = await Contender.start(recipes.start, "app");
using bun = await Contender.start(recipes.bunServe, "app");
const contenders = [run, start, bun];

console.log(`\nprocessor time of the server per request, medians of ${rounds} rounds, µs`);
console.log("connections        run()    start()  Bun.serve   start() ÷ run()   start() ÷ Bun.serve");
for (const connections of CONNECTIONS) {
  const costs = contenders.map(() => [] as number[]);
  for (const contender of contenders) await load(contender, connections, 1); // warm-up
  for (let round = 1; round <= rounds; round++) {
    for (const [i, contender] of contenders.entries()) {
      progress(`${connections} connections, round ${round} of ${rounds}: ${contender.name}`);
      costs[i]?.push(await load(contender, connections, SECONDS));
    }
  }
  progress("");
  const [a = [], b = [], c = []] = costs;
  const ratio = (over: number[], under: number[]): string =>
    median(over.map((cost, i) => cost / Number(under[i]))).toFixed(2);
  const cells = costs.map((cost) => median(cost).toFixed(2).padStart(11)).join("");
  console.log(`${String(connections).padEnd(13)}${cells}${ratio(b, a).padStart(18)}${ratio(b, c).padStart(22)}`);
}

/** Loads the server for the given time, and returns its processor time per request in µs. */
async function load(server: Contender, connections: number, seconds: number): Promise<number> {
  const before = server.cpuUs;
  const wrk = Bun.spawn(["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, `${server.url}/hello`], { stdout: "pipe" });
  const text = await wrk.stdout.text();
  if ((await wrk.exited) !== 0 || /Non-2xx|Socket errors/.test(text)) throw new Error(`wrk failed: ${text}`);
  return (server.cpuUs - before) / Number(/(\d+) requests in/.exec(text)?.[1]);
}
