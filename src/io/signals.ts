// class Signals: signals as a descriptor that is readable when one has come.

import { constants as os } from "node:os";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";

const EBUSY = 16;
const COUNTER = new Uint8Array(new ArrayBuffer(8));

/** `"SIGHUP"`, …; signal(7). */
export type SignalName = `SIG${string}`;

export interface SignalCount {
  signal: SignalName;
  /** How often it came since it was last asked. */
  count: number;
}

/**
 * Catches signals from its construction until `close`, which puts back what it found.
 *
 * Not signalfd(2), for which every thread would have to block the signal: a handler writes an eventfd. Handlers that were
 * there, Bun's own for `process.on` among them, are still called. Signals are the process's: on the main thread only.
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
   * @throws {ErrnoError} EINVAL for a signal that cannot be caught; EMFILE
   * @throws {Error} if it is caught by another already, or in a Worker
   */
  constructor(signals: readonly SignalName[]);
  /** @internal */
  constructor(signals: readonly SignalName[], sys?: Syscalls);
  constructor(signals: readonly SignalName[], sys: Syscalls = syscalls()) {
    if (!Bun.isMainThread)
      throw new Error("signals are the process's: catch them on the main thread, and tell its Workers");
    const numbers = signals.map((name): [SignalName, number] => {
      const number = (os.signals as Record<string, number>)[name];
      if (number === undefined) throw new TypeError(`there is no signal ${String(name)}`);
      return [name, number];
    });
    this.#sys = sys;
    this.#fd = check(sys.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    try {
      for (const [name, number] of numbers) {
        const n = sys.signal_catch(number, this.#fd);
        if (n === -EBUSY)
          throw new Error(`${name} is caught already, by other Signals or a server's run(): close them first`);
        check(n, "sigaction");
        this.#caught.push([name, number]);
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

  get closed(): boolean {
    return this.#isClosed;
  }

  /** Take the signals that came since it was last asked, in no order; none: `[]`. */
  read(): SignalCount[] {
    if (this.#isClosed) return [];
    this.#sys.read(this.#fd, COUNTER, 0, COUNTER.length);
    return this.#caught
      .map(([signal, number]) => ({ signal, count: this.#sys.signal_take(number) }))
      .filter(({ count }) => count > 0);
  }

  /** Put back what was there. Closing twice is fine. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const [, number] of this.#caught) this.#sys.signal_release(number);
    this.#sys.close(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
