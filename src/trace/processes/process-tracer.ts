// class ProcessTracer: turns the decoded calls of other processes into the events of a trace, with iterations and warnings.

import { Dispatches, rounded } from "../dispatches.ts";
import {
  TRACE_VERSION,
  type CtlEvent,
  type ProcessEvent,
  type TraceDetail,
  type TraceEvent,
  type TraceListener,
  type TransferEvent,
  type WaitEvent,
  type WarningCode,
} from "../events.ts";
import { fdKey } from "../fd-key.ts";
import type { KernelView } from "../kernel-view.ts";
import { DataRedactor } from "../redact.ts";
import { type Registration, Registrations } from "../registrations.ts";
import { StartLineParser, toLatin1 } from "../start-line.ts";
import { EPOLLERR, EPOLLHUP } from "../../kernel/constants.ts";
import { untracedSyscalls } from "../../kernel/ffi.ts";
import { UNSTAMPED } from "../traced-syscalls.ts";
import { SlowDispatches } from "../warnings/slow-dispatches.ts";
import type { StampedWarning } from "../warnings/warning-log.ts";
import { WarningDetector } from "../warnings/warning-detector.ts";
import type { DecodedCall } from "./decoded-call.ts";
import { RemoteSite } from "./remote-site.ts";
import { ProcThreadTimes } from "./thread-clock.ts";

/** A wait that took longer is considered to have blocked, so that asking /proc about the thread costs little in comparison. */
const MIN_BLOCKED_US = 1_000;

export interface ProcessTracerOptions {
  /** Called for every event. */
  listener: TraceListener;
  /** The process that was started, or attached to. */
  pid: number;
  /** The program, for the `begin` event. */
  program?: string | undefined;
  /** Returns the kernel's view of a process. */
  kernelOf(pid: number): KernelView;
  /** Include received and sent data in the events. */
  bytes?: boolean | undefined;
  /** Include the values of credentials. */
  secrets?: boolean | undefined;
  /** Returns whether the place of each call is included. */
  lines?: boolean | (() => boolean) | undefined;
  /** The threshold of the `slow-handler` warning, in milliseconds. Default: 50. */
  slowMs?: number | undefined;
  /**
   * Stops a thread for a moment to find out where it is, and calls `done` with that. Used for warnings about a loop that spins, if the
   * place of its calls is not known.
   */
  findThread?: ((tid: number, done: (at: string | undefined) => void) => void) | undefined;
  /** Returns for how long all threads together were paused by the debugger. No timestamp includes that time. */
  pausedMs?: (() => number) | undefined;
}

export class ProcessTracer {
  readonly #options: ProcessTracerOptions;
  readonly #startMs = performance.now();
  readonly #redactor: DataRedactor | undefined;
  readonly #received: StartLineParser;
  readonly #sent: StartLineParser;
  readonly #processes = new Map<number, TracedProcess>();
  readonly #threads = new Map<number, TracedThread>();
  #seq = 0;
  #iterations = 0;
  /** The time and the iteration of what is being observed. */
  #currentUs = 0;
  #currentIteration = 0;
  #currentTid: number | undefined;
  /** How long ago the call that is being reported has happened. */
  #lagMs = 0;
  /** The time of the last event: no later one is earlier. */
  #lastUs = 0;

  constructor(options: ProcessTracerOptions) {
    this.#options = options;
    const { pid, program, secrets = false } = options;
    this.#redactor = secrets ? undefined : new DataRedactor();
    this.#received = new StartLineParser(untracedSyscalls(), !secrets);
    this.#sent = new StartLineParser(untracedSyscalls(), !secrets);
    const header = { type: "begin", version: TRACE_VERSION, pid, date: new Date().toISOString() } as const;
    this.#notify({ ...UNSTAMPED, ...header, ...(program === undefined ? {} : { program }) }, 0, 0);
  }

