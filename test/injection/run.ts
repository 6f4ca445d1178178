// Fault injection: strace makes system calls of servers fail, and clients count what is lost. Prints a table.
//
//   bun test/injection/run.ts [TEXT…]     only the rows that contain one of the texts, such as "workers" or "accept4"
//
// Environment: JOBS, how many servers run at a time (default 2).

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildAddon, removeAddonFolder, unavailable } from "../support/native-addon.ts";
import { cli, endPrograms, type Program, start } from "../support/programs.ts";
import { canTrace } from "../support/strace.ts";
import { type InjectedFault, servingFaults, startingFaults } from "./faults.ts";
import { Traffic } from "./traffic.ts";

const MODES = ["run", "start", "trace", "watch", "workers", "addons"] as const;
type Mode = (typeof MODES)[number];

const MAX_STOP_MS = 30_000;
const MAX_START_MS = 30_000;
/** A loop that spins makes far more calls than this while nothing happens. */
const IDLE_MS = 500;
const MAX_IDLE_CALLS = 600;

interface Row {
  mode: Mode;
  phase: "start" | "serve";
  fault: InjectedFault;
}

interface Result {
  hits: number;
  summary: string;
  problems: string[];
}

const server = join(import.meta.dir, "server.ts");
const folder = mkdtempSync(join(tmpdir(), "epoll-hello-injection-"));

function command(mode: Mode): string[] {
  if (mode === "workers") return [process.execPath, cli, "--workers", "2", "--port", "0", "--host", "127.0.0.1"];
  return [process.execPath, server, mode, ...(mode === "addons" ? [buildAddon("addon")] : [])];
}

async function launch(mode: Mode): Promise<{ program: Program; go(): void }> {
  const child = startWithInput(command(mode), mode !== "workers");
  if (mode !== "workers") await child.program.output(/^waiting$/m);
  return child;
}

function startWithInput(parts: string[], waits: boolean): { program: Program; go(): void } {
  if (!waits) return { program: start(parts), go() {} };
  const fifo = join(folder, crypto.randomUUID());
  Bun.spawnSync(["mkfifo", fifo]);
  // Opened for reading and writing, so that opening it does not wait for the other side.
  const program = start(["sh", "-c", `exec "$0" "$@" <>${fifo}`, ...parts]);
  return { program, go: () => void Bun.spawnSync(["sh", "-c", `echo go >${fifo}`]) };
}

/** Returns the pids of a process and of its descendants. */
function treeOf(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const text = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8")).join(" ");
    return [pid, ...text.split(" ").filter(Boolean).flatMap((child) => treeOf(Number(child)))]; // prettier-ignore
  } catch {
    return [pid];
  }
}

/** A running strace, which has been attached to processes. */
class Injection {
  readonly #log = join(folder, `${crypto.randomUUID()}.strace`);
  readonly #program: Program;
  readonly #pids: number[];

  constructor(pids: number[], { call, what }: InjectedFault) {
    this.#pids = pids;
    const attach = pids.flatMap((pid) => ["-p", String(pid)]);
    this.#program = start(["strace", "-f", "-o", this.#log, "-e", `trace=${call}`, "-e", `inject=${call}:${what}`, ...attach]); // prettier-ignore
  }

