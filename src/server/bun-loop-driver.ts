// The iterations of a server on Bun's own event loop: the crossing brings the events, a timer the deadlines.

import { LoopBridge } from "../event-loop/loop-bridge.ts";
import type { Clock } from "../kernel/clock.ts";
import type { RunLoop } from "./run-loop.ts";

const LONGEST_TIMER_MS = 0x7fffffff;

export class BunLoopDriver {
  readonly #loop: RunLoop;
  readonly #clock: Clock;
  readonly #crossing: LoopBridge;
  readonly #onTime = (): void => {
    this.#dueMs = Infinity;
    this.#crossing.wake();
  };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueMs = Infinity;

  /** @param iteration makes one without waiting, and says whether there was anything to do */
  constructor(loop: RunLoop, clock: Clock, runOnce: () => boolean) {
    this.#loop = loop;
    this.#clock = clock;
    this.#crossing = new LoopBridge(loop, () => {
      const isBusy = runOnce();
      if (!isBusy) this.#awaitDeadline();
      return isBusy;
    });
    loop.onChange = () => {
      if (loop.isStopping) this.#crossing.wake(); // it may have been the last connection
      else this.#awaitDeadline();
    };
    this.#crossing.wake();
  }

  /** An iteration soon, whatever happens. */
  wake(): void {
    this.#crossing.wake();
  }

  ref(): void {
    this.#crossing.ref();
  }

  unref(): void {
    this.#crossing.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#loop.onChange = undefined;
    this.#crossing.close();
  }

  /** A timer that is due too early costs an iteration, and one for each new deadline would cost each request: it is only ever advanced. */
  #awaitDeadline(): void {
    if (this.#loop.closed) return;
    const next = this.#loop.nextMs;
    if (next >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = next;
    this.#timer = setTimeout(this.#onTime, Math.min(Math.max(0, next - this.#clock.now()), LONGEST_TIMER_MS));
    this.#timer.unref(); // it is the crossing that keeps the process alive
  }
}
