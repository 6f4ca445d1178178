// class Dispatches: attributes the time of a loop iteration to fds, and finds those whose handling was slow.

import type { CallSite } from "./caller-line.ts";
import type { ThreadTimeSource } from "./thread-times.ts";
import { SlowHandler, type SlowTime } from "./warnings/slow-handler.ts";

const NO_FD = -1;

/** A dispatch that took long. */
export interface SlowDispatch extends SlowTime {
  /** `null` if the program made no call, and several fds were ready. */
  fd: number | null;
  /** The calls before and after the longest part; both are the same if the call itself took long. Undefined if there is none. */
  before: CallSite | undefined;
  after: CallSite | undefined;
}

export class Dispatches {
  readonly #slowUs: number;
  readonly #slowHandler: SlowHandler;
  readonly #createSite: () => CallSite | undefined;
  readonly #onSlow: (slow: SlowDispatch) => void;
  readonly #exclude: (work: () => void) => void;
  #list: [fd: number, us: number][] = [];
  /** False outside of iterations: before the first wait, where the program sets up its loop, and in Bun's event loop. */
  #isRunning = false;
  #ready: readonly (readonly [fd: number, mask: number])[] = [];
  #fd = NO_FD;
  #startUs = 0;
  #callUs = 0;
  /** When the last call returned, and where it was made. */
  #lastUs = 0;
  #lastSite: CallSite | undefined;
  /** The longest part of the dispatch: a call, or the program's own code between two calls. */
  #longestUs = 0;
  #longestBefore: CallSite | undefined;
  #longestAfter: CallSite | undefined;
  /** The call after the longest part is in progress. */
  #isLongestOpen = false;

  /** @param exclude does something in time that no timestamp includes */
  constructor(
    slowUs: number,
    times: ThreadTimeSource,
    createSite: () => CallSite | undefined,
    onSlow: (slow: SlowDispatch) => void,
    exclude: (work: () => void) => void,
  ) {
    this.#slowUs = slowUs;
    this.#slowHandler = new SlowHandler(slowUs, times);
    this.#createSite = createSite;
    this.#onSlow = onSlow;
    this.#exclude = exclude;
  }

  /** epoll_wait has returned. */
  begin(us: number, ready: readonly (readonly [fd: number, mask: number])[], hasBlocked: boolean): void {
    this.#isRunning = true;
    this.#ready = ready;
    this.#list = [];
    this.#fd = NO_FD;
    this.#startUs = us;
    this.#lastUs = us;
    this.#lastSite = undefined;
    this.#longestUs = 0;
    this.#isLongestOpen = false;
    this.#slowHandler.mark(us, hasBlocked);
  }

  /**
   * A system call begins. The time since the last one is that of the fd before, or of this fd if it is the first.
   *
   * @param fd the fd that is dispatched; undefined if the call does not show that
   */
  beginCall(fd: number | undefined, us: number): void {
    this.#callUs = us;
    this.#endGap(us);
    if (fd === undefined || fd === this.#fd) return;
    if (this.#fd !== NO_FD) this.#endDispatch(us);
    this.#fd = fd;
  }

  /** The system call has returned. */
  endCall(us: number, site: CallSite | undefined): void {
    if (this.#isLongestOpen) this.#longestAfter = site;
    this.#isLongestOpen = false;
    if (us - this.#callUs > this.#longestUs) {
      this.#longestUs = us - this.#callUs;
      this.#longestBefore = this.#longestAfter = site;
    }
    this.#lastUs = us;
    this.#lastSite = site;
  }

  /** The iteration ends. Returns the time spent on each fd. */
  end(us: number): [fd: number, us: number][] {
    const [first] = this.#ready;
    this.#endGap(us);
    if (this.#fd === NO_FD && this.#ready.length === 1 && first !== undefined) this.#fd = first[0];
    this.#endDispatch(us);
    const list = this.#list;
    this.#list = [];
    this.#ready = [];
    this.#isRunning = false;
    return list;
  }

  /** The program's own code since the last call has ended: a call begins, or the iteration ends. */
  #endGap(us: number): void {
    if (us - this.#lastUs <= this.#longestUs) return;
    this.#longestUs = us - this.#lastUs;
    this.#longestBefore = this.#lastSite;
    this.#longestAfter = undefined;
    this.#isLongestOpen = true;
  }

  #endDispatch(us: number): void {
    const spentUs = us - this.#startUs;
    if (this.#isRunning && this.#fd !== NO_FD) this.#list.push([this.#fd, rounded(spentUs)]);
    if (this.#isRunning && spentUs >= this.#slowUs && (this.#fd !== NO_FD || this.#ready.length > 0))
      this.#exclude(() => this.#judge(us));
    else this.#slowHandler.mark(us);
    this.#fd = NO_FD;
    this.#startUs = us;
    this.#longestUs = 0;
    this.#isLongestOpen = false;
  }

  #judge(us: number): void {
    const slow = this.#slowHandler.judge(this.#startUs, us);
    if (slow === undefined) return;
    const after = this.#isLongestOpen ? this.#createSite() : this.#longestAfter;
    this.#onSlow({ ...slow, fd: this.#fd === NO_FD ? null : this.#fd, before: this.#longestBefore, after });
    this.#slowHandler.mark(us, true); // the listener has used the CPU
  }
}

/** Rounds to a tenth of a microsecond. */
export function rounded(us: number): number {
  return Math.round(us * 10) / 10;
}