  /** A thread is about to wait: its iteration ends. */
  onWaitEntry({ pid, tid, startMs, detail }: DecodedCall): void {
    if (detail.type !== "wait") return;
    const thread = this.#thread(pid, tid);
    const us = this.#usAt(startMs);
    this.#lagMs = performance.now() - startMs;
    this.#endIteration(thread, us);
    thread.isWaiting = true;
    this.#currentTid = tid;
    this.#currentUs = us;
    this.#currentIteration = thread.iteration;
    thread.process.warnings.beforeWait(detail.epfd, detail.timeoutMs, false, us);
  }

  /** A call has returned, or a process or thread has begun or ended. Returns the event. */
  onCall(call: DecodedCall): TraceEvent {
    const { pid, tid, detail } = call;
    const thread = this.#thread(pid, tid);
    const { process } = thread;
    this.#lagMs = performance.now() - call.endMs;
    const [startUs, us] = [this.#usAt(call.startMs), this.#usAt(call.endMs)];
    const site = call.locate === undefined ? undefined : new RemoteSite(call.locate);
    if (detail.type === "wait") return this.#onWait(call, detail, thread, startUs, us);
    const fd = dispatchedFd(detail);
    thread.site = site;
    this.#currentUs = us; // a slow dispatch may end here
    this.#currentIteration = thread.iteration;
    if (isCall(detail)) thread.dispatches.beginCall(fd, startUs);
    const event: TraceEvent = { ...UNSTAMPED, ...this.#complete(call, process, site), pid, tid };
    if ("result" in event && startUs < us) event.tookUs = rounded(us - startUs);
    const closed = this.#closed(event, process);
    this.#stamp(event, us, thread.iteration, call);
    if (isCall(detail)) thread.dispatches.endCall(us, site);
    this.#observe(process, event, us, site, closed, call.endsWithBlankLine === true);
    if (detail.type === "process") this.#onProcess(detail, process, thread, us);
    return event;
  }

  /** How long `check` can wait, in milliseconds; Infinity: as long as nothing happens. */
  msUntilCheck(): number {
    const us = this.#nowUs();
    let ms = Infinity;
    for (const { warnings } of this.#processes.values()) ms = Math.min(ms, warnings.msUntilCheck(us));
    return ms;
  }

  /** Reports the warnings that are due although no call is made. */
  check(): void {
    this.#currentTid = undefined;
    const us = (this.#currentUs = this.#nowUs());
    for (const { warnings } of this.#processes.values()) warnings.check(us);
  }

  /** Reports how often each mistake has happened, at the end of the trace. */
  finish(): void {
    for (const { warnings } of this.#processes.values()) warnings.log.finish();
  }

  /** The number of threads that have made a call. */
  get threads(): number {
    return this.#threads.size;
  }

  /** The debugger has held a thread while others went on. The time does not count as that of the fd that is handled. */
  onHeld(tid: number, heldMs: number): void {
    const thread = this.#threads.get(tid);
    if (thread !== undefined) thread.heldUs += heldMs * 1000;
  }

  #onWait(call: DecodedCall, detail: WaitEvent, thread: TracedThread, startUs: number, us: number): TraceEvent {
    if (!thread.isWaiting) this.#endIteration(thread, startUs); // the tracer was attached while it waited
    thread.isWaiting = false;
    thread.iteration = ++this.#iterations;
    thread.waitReturnedUs = us;
    const blockedUs = rounded(us - startUs);
    const { pid, tid } = call;
    const event: TraceEvent = { ...UNSTAMPED, ...detail, blockedUs, pid, tid };
    thread.dispatches.begin(us, event.events, blockedUs > MIN_BLOCKED_US);
    this.#stamp(event, us, thread.iteration, call);
    this.#observe(thread.process, event, us, undefined, NONE, false);
    return event;
  }

  /** Adds what the source does not know. */
  #complete(call: DecodedCall, process: TracedProcess, site: RemoteSite | undefined): TraceDetail {
    const { detail, data } = call;
    if (detail.type === "open" && detail.interest !== undefined) {
      // The kernel adds these to every mask.
      return { ...detail, interest: detail.interest.map(([fd, mask]) => [fd, mask & ~(EPOLLERR | EPOLLHUP)]) };
    }
    if (detail.type === "ctl") return completeCtl(detail, process.registrations, site);
    if ((detail.type === "recv" || detail.type === "send") && data !== undefined && detail.result > 0) {
      return this.#completeTransfer(detail, data, call.pid);
    }
    return detail;
  }

  #completeTransfer(detail: TransferEvent, data: Uint8Array, pid: number): TransferEvent {
    const completed = { ...detail };
    const length = Math.min(detail.result, data.length);
    const line = (detail.type === "recv" ? this.#received : this.#sent).parse(data, 0, length);
    if (line !== undefined) completed.line = line;
    if (this.#options.bytes === true) {
      const text = toLatin1(data, 0, length);
      const stream = fdKey(detail.fd, pid);
      completed.bytes = this.#redactor === undefined ? text : this.#redactor.redact(detail.type, stream, text);
    }
    return completed;
  }

  /** Records what a call has changed. Returns the registrations that a closed fd still had. */
  #closed(event: TraceEvent, { registrations }: TracedProcess): readonly Registration[] {
    const { pid } = event;
    switch (event.type) {
      case "close":
        if (event.result < 0) return NONE;
        this.#redactor?.forget(fdKey(event.fd, pid));
        return registrations.close(event.fd);
      case "accept":
      case "open":
        if (event.result < 0) return NONE;
        this.#redactor?.forget(fdKey(event.result, pid));
        for (const [fd, mask] of (event.type === "open" && event.interest) || [])
          registrations.apply(event.result, "ADD", fd, mask, undefined);
        return NONE;
      default:
        return NONE;
    }
  }

  #observe(
    process: TracedProcess,
    event: TraceEvent,
    nowUs: number,
    site: RemoteSite | undefined,
    closed: readonly Registration[],
    endsWithBlankLine: boolean,
  ): void {
    this.#currentTid = event.tid;
    this.#currentUs = nowUs;
    this.#currentIteration = event.iteration;
    process.warnings.observe(event, { nowUs, iteration: event.iteration, site, closed, endsWithBlankLine });
  }

  #onProcess({ what, child }: ProcessEvent, process: TracedProcess, thread: TracedThread, us: number): void {
    if (what === "fork" && child !== undefined) {
      const copy = this.#process(child);
      for (const { epfd, fd, mask, site } of process.registrations.all)
        copy.registrations.apply(epfd, "ADD", fd, mask, site);
    } else if (what === "exec") {
      process.warnings.log.finish();
      this.#processes.set(process.pid, this.#createProcess(process.pid));
      this.#threads.delete(thread.tid);
    } else if (what === "exit" || what === "detach") {
      process.warnings.log.finish();
      this.#processes.delete(process.pid);
      for (const [tid, one] of this.#threads) if (one.process === process) this.#threads.delete(tid);
    } else if (what === "thread-exit") {
      this.#endIteration(thread, us);
      this.#threads.delete(thread.tid);
    }
  }

  #endIteration(thread: TracedThread, us: number): void {
    const { pid } = thread.process;
    if (thread.isWaiting) return;
    const dispatches = thread.dispatches.end(us);
    const workedUs = rounded(Math.max(0, us - thread.waitReturnedUs - thread.heldUs));
    thread.heldUs = 0;
    this.#notify({ ...UNSTAMPED, type: "iteration", workedUs, dispatches, pid, tid: thread.tid }, us, thread.iteration);
  }

  #wantsLine(): boolean {
    const { lines = false } = this.#options;
    return typeof lines === "function" ? lines() : lines;
  }

