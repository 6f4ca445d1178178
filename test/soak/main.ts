// The soak: one server, and clients of all kinds in other processes. Prints a line every 10 s, and a verdict at the end.
//
//   npm run soak -- [--minutes 10] [--connections 10000] [--loop start|run] [--plant fds|heap|replies]
//
// Exits with code 1 if something has leaked, was lost, or became slow. All traffic stays on 127.0.0.0/8.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { machine } from "../../bench/support/machine.ts";
import { JsonLines } from "./json-lines.ts";
import type { Clients, SoakClientMessage, SoakClientOptions } from "./client.ts";
import { PLANTS, type Plant, type SoakServerMessage, type SoakServerOptions } from "./server.ts";
import { checksOf, type SoakSample } from "./verdict.ts";

const MAX_MINUTES = 24 * 60;
const MIN_CONNECTIONS = 100;
/** The limits of open files of the processes, minus what they need for other purposes. */
const MAX_CONNECTIONS = 19_000;
const SAMPLES_MS = 10_000;
/** At least this many samples are taken. */
const MIN_SAMPLES = 24;
/** The share of the time after which the measurement begins: buffers have reached their sizes, and code is compiled. */
const WARM_UP = 0.25;
const ADDRESSES = Array.from({ length: 8 }, (_, i) => `127.0.0.${i + 1}`);
const FILE_BYTES = 400_000;
/** How long the server may take to notice that all clients have left. */
const QUIET_TIMEOUT_MS = 120_000;

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    connections: { type: "string", default: "10000" },
    loop: { type: "string", default: "start" },
    plant: { type: "string" },
  },
});
const minutes = Number(options.minutes);
const connections = Number(options.connections);
const { loop } = options;
const plant = PLANTS.find((name) => name === options.plant);
if (
  !(minutes > 0 && minutes <= MAX_MINUTES) ||
  !(connections >= MIN_CONNECTIONS && connections <= MAX_CONNECTIONS) ||
  (loop !== "start" && loop !== "run") ||
  plant !== (options.plant as Plant | undefined)
) {
  console.error(
    `usage: npm run soak -- [--minutes 10] [--connections ${MIN_CONNECTIONS}–${MAX_CONNECTIONS}] [--loop start|run] [--plant ${PLANTS.join("|")}]`,
  );
  process.exit(2);
}

/** Returns the number of open fds of a process. */
const fdsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
const rssOf = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;

/** Two processes: one has the clients whose latency is measured, the other those that are quiet most of the time. */
function clientsFor(count: number): Record<string, Clients> {
  const none: Clients = {
    busy: 0,
    idle: 0,
    churn: 0,
    reset: 0,
    slow: 0,
    uploads: 0,
    files: 0,
    streams: 0,
    echoes: 0,
    subscribers: 0,
  };
  const part = (share: number): number => Math.max(1, Math.round(count * share));
  const traffic = {
    ...none,
    busy: part(0.015),
    churn: part(0.0015),
    reset: part(0.001),
    slow: part(0.0005),
    uploads: part(0.001),
    files: part(0.001),
  };
  const quiet = { ...none, streams: part(0.2), echoes: part(0.1), subscribers: part(0.1) };
  const taken = [...Object.values(traffic), ...Object.values(quiet)].reduce((sum, n) => sum + n, 0);
  return { traffic, quiet: { ...quiet, idle: count - taken } };
}

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-soak-"));
const children: Bun.Subprocess[] = [];
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

const file = join(folder, "file");
writeFileSync(file, crypto.getRandomValues(new Uint8Array(65_536)).toHex().repeat(4).slice(0, FILE_BYTES));
const forMs = minutes * 60_000;
const sampleMs = Math.min(SAMPLES_MS, forMs / MIN_SAMPLES);
const broadcastMs = Math.min(5_000, sampleMs);

