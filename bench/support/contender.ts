// The servers that the benchmarks compare, each in its own process on its own core.

import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dlopen } from "bun:ffi";
import { AF_INET, type InternetAddress, SOCK_STREAM, Socket } from "epoll-hello";
import type { Kind } from "../servers/handler.ts";
import { scratch } from "./scratch.ts";

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
  nginx: nginxRecipe(),
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

function reference(): string {
  const program = join(scratch, "reference");
  if (!existsSync(program)) {
    const cc = Bun.spawnSync(["cc", "-O2", "-o", program, join(servers, "reference.c")], { stderr: "inherit" });
    if (!cc.success) throw new Error("cannot compile the C reference server");
  }
  return program;
}

/** nginx in one process, or with a master process and several workers. */
export function nginxRecipe(workers = 0): Recipe {
  let files: { folder: string; port: number } | undefined;
  const prepared = (): { folder: string; port: number } => (files ??= nginxFiles(workers));
  return {
    name: "nginx",
    needs: "nginx",
    command: () => ["nginx", "-p", prepared().folder, "-c", "nginx.conf", "-e", "error.log"],
    get port() {
      return prepared().port;
    },
  };
}

function nginxFiles(workers: number): { folder: string; port: number } {
  const folder = mkdtempSync(join(scratch, "nginx-"));
  const port = freePort();
  const conf = `
    daemon off; master_process ${workers > 0 ? `on; worker_processes ${workers}` : "off"}; pid nginx.pid;
    worker_rlimit_nofile ${maxFds()}; events { worker_connections ${Math.min(maxFds(), 120_000)}; }
    http {
      access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; default_type text/plain;
      client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
      server { listen 127.0.0.1:${port} backlog=4096; location / { return 200 "Hello from Epoll server!"; } }
    }`;
  writeFileSync(join(folder, "nginx.conf"), conf);
  return { folder, port };
}

/** Returns the limit of open files to which a process may raise its own limit. */
export function maxFds(): number {
  const [, max = ""] = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return Number(max);
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

/** Memory of a process in bytes. Pages that several processes share are divided among them in the proportional set. */
export interface Memory {
  rss: number;
  pss: number;
}

/** Reads smaps_rollup; see proc_pid_smaps(5). */
export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const of = (field: string): number => 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1]);
  return { rss: of("Rss"), pss: of("Pss") };
}

/** Returns the processor time that a process has used so far, in µs: clock_getcpuclockid(3). */
export function cpuUsOf(pid: number): number {
  const time = new BigInt64Array(new ArrayBuffer(16));
  if (libc.clock_gettime((~pid << 3) | PROCESS_CLOCK, time) !== 0) throw new Error(`process ${pid} has exited`);
  return Number(time[0]) * 1e6 + Number(time[1]) / 1000;
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
          const [, port] = /(\d+)\D*\n/.exec(printed) ?? []; // the command prints a sentence
          if (port !== undefined) return new Contender(name, child, Number(port));
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

  /** The processor time that all threads have used so far, also those that have ended, in µs. */
  get cpuUs(): number {
    return cpuUsOf(this.pid);
  }

  /** The processor time used so far. Its user part comes from stat (proc(5)), which counts clock ticks. */
  get usage(): Usage {
    const fields = readFileSync(`/proc/${this.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return { us: this.cpuUs, userUs: Number(fields[11]) * TICK_US };
  }

  get residentBytes(): number {
    return memoryOf(this.pid).rss;
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
