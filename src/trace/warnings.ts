// Detectors of common mistakes in epoll programs. They observe the events of a trace and return warnings.

import { EPOLLET, EPOLLIN, EPOLLOUT } from "../kernel/constants.ts";
import { EAGAIN } from "../kernel/errno.ts";
import type { TraceDetail, TransferEvent, WaitEvent, WarningEvent } from "./events.ts";

/** This many consecutive iterations without progress are a busy loop. */
const BUSY_ITERATIONS = 100;
/** A shorter wait is considered not to have blocked. */
const MIN_BLOCKED_US = 1000;
/** The number of consecutive iterations in which EPOLLOUT may be reported without anything being sent. */
const IDLE_EPOLLOUT_ITERATIONS = 50;
/** An accepted fd that is unregistered has to be closed within this number of iterations. */
const LEAK_ITERATIONS = 100;
/** The size of a read from an eventfd or timerfd, which returns the whole counter. */
const COUNTER_BYTES = 8;

const NO_WARNINGS: readonly WarningEvent[] = [];

type ReadyList = readonly (readonly [fd: number, mask: number])[];

/** Runs all detectors over the events of one trace. */
export class WarningDetector {
  readonly #slowUs: number;
  readonly #busyLoop = new BusyLoopDetector();
  readonly #undrained = new UndrainedDetector();
  readonly #idleEpollout = new IdleEpolloutDetector();
  readonly #fdLeak = new FdLeakDetector();
  /** The trace of an Epoll alone has no transfers, so it does not show whether the program makes progress. */
  #hasTransfers = false;

  constructor(slowMs: number) {
    this.#slowUs = slowMs * 1000;
  }

  /** Observes the next event, and returns the warnings that it causes. */
  observe(event: TraceDetail, iteration: number): readonly WarningEvent[] {
    switch (event.type) {
      case "wait":
        this.#busyLoop.onWait(event);
        this.#undrained.onWait(event.events);
        this.#idleEpollout.onWait(event.events);
        break;
      case "accept":
        this.#hasTransfers = true;
        if (event.result < 0) break;
        this.#busyLoop.onProgress();
        this.#fdLeak.onAccept(event.result);
        break;
      case "ctl":
        if (event.result < 0) break;
        this.#busyLoop.onProgress();
        this.#undrained.onRegistration(event.fd, event.mask);
        this.#idleEpollout.onRegistration(event.fd, event.mask);
        this.#fdLeak.onRegistration(event.fd, event.mask, iteration);
        break;
      case "recv":
        this.#hasTransfers = true;
        if (event.result > 0) this.#busyLoop.onProgress();
        this.#undrained.onRecv(event);
        break;
      case "send":
        this.#hasTransfers = true;
        if (event.result <= 0) break;
        this.#busyLoop.onProgress();
        this.#idleEpollout.onSend(event.fd);
        break;
      case "connect":
      case "shutdown":
        this.#busyLoop.onProgress();
        break;
      case "close":
        this.#busyLoop.onProgress();
        this.#undrained.onClose(event.fd);
        this.#idleEpollout.onClose(event.fd);
        this.#fdLeak.onClose(event.fd);
        break;
      case "iteration":
        return this.#onIterationEnd(event.dispatches, iteration);
      default:
    }
    return NO_WARNINGS;
  }

  #onIterationEnd(dispatches: ReadyList, iteration: number): WarningEvent[] {
    const warnings: WarningEvent[] = [];
    if (this.#hasTransfers) {
      this.#busyLoop.check(warnings);
      this.#undrained.check(warnings);
      this.#idleEpollout.check(warnings);
      this.#fdLeak.check(warnings, iteration);
    }
    for (const [fd, us] of dispatches) {
      if (us < this.#slowUs) continue;
      const message = `handling fd ${fd} took ${Math.round(us / 1000)} ms and delayed all other fds`;
      warnings.push(warning("slow-handler", fd, message));
    }
    return warnings;
  }
}

/** busy-loop: epoll_wait returns immediately, again and again, and the program does not handle the ready fds. */
class BusyLoopDetector {
  #ready: ReadyList = [];
  #hasProgress = true;
  #iterations = 0;

  onWait(event: WaitEvent): void {
    this.#ready = event.events;
    this.#hasProgress = !hasReturnedImmediately(event);
  }

  onProgress(): void {
    this.#hasProgress = true;
  }

  check(warnings: WarningEvent[]): void {
    this.#iterations = this.#hasProgress ? 0 : this.#iterations + 1;
    if (this.#iterations !== BUSY_ITERATIONS) return;
    const fds = this.#ready.map(([fd]) => fd);
    const subject = fds.length === 1 ? `fd ${fds[0]} was` : `fds ${fds.join(", ")} were`;
    const message = `busy loop: ${subject} ready in ${BUSY_ITERATIONS} consecutive iterations, but nothing was read, written, closed or unregistered`;
    warnings.push(warning("busy-loop", fds[0] ?? null, message));
  }
}

/** undrained: an edge-triggered fd was readable, but was not read until EAGAIN. */
class UndrainedDetector {
  readonly #byFd = new Map<number, { isEdge: boolean; isPending: boolean; hasWarned: boolean }>();
  #ready: ReadyList = [];