/** Starts a program of this folder whose output is lines of JSON, with as many fds as are allowed. */
function start<Message extends object>(program: string, argument: object): JsonLines<Message> {
  const command = ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "sh"];
  const child = Bun.spawn([...command, process.execPath, join(import.meta.dir, program), JSON.stringify(argument)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  children.push(child);
  return new JsonLines<Message>(child);
}

const server = start<SoakServerMessage>("server.ts", {
  addresses: ADDRESSES,
  loop,
  file,
  sampleMs,
  broadcastMs,
  plant,
} satisfies SoakServerOptions);
server.on("warning", (warning) => console.log(`server: ${warning}`));
const { port } = await server.next("serving");
for (const path of ["data/warm/10", "file", "nothing"])
  await (await fetch(`http://127.0.0.1:${port}/${path}`, { keepalive: false })).bytes();
await server.next("sample", ({ open }) => open === 0);
const fdsBefore = fdsOf(server.pid);

console.log(`${machine()}
${connections} connections to one server with ${loop}(), ${minutes} minutes${plant === undefined ? "" : `, with the planted fault "${plant}"`}

 seconds  connections    fds   RSS MB  heap MB   replies/s      lost  p50 ms  p99 ms`);

const startMs = performance.now();
const processes = Object.entries(clientsFor(connections)).map(([name, clients]) => {
  const argument: SoakClientOptions = { name, addresses: ADDRESSES, port, file, clients, forMs, sampleMs, broadcastMs };
  const lines = start<SoakClientMessage>("client.ts", argument);
  lines.on("problem", (problem) => console.log(`${name}: ${problem}`));
  const totals = { replies: 0, lost: 0, wrong: 0, refused: 0, open: 0, p50Ms: 0, p99Ms: 0 };
  lines.on("sample", (sample) => Object.assign(totals, sample, { replies: totals.replies + sample.replies }));
  return { name, lines, totals };
});
const total = (key: "replies" | "lost" | "wrong" | "refused"): number =>
  processes.reduce((sum, { totals }) => sum + totals[key], 0);

const samples: SoakSample[] = [];
let most = 0;
let before = { replies: 0, atSeconds: 0 };
server.on("sample", ({ open, heapBytes }) => {
  const atSeconds = (performance.now() - startMs) / 1000;
  const { p50Ms = 0, p99Ms = 0 } = processes[0]?.totals ?? {};
  const sample = { atSeconds, fds: fdsOf(server.pid), rssBytes: rssOf(server.pid), heapBytes, p50Ms, p99Ms };
  if (atSeconds * 1000 > forMs) return; // the clients are leaving
  most = Math.max(most, open);
  if (atSeconds * 1000 > forMs * WARM_UP) samples.push(sample);
  const rate = (total("replies") - before.replies) / (atSeconds - before.atSeconds);
  before = { replies: total("replies"), atSeconds };
  const cells: [string | number, number][] = [
    [atSeconds.toFixed(0), 8],
    [open, 13],
    [sample.fds, 7],
    [(sample.rssBytes / 1e6).toFixed(1), 9],
    [(heapBytes / 1e6).toFixed(1), 9],
    [rate.toFixed(0), 12],
    [total("lost") + total("wrong") + total("refused"), 10],
    [p50Ms.toFixed(1), 8],
    [p99Ms.toFixed(1), 8],
  ];
  console.log(cells.map(([cell, width]) => String(cell).padStart(width)).join(""));
});

await Promise.all(processes.map(({ lines }) => lines.exited));
for (const { name, lines, totals } of processes) {
  const ended = lines.last("ended");
  if (ended === undefined) throw new Error(`the clients "${name}" exited early`);
  Object.assign(totals, ended, { replies: totals.replies + ended.replies });
}
const quietBy = performance.now() + QUIET_TIMEOUT_MS;
let openAfter = Infinity;
while (openAfter > 0 && performance.now() < quietBy) ({ open: openAfter } = await server.next("sample"));
const fdsAfter = fdsOf(server.pid);
server.kill("SIGTERM");
const { rejected, timeouts, errors, accepted, requests } = await server.next("ended");
const checks = checksOf({
  samples,
  connections: most,
  replies: total("replies"),
  lost: total("lost"),
  wrong: total("wrong"),
  refused: total("refused"),
  fdsBefore,
  fdsAfter,
  openAfter,
  exitCode: await server.exited,
});
console.log(`
the server: ${accepted} connections (at most ${most} at a time), ${requests} requests, ${rejected} rejected, ${errors} resets, ${timeouts} timeouts
`);
for (const { what, value, limit, isFine } of checks) {
  console.log(`${isFine ? "ok    " : "FAILED"}  ${what.padEnd(38)}  ${value}   [${limit}]`);
}
const failed = checks.filter(({ isFine }) => !isFine).length;
console.log(failed === 0 ? "\nThe soak has passed." : `\nThe soak has failed: ${failed} checks.`);
process.exit(failed === 0 ? 0 : 1);
