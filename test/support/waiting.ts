// Another process that waits in Epoll.poll, seen from outside: started, known to be blocked, and heard at the end.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PATIENCE_MS } from "./descriptors.ts";
import { type Program, start } from "./programs.ts";

const SIGUSR1 = 10;

export interface WaiterOptions {
  /** The path of a FIFO whose reading end is watched, or nothing is. */
  fifo?: string;
  /** What is watched of it. */
  mask?: number;
  timeoutMs: number;
}

/** What waiter.ts is given. */
export interface WaiterArgument extends WaiterOptions {
  /** The signal to count. */
  signal: number;
}

export interface WaiterReport {
  /** What poll returned, without the descriptors. */
  masks: number[];
  elapsedMs: number;
  /** Each epoll_wait that it took: the time it was given, and what it returned. */
  waits: { timeoutMs: number; n: number }[];
  /** How often SIGUSR1 came. */
  signals: number;
}

/** A process of which it is known that its poll blocks. */
export class Waiter {
  readonly #program: Program;
  readonly #epfd: number;

  private constructor(program: Program, epfd: number) {
    this.#program = program;
    this.#epfd = epfd;
  }

  static async start(options: WaiterOptions): Promise<Waiter> {
    const argument: WaiterArgument = { ...options, signal: SIGUSR1 };
    const program = start(["bun", join(import.meta.dir, "waiter.ts"), JSON.stringify(argument)]);
    const [, epfd] = await program.output(/waits on (\d+)/);
    const waiter = new Waiter(program, Number(epfd));
    await waiter.blocks();
    return waiter;
  }

  /** Wait until it is blocked in epoll_wait (its thread is in a call whose first argument is its epoll), or is over. */
  async blocks(): Promise<void> {
    const { pid } = this.#program;
    await eventually(() => {
      const [call = "", argument] = ofProcess(pid, `task/${pid}/syscall`)?.split(" ") ?? [];
      return call === "" || (WAITS.has(call) && Number(argument) === this.#epfd);
    });
  }

  /** Send SIGUSR1, and wait until it has come and the process waits again, or is over. */
  async interrupt(): Promise<void> {
    const { pid } = this.#program;
    if (ofProcess(pid, "status") !== undefined) process.kill(pid, SIGUSR1);
    await eventually(() => {
      const [, pending] = /^ShdPnd:\s*([0-9a-f]+)$/m.exec(ofProcess(pid, "status") ?? "") ?? [];
      return pending === undefined || (BigInt(`0x${pending}`) & (1n << BigInt(SIGUSR1 - 1))) === 0n;
    });
    await this.blocks();
  }

  /** What it saw, once it is over. */
  async report(): Promise<WaiterReport> {
    const [line] = await this.#program.output(/^\{.*\}$/m);
    await this.#program.exited;
    return JSON.parse(line) as WaiterReport;
  }
}

/** epoll_wait of x86-64; epoll_pwait of both, arm64's only one. */
const WAITS = new Set(process.arch === "arm64" ? ["22"] : ["232", "281"]);

/** A file of proc_pid(5), or undefined if the process is over. */
function ofProcess(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

/** Wait until it is so. */
async function eventually(isSo: () => boolean): Promise<void> {
  for (const patience = performance.now() + PATIENCE_MS; !isSo();) {
    if (performance.now() > patience) throw new Error("waited in vain for another process");
    await new Promise(setImmediate);
  }
}
