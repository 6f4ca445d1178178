// Catches SIGINT, SIGTERM and other stop signals while the thread blocks in epoll_wait, so that they end the wait and stop the server.

import { Signals } from "../io/signals.ts";
import type { Syscalls } from "../kernel/ffi.ts";

/** A signal that stops the server. */
export type StopSignal = "SIGINT" | "SIGTERM";

/** A signal that stops the server of the command, but not that of a program, which may use it for something else. */
export type ExtraStopSignal = "SIGHUP" | "SIGQUIT";

export const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM"];

/**
 * Catches the stop signals from its construction until `close`.
 *
 * A handler and EINTR would not be enough: the kernel may deliver the signal to another thread, and epoll_wait would keep
 * waiting.
 */
export class StopSignals<Extra extends ExtraStopSignal = never> {
  readonly #signals: Signals;

  constructor(sys: Syscalls, extra: readonly Extra[] = []) {
    this.#signals = new Signals([...STOP_SIGNALS, ...extra], sys);
  }

  /** The fd that is readable when a signal has arrived. */
  fileno(): number {
    return this.#signals.fileno();
  }

  /** Returns the signals that have arrived since the last call, each as often as it arrived. Their order is unknown. */
  take(): (StopSignal | Extra)[] {
    type Taken = StopSignal | Extra;
    return this.#signals.read().flatMap(({ signal, count }) => Array<Taken>(count).fill(signal as Taken));
  }

  close(): void {
    this.#signals.close();
  }
}
