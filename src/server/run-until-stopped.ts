// Runs a server on Bun's event loop until SIGINT, SIGTERM or a call of `stop`.

import type { StopSignal } from "./stop-signals.ts";
import type { StopOptions } from "./types.ts";

const SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM"];

/** The part of EpollServer that is used here. */
export interface StoppableServer {
  start(): Promise<void>;
  stop(options?: StopOptions): Promise<void>;
  readonly stopped: Promise<void>;
}

/**
 * Starts the server on Bun's event loop and waits until it has stopped, as `run` does while blocking the thread. The first
 * signal lets pending requests finish; the second closes everything immediately.
 *
 * @param onRunning called when the server accepts connections
 * @returns the signal that stopped the server; undefined if it was stopped otherwise
 * @throws what `start` throws
 */
export async function startUntilStopped(
  server: StoppableServer,
  onRunning?: () => void,
): Promise<StopSignal | undefined> {
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
