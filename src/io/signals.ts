// class Signals: signals as a file descriptor, which is readable when a signal has been caught.

import { EFD_CLOEXEC, EFD_NONBLOCK, O_CLOEXEC, O_NONBLOCK } from "../kernel/constants.ts";
import { check, ClosedError, invalidType, invalidValue } from "../kernel/errors.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import { decodeSigInfo, type SigInfo, SIGINFO_BYTES } from "../kernel/siginfo.ts";
import { type SignalName, signalNumber } from "../kernel/signal-names.ts";

const EBUSY = 16;
/** The size of the pipe, rounded down to whole records: one read empties it. */
const BUFFER_BYTES = 65_536 - (65_536 % SIGINFO_BYTES);

/** The real-time signal that native/signals.c uses. */
const PARENT_EXITED = 62;

/** Signals that Bun needs, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  SIGPWR: "JavaScriptCore suspends its threads with it",
  SIGILL: "returning from its handler repeats the fault",
  SIGBUS: "returning from its handler repeats the fault",
  SIGFPE: "returning from its handler repeats the fault",
  SIGSEGV: "returning from its handler repeats the fault",
  SIGTRAP: "debuggers and JavaScriptCore use it",
};

/**
 * A signal that has been caught, with the fields of its siginfo_t. Fields that do not apply to `code` are absent.
 *
 * @see sigaction(2)
 */
export interface CaughtSignal extends Partial<SigInfo> {
  /** The name of the signal, as it was given to the constructor. */
  signal: SignalName;
  /**
   * The number of deliveries that this object stands for: 1, with `code`. If more than about 1300 deliveries were
   * pending, the last objects, one for each signal, have only `signal` and the number of the others.
   */
  count: number;
}

/** A caught signal, with the eventfd that counts its deliveries when the pipe is full. */
interface Caught {
  readonly name: SignalName;
  readonly number: number;
  readonly lostFd: number;
}

/**
 * Catches signals until `close`, which restores the previous handlers. Available only on the main thread.
 *
 * Previous handlers, including Bun's handler for `process.on`, are still called. Signals are caught by a handler that
 * writes to a pipe. signalfd(2) is not used, because every thread would have to block the signals.
 *
 * The kernel delivers a standard signal once if it is sent several times before it is delivered. Real-time signals,
 * `"SIGRTMIN"` to `"SIGRTMAX"`, are queued: each is delivered, with its value.
 *
 * @see sigaction(2), signal(7), sigqueue(3)
 * @example
 * ```ts
 * const signals = new Signals(["SIGHUP", "SIGUSR1"]);
 * watch(signals, EPOLLIN, () => {
 *   for (const { signal, pid } of signals.read()) console.log(`${signal} from process ${pid}`);
 * });
 * ```
 */
export class Signals implements Disposable {
  readonly #sys: Syscalls;
  readonly #reader: number;
  readonly #writer: number;
  readonly #caught: Caught[] = [];
  readonly #buffer = new Uint8Array(new ArrayBuffer(BUFFER_BYTES));
  #isClosed = false;

