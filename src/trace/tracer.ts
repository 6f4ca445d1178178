// class Tracer: reports the system calls of a loop as events. A loop that is not traced has no tracer and no overhead.

import type { Address } from "../kernel/address.ts";
import { invalidType, outOfRange } from "../kernel/errors.ts";
import { type Syscalls, untracedSyscalls } from "../kernel/ffi.ts";
import { callerLine, type CallSite, StackSite } from "./caller-line.ts";
import { Dispatches, rounded, type SlowDispatch } from "./dispatches.ts";
import {
  type CtlEvent,
  type FrameEvent,
  TRACE_VERSION,
  type TraceEvent,
  type TraceListener,
  type TraceOptions,
} from "./events.ts";
import { ownKernel } from "./kernel-view.ts";
import { DataRedactor } from "./redact.ts";
import { ownThreadTimes } from "./thread-times.ts";
import { type CallRecorder, ctlEvent, loopCalls, programCalls, UNSTAMPED, wrapCalls } from "./traced-syscalls.ts";
import { Registrations } from "./registrations.ts";
import { SlowDispatches } from "./warnings/slow-dispatches.ts";
import { WarningDetector } from "./warnings/warning-detector.ts";

/** How much sooner than its timeout a wait may seem to return. */
const CLOCK_TOLERANCE_MS = 1;
const NO_FD = -1;
/** A shorter wait is considered not to have blocked. */
const MIN_BLOCKED_US = 50;

/** What the debugger adds. */
export interface DebuggedTraceOptions extends TraceOptions {
  /** Returns for how long the debugger has paused the thread outside of the listener. No timestamp includes that time. */
  pausedMs?: (() => number) | undefined;
  /** Called with the timeout of each wait before it begins. */
  onWait?: ((timeoutMs: number) => void) | undefined;
}

export class Tracer {
  readonly #listener: TraceListener;
  readonly #wantsLine: () => boolean;
  readonly #warnings: WarningDetector;
  readonly #recorder: CallRecorder;
  readonly #dispatches: Dispatches;
  readonly #slowDispatches = new SlowDispatches();
  /** The system calls that are wrapped. */
  #kernel: Syscalls | undefined;
  #checkTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #startMs = performance.now();
  /** The time spent in the listener, which no timestamp includes. */
  #listenerMs = 0;
  readonly #pausedMs: () => number;
  readonly #onWait: (timeoutMs: number) => void;
  #listenerError: { error: unknown } | undefined;
  #seq = 0;
  #iteration = 0;

  readonly #states = new Map<number, string>();
  #stateOf: ((fd: number) => string | undefined) | undefined;
  /** The fd of the last event: its connection may have changed its state since then. */
  #lastFd = NO_FD;

  // The current iteration.
  #waitReturnedUs = 0;
  /** When the thread returned to Bun's event loop; undefined during an iteration. */
  #yieldedUs: number | undefined;
  #isProgram = false;
  #isYieldScheduled = false;

