// class Signals: signals as a file descriptor, which is readable when a signal has been caught.

import { constants as os } from "node:os";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../kernel/constants.ts";
import { check, ClosedError, invalidType } from "../kernel/errors.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";

const EBUSY = 16;
/** Receives the count of the eventfd, which is not used. */
const unusedCount = new Uint8Array(new ArrayBuffer(8));

/** The name of a signal, such as `"SIGHUP"`; see signal(7). */
export type SignalName = `SIG${string}`;

/** A signal that has been caught. */
export interface SignalCount {
  /** The name of the signal. */
  signal: SignalName;
  /** The number of times the signal was caught since the previous `read`. */
  count: number;
}

/**
 * Catches signals until `close`, which restores the previous handlers. Available only on the main thread.
 *
 * Previous handlers, including Bun's handler for `process.on`, are still called. Signals are caught by a handler that
 * writes to an eventfd. signalfd(2) is not used, because every thread would have to block the signals.
 *
 * @see sigaction(2), eventfd(2)
 * @example
 * ```ts
 * const signals = new Signals(["SIGHUP", "SIGUSR1"]);
 * watch(signals, EPOLLIN, () => console.log(signals.read()));
 * ```
 */
export class Signals implements Disposable {
  readonly #sys: Syscalls;
  readonly #fd: number;
  readonly #caught: [name: SignalName, number: number][] = [];
  #isClosed = false;

  /**
   * Starts catching signals.
   *
   * @param signals the names of the signals
   * @throws {ErrnoError} EINVAL for a signal that cannot be caught, such as SIGKILL; EMFILE or ENFILE
   * @throws {TypeError} if `signals` is not an array of the names of signals
   * @throws {Error} if a signal is already caught by another Signals object or by a server's `run`, or in a Worker
   */
  constructor(signals: readonly SignalName[]);
  /** @internal `sys` replaces the kernel's system calls */
  constructor(signals: readonly SignalName[], sys?: Syscalls);
  constructor(signals: readonly SignalName[], sys: Syscalls = syscalls()) {
    if (!Bun.isMainThread) {
      throw new Error("signals can be caught only on the main thread; forward them to Workers with postMessage");
    }
    if (!Array.isArray(signals)) throw invalidType("signals", 'an array of names, such as ["SIGHUP"]', signals);
    const numbers = signals.map((name): [SignalName, number] => {
      const number = (os.signals as Record<string, number>)[name];
      if (number === undefined) throw invalidType("signal", 'the name of a signal, such as "SIGHUP"', name);
      return [name, number];
    });
    this.#sys = sys;
    this.#fd = check(sys.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    try {
      for (const [name, number] of numbers) {
        // Bun's handler for listeners of process.on is called as well. At a terminal, Bun has another one without listeners,
        // which restores the terminal and ends the process: the caller of `new Signals` wants to do that itself.
        const n = sys.signal_catch(number, this.#fd, process.listenerCount(name) > 0 ? 1 : 0);
        if (n === -EBUSY) {
          throw new Error(`${name} is already caught by another Signals object or by a server's run(): close it first`);
        }
        check(n, "sigaction");
        this.#caught.push([name, number]);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Returns a file descriptor that is readable when a signal has been caught.
   *
   * @throws {ClosedError} if this object is closed
   */
  fileno(): number {
    if (this.#isClosed) throw new ClosedError("Signals.fileno");
    return this.#fd;
  }

  /** Whether this object is closed, so that the signals are no longer caught. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /**
   * Returns the signals that were caught since the previous call, in no particular order.
   *
   * @returns the signals with their counts; `[]` if there are none, or after `close`
   */
  read(): SignalCount[] {
    if (this.#isClosed) return [];
    this.#sys.read(this.#fd, unusedCount, 0, unusedCount.length);
    return this.#caught
      .map(([signal, number]) => ({ signal, count: this.#sys.signal_take(number) }))
      .filter(({ count }) => count > 0);
  }

  /** Restores the previous handlers. Closing twice has no effect. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const [, number] of this.#caught) this.#sys.signal_release(number);
    this.#sys.close(this.#fd);
  }

  /** Restores the previous handlers. */
  [Symbol.dispose](): void {
    this.close();
  }
}
