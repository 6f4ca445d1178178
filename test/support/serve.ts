// A program with one EpollServer that blocks in run(): told what to do by JSON, tells in lines of JSON how it went.

import { dlopen } from "bun:ffi";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { EpollServer, type EpollServerOptions } from "../../src/index.ts";

export interface ServeOptions {
  options?: EpollServerOptions;
  /** Answer with so many bytes. */
  bodyBytes?: number;
  /** So many servers, one after the other. */
  rounds?: number;
  /** Have listeners for the stop signals as well, by process.on. */
  hasListeners?: boolean;
  /** Descriptors that are open for nothing, until /release is asked for. */
  heldFds?: number;
  /** Heed the targets /release, /stop, /throw. */
  commands?: boolean;
}

const {
  options = {},
  bodyBytes,
  rounds = 1,
  hasListeners = false,
  heldFds = 0,
  commands = false,
} = JSON.parse(process.argv[2] ?? "{}") as ServeOptions;

const say = (message: object): unknown => writeSync(1, `${JSON.stringify(message)}\n`);
/** What the process does with each signal: caught, ignored, blocked. */
const dispositions = (): string[] => readFileSync("/proc/self/status", "utf8").match(/^Sig(Cgt|Ign|Blk):.*$/gm) ?? [];

// It blocks in run() and would outlive a test run that is killed: let the kernel end it with its parent, prctl(2).
const PR_SET_PDEATHSIG = 1;
dlopen("libc.so.6", { prctl: { args: ["i32", "u64"], returns: "i32" } }).symbols.prctl(PR_SET_PDEATHSIG, 9);

let heard = 0;
if (hasListeners) for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => heard++);
const held = Array.from({ length: heldFds }, () => openSync("/dev/null", "r"));

for (let round = 0; round < rounds; round++) {
  const server = new EpollServer({
    ...options,
    ...(bodyBytes === undefined ? {} : { response: Buffer.alloc(bodyBytes, "x") }),
    onWarning: ({ code, message }) => say({ warning: code, message }),
    ...(commands ? { onRequest: ({ target }) => obey(target, server) } : {}),
  });
  const before = dispositions();
  const heardBefore = heard;
  try {
    const signal = server.run(() => say({ serving: server.addresses }));
    const after = dispositions();
    // A listener's turn comes with the event loop's.
    for (let i = 0; hasListeners && heard === heardBefore && i < 5_000; i++) await Bun.sleep(1);
    say({ ended: signal ?? null, stats: server.stats, before, after, heard });
  } catch (error) {
    say({ threw: String(error), closed: server.closed, stats: server.stats, before, after: dispositions() });
  }
}

function obey(target: string, server: EpollServer): void {
  if (target === "/release") while (held.length > 0) closeSync(held.pop() as number);
  if (target === "/stop") void server.stop();
  if (target === "/throw") throw new Error("onRequest has failed");
}
