// What run() is where the thread is not blocked: serve on Bun's event loop until a signal comes, or until stopped.

import type { EpollServer } from "./server.ts";
import type { StopSignal } from "./stop-signals.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Start the server, and wait until it has stopped. A first signal lets what has begun finish, a second cuts it short.
 *
 * @param onRunning called when it serves
 * @returns the signal that stopped it
 * @throws what `start` throws
 */
export async function startUntilStopped(server: EpollServer, onRunning?: () => void): Promise<StopSignal | undefined> {
  let first: StopSignal | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    void server.stop(first === undefined ? {} : { graceMs: 0 });
    first ??= signal as StopSignal;
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    await server.start();
    onRunning?.();
    await server.stopped;
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
  }
  return first;
}
