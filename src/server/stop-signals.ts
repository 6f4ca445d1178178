// Catches SIGINT, SIGTERM and other signals while the thread blocks in epoll_wait, so that they end the wait.

import { Signals } from "../io/signals.ts";
import type { Syscalls } from "../kernel/ffi.ts";

/** A signal that stops the server. */
export type StopSignal = "SIGINT" | "SIGTERM";

/** A signal that stops the server of the command, but not that of a program, which may use it for something else. */
export type ExtraStopSignal = "SIGHUP" | "SIGQUIT";

/** Signals that the command handles in addition. */
export interface ExtraSignals<Stop extends ExtraStopSignal = ExtraStopSignal> {
  /** Signals that stop the server. */
  stop: readonly Stop[];
  /** The handlers of signals that do not. */
  handlers?: Readonly<Partial<Record<"SIGUSR1" | "SIGUSR2", () => void>>>;
}

export const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM"];

/**
 * Catches the stop signals from its construction until `close`.
 *
 * A handler and EINTR would not be enough: the kernel may deliver the signal to another thread, and epoll_wait would keep
 * waiting.
 */
export class StopSignals<Extra extends ExtraStopSignal = never> {
  readonly #signals: Signals;
  readonly #handlers: Readonly<Record<string, () => void>>;

  constructor(sys: Syscalls, { stop, handlers = {} }: ExtraSignals<Extra>) {
    this.#handlers = handlers;
    this.#signals = new Signals(
      [...STOP_SIGNALS, ...stop, ...(Object.keys(handlers) as (keyof typeof handlers)[])],
      sys,
    );
  }

  /** The fd that is readable when a signal has arrived. */
  fileno(): number {
    return this.#signals.fileno();
  }

  /**
   * Returns the stop signals that have arrived since the last call, each as often as it arrived. Their order is unknown. For the
   * other signals, calls their handlers.
   */
  take(): (StopSignal | Extra)[] {
    type Taken = StopSignal | Extra;
    const taken: Taken[] = [];
    for (const { signal, count } of this.#signals.read()) {
      const handler = this.#handlers[signal];
      if (handler === undefined) taken.push(...Array<Taken>(count).fill(signal as Taken));
      else handler();
    }
    return taken;
  }

  close(): void {
    this.#signals.close();
  }
}
