// class MessageProcess: a Bun program that prints lines of JSON, observed through its messages and /proc.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, WAIT_TIMEOUT_MS } from "./eventually.ts";
import { openFds } from "./fds.ts";
import { scaled } from "./scale.ts";

/** The period in which an idle process uses no CPU time. */
const IDLE_MS = scaled(120, 300);

/** @template Messages the messages of the program, by their first key */
export class MessageProcess<Messages extends object> implements AsyncDisposable {
  protected readonly child: Bun.ReadableSubprocess;
  /** Resolves when all output has been read. */
  protected readonly reading: Promise<void>;
  readonly #messages: Record<string, unknown>[] = [];
  #messageReceived = Promise.withResolvers<void>();
  readonly #pipes: Set<string>;
  #hasEnded = false;
  #stderr = "";

  /** Starts a program of this folder, with its argument as JSON and an optional limit on open file descriptors. */
  protected constructor(program: string, argument: object, maxFds?: number) {
    const limit = maxFds === undefined ? [] : ["sh", "-c", `ulimit -n ${maxFds}; exec "$@"`, "sh"];
    const before = new Set(openFds().values());
    this.child = Bun.spawn([...limit, process.execPath, join(import.meta.dir, program), JSON.stringify(argument)], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#pipes = new Set([...openFds().values()].filter((what) => what.startsWith("socket:") && !before.has(what)));
    this.reading = this.#read();
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Standard error, complete once the process has ended. */
  get stderr(): string {
    return this.#stderr;
  }

  /** The number of open file descriptors. */
  get fds(): number {
    return openFds(this.pid).size;
  }

  get residentKb(): number {
    return this.#status("VmRSS");
  }

  /** The peak resident memory. */
  get peakKb(): number {
    return this.#status("VmHWM");
  }

  /** The CPU time used so far, in ticks of 10 ms: utime and stime of proc_pid_stat(5). */
  get cpuTicks(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[11]) + Number(fields[12]);
  }

  /** Returns the messages with this key so far. */
  all<Key extends keyof Messages>(key: Key): Messages[Key][] {
    return this.#messages.filter((message) => key in message) as Messages[Key][];
  }

  /** Waits for the `count`th message with this key. */
  async waitFor<Key extends keyof Messages>(key: Key, count = 1): Promise<Messages[Key]> {
    const timer = setTimeout(() => this.child.kill("SIGKILL"), WAIT_TIMEOUT_MS);
    try {
      for (;;) {
        const message = this.all(key)[count - 1];
        if (message !== undefined) return message;
        if (this.#hasEnded) throw new Error(`the process ended without the message ${String(key)}: ${this.#stderr}`);
        await this.#messageReceived.promise;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await Promise.all([this.child.exited, this.reading]);
    // Bun closes its ends of the pipes asynchronously.
    await eventually(
      () => [...openFds().values()].filter((what) => this.#pipes.has(what)),
      (left) => left.length === 0,
    );
  }

  #status(field: string): number {
    return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1]);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    const errors = (async () => (this.#stderr = await this.child.stderr.text()))();
    let text = "";
    for await (const bytes of this.child.stdout) {
      text += decoder.decode(bytes, { stream: true });
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      this.#messages.push(...lines.map((line) => JSON.parse(line) as Record<string, unknown>));
      this.#messageReceived.resolve();
      this.#messageReceived = Promise.withResolvers();
    }
    await errors;
    this.#hasEnded = true;
    this.#messageReceived.resolve();
  }
}

/**
 * Waits until no process uses CPU time. One tick is allowed, for garbage collection in another thread.
 *
 * @throws {Error} if a process does not become idle, for example because its loop spins
 */
export async function waitUntilIdle(...processes: { readonly cpuTicks: number }[]): Promise<void> {
  let used: number[] = [];
  for (let attempt = 0; attempt < 20; attempt++) {
    const before = processes.map(({ cpuTicks }) => cpuTicks);
    await Bun.sleep(IDLE_MS); // the state to wait for is that nothing happens
    used = processes.map(({ cpuTicks }, i) => cpuTicks - (before[i] as number));
    if (used.every((ticks) => ticks <= 1)) return;
  }
  throw new Error(`not idle: the processes used ${used.join(", ")} ticks in the last ${IDLE_MS} ms`);
}
