// Benchmark of native addons that need libuv: on Bun with epoll-hello/libuv, relative to Node in the same round; and the preload's start-up time.
//
//   bun bench/native-addons.ts [rounds] [name…]        needs node and cc; names: zeromq, serial, udx, wake-up, start-up
//
// Each round runs the same program on both, alternating which one is first. A program prints its figures.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { libuvVersion } from "epoll-hello/libuv";
import { machine } from "./support/machine.ts";
import { median } from "./support/numbers.ts";

const TIMEOUT_MS = 60_000;
const SERIAL_BYTES = 16 << 20;
const root = join(import.meta.dir, "..");
const programs = join(import.meta.dir, "addons");
const scratch = mkdtempSync(join(tmpdir(), "epoll-hello-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

/** The C files that have been compiled. */
const built = new Set<string>();

const RUNTIMES = {
  node: ["node"],
  bun: [process.execPath, "--preload", "epoll-hello/libuv"],
} as const;
type Runtime = keyof typeof RUNTIMES;

interface Workload {
  name: string;
  /** What the figures are, in the order in which the program prints them. */
  figures: readonly Figure[];
  run(runtime: Runtime): Promise<string>;
}

interface Figure {
  title: string;
  unit: string;
  /** Divides the printed figure. */
  scale: number;
  isHigherBetter: boolean;
}

const us = (title: string): Figure => ({ title, unit: "µs", scale: 1, isHigherBetter: false });
const megabytes = (title: string): Figure => ({ title, unit: "MB/s", scale: 1e6, isHigherBetter: true });
const messages: Figure = { title: "zeromq: push to pull, TCP", unit: "1000/s", scale: 1000, isHigherBetter: true };

const workloads: readonly Workload[] = [
  {
    name: "zeromq",
    figures: [us("zeromq: round trip, TCP, p50")],
    run: (runtime) => runProgram(runtime, "zeromq-round-trips.mjs"),
  },
  { name: "zeromq", figures: [messages], run: (runtime) => runProgram(runtime, "zeromq-messages.mjs") },
  {
    name: "serial",
    figures: [megabytes("serialport: send to a pty"), megabytes("serialport: receive from a pty")],
    run: serial,
  },
  {
    name: "udx",
    figures: [megabytes("udx-native: stream, loopback")],
    run: (runtime) => runProgram(runtime, "udx.mjs"),
  },
  {
    name: "wake-up",
    figures: [us("uv_async_send from a thread, idle loop, p50")],
    run: (runtime) => runProgram(runtime, "wake-up.mjs", wakeUpAddon()),
  },
];

const [, , argument = "7", ...names] = process.argv;
const rounds = Number(argument);
const hasTools = ["node", "cc"].every((tool) => Bun.which(tool) !== null);
const known = [...workloads.map(({ name }) => name), "start-up"];
if (!Number.isInteger(rounds) || rounds < 1 || names.some((name) => !known.includes(name)) || !hasTools) {
  console.error("usage: bun bench/native-addons.ts [rounds, default: 7] [name…]; needs node and cc");
  console.error(`names: ${[...new Set(known)].join(", ")}`);
  process.exit(2);
}
const isChosen = (name: string): boolean => names.length === 0 || names.includes(name);

console.log(`${machine()}, libuv ${libuvVersion()}`);
console.log(`medians of ${rounds} rounds; Bun ÷ Node within each round: median, least and most\n`);
console.log(`${"".padEnd(48)}${"Node".padStart(9)}${"Bun".padStart(9)}          Bun ÷ Node   (better)`);
for (const workload of workloads.filter(({ name }) => isChosen(name))) await compare(workload);
if (isChosen("start-up")) await compareStartUp();

async function compare({ figures, run }: Workload): Promise<void> {
  const results: Record<Runtime, number[][]> = { node: [], bun: [] };
  for (let round = 1; round <= rounds; round++) {
    const order: Runtime[] = round % 2 === 0 ? ["bun", "node"] : ["node", "bun"];
    for (const runtime of order) {
      progress(`${figures[0]?.title}, round ${round} of ${rounds}: ${runtime}`);
      results[runtime].push(parse(await run(runtime), figures.length));
    }
  }
  progress("");
  for (const [i, { title, unit, scale, isHigherBetter }] of figures.entries()) {
    const [node, bun] = [results.node, results.bun].map((all) => all.map((one) => (one[i] as number) / scale)) as [
      number[],
      number[],
    ];
    const ratios = bun.map((value, round) => value / (node[round] as number));
    const cells = [median(node), median(bun)].map((value) => value.toFixed(value < 10 ? 2 : 1).padStart(9));
    const range = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
    const better = isHigherBetter ? "higher" : "lower";
    console.log(
      `${`${title}, ${unit}`.padEnd(48)}${cells.join("")}${median(ratios).toFixed(2).padStart(9)} (${range})   ${better}`,
    );
  }
}

/** Compares Bun processes with and without the preload, and a program that loads an addon with the same one on Node. */
async function compareStartUp(): Promise<void> {
  const empty = join(scratch, "empty.mjs");
  const loads = join(programs, "load-zeromq.mjs");
  writeFileSync(empty, "");
  const contenders = [
    { name: "Bun, empty program", command: [process.execPath, empty] },
    { name: "  with the preload", command: [...RUNTIMES.bun, empty] },
    { name: "  with the preload, loads zeromq", command: [...RUNTIMES.bun, loads] },
    { name: "Node, loads zeromq", command: ["node", loads] },
  ].map((one) => ({ ...one, ms: [] as number[], cpuMs: [] as number[] }));
  const count = 5 * rounds;
  for (let round = 0; round <= count; round++) {
    progress(`start-up, round ${round} of ${count}`);
    for (const { command, ms, cpuMs } of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const start = Bun.nanoseconds();
      const { usage } = await execute(command);
      if (round === 0) continue; // it reads the files into the page cache
      ms.push((Bun.nanoseconds() - start) / 1e6);
      cpuMs.push(Number(usage.cpuTime.total) / 1000);
    }
  }
  progress("");
  console.log(`\nstart to exit, ${count} processes each, alternating, medians, ms`);
  console.log(`${"".padEnd(48)}  elapsed  processor time`);
  for (const { name, ms, cpuMs } of contenders) {
    console.log(`${name.padEnd(48)}${median(ms).toFixed(1).padStart(9)}${median(cpuMs).toFixed(1).padStart(16)}`);
  }
  const [plain, preload] = contenders;
  const added = (key: "ms" | "cpuMs"): string =>
    median((preload?.[key] ?? []).map((value, i) => value - (plain?.[key][i] ?? NaN))).toFixed(1);
  console.log(`${"the preload adds".padEnd(48)}${added("ms").padStart(9)}${added("cpuMs").padStart(16)}`);
}

async function serial(runtime: Runtime): Promise<string> {
  const device = Bun.spawn([compiled("pty-device", join(programs, "pty-device.c")), String(SERIAL_BYTES)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    const { value } = await device.stdout.getReader().read();
    return await runProgram(runtime, "serial.mjs", new TextDecoder().decode(value).trim(), String(SERIAL_BYTES));
  } finally {
    device.kill();
    await device.exited;
  }
}

function wakeUpAddon(): string {
  return compiled("wake-up.node", join(programs, "wake-up.c"), "-shared", "-fPIC");
}

/** Compiles a C file on first use, and returns the path of the result. */
function compiled(name: string, source: string, ...flags: string[]): string {
  const file = join(scratch, name);
  if (!built.has(file)) {
    const cc = Bun.spawnSync(["cc", "-O2", ...flags, "-o", file, source], { stderr: "inherit" });
    if (!cc.success) throw new Error(`cannot compile ${source}`);
    built.add(file);
  }
  return file;
}

async function runProgram(runtime: Runtime, program: string, ...args: string[]): Promise<string> {
  return (await execute([...RUNTIMES[runtime], join(programs, program), ...args])).text;
}

/** Runs a command, and returns what it prints and uses. */
async function execute(command: readonly string[]): Promise<{ text: string; usage: Bun.ResourceUsage }> {
  const child = Bun.spawn([...command], { cwd: root, stdout: "pipe", stderr: "inherit", timeout: TIMEOUT_MS });
  const text = await child.stdout.text();
  const code = await child.exited;
  const usage = child.resourceUsage();
  if (code !== 0 || usage === undefined)
    throw new Error(`${command.join(" ")} failed: ${child.signalCode ?? `exit code ${code}`}`);
  return { text, usage };
}

function parse(text: string, count: number): number[] {
  const numbers = text.trim().split(" ").map(Number);
  if (numbers.length !== count || !numbers.every((value) => value > 0))
    throw new Error(`expected ${count} figures: ${text}`);
  return numbers;
}

function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
}
