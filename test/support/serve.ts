// A program with an EpollServer that blocks in run(). Its argument is JSON, and its output lines of JSON.

import { dlopen } from "bun:ffi";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { EpollServer, type EpollServerOptions } from "../../src/index.ts";

export interface ServeOptions {
  options?: EpollServerOptions;
  /** The size of the response's body. */
  bodyBytes?: number;
  /** How many servers to run, one after the other. */
  rounds?: number;
  /** Also add listeners for the stop signals with process.on. */
  hasListeners?: boolean;
  /** How many other fds to keep open until a request for /release. */
  heldFds?: number;
  /** Act on requests for /release, /stop and /throw. */
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
/** Returns the masks of caught, ignored and blocked signals. */
const dispositions = (): string[] => readFileSync("/proc/self/status", "utf8").match(/^Sig(Cgt|Ign|Blk):.*$/gm) ?? [];

// Blocked in run(), it would outlive a test run that is killed. Have the kernel kill it with its parent: prctl(2).
const PR_SET_PDEATHSIG = 1;
dlopen("libc.so.6", { prctl: { args: ["i32", "u64"], returns: "i32" } }).symbols.prctl(PR_SET_PDEATHSIG, 9);

let listenerCalls = 0;
if (hasListeners) for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => listenerCalls++);
const openFds = Array.from({ length: heldFds }, () => openSync("/dev/null", "r"));

for (let round = 0; round < rounds; round++) {
  const server = new EpollServer({
    ...options,
    ...(bodyBytes === undefined ? {} : { response: Buffer.alloc(bodyBytes, "x") }),
    onWarning: ({ code, message }) => say({ warning: code, message }),
    ...(commands ? { onRequest: ({ target }) => runCommand(target, server) } : {}),
  });
  const before = dispositions();
  const calledBefore = listenerCalls;
  try {
    const signal = server.run(() => say({ serving: server.addresses }));
    const after = dispositions();
    // The listeners are called by Bun's event loop.
    for (let i = 0; hasListeners && listenerCalls === calledBefore && i < 5_000; i++) await Bun.sleep(1);
    say({ ended: signal ?? null, stats: server.stats, before, after, listenerCalls });
  } catch (error) {
    say({ threw: String(error), closed: server.closed, stats: server.stats, before, after: dispositions() });
  }
}

function runCommand(target: string, server: EpollServer): void {
  if (target === "/release") while (openFds.length > 0) closeSync(openFds.pop() as number);
  if (target === "/stop") void server.stop();
  if (target === "/throw") throw new Error("onRequest has failed");
}
