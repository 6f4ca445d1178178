// Runs a server on Bun's event loop until SIGINT, SIGTERM or a call of `stop`.

import { type ExtraSignals, type ExtraStopSignal, STOP_SIGNALS, type StopSignal } from "./stop-signals.ts";
import type { StopOptions } from "./types.ts";

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
 * @param extraSignals other signals to handle
 * @returns the signal that stopped the server; undefined if it was stopped otherwise
 * @throws what `start` throws
 */
export async function startUntilStopped<Extra extends ExtraStopSignal = never>(
  server: StoppableServer,
  onRunning?: () => void,
  { stop: extraStopSignals, handlers = {} }: ExtraSignals<Extra> = { stop: [] },
): Promise<StopSignal | Extra | undefined> {
  const signals = [...STOP_SIGNALS, ...extraStopSignals];
  let first: StopSignal | Extra | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    void server.stop(first === undefined ? {} : { graceMs: 0 });
    first ??= signal as StopSignal | Extra;
  };
  for (const signal of signals) process.on(signal, stop);
  for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler);
  try {
    await server.start();
    onRunning?.();
    await server.stopped;
  } finally {
    for (const signal of signals) process.off(signal, stop);
    for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler);
  }
  return first;
}
