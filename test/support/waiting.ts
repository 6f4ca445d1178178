// class Waiter: another process that waits in Epoll.poll, which can be interrupted while it is blocked.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { type Program, start } from "./programs.ts";

const SIGUSR1 = 10;

export interface WaiterOptions {
  /** The path of a FIFO whose read end is watched. Default: none. */
  fifo?: string;
  /** The mask that the FIFO is registered with. */
  mask?: number;
  timeoutMs: number;
}

/** The argument of waiter.ts. */
export interface WaiterArgument extends WaiterOptions {
  /** The signal to count. */
  signal: number;
}

export interface WaiterReport {
  /** The masks that poll returned. */
  masks: number[];
  elapsedMs: number;
  /** The timeout and the result of each epoll_wait. */
  waits: { timeoutMs: number; n: number }[];
  /** The number of times SIGUSR1 was caught. */
  signals: number;
}

/** A process whose poll is known to be blocked. */
export class Waiter {
  readonly #program: Program;
  readonly #epfd: number;

  private constructor(program: Program, epfd: number) {
    this.#program = program;
    this.#epfd = epfd;
  }

  /** Starts the process, and waits until it is blocked. */
  static async start(options: WaiterOptions): Promise<Waiter> {
    const argument: WaiterArgument = { ...options, signal: SIGUSR1 };
    const program = start(["bun", join(import.meta.dir, "waiter.ts"), JSON.stringify(argument)]);
    const [, epfd] = await program.output(/waiting on (\d+)/);
    const waiter = new Waiter(program, Number(epfd));
    await waiter.waitUntilBlocked();
    return waiter;
  }

  /** Waits until the process is blocked in epoll_wait on its epoll instance, or has exited. */
  async waitUntilBlocked(): Promise<void> {
    const { pid } = this.#program;
    await eventually(
      () => readProcFile(pid, `task/${pid}/syscall`)?.split(" ") ?? [],
      ([call = "", argument]) => call === "" || (WAIT_CALLS.has(call) && Number(argument) === this.#epfd),
    );
  }

  /** Sends SIGUSR1 and waits until the process has caught it and waits again, or has exited. */
  async interrupt(): Promise<void> {
    const { pid } = this.#program;
    if (readProcFile(pid, "status") !== undefined) process.kill(pid, SIGUSR1);
    await eventually(
      () => /^ShdPnd:\s*([0-9a-f]+)$/m.exec(readProcFile(pid, "status") ?? "")?.[1],
      (pending) => pending === undefined || (BigInt(`0x${pending}`) & (1n << BigInt(SIGUSR1 - 1))) === 0n,
    );
    await this.waitUntilBlocked();
  }

  /** Waits until the process exits, and returns its report. */
  async report(): Promise<WaiterReport> {
    const [line] = await this.#program.output(/^\{.*\}$/m);
    await this.#program.exited;
    return JSON.parse(line) as WaiterReport;
  }
}

/** System call numbers: epoll_wait and epoll_pwait on x86-64, epoll_pwait on arm64. */
const WAIT_CALLS = new Set(process.arch === "arm64" ? ["22"] : ["232", "281"]);

/** Reads a file of proc_pid(5). Returns undefined if the process has exited. */
function readProcFile(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}
