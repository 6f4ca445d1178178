// class LoopBridge: an epoll instance on Bun's event loop, which can watch sockets but not epoll fds.
//
// A bridge thread waits in epoll_wait on the instance itself. It hands the events over and wakes Bun's event loop with a
// byte on a socket pair. docs/event-loop.md gives the reasons. The invariants:
//
// 1. The instance has one waiter: the thread while the bridge is armed, otherwise this JavaScript thread. The thread
//    waits again only after `resume`, one system call, when an iteration has found nothing to do.
// 2. Events that the thread has handed over are dispatched before the instance is polled again. They are in memory of the
//    thread until `take` copies them, and survive the loss of its socket.
// 3. An iteration ends in one of three ways: the next one is scheduled, the bridge is armed, or a retry is scheduled. In
//    the latter two, also after an error, `onArm` sets a timer for the next deadline.
// 4. The bridge is lost if Bun closes its end of the socket pair or the thread closes the other: after an error. It is
//    then rebuilt, and polls from a timer until that succeeds. If it keeps failing, that is an uncaught error.
// 5. Every error of a callback goes through `throwUncaught`. No immediate is pending when Bun decides whether an uncaught
//    error ends the process, or at the latest MAX_BUSY_MS later.

import type { Epoll } from "../io/epoll.ts";
import { type EventList, fillEvents } from "../io/event-list.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import { BridgeThread } from "./bridge-thread.ts";

/**
 * How long iterations may follow each other in immediates. Bun ends the process after an uncaught error at the end of a
 * turn of its event loop in which no immediate is pending, so a chain of immediates must be interrupted.
 */
const MAX_BUSY_MS = 50;
/** The number of iterations between two readings of the clock, minus 1. */
const CLOCK_INTERVAL_MASK = 15;
/**
 * How long iterations continue without events, if the last pauses between events were shorter than that: waking the thread, and by
 * it Bun's event loop, costs more than polling. Bun's event loop runs between two iterations, so it is not delayed.
 */
const MAX_PAUSE_MS = 0.1;
/** A pause in which the thread waited counts as short up to this length, as it includes the time to wake up. */
const MAX_THREAD_PAUSE_MS = 2 * MAX_PAUSE_MS;
/** How many consecutive short pauses it takes. The number doubles each time the next pause is a long one after all. */
const MIN_SHORT_PAUSES = 4;
const MAX_SHORT_PAUSES = 32;
/** After how many consecutive failures the bridge reports an error, and the pause before each later attempt. */
const MAX_FAILURES = 10;
const MAX_RETRY_MS = 100;
const FAILED_RETRY_MS = 1_000;

/** How often the bridges of this JavaScript thread had to interrupt their immediates. */
let interruptions = 0;

/** An epoll instance that is driven by Bun's event loop. */
export class LoopBridge {
  #fd: number;
  readonly #maxEvents: number;
  readonly #runOnce: () => boolean;
  readonly #onArm: () => void;
  /** Undefined while the bridge is being rebuilt. */
  #thread: BridgeThread | undefined;
  #immediate: NodeJS.Immediate | undefined;
  /** Whether `wake` requested the immediate. */
  #isRequested = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  /** How often in succession the bridge was lost before it had woken the event loop, or could not be built. */
  #failures = 0;
  #iterations = 0;
  /** When the first iteration of this pause found no event. 0: the last iteration had events. */
  #pausedSinceMs = 0;
  /** In a trace, the polls of a pause would hide everything else. */
  #isTraced = false;
  #shortPauses = 0;
  #requiredShortPauses = MIN_SHORT_PAUSES;
  #busySinceMs = 0;
  /**
   * Whether Bun has looked for errors since the last iteration, without an immediate. After an immediate, it polls first: the next
   * events may have arrived by then, so that the next immediate is scheduled before it looks.
   */
  #isQuiet = true;
  #interruptions = interruptions;
  /** How many of the next iterations must not schedule an immediate. */
  #iterationsWithoutImmediate = 0;
  #hasRef = true;
  #isClosed = false;

