// class Tracer: reports the system calls of a loop as events. A loop that is not traced has no tracer and no overhead.

import type { Address } from "../kernel/address.ts";
import { invalidType, outOfRange } from "../kernel/errors.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { callerLine } from "./caller-line.ts";
import {
  type CtlEvent,
  type FrameEvent,
  TRACE_VERSION,
  type TraceEvent,
  type TraceListener,
  type TraceOptions,
} from "./events.ts";
import { type CallRecorder, ctlEvent, loopCalls, programCalls, UNSTAMPED, wrapCalls } from "./traced-syscalls.ts";
import { WarningDetector } from "./warnings.ts";

const NO_FD = -1;

export class Tracer {
  readonly #listener: TraceListener;
  readonly #wantsLine: () => boolean;
  readonly #warnings: WarningDetector;
  readonly #recorder: CallRecorder;
  readonly #startMs = performance.now();
  /** The time spent in the listener, which no timestamp includes. */
  #listenerMs = 0;
  #listenerError: { error: unknown } | undefined;
  #seq = 0;
  #iteration = 0;

  readonly #states = new Map<number, string>();
  #stateOf: ((fd: number) => string | undefined) | undefined;
  /** The fd of the last event: its connection may have changed its state since then. */
  #lastFd = NO_FD;

  // The current iteration.
  #waitReturnedUs = 0;
  #dispatchFd = NO_FD;
  #dispatchStartUs = 0;
  #dispatches: [fd: number, us: number][] = [];
  /** When the thread returned to Bun's event loop; undefined during an iteration. */
  #yieldedUs: number | undefined;
  #isProgram = false;
  #isYieldScheduled = false;

