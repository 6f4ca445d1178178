// What programs with epoll get wrong, recognized from the events of a trace. Each thing is said once, until it was right again.

import { EPOLLET, EPOLLIN, EPOLLOUT } from "../kernel/constants.ts";
import { EAGAIN } from "../kernel/errno.ts";
import type { TraceDetail, TransferEvent, WaitEvent, WarningEvent } from "./events.ts";

/** So many iterations in a row without a wait and without progress are a busy loop. */
const BUSY_ITERATIONS = 100;
/** So many iterations in a row EPOLLOUT was reported, and nothing sent. */
const IDLE_OUT_ITERATIONS = 50;
/** A descriptor that was accepted, and is watched no more, should be closed within so many iterations. */
const LEAK_ITERATIONS = 100;
const COUNTER_BYTES = 8;

interface Known {
  mask: number;
  wasAccepted: boolean;
  /** In which iteration it was unregistered. */
  unwatchedInIteration: number;
  outIterations: number;
  hasWarnedOut: boolean;
  /** Edge-triggered: it had EPOLLIN in this iteration, and was read from so far, or to its end. */
  hadEdge: boolean;
  isDrained: boolean;
  hasWarnedUndrained: boolean;
}

export class WarningDetector {
  readonly #slowUs: number;
  readonly #known = new Map<number, Known>();
  /** Unregistered and not closed. */
  readonly #unwatched = new Set<number>();
  #ready: readonly [fd: number, mask: number][] = [];
  #sent = new Set<number>();
  #hasProgress = true;
  #busyIterations = 0;
  /** Who traces an Epoll alone shows nothing of what is received and sent: then there is nothing to say about that. */
  #hasTransfers = false;

  constructor(slowMs: number) {
    this.#slowUs = slowMs * 1000;
  }

  see(event: TraceDetail, iteration: number): WarningEvent[] {
    this.#hasTransfers ||= event.type === "accept" || event.type === "recv" || event.type === "send";
    switch (event.type) {
      case "wait":
        return this.#waited(event.events, isAtOnce(event));
      case "iteration":
        return [
          ...(this.#hasTransfers ? this.#iterationDone(iteration) : []),
          ...event.dispatches.flatMap(([fd, us]) => this.#turn(fd, us)),
        ];
      case "accept":
        if (event.result >= 0) {
          this.#hasProgress = true;
          this.#known.set(event.result, { ...unknown(), wasAccepted: true });
        }
        return [];
      case "ctl":
        if (event.result >= 0) this.#controlled(event.fd, event.mask, iteration);
        return [];
      case "recv":
        return this.#received(event);
      case "send":
        if (event.result > 0) {
          this.#hasProgress = true;
          this.#sent.add(event.fd);
        }
        return [];
      case "close":
      case "connect":
      case "shutdown":
        this.#hasProgress = true;
        if (event.type === "close") {
          this.#known.delete(event.fd);
          this.#unwatched.delete(event.fd);
        }
        return [];
      default:
        return [];
    }
  }

  #waited(events: readonly [number, number][], isAtOnce: boolean): WarningEvent[] {
    this.#ready = events;
    this.#sent.clear();
    this.#hasProgress = !isAtOnce;
    for (const [fd, mask] of events) {
      const known = this.#known.get(fd);
      if (known === undefined) continue;
      known.hadEdge = (known.mask & EPOLLET) !== 0 && (mask & EPOLLIN) !== 0;
      known.isDrained = false;
    }
    return [];
  }

  #controlled(fd: number, mask: number | null, iteration: number): void {
    this.#hasProgress = true;
    const known = this.#known.get(fd) ?? unknown();
    this.#known.set(fd, known);
    known.outIterations = 0;
    if (mask === null) {
      known.mask = 0;
      known.unwatchedInIteration = iteration;
      if (known.wasAccepted) this.#unwatched.add(fd);
      else this.#known.delete(fd);
    } else {
      known.mask = mask;
      this.#unwatched.delete(fd);
    }
  }