  /**
   * @param epoll the epoll instance; it must stay open until `close`
   * @param maxEvents the capacity of the event list that is passed to `waitInto`
   * @param runOnce handles the pending events, which it gets from `waitInto`, and returns whether there were any. An
   *   exception that it throws is reported as uncaught
   * @param onArm called when no further iteration is scheduled, so only an event, `wake` or `iterate` causes one
   * @throws {ErrnoError} EMFILE, ENFILE, ENOMEM or ENOSPC if the bridge cannot be set up; EAGAIN if no thread can be
   *   started
   */
  constructor(epoll: FdLike, maxEvents: number, runOnce: () => boolean, onArm: () => void = () => {}) {
    this.#fd = toFd(epoll);
    this.#maxEvents = maxEvents;
    this.#runOnce = runOnce;
    this.#onArm = onArm;
    this.#thread = this.#openThread();
  }

  /** Schedules an iteration, whether or not there is an event. */
  wake(): void {
    if (this.#isClosed) return;
    this.#isRequested = true;
    this.#scheduleImmediate();
  }

  /** Runs an iteration now, for callers that are at the top of the stack, such as a timer. */
  iterate(): void {
    if (!this.#isClosed) this.#iterate(false);
  }

  /**
   * Gets the pending events: those that the thread has handed over, otherwise those that a poll finds.
   *
   * @param epoll the bridge's epoll instance, whose system calls may be traced
   * @param timeoutMs how long to wait, an integer; negative: until an event arrives. If it is not 0, the thread is stopped
   *   until the next iteration, because it would take the events
   */
  waitInto(epoll: Epoll, events: EventList, timeoutMs: number): number {
    this.#isTraced = epoll.isTraced;
    const n = this.takeInto(events);
    if (n > 0) return epoll.receiveInto(events, n);
    if (timeoutMs === 0 || this.#thread?.isArmed !== true) return epoll.waitInto(events, timeoutMs);
    this.#thread.stop();
    this.wake(); // starts another thread
    return this.waitInto(epoll, events, timeoutMs);
  }

  /** Gets the events that the thread has handed over, without tracing that. Returns their number, or 0. */
  takeInto(events: EventList): number {
    return fillEvents(events, (raw, capacity) => this.#thread?.take(raw, capacity) ?? 0);
  }

  /**
   * Replaces the epoll instance, in an iteration.
   *
   * @param open closes the previous instance and returns the next one. If it throws, the bridge closes
   */
  replace(open: () => FdLike): void {
    this.#thread?.close();
    this.#thread = undefined; // the end of the iteration starts another one
    try {
      this.#fd = toFd(open());
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Keeps the process alive while the bridge is open. This is the default. */
  ref(): void {
    this.#setRef(true);
  }

  /** Lets the process exit while the bridge is open. */
  unref(): void {
    this.#setRef(false);
  }

  /** Leaves Bun's event loop. Call it before closing the epoll instance. Closing twice has no effect. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    clearTimeout(this.#retryTimer);
    this.#thread?.close();
    this.#thread = undefined;
  }

  #setRef(hasRef: boolean): void {
    if (this.#hasRef === hasRef || this.#isClosed) return;
    this.#hasRef = hasRef;
    this.#thread?.setRef(hasRef);
    if (hasRef) this.#retryTimer?.ref();
    else this.#retryTimer?.unref();
  }

  #scheduleImmediate(): void {
    this.#immediate ??= setImmediate(this.#onImmediate);
  }

  #scheduleRetry(delayMs: number): void {
    if (this.#retryTimer !== undefined) return;
    this.#retryTimer = setTimeout(this.#onRetry, delayMs);
    if (!this.#hasRef) this.#retryTimer.unref();
  }

  readonly #onImmediate = (): void => {
    this.#immediate = undefined;
    const isRequested = this.#isRequested;
    this.#isRequested = false;
    // After an error, the next turn of Bun's event loop decides what happens. Events are reported again.
    if (!isRequested && this.#interruptions !== interruptions) this.#arm();
    else this.#iterate(true);
  };

  readonly #onRetry = (): void => {
    this.#retryTimer = undefined;
    if (this.#thread === undefined) this.#startThread();
    this.#iterate(false);
  };

  readonly #onWakeUp = (): void => {
    this.#failures = 0;
    this.#iterations = 0;
    if (this.#immediate !== undefined) return; // it will take the events
    if (this.#isQuiet) this.#busySinceMs = performance.now();
    this.#iterate(false);
  };

  /** @param isImmediate Bun's event loop may still report other events in this turn */
  #iterate(isImmediate: boolean): void {
    let isBusy = false;
    try {
      isBusy = this.#runOnce();
    } catch (error) {
      throwUncaught(error);
    }
    if (this.#isClosed) return;
    const mayScheduleImmediate = this.#mayScheduleImmediate(isImmediate);
    if (isBusy) this.#endPause();
    const isExpectingEvents = isBusy || this.#continuePause();
    // Not if unref'd: an immediate keeps the process alive, and an unref'd immediate does not wake Bun's loop.
    const isContinuing = isExpectingEvents && this.#hasRef && mayScheduleImmediate;
    this.#isQuiet = !isContinuing && !isImmediate;
    if (isContinuing) this.#scheduleImmediate();
    else this.#arm();
  }

  /** Called when an iteration found no event. Returns whether the next event is expected within microseconds. */
  #continuePause(): boolean {
    const now = performance.now();
    if (this.#pausedSinceMs === 0) this.#pausedSinceMs = now;
    if (this.#shortPauses < this.#requiredShortPauses || this.#isTraced) return false;
    if (now - this.#pausedSinceMs < MAX_PAUSE_MS) return true;
    this.#shortPauses = 0;
    this.#requiredShortPauses = Math.min(2 * this.#requiredShortPauses, MAX_SHORT_PAUSES);
    return false;
  }

  /** Called when an iteration found events. */
  #endPause(): void {
    if (this.#pausedSinceMs === 0) return;
    if (this.#shortPauses >= this.#requiredShortPauses) this.#requiredShortPauses = MIN_SHORT_PAUSES;
    else if (performance.now() - this.#pausedSinceMs < MAX_THREAD_PAUSE_MS) this.#shortPauses++;
    else this.#shortPauses = 0;
    this.#pausedSinceMs = 0;
  }

  #mayScheduleImmediate(isImmediate: boolean): boolean {
    if ((this.#iterations++ & CLOCK_INTERVAL_MASK) === 0 && performance.now() - this.#busySinceMs > MAX_BUSY_MS) {
      if (this.#interruptions === interruptions) interruptions++;
      this.#busySinceMs = performance.now();
    }
    if (this.#interruptions !== interruptions) {
      this.#interruptions = interruptions;
      // Bun polls after its immediates, and looks for errors after polling.
      this.#iterationsWithoutImmediate = isImmediate ? 2 : 1;
    }
    if (this.#iterationsWithoutImmediate === 0) return true;
    this.#iterationsWithoutImmediate--;
    return false;
  }

  /** Lets the thread wait for the instance. If there is no thread, starts one, or schedules that. */
  #arm(): void {
    this.#onArm();
    const thread = this.#thread;
    if (thread?.hasEvents === true) return this.#scheduleRetry(1); // a callback that runs Bun's event loop is in progress
    if (thread?.isOpen === true) return thread.arm();
    thread?.close();
    this.#thread = undefined;
    const failures = this.#failures;
    if (failures <= 1) this.#startThread();
    else this.#scheduleRetry(failures < MAX_FAILURES ? Math.min(2 ** (failures - 2), MAX_RETRY_MS) : FAILED_RETRY_MS);
  }

  #startThread(): void {
    try {
      this.#thread = this.#openThread();
    } catch (error) {
      this.#onFailure(error);
      this.#scheduleRetry(1);
    }
  }

  #openThread(): BridgeThread {
    const thread = new BridgeThread(this.#fd, this.#maxEvents, {
      onWakeUp: this.#onWakeUp,
      onLost: (error) => {
        this.#onFailure(error);
        this.wake(); // takes the events that have been handed over, then starts another thread
      },
    });
    thread.setRef(this.#hasRef);
    return thread;
  }

  #onFailure(cause: unknown): void {
    if (++this.#failures !== MAX_FAILURES) return;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throwUncaught(
      new Error(
        `epoll-hello: the bridge to Bun's event loop failed ${MAX_FAILURES} times in succession, most recently with: ` +
          `${reason}. Watches and started servers are polled once a second until it can be restored`,
        { cause },
      ),
    );
  }
}

/** Reports an error as an uncaught exception, as Bun does for its own callbacks, and returns. */
export function throwUncaught(error: unknown): void {
  interruptions++;
  queueMicrotask(() => {
    throw error;
  });
}