  #stamp(event: TraceEvent, us: number, iteration: number, { locate }: DecodedCall): void {
    if (locate !== undefined && this.#wantsLine()) {
      const at = locate();
      if (at !== undefined) event.at = at;
    }
    this.#notify(event, us, iteration);
  }

  #notify(event: TraceEvent, us: number, iteration: number): void {
    event.seq = ++this.#seq;
    event.us = this.#lastUs = Math.max(this.#lastUs, rounded(us));
    event.iteration = iteration;
    this.#options.listener(event);
  }

  #onWarning(warning: StampedWarning): void {
    const { findThread } = this.#options;
    const tid = this.#currentTid;
    const isLocated = warning.at !== undefined || warning.updates !== undefined || !SPINNING.has(warning.code);
    if (findThread === undefined || isLocated || tid === undefined)
      return this.#notify(warning, this.#currentUs, this.#currentIteration);
    findThread(tid, (at) => {
      if (at !== undefined) warning.at = at;
      this.#notify(warning, this.#currentUs, this.#currentIteration);
    });
  }

  #process(pid: number): TracedProcess {
    let process = this.#processes.get(pid);
    if (process === undefined) this.#processes.set(pid, (process = this.#createProcess(pid)));
    return process;
  }

  #createProcess(pid: number): TracedProcess {
    const registrations = new Registrations();
    const warnings = new WarningDetector(registrations, this.#options.kernelOf(pid), (warning) => {
      Object.assign(warning, { pid });
      this.#onWarning(warning);
    });
    return { pid, registrations, warnings, slowDispatches: new SlowDispatches() };
  }

  #thread(pid: number, tid: number): TracedThread {
    let thread = this.#threads.get(tid);
    if (thread === undefined) this.#threads.set(tid, (thread = this.#createThread(this.#process(pid), tid)));
    return thread;
  }

  #createThread(process: TracedProcess, tid: number): TracedThread {
    const { slowMs = 50 } = this.#options;
    const thread: TracedThread = {
      process,
      tid,
      iteration: 0,
      isWaiting: false,
      waitReturnedUs: this.#nowUs(),
      heldUs: 0,
      site: undefined,
      dispatches: new Dispatches(
        slowMs * 1000,
        new ProcThreadTimes(process.pid, tid, () => this.#lagMs),
        () => thread.site,
        (slow) => process.slowDispatches.add(slow, process.warnings.log),
        (work) => work(),
      ),
    };
    return thread;
  }

  #usAt(ms: number): number {
    return Math.max(0, (ms - this.#startMs - (this.#options.pausedMs?.() ?? 0)) * 1000);
  }

  #nowUs(): number {
    return this.#usAt(performance.now());
  }
}