  #received({ fd, result, wanted, call }: TransferEvent): WarningEvent[] {
    if (result > 0) this.#hasProgress = true;
    const known = this.#known.get(fd);
    // epoll(7): of a stream, fewer bytes than asked for are all that there were; of a counter (eventfd, timerfd), its eight bytes.
    const isAll = result >= 0 && (result < wanted || (call === "read" && wanted === COUNTER_BYTES));
    if (known !== undefined && (result === -EAGAIN || isAll)) {
      known.isDrained = true;
      known.hasWarnedUndrained = false;
    }
    return [];
  }

  #iterationDone(iteration: number): WarningEvent[] {
    const warnings: WarningEvent[] = [];
    this.#busyIterations = this.#hasProgress ? 0 : this.#busyIterations + 1;
    if (this.#busyIterations === BUSY_ITERATIONS) {
      const [[fd] = [null]] = this.#ready;
      const fds = this.#ready.map(([one]) => one).join(", ");
      warnings.push(
        warning(
          "busy-loop",
          fd,
          `${BUSY_ITERATIONS} iterations in a row did nothing: ${fds} stays ready, and nobody reads, writes, closes or unregisters it`,
        ),
      );
    }
    for (const [fd, mask] of this.#ready) {
      const known = this.#known.get(fd);
      if (known === undefined) continue;
      if (known.hadEdge && !known.isDrained && !known.hasWarnedUndrained) {
        known.hasWarnedUndrained = true;
        warnings.push(
          warning(
            "undrained",
            fd,
            `${fd} is edge-triggered and was not read until EAGAIN: what is left there makes no further event`,
          ),
        );
      }
      known.outIterations = (mask & EPOLLOUT) !== 0 && !this.#sent.has(fd) ? known.outIterations + 1 : 0;
      if (known.outIterations === 0) known.hasWarnedOut = false;
      if (known.outIterations >= IDLE_OUT_ITERATIONS && !known.hasWarnedOut) {
        known.hasWarnedOut = true;
        warnings.push(
          warning(
            "idle-epollout",
            fd,
            `${fd} was writable ${IDLE_OUT_ITERATIONS} times in a row, and nothing was sent: watch EPOLLOUT only while output waits`,
          ),
        );
      }
    }
    for (const fd of this.#unwatched) {
      if (iteration - (this.#known.get(fd)?.unwatchedInIteration ?? iteration) < LEAK_ITERATIONS) continue;
      this.#unwatched.delete(fd); // once
      warnings.push(
        warning(
          "fd-leak",
          fd,
          `${fd} was accepted and unregistered, and ${LEAK_ITERATIONS} iterations later it is not closed`,
        ),
      );
    }
    return warnings;
  }

  #turn(fd: number, us: number): WarningEvent[] {
    if (us < this.#slowUs) return [];
    const ms = Math.round(us / 1000);
    return [warning("slow-handler", fd, `the turn of ${fd} took ${ms} ms: all others waited that long`)];
  }
}

/** It was ready already. Who only looks, and goes elsewhere, does not wait; but Bun's loop, where iterations may be made, waits in its stead. */
function isAtOnce({ timeoutMs, result, blockedUs, awayUs }: WaitEvent): boolean {
  if (timeoutMs === 0 && awayUs === undefined) return false;
  return result > 0 && blockedUs + (awayUs ?? 0) < 1000;
}

function warning(code: WarningEvent["code"], fd: number | null, message: string): WarningEvent {
  return { type: "warning", code, fd, message };
}

function unknown(): Known {
  return {
    mask: 0,
    wasAccepted: false,
    unwatchedInIteration: 0,
    outIterations: 0,
    hasWarnedOut: false,
    hadEdge: false,
    isDrained: false,
    hasWarnedUndrained: false,
  };
}