  async attached(): Promise<void> {
    for (const pid of this.#pids) await this.#program.errors(new RegExp(`Process ${pid} attached`));
  }

  #lines(): string[] {
    try {
      return readFileSync(this.#log, "utf8").split("\n");
    } catch {
      return [];
    }
  }

  get calls(): number {
    return this.#lines().length;
  }

  get hits(): number {
    return this.#lines().filter((line) => /\((?:INJECTED|DELAYED)/.test(line) || /--- SIGWINCH/.test(line)).length;
  }

  async detach(): Promise<void> {
    this.#program.kill("SIGTERM");
    await this.#program.exited;
  }
}

function within<T>(promise: Promise<T>, ms: number): Promise<T | "late"> {
  return Promise.race([promise, Bun.sleep(ms).then((): "late" => "late")]);
}

async function portOf(mode: Mode, program: Program): Promise<number> {
  const [, port] = await program.output(mode === "workers" ? /http:\/\/127\.0\.0\.1:(\d+)/ : /^port (\d+)$/m);
  return Number(port);
}

async function whileServing({ mode, fault }: Row): Promise<Result> {
  const { program, go } = await launch(mode);
  go();
  const port = await portOf(mode, program);
  const problems: string[] = [];
  const traffic = new Traffic(port, mode !== "workers");
  await traffic.round();
  const before = { ...traffic.tally };
  if (before.lost > 0) problems.push(`lost ${before.lost} before the injection`);
  const injection = new Injection(treeOf(program.pid), fault);
  await injection.attached();
  if (fault.costs === "all") traffic.expectNothing();
  await traffic.round();
  await traffic.round();
  const busy = injection.calls;
  await Bun.sleep(IDLE_MS);
  const idle = injection.calls - busy;
  const { hits } = injection;
  await injection.detach();
  const during = { ...traffic.tally };
  if (idle > MAX_IDLE_CALLS && mode !== "watch" && mode !== "addons") problems.push(`spins: ${idle} calls while idle`);
  const lost = during.lost - before.lost;
  const allowed = fault.costs === "hit" ? hits : fault.costs === "none" ? 0 : Infinity;
  if (lost > allowed) problems.push(`lost ${lost} requests, with ${hits} hits: ${traffic.reasons.join("; ")}`);
  await traffic.finish();
  const atEnd = traffic.tally.lost;
  await traffic.round();
  if (traffic.tally.lost > atEnd) problems.push(`not recovered: ${traffic.reasons.at(-1)}`);
  traffic.close();
  program.kill("SIGTERM");
  const code = await within(program.exited, MAX_STOP_MS);
  if (code === "late") problems.push("hangs: it does not stop");
  else if (code !== 0) problems.push(`exit code ${code}: ${program.stderr.trim().slice(0, 200) || "silent"}`);
  return { hits, summary: `lost ${Math.max(0, lost)}`, problems };
}

async function whileStarting({ mode, fault }: Row): Promise<Result> {
  const { program, go } = await launch(mode);
  const problems: string[] = [];
  const injection = new Injection([program.pid], fault);
  await injection.attached();
  go();
  const serving = portOf(mode, program);
  serving.catch(() => {});
  const result = await within(Promise.race([serving, program.exited.then((code) => `exit ${code}`)]), MAX_START_MS);
  const { hits } = injection;
  let summary = "serves";
  if (result === "late") {
    problems.push("hangs: it neither serves nor ends");
  } else if (typeof result === "number") {
    const traffic = new Traffic(result, mode !== "workers");
    await traffic.round();
    await injection.detach();
    await traffic.round();
    if (traffic.tally.lost > 0) problems.push(`serves, but lost ${traffic.tally.lost}: ${traffic.reasons[0]}`);
    traffic.close();
    program.kill("SIGTERM");
    const code = await within(program.exited, MAX_STOP_MS);
    if (code === "late") problems.push("hangs: it does not stop");
    else if (code !== 0) problems.push(`exit code ${code}: ${program.stderr.trim().slice(0, 200) || "silent"}`);
  } else {
    summary = `${result}: ${/^(?:error: |\w*Error: )?(.*)$/m.exec(program.stderr.replace(/^(?:\d+ \||\s*\^|\s+at |$).*\n/gm, ""))?.[1]?.slice(0, 90) ?? ""}`; // prettier-ignore
    if (result === "exit 0" || program.stderr.trim() === "") problems.push(`ends silently: ${result}`);
    if (/exit 1(?:3[2-9]|4\d)$/.test(result)) problems.push(`crashes: ${result}`);
  }
  await injection.detach();
  if (fault.mayAbortBun === true && problems.some((problem) => /exit (?:code )?134/.test(problem))) {
    return { hits, summary: "Bun aborts: a thread of its own could not be created", problems: [] };
  }
  return { hits, summary, problems };
}

async function main(): Promise<void> {
  if (!canTrace) throw new Error("strace is missing, or may not trace here: install it, or allow ptrace(2)");
  const wanted = process.argv.slice(2);
  const modes = MODES.filter((mode) => mode !== "addons" || unavailable === "");
  if (unavailable !== "") console.log(`addons are skipped: ${unavailable}`);
  const rows = modes
    .flatMap((mode): Row[] => [
      ...servingFaults.map((fault): Row => ({ mode, phase: "serve", fault })),
      ...(mode === "workers" ? [] : startingFaults.map((fault): Row => ({ mode, phase: "start", fault }))),
    ])
    .filter(({ mode, phase, fault }) => {
      const text = `${mode} ${phase} ${fault.call} ${fault.what}`;
      return wanted.length === 0 || wanted.some((one) => text.includes(one));
    });
  console.log("| Mode | Call | Fault | Hits | Result |\n| --- | --- | --- | --: | --- |");
  let next = 0;
  let failed = 0;
  let hitRows = 0;
  const startMs = performance.now();
  const jobs = Number(process.env["JOBS"] ?? 2);
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      for (let i; (i = next++) < rows.length;) {
        const row = rows[i] as Row;
        let result: Result;
        try {
          result = await (row.phase === "serve" ? whileServing(row) : whileStarting(row));
        } catch (error) {
          result = { hits: 0, summary: "", problems: [String(error)] };
        }
        if (result.problems.length > 0) failed++;
        if (result.hits > 0) hitRows++;
        const outcome = result.problems.length > 0 ? `**${result.problems.join("; ")}**` : result.summary;
        const { mode, phase, fault } = row;
        console.log(`| ${mode}, ${phase} | ${fault.call} | ${fault.what} | ${result.hits} | ${outcome.replaceAll("|", "\\|").replaceAll("\n", " ")} |`); // prettier-ignore
      }
    }),
  );
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
  console.log(`\n${rows.length} rows, ${hitRows} of them hit; ${failed} failed; ${minutes} minutes`);
  await endPrograms();
  rmSync(folder, { recursive: true });
  removeAddonFolder();
  process.exit(failed === 0 ? 0 : 1);
}

await main();
