// The laps of a server on Bun's own event loop: the crossing brings the events, a timer the deadlines.

import { Crossing } from "../bridge.ts";
import type { Clock } from "../clock.ts";
import type { Loop } from "./loop.ts";

const LONGEST_TIMER_MS = 0x7fffffff;

export class BunLoop {
  readonly #loop: Loop;
  readonly #clock: Clock;
  readonly #crossing: Crossing;
  readonly #onTime = (): void => {
    this.#dueMs = Infinity;
    this.#crossing.wake();
  };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueMs = Infinity;

  /** @param lap makes one without waiting, and says whether there was anything to do */
  constructor(loop: Loop, clock: Clock, lap: () => boolean) {
    this.#loop = loop;
    this.#clock = clock;
    this.#crossing = new Crossing(loop, () => {
      const isBusy = lap();
      if (!isBusy) this.#awaitDeadline();
      return isBusy;
    });
    loop.onChange = () => {
      if (loop.isStopping) this.#crossing.wake(); // it may have been the last connection
      else this.#awaitDeadline();
    };
    this.#crossing.wake();
  }

  /** A lap soon, whatever happens. */
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

  /** A timer that is due too early costs a lap, and one for each new deadline would cost each request: it is only ever advanced. */
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
