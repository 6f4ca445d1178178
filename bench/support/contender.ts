// A server in a process of its own, on a core of its own: started, asked where it listens, ended.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dlopen } from "bun:ffi";
import type { InternetAddress } from "epoll-hello";

const SERVER_CORE = 0;
const LOAD_CORE = 1;
const PATIENCE_MS = 10_000;

/** Keep this process, which makes the load, off the server's core: sched_setaffinity(2). */
export function pinLoad(): void {
  const { symbols, close } = dlopen("libc.so.6", {
    sched_setaffinity: { args: ["i32", "u64", "buffer"], returns: "i32" },
  });
  const cores = new Uint8Array(new ArrayBuffer(128));
  cores[0] = 1 << LOAD_CORE;
  if (symbols.sched_setaffinity(0, BigInt(cores.length), cores) !== 0)
    throw new Error("this needs two processor cores");
  close();
}

export class Contender implements Disposable {
  readonly name: string;
  readonly address: InternetAddress;
  readonly #child: Bun.Subprocess;

  private constructor(name: string, child: Bun.Subprocess, port: number) {
    this.name = name;
    this.#child = child;
    this.address = { address: "127.0.0.1", family: "IPv4", port };
  }

  /** Start `bench/servers/<file>`, and wait until it says its port. */
  static async start(name: string, file: string): Promise<Contender> {
    const child = Bun.spawn(
      ["taskset", "-c", String(SERVER_CORE), process.execPath, join(import.meta.dir, "../servers", file)],
      { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
    );
    const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    try {
      let said = "";
      for await (const bytes of child.stdout) {
        said += new TextDecoder().decode(bytes);
        if (said.includes("\n")) return new Contender(name, child, Number(said));
      }
      throw new Error(`${file} ended before it served`);
    } finally {
      clearTimeout(late);
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.address.port}`;
  }

  /** Processor time that all its threads have used so far, in µs: schedstat of proc(5). */
  get cpuUs(): number {
    const tasks = `/proc/${this.#child.pid}/task`;
    let ns = 0;
    for (const task of readdirSync(tasks))
      ns += Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]);
    return ns / 1000;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