  /**
   * Starts catching signals.
   *
   * @param signals the names of the signals, each once
   * @throws {ErrnoError} EINVAL for a signal that cannot be caught, such as SIGKILL; EMFILE or ENFILE
   * @throws {TypeError} if `signals` is not an array of the names of signals
   * @throws {RangeError} if it is empty, or contains a signal twice, a real-time signal that does not exist, or one that
   *   Bun needs: SIGPWR, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP
   * @throws {Error} if a signal is already caught by another Signals object or by a server's `run`, or in a Worker
   */
  constructor(signals: readonly SignalName[]);
  /** @internal `sys` replaces the kernel's system calls */
  constructor(signals: readonly SignalName[], sys?: Syscalls);
  constructor(signals: readonly SignalName[], sys: Syscalls = syscalls()) {
    if (!Bun.isMainThread) {
      throw new Error("signals can be caught only on the main thread; forward them to Workers with postMessage");
    }
    const numbers = checkSignals(sys, signals);
    this.#sys = sys;
    const ends = new Int32Array(new ArrayBuffer(8));
    check(sys.pipe2(ends, O_NONBLOCK | O_CLOEXEC), "pipe2");
    [this.#reader, this.#writer] = ends as unknown as [number, number];
    try {
      for (const [number, name] of numbers) this.#catch(name, number);
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
    return this.#reader;
  }

  /** Whether this object is closed, so that the signals are no longer caught. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /**
   * Returns the signals that were caught since the previous call, in the order of their delivery.
   *
   * @returns an object for each delivery; `[]` if there are none, or after `close`
   */
  read(): CaughtSignal[] {
    if (this.#isClosed) return [];
    const caught: CaughtSignal[] = [];
    const view = new DataView(this.#buffer.buffer);
    const n = this.#sys.read(this.#reader, this.#buffer, 0, this.#buffer.length);
    for (let at = 0; at + SIGINFO_BYTES <= n; at += SIGINFO_BYTES) {
      const number = view.getInt32(at, true); // 0: deliveries have been counted by an eventfd
      const signal = this.#caught.find((each) => each.number === number)?.name;
      if (signal !== undefined) caught.push({ signal, count: 1, ...decodeSigInfo(view, at) });
    }
    return [...caught, ...this.#readLost()];
  }

  /** Restores the previous handlers. Closing twice has no effect. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { number } of this.#caught) this.#sys.signal_release(number);
    for (const fd of [...this.#caught.map(({ lostFd }) => lostFd), this.#writer, this.#reader]) this.#sys.close(fd);
  }

  /** Restores the previous handlers. */
  [Symbol.dispose](): void {
    this.close();
  }

  #catch(name: SignalName, number: number): void {
    const lostFd = check(this.#sys.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    // Bun's handler for listeners of process.on is called as well. At a terminal, Bun has another one without listeners,
    // which restores the terminal and ends the process: the caller of `new Signals` wants to do that itself.
    const n = this.#sys.signal_catch(number, this.#writer, lostFd, process.listenerCount(name) > 0 ? 1 : 0);
    if (n >= 0) {
      this.#caught.push({ name, number, lostFd });
      return;
    }
    this.#sys.close(lostFd);
    if (n === -EBUSY) {
      throw new Error(`${name} is already caught by another Signals object or by a server's run(): close it first`);
    }
    check(n, "sigaction");
  }

  /** Returns the deliveries for which there was no space in the pipe. */
  #readLost(): CaughtSignal[] {
    const total = new BigUint64Array(new ArrayBuffer(8));
    const bytes = new Uint8Array(total.buffer);
    return this.#caught.flatMap(({ name, lostFd }) =>
      this.#sys.read(lostFd, bytes, 0, 8) === 8 ? [{ signal: name, count: Number(total[0]) }] : [],
    );
  }
}

/** Returns the numbers of the signals, with their names. */
function checkSignals(sys: Syscalls, signals: readonly SignalName[]): Map<number, SignalName> {
  if (!Array.isArray(signals)) throw invalidType("signals", 'an array of names, such as ["SIGHUP"]', signals);
  if (signals.length === 0) throw invalidValue('signals is empty: give the names of signals, such as ["SIGHUP"]');
  const numbers = new Map<number, SignalName>();
  for (const name of signals as readonly SignalName[]) {
    const number = signalNumber(sys, name);
    const reason = number === PARENT_EXITED ? "it tells workers that their supervisor has exited" : REFUSED[name];
    if (reason !== undefined) throw invalidValue(`${name} cannot be caught: ${reason}`);
    const other = numbers.get(number);
    if (other === name) throw invalidValue(`signals contains ${name} twice`);
    if (other !== undefined) throw invalidValue(`signals contains ${other} and ${name}, which are the same signal`);
    numbers.set(number, name);
  }
  return numbers;
}