/** Warnings about a loop that never blocks: where it is now is where it spins. */
const SPINNING: ReadonlySet<WarningCode> = new Set([
  "busy-loop",
  "eof-ignored",
  "hangup-ignored",
  "idle-epollout",
  "accept-failed",
]);

const NONE: readonly Registration[] = [];

interface TracedProcess {
  pid: number;
  registrations: Registrations;
  warnings: WarningDetector;
  slowDispatches: SlowDispatches;
}

interface TracedThread {
  process: TracedProcess;
  tid: number;
  /** The iteration that its last wait began. */
  iteration: number;
  isWaiting: boolean;
  waitReturnedUs: number;
  /** For how long the debugger has held it in this iteration. */
  heldUs: number;
  /** The last call. */
  site: RemoteSite | undefined;
  dispatches: Dispatches;
}

function completeCtl(detail: CtlEvent, registrations: Registrations, site: RemoteSite | undefined): CtlEvent {
  const { epfd, op, fd, mask, result } = detail;
  const oldMask =
    result < 0
      ? (registrations.get(epfd, fd)?.mask ?? null)
      : registrations.apply(epfd, op, fd, mask, op === "DEL" ? undefined : site);
  return { ...detail, oldMask };
}

/** Whether an event is a system call of the program, as opposed to something that the tracer has found out. */
function isCall(detail: TraceDetail): boolean {
  return detail.type !== "process" && !(detail.type === "open" && detail.call === "inherited");
}

/** Returns the fd that a call handles; undefined if it does not show that. */
function dispatchedFd(detail: TraceDetail): number | undefined {
  switch (detail.type) {
    case "ctl":
    case "accept":
    case "recv":
    case "send":
    case "connect":
    case "shutdown":
    case "close":
      return detail.fd;
    default:
      return undefined;
  }
}