  constructor(options: TraceListener | TraceOptions) {
    const {
      listener,
      bytes = false,
      secrets = false,
      program = process.argv[1],
      lines = false,
      slowMs = 50,
      pausedMs = () => 0,
      onWait = () => {},
    }: Partial<DebuggedTraceOptions> = typeof options === "function" ? { listener: options } : (options ?? {});
    if (typeof listener !== "function") {
      throw invalidType("trace", "a function, or an object with a function `listener`", options);
    }
    if (typeof slowMs !== "number") throw invalidType("trace.slowMs", "a number of milliseconds above 0", slowMs);
    if (!(slowMs > 0)) throw outOfRange("trace.slowMs", "a number of milliseconds above 0", slowMs);
    this.#listener = listener;
    this.#pausedMs = pausedMs;
    this.#onWait = onWait;
    this.#wantsLine = typeof lines === "function" ? lines : () => lines;
    const registrations = new Registrations();
    const sys = (): Syscalls => this.#kernel ?? untracedSyscalls();
    const createSite = (): CallSite | undefined => (this.#isProgram || this.#wantsLine() ? new StackSite() : undefined);
    this.#warnings = new WarningDetector(registrations, ownKernel(sys), (event) => this.#notify(event));
    this.#dispatches = new Dispatches(
      slowMs * 1000,
      ownThreadTimes(sys),
      createSite,
      (slow) => this.#onSlow(slow),
      (work) => this.#exclude(work),
    );
    this.#recorder = {
      hasBytes: bytes,
      redactor: secrets ? undefined : new DataRedactor(),
      registrations,
      closed: [],
      endsWithBlankLine: false,
      beginCall: (fd) => this.#dispatches.beginCall(fd, this.#nowUs()),
      emit: (event) => this.#emit(event),
      handOver: (fd) => this.#warnings.onHandedOver(fd),
      createSite,
    };
    const date = new Date().toISOString();
    const header = { type: "begin", version: TRACE_VERSION, pid: process.pid, date } as const;
    this.#emit({ ...UNSTAMPED, ...header, ...(program === undefined ? {} : { program }) });
  }

  /** Sets the function that returns the state of a connection. State changes are reported from then on. */
  set stateOf(stateOf: (fd: number) => string | undefined) {
    this.#stateOf = stateOf;
  }

  /** Returns `sys` with the system calls of a loop wrapped, so that each call is reported. */
  wrap(sys: Syscalls): Syscalls {
    this.#kernel = sys;
    return {
      ...wrapCalls(sys, loopCalls(sys, this.#recorder), this.#recorder),
      epoll_wait: (epfd, out, maxEvents, timeoutMs) =>
        this.#wait(epfd, out, maxEvents, timeoutMs, (waitMs) => sys.epoll_wait(epfd, out, maxEvents, waitMs)),
      epoll_pwait2: (epfd, out, maxEvents, seconds, nanoseconds) => {
        const timeoutMs = (seconds * 1e9 + nanoseconds) / 1e6;
        return this.#wait(epfd, out, maxEvents, timeoutMs, (waitMs) =>
          waitMs === timeoutMs
            ? sys.epoll_pwait2(epfd, out, maxEvents, seconds, nanoseconds)
            : sys.epoll_wait(epfd, out, maxEvents, Math.ceil(waitMs)),
        );
      },
      handed_over: (epfd, out, n, maxEvents) => this.#wait(epfd, out, maxEvents, -1, () => n, true),
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
    this.#emit(ctlEvent(this.#recorder, epfd, op, fd, mask, result));
  }

  /** Reports a WebSocket frame. */
  onFrame(fd: number, frame: Omit<FrameEvent, "type" | "fd">): void {
    this.#emit({ ...UNSTAMPED, type: "frame", fd, ...frame });
  }

  /** Notes that the handler of a request returned a promise. */
  onHandlerPending(fd: number, promise: Promise<unknown>): void {
    this.#warnings.onHandlerPending(fd, promise);
  }

  /** Ends the iteration, because the thread returns to Bun's event loop. The time until the next wait is not attributed to an fd. */
  onYield(): void {
    this.#endIteration();
    this.#yieldedUs = this.#nowUs();
    this.#warnings.onYield();
    this.#scheduleCheck();
  }

  /** Reports how often each mistake has happened, at the end of the trace. */
  finish(): void {
    clearTimeout(this.#checkTimer);
    this.#warnings.log.finish();
  }

  /** Reports one event of a wait that several watches share, as a separate iteration, and calls its handler. */
  traceDelivery(epfd: number, fd: number, mask: number, handle: () => void): void {
    this.#iteration++;
    this.#waitReturnedUs = this.#nowUs();
    const events: [number, number][] = [[fd, mask]];
    this.#dispatches.begin(this.#waitReturnedUs, events, false);
    const wait = { epfd, timeoutMs: 0, maxEvents: 1, result: 1, events, blockedUs: 0 };
    this.#emit({ ...UNSTAMPED, type: "wait", ...wait });
    try {
      handle();
    } finally {
      this.#endIteration();
      this.#rethrow(); // after the event has been handled: it is not reported again
    }
  }

  #wait(
    epfd: number,
    out: Int32Array,
    maxEvents: number,
    timeoutMs: number,
    call: (timeoutMs: number) => number,
    isHandedOver: boolean = false,
  ): number {
    const yieldedUs = this.#yieldedUs;
    if (yieldedUs === undefined) this.#endIteration();
    this.#yieldedUs = undefined;
    this.#rethrow();
    const isAway = yieldedUs !== undefined || isHandedOver;
    this.#warnings.beforeWait(epfd, timeoutMs, isAway, this.#nowUs());
    this.#onWait(timeoutMs);
    const startUs = this.#nowUs();
    const result = isHandedOver ? call(timeoutMs) : this.#waitAndCheck(timeoutMs, call);
    this.#iteration++;
    const events: [number, number][] = [];
    for (let i = 0; i < result; i++) events.push([out[3 * i + 1] as number, out[3 * i] as number]);
    this.#waitReturnedUs = this.#nowUs();
    const blockedUs = rounded(this.#waitReturnedUs - startUs);
    const event: TraceEvent = { ...UNSTAMPED, type: "wait", epfd, timeoutMs, maxEvents, result, events, blockedUs };
    if (yieldedUs !== undefined) event.awayUs = rounded(startUs - yieldedUs);
    this.#dispatches.begin(this.#waitReturnedUs, events, blockedUs + (event.awayUs ?? 0) > MIN_BLOCKED_US);
    this.#emit(event);
    return result;
  }

  /** Waits. If a warning may become due, in two steps or more: an idle program makes no call with which it could be reported. */
  #waitAndCheck(timeoutMs: number, call: (timeoutMs: number) => number): number {
    for (let leftMs = timeoutMs; ;) {
      const checkMs = this.#warnings.msUntilCheck(this.#nowUs());
      if (checkMs === Infinity || (leftMs >= 0 && leftMs <= checkMs)) return call(leftMs);
      const startMs = performance.now();
      const result = call(checkMs);
      const isInterrupted = performance.now() - startMs < checkMs - CLOCK_TOLERANCE_MS; // by the debugger
      if (result !== 0 || isInterrupted) return result;
      this.#warnings.check(this.#nowUs());
      if (leftMs > 0) leftMs -= checkMs;
    }
  }

  /** In Bun's event loop, a timer does what `#waitAndCheck` does. It does not keep the process alive. */
  #scheduleCheck(): void {
    if (this.#checkTimer !== undefined) return;
    const checkMs = this.#warnings.msUntilCheck(this.#nowUs());
    if (checkMs === Infinity) return;
    this.#checkTimer = setTimeout(() => {
      this.#checkTimer = undefined;
      this.#warnings.check(this.#nowUs());
      if (this.#yieldedUs !== undefined) this.#scheduleCheck();
    }, checkMs);
    this.#checkTimer.unref();
  }

  #endIteration(): void {
    const us = this.#nowUs();
    const dispatches = this.#dispatches.end(us);
    const workedUs = rounded(us - this.#waitReturnedUs);
    this.#emit({ ...UNSTAMPED, type: "iteration", workedUs, dispatches });
  }

  #onSlow(slow: SlowDispatch): void {
    this.#slowDispatches.add(slow, this.#warnings.log);
  }

  /** Ends the iteration when the program returns to Bun's event loop. If it blocks in epoll_wait instead, that ends the iteration first. */
  #scheduleYield(): void {
    this.#isYieldScheduled = true;
    queueMicrotask(() => {
      if (this.#yieldedUs === undefined) this.onYield();
      this.#isYieldScheduled = false;
    });
  }

  #emit(event: TraceEvent): void {
    this.#emitStateChange();
    const isCall = ("result" in event && event.type !== "wait") || event.type === "listen";
    const site = isCall ? this.#recorder.createSite() : undefined;
    this.#notify(event);
    if (isCall) this.#dispatches.endCall(event.us, site);
    if (this.#yieldedUs !== undefined && event.type !== "iteration") {
      queueMicrotask(() => this.#emitStateChange()); // the next event may be a long time off
      this.#scheduleCheck();
    } else if (this.#isProgram && !this.#isYieldScheduled) {
      this.#scheduleYield();
    }
    if (event.type === "accept" && event.result >= 0) this.#lastFd = event.result;
    else if ("fd" in event && event.fd !== null) this.#lastFd = event.fd;
    const { closed, endsWithBlankLine } = this.#recorder;
    const { us: nowUs, iteration } = event;
    this.#warnings.observe(event, { nowUs, iteration, site, closed, endsWithBlankLine });
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
    event.us = rounded((nowMs - this.#startMs - this.#listenerMs - this.#pausedMs()) * 1000);
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

  /** Does something in time that no timestamp includes. */
  #exclude(work: () => void): void {
    const startMs = performance.now();
    const listenerMs = this.#listenerMs;
    work();
    this.#listenerMs = listenerMs + performance.now() - startMs;
  }

  #rethrow(): void {
    const thrown = this.#listenerError;
    this.#listenerError = undefined;
    if (thrown !== undefined) throw thrown.error;
  }

  #nowUs(): number {
    return (performance.now() - this.#startMs - this.#listenerMs - this.#pausedMs()) * 1000;
  }
}
