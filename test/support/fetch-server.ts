// An EpollServer with fetch handlers in its own process, for tests with real clients. /proc shows its state.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { InternetAddress, ServerStats } from "../../src/index.ts";
import { openFds } from "./fds.ts";
import type { FetchServeOptions } from "./fetch-server-process.ts";
import { eventually } from "./eventually.ts";

/** The final stats, and what the handlers threw, without duplicates. */
export type Ended = ServerStats & { thrown: string[] };

/** The messages of the process, by their first key. */
interface Messages {
  serving: { serving: InternetAddress };
  ended: { ended: Ended };
  warning: { warning: string; message: string };
  waiting: { waiting: true };
  aborted: { aborted: true };
}

/** How long a test waits for a message before it fails. */
const MESSAGE_TIMEOUT_MS = 20_000;
/** The interval in which an idle process uses no CPU time. */
const IDLE_MS = 300;

export class FetchServer implements AsyncDisposable {
  readonly #child: Bun.ReadableSubprocess;
  readonly #messages: Record<string, unknown>[] = [];
  #messageReceived = Promise.withResolvers<void>();
  readonly #reading: Promise<void>;
  readonly #pipes: Set<string>;
  #hasEnded = false;
  #stderr = "";
  address: InternetAddress = { address: "127.0.0.1", family: "IPv4", port: 0 };

  private constructor(serve: FetchServeOptions) {
    const before = new Set(openFds().values());
    this.#child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "fetch-server-process.ts"), JSON.stringify(serve)],
      {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    this.#pipes = new Set([...openFds().values()].filter((what) => what.startsWith("socket:") && !before.has(what)));
    this.#reading = this.#read();
  }

  /** Starts the process, and waits until it serves. */
  static async start({ options, ...serve }: FetchServeOptions = {}): Promise<FetchServer> {
    const server = new FetchServer({ ...serve, options: { hostname: "127.0.0.1", ...options } });
    server.address = (await server.said("serving")).serving;
    return server;
  }

  get pid(): number {
    return this.#child.pid;
  }

  get port(): number {
    return this.address.port;
  }

  /** `http://127.0.0.1:port` */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get stderr(): string {
    return this.#stderr;
  }

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

  /** Returns the messages with this key so far. */
  all<Key extends keyof Messages>(key: Key): Messages[Key][] {
    return this.#messages.filter((message) => key in message) as unknown as Messages[Key][];
  }

  /** Waits for the `count`th message with this key. */
  async said<Key extends keyof Messages>(key: Key, count = 1): Promise<Messages[Key]> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), MESSAGE_TIMEOUT_MS);
    try {
      for (;;) {
        const message = this.all(key)[count - 1];
        if (message !== undefined) return message;
        if (this.#hasEnded) throw new Error(`the process ended without the message ${key}: ${this.#stderr}`);
        await this.#messageReceived.promise;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until the process uses no CPU time. One tick is allowed, for garbage collection in another thread. */
  async rest(): Promise<void> {
    let used = Infinity;
    for (let attempt = 0; attempt < 20 && used > 1; attempt++) {
      const before = this.#cpuTicks;
      await Bun.sleep(IDLE_MS); // the state to wait for is that nothing happens
      used = this.#cpuTicks - before;
    }
    if (used > 1) throw new Error(`the process does not become idle: it used ${used} ticks in the last ${IDLE_MS} ms`);
  }

  /** Stops the server, and waits until the process has ended. */
  async stop(): Promise<Ended> {
    this.#child.kill("SIGTERM");
    const { ended } = await this.said("ended");
    await Promise.all([this.#child.exited, this.#reading]);
    return ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await Promise.all([this.#child.exited, this.#reading]);
    // Bun closes its ends of the pipes later.
    await eventually(
      () => [...openFds().values()].filter((what) => this.#pipes.has(what)),
      (left) => left.length === 0,
    );
  }

  /** CPU time used so far, in ticks of 10 ms: utime and stime of proc_pid_stat(5). */
  get #cpuTicks(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[11]) + Number(fields[12]);
  }

  #status(field: string): number {
    return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1]);
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
      this.#messageReceived.resolve();
      this.#messageReceived = Promise.withResolvers();
    }
    await errors;
    this.#hasEnded = true;
    this.#messageReceived.resolve();
  }
}
