// Runs a server's iterations on Bun's own event loop: the loop bridge reports events, and a timer reports deadlines.

import { LoopBridge } from "../event-loop/loop-bridge.ts";
import type { Clock } from "../kernel/clock.ts";
import { MAX_EVENTS, type RunLoop } from "./run-loop.ts";

const MAX_TIMER_MS = 0x7fffffff;

export class BunLoopDriver {
  readonly #loop: RunLoop;
  readonly #clock: Clock;
  readonly #bridge: LoopBridge;
  readonly #onTimer = (): void => {
    this.#timerDueMs = Infinity;
    this.#bridge.iterate();
  };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerDueMs = Infinity;

  /** @param runOnce runs one iteration without waiting, and returns whether there was anything to do */
  constructor(loop: RunLoop, clock: Clock, runOnce: () => boolean) {
    this.#loop = loop;
    this.#clock = clock;
    this.#bridge = new LoopBridge(loop, MAX_EVENTS, runOnce, () => this.#setTimer());
    loop.bridge = this.#bridge;
    loop.onChange = () => {
      if (loop.isStopping) this.#bridge.wake(); // the last connection may have closed
      else this.#setTimer();
    };
    loop.onChange();
  }

  /** Requests an iteration, even if no event arrives. */
  wake(): void {
    this.#bridge.wake();
  }

  ref(): void {
    this.#bridge.ref();
  }

  unref(): void {
    this.#bridge.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#loop.onChange = this.#loop.bridge = undefined;
    this.#bridge.close();
  }

  /**
   * Sets the timer for the next deadline, unless it is set for an earlier time. A timer that fires too early costs one iteration;
   * setting it for every new deadline would cost every request.
   */
  #setTimer(): void {
    if (this.#loop.closed) return;
    const next = this.#loop.nextMs;
    if (next >= this.#timerDueMs) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = next;
    this.#timer = setTimeout(this.#onTimer, Math.min(Math.max(0, next - this.#clock.now()), MAX_TIMER_MS));
    this.#timer.unref(); // only the bridge keeps the process alive
  }
}
