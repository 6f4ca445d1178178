// Benchmark with very many idle connections: the memory of each, and what they cost the active ones. Then two workers on two cores.
//
//   bun bench/scale.ts [--connections 100000] [--rounds 5] [--seconds 2] [--servers run,bunServe] [--only idle,workers]
//
// A process can't have more connections than open files. If the limit is lower (`ulimit -Hn`), each server gets several processes, each
// with its part of the connections. Memory is that of the processes; what the kernel needs for a connection is the same for all servers.
// Needs wrk.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ListenSockets } from "../src/workers/listen-sockets.ts";
import { Supervisor } from "../src/workers/supervisor.ts";
import {
  Contender,
  cpuUsOf,
  isInstalled,
  maxFds,
  memoryOf,
  nginxRecipe,
  pinLoad,
  type Recipe,
  type RecipeName,
  recipes,
} from "./support/contender.ts";
import { load, requestsOf } from "./support/load.ts";
import { machine } from "./support/machine.ts";
import { median } from "./support/numbers.ts";

const ACTIVE = { connections: 64, traffic: "pages" } as const;
const WARM_UP_SECONDS = 2;
/** For the processes whose processor time is measured: on a busy machine, the JIT is still compiling after a few seconds. */
const WARM_UP_REQUESTS = 100_000;
/** File descriptors of a process that are not idle connections. */
const OTHER_FDS = 1000;
/** The garbage of opening the connections is collected in the meantime, if it ever is. */
const SETTLE_MS = 2000;
const MAX_RATIO = 1.05;