  onRegistration(fd: number, mask: number | null): void {
    if (mask === null) {
      this.#byFd.delete(fd);
      return;
    }
    const isEdge = (mask & EPOLLET) !== 0;
    const state = this.#byFd.get(fd);
    if (state === undefined) this.#byFd.set(fd, { isEdge, isPending: false, hasWarned: false });
    else state.isEdge = isEdge;
  }

  onWait(events: ReadyList): void {
    this.#ready = events;
    for (const [fd, mask] of events) {
      const state = this.#byFd.get(fd);
      if (state !== undefined) state.isPending = state.isEdge && (mask & EPOLLIN) !== 0;
    }
  }

  onRecv({ fd, result, wanted, call }: TransferEvent): void {
    const state = this.#byFd.get(fd);
    if (state === undefined) return;
    // epoll(7): a stream that returns fewer bytes than asked for has no more. A counter (eventfd, timerfd) is read as a whole.
    const hasTakenAll = result >= 0 && (result < wanted || (call === "read" && wanted === COUNTER_BYTES));
    if (result !== -EAGAIN && !hasTakenAll) return;
    state.isPending = false;
    state.hasWarned = false;
  }

  onClose(fd: number): void {
    this.#byFd.delete(fd);
  }

  check(warnings: WarningEvent[]): void {
    for (const [fd] of this.#ready) {
      const state = this.#byFd.get(fd);
      if (state === undefined || !state.isPending || state.hasWarned) continue;
      state.hasWarned = true;
      const message = `fd ${fd} is edge-triggered, but was not read until EAGAIN: the remaining data is not reported again`;
      warnings.push(warning("undrained", fd, message));
    }
  }
}

/** idle-epollout: EPOLLOUT is reported in every iteration, but the program has nothing to send. */
class IdleEpolloutDetector {
  readonly #byFd = new Map<number, { iterations: number; hasWarned: boolean }>();
  readonly #sent = new Set<number>();
  #ready: ReadyList = [];

  onRegistration(fd: number, mask: number | null): void {
    const state = this.#byFd.get(fd);
    if (mask === null) this.#byFd.delete(fd);
    else if (state === undefined) this.#byFd.set(fd, { iterations: 0, hasWarned: false });
    else state.iterations = 0;
  }

  onWait(events: ReadyList): void {
    this.#ready = events;
    this.#sent.clear();
  }

  onSend(fd: number): void {
    this.#sent.add(fd);
  }

  onClose(fd: number): void {
    this.#byFd.delete(fd);
  }

  check(warnings: WarningEvent[]): void {
    for (const [fd, mask] of this.#ready) {
      const state = this.#byFd.get(fd);
      if (state === undefined) continue;
      state.iterations = (mask & EPOLLOUT) !== 0 && !this.#sent.has(fd) ? state.iterations + 1 : 0;
      if (state.iterations === 0) state.hasWarned = false;
      if (state.iterations < IDLE_EPOLLOUT_ITERATIONS || state.hasWarned) continue;
      state.hasWarned = true;
      const message = `fd ${fd} was writable (EPOLLOUT) in ${IDLE_EPOLLOUT_ITERATIONS} consecutive iterations, but nothing was sent: register EPOLLOUT only while output is pending`;
      warnings.push(warning("idle-epollout", fd, message));
    }
  }
}

/** fd-leak: an accepted connection was unregistered, but is never closed. */
class FdLeakDetector {
  readonly #accepted = new Set<number>();
  /** The iteration in which an accepted fd was unregistered, by fd. */
  readonly #unregistered = new Map<number, number>();

  onAccept(fd: number): void {
    this.#accepted.add(fd);
    this.#unregistered.delete(fd);
  }

  onRegistration(fd: number, mask: number | null, iteration: number): void {
    if (mask !== null) this.#unregistered.delete(fd);
    else if (this.#accepted.has(fd)) this.#unregistered.set(fd, iteration);
  }

  onClose(fd: number): void {
    this.#accepted.delete(fd);
    this.#unregistered.delete(fd);
  }

  check(warnings: WarningEvent[], iteration: number): void {
    for (const [fd, since] of this.#unregistered) {
      if (iteration - since < LEAK_ITERATIONS) continue;
      this.#unregistered.delete(fd); // warn once
      const message = `fd ${fd} was accepted and unregistered, but is still open ${LEAK_ITERATIONS} iterations later`;
      warnings.push(warning("fd-leak", fd, message));
    }
  }
}

/** Returns whether the wait did not block. A poll with timeout 0 does not count, unless Bun's event loop did the waiting. */
function hasReturnedImmediately({ timeoutMs, result, blockedUs, awayUs }: WaitEvent): boolean {
  if (timeoutMs === 0 && awayUs === undefined) return false;
  return result > 0 && blockedUs + (awayUs ?? 0) < MIN_BLOCKED_US;
}

function warning(code: WarningEvent["code"], fd: number | null, message: string): WarningEvent {
  return { type: "warning", code, fd, message };
}
