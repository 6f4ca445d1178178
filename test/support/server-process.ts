// An EpollServer in a process of its own, where its run() blocks as in real life and /proc tells how it is.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Address, ServerStats, StopSignal } from "../../src/index.ts";
import { eventually, PATIENCE_MS } from "./eventually.ts";
import { openFds } from "./fds.ts";
import type { ServeOptions } from "./serve.ts";

/** What the program says, by its first key. */
interface Messages {
  serving: { serving: Address[] };
  warning: { warning: string; message: string };
  ended: { ended: StopSignal | null; stats: ServerStats; before: string[]; after: string[]; heard: number };
  threw: { threw: string; closed: boolean; stats: ServerStats; before: string[]; after: string[] };
}

/** The window in which a process at rest uses no time. */
const QUIET_MS = 300;

export { eventually };

export class ServerProcess implements AsyncDisposable {
  readonly #child: Bun.ReadableSubprocess;
  readonly #messages: Record<string, unknown>[] = [];
  #heard = Promise.withResolvers<void>();
  readonly #reading: Promise<void>;
  readonly #pipes: Set<string>;
  #isOver = false;
  #stderr = "";
  addresses: Address[] = [];

  private constructor(serve: ServeOptions, maxFds: number | undefined) {
    const limit = maxFds === undefined ? [] : ["sh", "-c", `ulimit -n ${maxFds}; exec "$@"`, "sh"];
    const before = new Set(openFds().values());
    this.#child = Bun.spawn([...limit, process.execPath, join(import.meta.dir, "serve.ts"), JSON.stringify(serve)], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#pipes = new Set([...openFds().values()].filter((what) => what.startsWith("socket:") && !before.has(what)));
    this.#reading = this.#read();
  }

  /** Start it, and wait until it serves. */
  static async start(
    options: ServeOptions["options"] = {},
    { maxFds, ...serve }: ServeOptions & { maxFds?: number } = {},
  ): Promise<ServerProcess> {
    const listen = options.unix === undefined ? { hostname: "127.0.0.1" } : {};
    const server = new ServerProcess({ ...serve, options: { ...listen, ...options } }, maxFds);
    server.addresses = (await server.said("serving")).serving;
    return server;
  }

  get pid(): number {
    return this.#child.pid;
  }

  get address(): Address {
    return this.addresses[0] as Address;
  }

  get port(): number {
    return (this.address as { port: number }).port;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get fds(): number {
    return openFds(this.pid).size;
  }

  /** Processor time used so far, in ticks of 10 ms. */
  get cpuTicks(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return Number(fields[11]) + Number(fields[12]); // utime and stime: proc_pid_stat(5)
  }

  get residentKb(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1]);
  }

  /** What it said with that key, so far. */
  all<Key extends keyof Messages>(key: Key): Messages[Key][] {
    return this.#messages.filter((message) => key in message) as unknown as Messages[Key][];
  }

  /** Wait until it has said that for the `count`th time. */
  async said<Key extends keyof Messages>(key: Key, count = 1): Promise<Messages[Key]> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    try {
      for (;;) {
        const message = this.all(key)[count - 1];
        if (message !== undefined) return message;
        if (this.#isOver) throw new Error(`ended, and never said ${key}: ${this.#stderr}`);
        await this.#heard.promise;
      }
    } finally {
      clearTimeout(late);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ask it to stop, and return what it says at its end. */
  async stop(signal: StopSignal = "SIGTERM"): Promise<Messages["ended"]> {
    this.kill(signal);
    return this.said("ended");
  }

  /** Wait until it has ended, and return its exit code. */
  get exited(): Promise<number> {
    return this.#child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await Promise.all([this.#child.exited, this.#reading]);
    // Bun closes its ends of them in its own time.
    await eventually(
      () => [...openFds().values()].filter((what) => this.#pipes.has(what)),
      (left) => left.length === 0,
    );
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    const errors = (async () => (this.#stderr = await this.#child.stderr.text()))();
    let text = "";
    for await (const bytes of this.#child.stdout) {
      text += decoder.decode(bytes, { stream: true });
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      this.#messages.push(...lines.map((line) => JSON.parse(line) as Record<string, unknown>));
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    }
    await errors;
    this.#isOver = true;
    this.#heard.resolve();
  }
}

/**
 * Wait until all of them are at rest: for a while, no processor time is used (one tick may be the end of a collection
 * in another thread). A server that spins never is.
 */
export async function atRest(...servers: ServerProcess[]): Promise<void> {
  let used: number[] = [];
  for (let attempt = 0; attempt < 20; attempt++) {
    const before = servers.map((server) => server.cpuTicks);
    await Bun.sleep(QUIET_MS); // nothing happens is the state that is waited for
    used = servers.map((server, i) => server.cpuTicks - (before[i] as number));
    if (used.every((ticks) => ticks <= 1)) return;
  }
  throw new Error(`never at rest: in the last ${QUIET_MS} ms they used ${used.join(", ")} ticks`);
}
