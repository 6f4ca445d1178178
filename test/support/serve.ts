// The program of ServerProcess: an EpollServer that blocks in run(). Its argument is JSON, and it prints lines of JSON.

import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { EpollServer, type EpollServerOptions } from "../../src/index.ts";
import { killWithParent } from "./kill-with-parent.ts";

export interface ServeOptions {
  options?: EpollServerOptions;
  /** The size of the response's body. */
  bodyBytes?: number;
  /** The number of servers to run, one after the other. */
  rounds?: number;
  /** Whether to add listeners for the stop signals with process.on. */
  hasListeners?: boolean;
  /** The number of other fds to keep open until a request for /release. */
  heldFds?: number;
  /** Whether requests for /release, /stop and /throw have an effect. */
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

const print = (message: object): unknown => writeSync(1, `${JSON.stringify(message)}\n`);
/** Returns the masks of caught, ignored and blocked signals. */
const dispositions = (): string[] => readFileSync("/proc/self/status", "utf8").match(/^Sig(Cgt|Ign|Blk):.*$/gm) ?? [];

killWithParent();

let listenerCalls = 0;
if (hasListeners) for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => listenerCalls++);
const openFds = Array.from({ length: heldFds }, () => openSync("/dev/null", "r"));

for (let round = 0; round < rounds; round++) {
  const server = new EpollServer({
    ...options,
    ...(bodyBytes === undefined ? {} : { response: Buffer.alloc(bodyBytes, "x") }),
    onWarning: ({ code, message }) => print({ warning: code, message }),
    ...(commands ? { onRequest: ({ target }) => runCommand(target, server) } : {}),
  });
  const before = dispositions();
  const calledBefore = listenerCalls;
  try {
    const signal = server.run(() => print({ serving: server.addresses }));
    const after = dispositions();
    // Bun's event loop calls the listeners.
    for (let i = 0; hasListeners && listenerCalls === calledBefore && i < 5_000; i++) await Bun.sleep(1);
    print({ ended: signal ?? null, stats: server.stats, before, after, listenerCalls });
  } catch (error) {
    print({ threw: String(error), closed: server.closed, stats: server.stats, before, after: dispositions() });
  }
}

function runCommand(target: string, server: EpollServer): void {
  if (target === "/release") while (openFds.length > 0) closeSync(openFds.pop() as number);
  if (target === "/stop") void server.stop();
  if (target === "/throw") throw new Error("onRequest has failed");
}
