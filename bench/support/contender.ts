// The servers that the benchmarks compare, each in its own process on its own core.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dlopen } from "bun:ffi";
import { AF_INET, type InternetAddress, SOCK_STREAM, Socket } from "epoll-hello";
import type { Kind } from "../servers/handler.ts";

const SERVER_CORE = 0;
const LOAD_CORE = 1;
const START_TIMEOUT_MS = 60_000;
/** In the id of a process's clock: CPUCLOCK_SCHED of <linux/posix-timers.h>. */
const PROCESS_CLOCK = 2;
const TICK_US = 10_000; // proc(5) counts in hundredths of a second
const servers = join(import.meta.dir, "../servers");

const libc = dlopen("libc.so.6", {
  sched_setaffinity: { args: ["i32", "u64", "buffer"], returns: "i32" },
  clock_gettime: { args: ["i32", "buffer"], returns: "i32" },
}).symbols;

/** Keeps this process, which generates the load, off the server's core: sched_setaffinity(2). */
export function pinLoad(): void {
  const cores = new Uint8Array(new ArrayBuffer(128));
  cores[0] = 1 << LOAD_CORE;
  if (libc.sched_setaffinity(0, BigInt(cores.length), cores) !== 0)
    throw new Error("the benchmark needs two processor cores");
}

/** How to start a server. */
export interface Recipe {
  name: string;
  /** The program that must be installed. */
  needs?: string;
  command(kind: Kind): readonly string[];
  /** The port that it listens on. Undefined: the server prints its port. */
  port?: number;
}

export type RecipeName =
  | "run"
  | "start"
  | "traced"
  | "bunServe"
  | "nodeOnBun"
  | "nodeOnNode"
  | "reference"
  | "nginx"
  | "original";

export const recipes: Readonly<Record<RecipeName, Recipe>> = {
  run: bunRecipe("EpollServer.run()", "epoll-server.ts", "run"),
  start: bunRecipe("EpollServer.start()", "epoll-server.ts", "start"),
  traced: bunRecipe("EpollServer.run(), traced", "epoll-server.ts", "traced"),
  bunServe: bunRecipe("Bun.serve", "bun-serve.ts"),
  nodeOnBun: bunRecipe("node:http on Bun", "node-http.mjs"),
  nodeOnNode: {
    name: "node:http on Node",
    needs: "node",
    command: (kind: Kind) => ["node", join(servers, "node-http.mjs"), kind],
  },
  reference: {
    name: "C reference",
    needs: "cc",
    command: (kind: Kind) => [reference(), ...(kind === "large" ? ["1048576"] : [])],
  },
  nginx: {
    name: "nginx",
    needs: "nginx",
    command: () => ["nginx", "-p", nginx().folder, "-c", "nginx.conf", "-e", "error.log"],
    get port() {
      return nginx().port;
    },
  },
  original: {
    name: "original Python server",
    needs: "python3",
    command: () => ["python3", join(servers, "original.py")],
  },
};

export const isInstalled = ({ needs }: Recipe): boolean => needs === undefined || Bun.which(needs) !== null;

function bunRecipe(name: string, file: string, ...args: string[]): Recipe {
  return { name, command: (kind) => [process.execPath, join(servers, file), ...args, kind] };
}

/** A directory for generated files, removed at exit. */
const scratch = mkdtempSync(join(tmpdir(), "epoll-hello-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

function reference(): string {
  const program = join(scratch, "reference");
  if (!existsSync(program)) {
    const cc = Bun.spawnSync(["cc", "-O2", "-o", program, join(servers, "reference.c")], { stderr: "inherit" });
    if (!cc.success) throw new Error("cannot compile the C reference server");
  }
  return program;
}

let nginxAt: { folder: string; port: number } | undefined;

function nginx(): { folder: string; port: number } {
  if (nginxAt !== undefined) return nginxAt;
  const folder = join(scratch, "nginx");
  mkdirSync(folder);
  const port = freePort();
  const conf = `
    daemon off; master_process off; pid nginx.pid; worker_rlimit_nofile 20000;
    events { worker_connections 12000; }
    http {
      access_log off; keepalive_requests 1000000000; default_type text/plain;
      client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
      server { listen 127.0.0.1:${port} backlog=4096; location / { return 200 "Hello from Epoll server!"; } }
    }`;
  writeFileSync(join(folder, "nginx.conf"), conf);
  return (nginxAt = { folder, port });
}

function freePort(): number {
  using socket = new Socket(AF_INET, SOCK_STREAM);
  socket.bind({ address: "127.0.0.1", port: 0 });
  return (socket.getsockname() as InternetAddress).port;
}

/** Processor time that a server has used so far. */
export interface Usage {
  us: number;
  userUs: number;
}

export class Contender implements Disposable {
  readonly name: string;
  readonly address: InternetAddress;
  readonly #child: Bun.Subprocess;

  private constructor(name: string, child: Bun.Subprocess, port: number) {
    this.name = name;
    this.#child = child;
    this.address = { address: "127.0.0.1", family: "IPv4", port };
    if (child.stderr instanceof ReadableStream) void this.#count(child.stderr);
  }

  /** Lines written to standard error, counted only if an environment was passed. */
  lines: number = 0;

  async #count(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const bytes of stream) for (const byte of bytes) if (byte === 10) this.lines++;
  }

  /** Starts a server, and waits until it serves. */
  static async start(recipe: Recipe, kind: Kind, environment?: Record<string, string>): Promise<Contender> {
    const { name } = recipe;
    const command = recipe.command(kind);
    const child = Bun.spawn(["taskset", "-c", String(SERVER_CORE), ...command], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: environment === undefined ? "inherit" : "pipe",
      env: { ...process.env, ...environment },
    });
    const late = setTimeout(() => child.kill("SIGKILL"), START_TIMEOUT_MS);
    try {
      if (recipe.port !== undefined) {
        while (child.exitCode === null && !(await accepts(recipe.port))) await Bun.sleep(5);
        if (child.exitCode === null) return new Contender(name, child, recipe.port);
      } else {
        let printed = "";
        for await (const bytes of child.stdout) {
          printed += new TextDecoder().decode(bytes);
          if (printed.includes("\n")) return new Contender(name, child, Number(printed));
        }
      }
      throw new Error(`${name} exited before it was ready`);
    } finally {
      clearTimeout(late);
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.address.port}`;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The processor time that all threads have used so far, also those that have ended, in µs: clock_getcpuclockid(3). */
  get cpuUs(): number {
    const time = new BigInt64Array(new ArrayBuffer(16));
    if (libc.clock_gettime((~this.pid << 3) | PROCESS_CLOCK, time) !== 0) throw new Error(`${this.name} has exited`);
    return Number(time[0]) * 1e6 + Number(time[1]) / 1000;
  }

  /** The processor time used so far. Its user part comes from stat (proc(5)), which counts clock ticks. */
  get usage(): Usage {
    const fields = readFileSync(`/proc/${this.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return { us: this.cpuUs, userUs: Number(fields[11]) * TICK_US };
  }

  get residentBytes(): number {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1]) * 1024;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

async function accepts(port: number): Promise<boolean> {
  try {
    const probe = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    probe.terminate();
    return true;
  } catch {
    return false;
  }
}
