// SIGINT and SIGTERM while the thread is blocked in epoll_wait: they end the wait, and ask the server to stop.

import { Signals } from "../io/signals.ts";
import type { Syscalls } from "../kernel/ffi.ts";

/** A signal that asks the server to stop. */
export type StopSignal = "SIGINT" | "SIGTERM";

/**
 * Catches the stop signals from its construction until `close`.
 *
 * EINTR alone would not do: the kernel may hand the signal to another thread, and epoll_wait sleeps on.
 */
export class StopSignals {
  readonly #signals: Signals;

  constructor(sys: Syscalls) {
    this.#signals = new Signals(["SIGINT", "SIGTERM"], sys);
  }

  /** Readable when a signal has come. */
  fileno(): number {
    return this.#signals.fileno();
  }

  /** The signals that came since last asked, in no order, each as often as it came. */
  take(): StopSignal[] {
    return this.#signals.read().flatMap(({ signal, count }) => Array<StopSignal>(count).fill(signal as StopSignal));
  }

  close(): void {
    this.#signals.close();
  }
}
