// Catches SIGINT and SIGTERM while the thread blocks in epoll_wait, so that they end the wait and stop the server.

import { Signals } from "../io/signals.ts";
import type { Syscalls } from "../kernel/ffi.ts";

/** A signal that stops the server. */
export type StopSignal = "SIGINT" | "SIGTERM";

const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM"];

/**
 * Catches the stop signals from its construction until `close`.
 *
 * A handler and EINTR would not be enough: the kernel may deliver the signal to another thread, and epoll_wait would keep
 * waiting.
 */
export class StopSignals {
  readonly #signals: Signals;

  constructor(sys: Syscalls) {
    this.#signals = new Signals([...STOP_SIGNALS], sys);
  }

  /** The fd that is readable when a signal has arrived. */
  fileno(): number {
    return this.#signals.fileno();
  }

  /** Returns the signals that have arrived since the last call, each as often as it arrived. Their order is unknown. */
  take(): StopSignal[] {
    return this.#signals.read().flatMap(({ signal, count }) => Array<StopSignal>(count).fill(signal as StopSignal));
  }

  close(): void {
    this.#signals.close();
  }
}