const { values: options } = parseArgs({
  options: {
    connections: { type: "string", default: "100000" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    servers: { type: "string", default: "run,start,bunServe,nginx,nodeOnNode" },
    only: { type: "string", default: "idle,workers" },
  },
});
const connections = Number(options.connections);
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
const names = options.servers.split(",") as RecipeName[];
const parts = options.only.split(",");
const unknown = [
  ...names.filter((name) => !(name in recipes)),
  ...parts.filter((part) => !/^(idle|workers)$/.test(part)),
];
if (!(connections >= 1) || !(rounds >= 1) || !(seconds >= 1) || unknown.length > 0 || Bun.which("wrk") === null) {
  console.error(`usage: bun bench/scale.ts [--connections 100000] [--rounds 5] [--seconds 2] [--servers NAME,…] [--only idle,workers]; needs wrk
servers: ${Object.keys(recipes).join(" ")}
${unknown.length > 0 ? `unknown: ${unknown.join(" ")}` : ""}`);
  process.exit(2);
}
const progress = (what: string): unknown =>
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${what}` : what && `${what}\n`);
console.log(machine());
// ---- idle connections ----

async function compareIdle(): Promise<void> {
  pinLoad();
  const processes = Math.ceil(connections / (maxFds() - OTHER_FDS));
  const share = Math.ceil(connections / processes);
  console.log(`
## ${processes * share} idle connections

${processes === 1 ? "one process" : `${processes} processes`} of each server with ${share} connections; ${ACTIVE.connections} active connections to one of them, realistic requests;
medians of ${rounds} rounds of ${seconds} s

server                 bytes per connection   CPU µs per request   without idle ones   ratio (range)`);
  for (const [i, name] of names.entries()) {
    if (!isInstalled(recipes[name])) continue;
    const { bytes, among, without } = await measureIdle(name, processes, share, `127.0.${i + 1}`);
    progress("");
    const ratios = among.map((cost, round) => cost / (without[round] ?? NaN));
    const cells = [
      bytes.toFixed(0).padStart(20),
      median(among).toFixed(2).padStart(21),
      median(without).toFixed(2).padStart(20),
    ];
    const range = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
    const isOurs = name === "run" || name === "start";
    const verdict = isOurs
      ? `, ${median(ratios) <= MAX_RATIO ? "met" : "missed"}: at most ${MAX_RATIO.toFixed(2)}`
      : "";
    console.log(
      `${recipes[name].name.padEnd(22)}${cells.join("")}   ${median(ratios).toFixed(2)} (${range})${verdict}`,
    );
  }
}

interface IdleFigures {
  bytes: number;
  /** The cost of requests among idle connections, by round. */
  among: number[];
  /** The same in a process without idle connections. */
  without: number[];
}

async function measureIdle(name: RecipeName, processes: number, share: number, network: string): Promise<IdleFigures> {
  using stack = new DisposableStack();
  const start = async (): Promise<Contender> => {
    const server = stack.use(
      await Contender.start(withMaxFds(name === "nginx" ? nginxRecipe() : recipes[name]), "static"),
    );
    await (await fetch(server.url, { keepalive: false })).text();
    return server;
  };
  progress(`${name}: starting`);
  const servers: Contender[] = [];
  for (let i = 0; i < processes; i++) servers.push(await start());
  const [first] = servers;
  if (first === undefined) throw new Error("no server");
  const other = await start();
  // Before the load: it leaves garbage, whose memory the connections would reuse.
  const memory = (): number => servers.reduce((sum, { pid }) => sum + memoryOf(pid).pss, 0);
  const before = memory();
  for (const [i, { address }] of servers.entries()) {
    progress(`${name}: opening connections, ${i * share} of ${processes * share}`);
    stack.use(await IdleClient.start(address.port, share, network));
  }
  await Bun.sleep(SETTLE_MS);
  const bytes = (memory() - before) / (processes * share);
  progress(`${name}: warming up, ${bytes.toFixed(0)} bytes per connection`);
  for (const server of [first, other])
    for (let sent = 0; sent < WARM_UP_REQUESTS;) sent += (await load(server, ACTIVE, WARM_UP_SECONDS)).requests;
  const figures: IdleFigures = { bytes, among: [], without: [] };
  for (let round = 1; round <= rounds; round++) {
    progress(`${name}: round ${round} of ${rounds}`);
    figures.among.push((await load(first, ACTIVE, seconds)).cpuUs);
    figures.without.push((await load(other, ACTIVE, seconds)).cpuUs);
  }
  const open = readdirSync(`/proc/${first.pid}/fd`).length;
  if (open < share) throw new Error(`${name} has closed connections: it has ${open} open files`);
  return figures;
}

/** Raises the limit of open files before the server starts. */
function withMaxFds(recipe: Recipe): Recipe {
  const command = (kind: Parameters<Recipe["command"]>[0]): readonly string[] => raisingLimit(recipe.command(kind));
  return recipe.port === undefined ? { ...recipe, command } : { ...recipe, command, port: recipe.port };
}

function raisingLimit(command: readonly string[]): string[] {
  return ["sh", "-c", 'ulimit -n "$(ulimit -Hn)" && exec "$@"', "sh", ...command];
}

/** A process with idle connections. */
class IdleClient implements Disposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor(child: Bun.Subprocess<"pipe", "pipe", "inherit">) {
    this.#child = child;
  }

  static async start(port: number, count: number, network: string): Promise<IdleClient> {
    const program = join(import.meta.dir, "support/idle-client.ts");
    const command = raisingLimit([process.execPath, program, String(port), String(count), network]);
    const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    for await (const _ of child.stdout) return new IdleClient(child);
    throw new Error("cannot open the idle connections");
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

// ---- two workers ----

/** Servers with two workers each. */
interface Pair extends AsyncDisposable {
  name: string;
  url: string;
  pids(): number[];
}

async function compareWorkers(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  progress("workers: starting");
  const pairs = [stack.use(await ourPair())];
  if (isInstalled(recipes.nginx)) pairs.push(stack.use(await nginxPair()));
  const figures = pairs.map((): { perSecond: number; cpuUs: number }[] => []);
  for (const { url } of pairs)
    for (let sent = 0; sent < WARM_UP_REQUESTS;) sent += await requestsOf(url, ACTIVE, WARM_UP_SECONDS);
  for (let round = 1; round <= rounds; round++) {
    for (const [i, pair] of pairs.entries()) {
      progress(`workers: round ${round} of ${rounds}, ${pair.name}`);
      const before = cpuOf(pair);
      const requests = await requestsOf(pair.url, ACTIVE, seconds);
      figures[i]?.push({ perSecond: requests / seconds, cpuUs: (cpuOf(pair) - before) / requests });
    }
  }
  progress("");
  console.log(`
## Two workers on two cores

wrk runs on the same two cores, so that the processor time per request says more than the requests per second;
${ACTIVE.connections} connections, realistic requests; medians of ${rounds} rounds of ${seconds} s

server                 requests/s   CPU µs per request`);
  for (const [i, { name }] of pairs.entries()) {
    const of = (key: "perSecond" | "cpuUs"): number => median(figures[i]?.map((each) => each[key]) ?? []);
    console.log(`${name.padEnd(22)}${of("perSecond").toFixed(0).padStart(11)}${of("cpuUs").toFixed(2).padStart(21)}`);
  }
  const [ours = [], theirs] = figures;
  if (theirs === undefined) return;
  for (const key of ["perSecond", "cpuUs"] as const) {
    const ratios = ours.map((each, round) => each[key] / (theirs[round]?.[key] ?? NaN));
    const what = key === "cpuUs" ? "CPU per request" : "requests/s";
    const range = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
    console.log(`${what}, epoll-hello ÷ nginx: ${median(ratios).toFixed(2)} (${range})`);
  }
}

function cpuOf(pair: Pair): number {
  return pair.pids().reduce((sum, pid) => sum + cpuUsOf(pid), 0);
}

async function ourPair(): Promise<Pair> {
  const sockets = ListenSockets.open({ hostname: "127.0.0.1" }, 2, "shared");
  const serving = Promise.withResolvers<void>();
  const command = [process.execPath, join(import.meta.dir, "../src/tools/cli/main.ts"), "--quiet"];
  const onServing = (): void => serving.resolve();
  const supervisor = new Supervisor({ command, workers: 2, sockets, onServing, onWarning: console.error });
  const over = supervisor.run();
  await serving.promise;
  const { workers } = await supervisor.report();
  const pids = workers.map(({ pid }) => pid);
  return {
    name: "epoll-hello",
    url: sockets.url,
    pids: () => pids,
    async [Symbol.asyncDispose]() {
      supervisor.stop(0);
      await over;
    },
  };
}

async function nginxPair(): Promise<Pair> {
  const recipe = nginxRecipe(2);
  const child = Bun.spawn([...recipe.command("static")], { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  const url = `http://127.0.0.1:${recipe.port}/`;
  while (child.exitCode === null && !(await fetch(url, { keepalive: false }).catch(() => undefined))?.ok)
    await Bun.sleep(5);
  const pids = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ").map(Number);
  return {
    name: "nginx",
    url,
    pids: () => pids,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM"); // it ends the workers
      await child.exited;
    },
  };
}

if (parts.includes("workers")) await compareWorkers(); // first, because it must not be pinned
if (parts.includes("idle")) await compareIdle();
