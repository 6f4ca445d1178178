// Benchmark of a wake-up from idle: the time from a byte sent to the callback of watch(), compared with Bun's own socket.
//
//   bun bench/wake-up.ts [wake-ups, default: 3000]

import { EPOLLIN, socketpair, watch } from "epoll-hello";
import { machine } from "./support/machine.ts";
import { quantile } from "./support/numbers.ts";

const WARM_UP = 500;
const IDLE_MS = 1; // long enough for the loop to become idle
const LIMIT = 1.3;
/** The wake-ups are divided into groups, whose ratios give the range. */
const GROUPS = 5;

const count = Number(process.argv[2] ?? 3000);
if (!Number.isInteger(count) || count < GROUPS) {
  console.error(`usage: bun bench/wake-up.ts [wake-ups, default: 3000, at least ${GROUPS}]`);
  process.exit(2);
}

const [ours, oursPeer] = socketpair();
const [bunsPeer, buns] = socketpair();
let sentAt = 0;
let woken: (ns: number) => void = () => {};
using _watcher = watch(ours, EPOLLIN, () => {
  const ns = Bun.nanoseconds() - sentAt;
  ours.recv(10);
  woken(ns);
});
const socket = await Bun.connect({
  fd: buns.detach(),
  socket: { data: () => woken(Bun.nanoseconds() - sentAt) },
} as never);

const latencies = { ours: [] as number[], bun: [] as number[] };
for (let i = -WARM_UP; i < count; i++) {
  if (process.stderr.isTTY && i % 100 === 0)
    process.stderr.write(`\r\x1b[Kwake-up ${i + WARM_UP} of ${count + WARM_UP}`);
  for (const [all, peer] of [
    [latencies.ours, oursPeer],
    [latencies.bun, bunsPeer],
  ] as const) {
    await Bun.sleep(IDLE_MS);
    const received = new Promise<number>((resolve) => (woken = resolve));
    sentAt = Bun.nanoseconds();
    peer.send("a");
    const ns = await received;
    if (i >= 0) all.push(ns);
  }
}
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
socket.end();

console.log(`${machine()}\nwake-up from idle, ${count} times each, alternating, µs\n`);
console.log("                        p50       p99");
for (const [name, all] of [
  ["watch()", latencies.ours],
  ["Bun's own socket", latencies.bun],
] as const) {
  const cell = (share: number): string => (quantile(all, share) / 1000).toFixed(1).padStart(10);
  console.log(`${name.padEnd(17)}${cell(0.5)}${cell(0.99)}`);
}
for (const [title, share] of [
  ["p50", 0.5],
  ["p99", 0.99],
] as const) {
  const ratio = quantile(latencies.ours, share) / quantile(latencies.bun, share);
  const ratios = Array.from({ length: GROUPS }, (_, i) => {
    const group = (all: readonly number[]): number[] => all.filter((_, at) => at % GROUPS === i);
    return quantile(group(latencies.ours), share) / quantile(group(latencies.bun), share);
  });
  const range = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
  console.log(
    `${ratio <= LIMIT ? "met   " : "missed"}  watch() ÷ Bun's own socket, ${title}: ${ratio.toFixed(2)} (${range}), target: at most ${LIMIT.toFixed(2)}`,
  );
}
process.exit();