  constructor(options: TraceListener | TraceOptions) {
    const {
      listener,
      bytes = false,
      lines = false,
      slowMs = 50,
    }: Partial<TraceOptions> = typeof options === "function" ? { listener: options } : (options ?? {});
    if (typeof listener !== "function") {
      throw invalidType("trace", "a function, or an object with a function `listener`", options);
    }
    if (typeof slowMs !== "number") throw invalidType("trace.slowMs", "a number of milliseconds above 0", slowMs);
    if (!(slowMs > 0)) throw outOfRange("trace.slowMs", "a number of milliseconds above 0", slowMs);
    this.#listener = listener;
    this.#wantsLine = typeof lines === "function" ? lines : () => lines;
    this.#warnings = new WarningDetector(slowMs);
    this.#recorder = {
      hasBytes: bytes,
      masks: new Map(),
      beginDispatch: (fd) => this.#beginDispatch(fd),
      emit: (event) => this.#emit(event),
    };
    const date = new Date().toISOString();
    this.#emit({ ...UNSTAMPED, type: "begin", version: TRACE_VERSION, pid: process.pid, date });
  }

  /** Sets the function that returns the state of a connection. State changes are reported from then on. */
  set stateOf(stateOf: (fd: number) => string | undefined) {
    this.#stateOf = stateOf;
  }

  /** Returns `sys` with the system calls of a loop wrapped, so that each call is reported. */
  wrap(sys: Syscalls): Syscalls {
    return {
      ...wrapCalls(sys, loopCalls(sys, this.#recorder), this.#recorder),
      epoll_wait: (epfd, out, maxEvents, timeoutMs) =>
        this.#wait(epfd, out, maxEvents, timeoutMs, () => sys.epoll_wait(epfd, out, maxEvents, timeoutMs)),
      epoll_pwait2: (epfd, out, maxEvents, seconds, nanoseconds) =>
        this.#wait(epfd, out, maxEvents, (seconds * 1e9 + nanoseconds) / 1e6, () =>
          sys.epoll_pwait2(epfd, out, maxEvents, seconds, nanoseconds),
        ),
      handed_over: (epfd, out, n, maxEvents) => this.#wait(epfd, out, maxEvents, -1, () => n),
    };
  }

  /**
   * Returns `sys` wrapped for a whole program, which is unaware of the tracer. Also reports listen, connect and every call that reads
   * or writes, and detects when the program returns to Bun's event loop.
   */
  wrapProgram(sys: Syscalls): Syscalls {
    this.#isProgram = true;
    return wrapCalls(this.wrap(sys), programCalls(sys, this.#recorder), this.#recorder);
  }

  /** Reports a listening socket. */
  onListen(fd: number, address: Address): void {
    this.#emit({ ...UNSTAMPED, type: "listen", fd, address });
  }

  /** Reports an epoll_ctl call that was not made through wrapped system calls. */
  onEpollCtl(epfd: number, op: CtlEvent["op"], fd: number, mask: number | null, result: number): void {
    this.#emit(ctlEvent(this.#recorder.masks, epfd, op, fd, mask, result));
  }

  /** Reports a WebSocket frame. */
  onFrame(fd: number, frame: Omit<FrameEvent, "type" | "fd">): void {
    this.#emit({ ...UNSTAMPED, type: "frame", fd, ...frame });
  }

  /** Ends the iteration, because the thread returns to Bun's event loop. The time until the next wait is not attributed to an fd. */
  onYield(): void {
    this.#endIteration();
    this.#yieldedUs = this.#nowUs();
  }

  /** Reports one event of a wait that several watches share, as a separate iteration, and calls its handler. */
  traceDelivery(epfd: number, fd: number, mask: number, handle: () => void): void {
    this.#iteration++;
    this.#waitReturnedUs = this.#nowUs();
    const events: [number, number][] = [[fd, mask]];
    const wait = { epfd, timeoutMs: 0, maxEvents: 1, result: 1, events, blockedUs: 0 };
    this.#emit({ ...UNSTAMPED, type: "wait", ...wait });
    this.#beginDispatch(fd);
    try {
      handle();
    } finally {
      this.#endIteration();
      this.#rethrow(); // after the event has been handled: it is not reported again
    }
  }

  #wait(epfd: number, out: Int32Array, maxEvents: number, timeoutMs: number, call: () => number): number {
    const yieldedUs = this.#yieldedUs;
    if (yieldedUs === undefined) this.#endIteration();
    else this.#returnFromYield();
    this.#rethrow();
    const startUs = this.#nowUs();
    const result = call();
    this.#iteration++;
    const events: [number, number][] = [];
    for (let i = 0; i < result; i++) events.push([out[3 * i + 1] as number, out[3 * i] as number]);
    this.#waitReturnedUs = this.#nowUs();
    const blockedUs = rounded(this.#waitReturnedUs - startUs);
    const event: TraceEvent = { ...UNSTAMPED, type: "wait", epfd, timeoutMs, maxEvents, result, events, blockedUs };
    if (yieldedUs !== undefined) event.awayUs = rounded(startUs - yieldedUs);
    this.#emit(event);
    return result;
  }

  #beginDispatch(fd: number): void {
    if (fd === this.#dispatchFd) return;
    this.#endDispatch();
    this.#dispatchFd = fd;
  }

  /** Before the first wait nothing is dispatched: the calls until then set up the loop. */
  #endDispatch(): void {
    const us = this.#nowUs();
    if (this.#dispatchFd !== NO_FD && this.#iteration > 0) {
      this.#dispatches.push([this.#dispatchFd, rounded(us - this.#dispatchStartUs)]);
    }
    this.#dispatchFd = NO_FD;
    this.#dispatchStartUs = us;
  }

  #endIteration(): void {
    this.#endDispatch();
    const dispatches = this.#dispatches;
    this.#dispatches = [];
    const workedUs = rounded(this.#nowUs() - this.#waitReturnedUs);
    this.#emit({ ...UNSTAMPED, type: "iteration", workedUs, dispatches });
  }

  /** Ends the iteration when the program returns to Bun's event loop. If it blocks in epoll_wait instead, that ends the iteration first. */
  #scheduleYield(): void {
    this.#isYieldScheduled = true;
    queueMicrotask(() => {
      if (this.#yieldedUs === undefined) this.onYield();
      this.#isYieldScheduled = false;
    });
  }

  #returnFromYield(): void {
    this.#yieldedUs = undefined;
    this.#dispatchFd = NO_FD;
    this.#dispatches = [];
  }

  #emit(event: TraceEvent): void {
    this.#emitStateChange();
    this.#notify(event);
    if (this.#yieldedUs !== undefined && event.type !== "iteration") {
      queueMicrotask(() => this.#emitStateChange()); // the next event may be a long time off
    } else if (this.#isProgram && !this.#isYieldScheduled) {
      this.#scheduleYield();
    }
    if (event.type === "accept" && event.result >= 0) this.#lastFd = event.result;
    else if ("fd" in event && event.fd !== null) this.#lastFd = event.fd;
    if (event.type === "wait") this.#dispatchStartUs = this.#waitReturnedUs;
    for (const warning of this.#warnings.observe(event, this.#iteration)) this.#notify({ ...UNSTAMPED, ...warning });
  }

  /** Reports the state of the last event's connection, if it has changed. */
  #emitStateChange(): void {
    const fd = this.#lastFd;
    if (fd === NO_FD || this.#stateOf === undefined) return;
    this.#lastFd = NO_FD;
    const from = this.#states.get(fd) ?? null;
    const to = this.#stateOf(fd) ?? null;
    if (from === to) return;
    if (to === null) this.#states.delete(fd);
    else this.#states.set(fd, to);
    this.#notify({ ...UNSTAMPED, type: "state", fd, from, to });
  }

  #notify(event: TraceEvent): void {
    const nowMs = performance.now();
    event.seq = ++this.#seq;
    event.us = rounded((nowMs - this.#startMs - this.#listenerMs) * 1000);
    event.iteration = this.#iteration;
    if ("result" in event && this.#wantsLine()) {
      const at = callerLine();
      if (at !== undefined) event.at = at;
    }
    try {
      this.#listener(event);
    } catch (error) {
      // Rethrown before the next wait: thrown here, it would skip the code that handles the result of the system call.
      this.#listenerError ??= { error };
    }
    this.#listenerMs += performance.now() - nowMs;
  }

  #rethrow(): void {
    const thrown = this.#listenerError;
    this.#listenerError = undefined;
    if (thrown !== undefined) throw thrown.error;
  }

  #nowUs(): number {
    return (performance.now() - this.#startMs - this.#listenerMs) * 1000;
  }
}

/** Rounds to a tenth of a microsecond. */
function rounded(us: number): number {
  return Math.round(us * 10) / 10;
}
