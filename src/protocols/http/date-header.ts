// The Date header of responses, formatted once per second.

import type { Clock } from "../../kernel/clock.ts";

export class DateHeader {
  /** The header with its line ending: `Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n`. */
  line: string;
  readonly #clock: Clock;
  #staleAtMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.line = dateLine(clock.wall());
  }

  /**
   * Formats the header again if the second has changed.
   *
   * @param nowMs the monotonic clock
   * @returns whether it was formatted again
   */
  update(nowMs: number): boolean {
    if (nowMs < this.#staleAtMs) return false;
    const wallMs = this.#clock.wall();
    this.#staleAtMs = nowMs + 1000 - (wallMs % 1000);
    this.line = dateLine(wallMs);
    return true;
  }
}

const dateLine = (wallMs: number): string => `Date: ${new Date(wallMs).toUTCString()}\r\n`;
