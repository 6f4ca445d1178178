// SIGINT and SIGTERM while the thread is blocked in epoll_wait: a handler in the shim writes an eventfd that epoll watches.

import { EFD_CLOEXEC, EFD_NONBLOCK, SIGINT, SIGTERM } from "../constants.ts";
import { check } from "../errno.ts";
import type { Sys } from "../ffi.ts";

/** A signal that asks the server to stop. */
export type StopSignal = "SIGINT" | "SIGTERM";

const numbers: readonly (readonly [name: StopSignal, number: number])[] = [
  ["SIGINT", SIGINT],
  ["SIGTERM", SIGTERM],
];

/**
 * Catches the stop signals from its construction until `close`, which puts back what it found.
 *
 * EINTR alone would not do: the kernel may hand the signal to another thread, and epoll_wait sleeps on. Handlers that
 * were there, Bun's own for `process.on("SIGINT")` among them, are still called.
 *
 * @see sigaction(2), eventfd(2)
 */
export class StopSignals {
  readonly #sys: Sys;
  readonly #fd: number;
  readonly #caught: number[] = [];
  #isClosed = false;

  constructor(sys: Sys) {
    this.#sys = sys;
    this.#fd = check(sys.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    try {
      for (const [, number] of numbers) {
        check(sys.signal_catch(number, this.#fd), "sigaction");
        this.#caught.push(number);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Readable when a signal has come. */
  fileno(): number {
    return this.#fd;
  }

  /** The signals that came since last asked, in no order, each as often as it came. */
  take(): StopSignal[] {
    this.#sys.read(this.#fd, new Uint8Array(new ArrayBuffer(8)), 0, 8);
    const taken: StopSignal[] = [];
    for (const [name, number] of numbers) {
      for (let count = this.#sys.signal_take(number); count > 0; count--) taken.push(name);
    }
    return taken;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const number of this.#caught) this.#sys.signal_release(number);
    this.#sys.close(this.#fd);
  }
}
