// Waits that the debugger can interrupt: an eventfd in every epoll instance on which the debugged thread waits.

import { EPOLL_CTL_ADD, EPOLLIN } from "../../kernel/constants.ts";
import type { Syscalls } from "../../kernel/ffi.ts";
import type { WaitCall } from "../../trace/events.ts";
import { DEBUGGER_TOKEN } from "../../trace/interest-list.ts";

/** The longest wait if the eventfd cannot be registered, because max_user_watches is reached. */
const FALLBACK_MS = 1_000;
const FOREVER_MS = -1;

/** A call of epoll_wait(2) that has not returned. */
export interface BlockedWait {
  epfd: number;
  /** The timeout of the call; -1 waits indefinitely. */
  timeoutMs: number;
  /** The system call, if it is not epoll_wait. */
  call?: WaitCall;
}

export interface WaitObserver {
  /** Returns the time after which `onTimer` is to be called; undefined if it need not be called. */
  timerMs(): number | undefined;
  onTimer(): void;
  /** Called before the thread blocks, when nothing is ready. */
  onBlock(wait: BlockedWait): void;
  /**
   * Called when the debugger has written to the eventfd. If fds are ready as well, `wait` is undefined: the call is about to return.
   *
   * @returns whether the call is to return without events
   */
  onWake(wait: BlockedWait | undefined): boolean;
}

/**
 * Returns `sys` with an epoll_wait that returns to the debugger, and not to its caller, when `wakeFd` becomes readable. The caller
 * sees neither `wakeFd` nor the interruption: the wait continues with the time that was left.
 *
 * @param wakeFd a non-blocking eventfd
 */
export function interruptibleWaits(sys: Syscalls, wakeFd: number, observer: WaitObserver): Syscalls {
  /** The epoll instances that watch `wakeFd`. */
  const watching = new Set<number>();
  const counter = new Uint8Array(new ArrayBuffer(8));

  function wait(epfd: number, out: Int32Array, timeoutMs: number, call: (timeoutMs: number) => number): number {
    let deadline = timeoutMs < 0 ? Infinity : performance.now() + timeoutMs;
    // A wait of no length cannot be interrupted. Most waits of a busy loop end here too, without a second system call.
    const isWatching = timeoutMs === 0 ? watching.has(epfd) : watch(epfd);
    let hasBlocked = false;
    for (let leftMs = timeoutMs; ;) {
      const timerMs = observer.timerMs() ?? Infinity;
      const isProbe = !hasBlocked && timeoutMs !== 0;
      const sliceMs = isProbe
        ? 0
        : Math.min(leftMs < 0 ? Infinity : leftMs, timerMs, isWatching ? Infinity : FALLBACK_MS);
      const count = call(sliceMs === Infinity ? FOREVER_MS : sliceMs);
      if (count < 0) return count;
      const ready = isWatching ? withoutWakeFd(out, count) : count;
      if (ready < count) sys.read_nowait(wakeFd, counter, 0, counter.length);
      const hasWoken = ready < count;
      if (ready > 0) {
        if (hasWoken) observer.onWake(undefined);
        return ready;
      }
      if (hasWoken || !isWatching) {
        const wokenMs = performance.now();
        if (observer.onWake({ epfd, timeoutMs })) return 0;
        deadline += performance.now() - wokenMs;
        hasBlocked = false;
      } else if (!isProbe && timerMs !== Infinity) {
        observer.onTimer();
      }
      if (isProbe) {
        hasBlocked = true;
        observer.onBlock({ epfd, timeoutMs });
      }
      if (deadline !== Infinity) leftMs = Math.max(0, deadline - performance.now());
      if (leftMs === 0 && !isProbe) return 0;
    }
  }

  /** Removes the event of `wakeFd` from the list, and returns the number of the others. */
  function withoutWakeFd(out: Int32Array, count: number): number {
    for (let i = 0; i < count; i++) {
      if (out[3 * i + 1] !== wakeFd || out[3 * i + 2] !== DEBUGGER_TOKEN) continue;
      out.copyWithin(3 * i, 3 * (i + 1), 3 * count);
      return count - 1;
    }
    return count;
  }

  /** Returns whether the epoll instance watches `wakeFd`. */
  function watch(epfd: number): boolean {
    if (watching.has(epfd)) return true;
    if (sys.epoll_ctl(epfd, EPOLL_CTL_ADD, wakeFd, EPOLLIN, DEBUGGER_TOKEN) < 0) return false;
    watching.add(epfd);
    return true;
  }

  return {
    ...sys,
    close: (fd) => {
      watching.delete(fd);
      return sys.close(fd);
    },
    epoll_wait: (epfd, out, maxEvents, timeoutMs) =>
      wait(epfd, out, timeoutMs, (sliceMs) => sys.epoll_wait(epfd, out, maxEvents, Math.ceil(sliceMs))),
    epoll_pwait2: (epfd, out, maxEvents, seconds, nanoseconds) =>
      wait(epfd, out, seconds * 1000 + nanoseconds / 1e6, (sliceMs) => {
        if (sliceMs < 0) return sys.epoll_wait(epfd, out, maxEvents, FOREVER_MS);
        const wholeSeconds = Math.floor(sliceMs / 1000);
        return sys.epoll_pwait2(epfd, out, maxEvents, wholeSeconds, Math.round((sliceMs - wholeSeconds * 1000) * 1e6));
      }),
  };
}
