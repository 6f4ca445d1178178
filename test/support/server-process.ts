// An EpollServer in another process, where run() blocks as it does in production, observed through /proc.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Address, ServerStats, StopSignal } from "../../src/index.ts";
import { openFds } from "./fds.ts";
import type { ServeOptions } from "./serve.ts";
import { eventually, PATIENCE_MS } from "./eventually.ts";
import { scaled } from "./scale.ts";

/** The messages of the program, by their first key. */
interface Messages {
  serving: { serving: Address[] };
  warning: { warning: string; message: string };
  ended: { ended: StopSignal | null; stats: ServerStats; before: string[]; after: string[]; listenerCalls: number };
  threw: { threw: string; closed: boolean; stats: ServerStats; before: string[]; after: string[] };
}

/** The period in which an idle process uses no CPU time. */
const IDLE_WINDOW_MS = scaled(120, 300);

export class ServerProcess implements AsyncDisposable {
  readonly #child: Bun.ReadableSubprocess;
  readonly #messages: Record<string, unknown>[] = [];
  #received = Promise.withResolvers<void>();
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

  /** Starts the process, and waits until the server accepts connections. */
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

  /** The CPU time used so far, in ticks of 10 ms. */
  get cpuTicks(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return Number(fields[11]) + Number(fields[12]); // utime and stime: proc_pid_stat(5)
  }

  get residentKb(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1]);
  }

  /** Returns all messages with that key so far. */
  all<Key extends keyof Messages>(key: Key): Messages[Key][] {
    return this.#messages.filter((message) => key in message) as unknown as Messages[Key][];
  }

  /** Waits for the `count`th message with that key. */
  async said<Key extends keyof Messages>(key: Key, count = 1): Promise<Messages[Key]> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    try {
      for (;;) {
        const message = this.all(key)[count - 1];
        if (message !== undefined) return message;
        if (this.#isOver) throw new Error(`the process ended without the message ${key}: ${this.#stderr}`);
        await this.#received.promise;
      }
    } finally {
      clearTimeout(late);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Stops the server by a signal, and returns its last message. */
  async stop(signal: StopSignal = "SIGTERM"): Promise<Messages["ended"]> {
    this.kill(signal);
    return this.said("ended");
  }

  /** A promise of the exit code. */
  get exited(): Promise<number> {
    return this.#child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await Promise.all([this.#child.exited, this.#reading]);
    // Bun closes its ends of the pipes asynchronously.
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
      this.#received.resolve();
      this.#received = Promise.withResolvers();
    }
    await errors;
    this.#isOver = true;
    this.#received.resolve();
  }
}

/**
 * Waits until all of them are idle: no CPU time is used for a while. (One tick may be the end of a garbage collection in another
 * thread.) A server that spins never is.
 */
export async function atRest(...servers: ServerProcess[]): Promise<void> {
  let used: number[] = [];
  for (let attempt = 0; attempt < 20; attempt++) {
    const before = servers.map((server) => server.cpuTicks);
    await Bun.sleep(IDLE_WINDOW_MS); // the state to wait for is that nothing happens
    used = servers.map((server, i) => server.cpuTicks - (before[i] as number));
    if (used.every((ticks) => ticks <= 1)) return;
  }
  throw new Error(`not idle: in the last ${IDLE_WINDOW_MS} ms they used ${used.join(", ")} ticks`);
}
