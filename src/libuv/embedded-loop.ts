// class EmbeddedLoop: the libuv loop of a JavaScript thread, run by Bun's event loop.
//
// libuv's loop is designed to be embedded: its epoll fd is readable when there are events, and uv_backend_timeout() says
// when the next timer is due. The loop runs only after an event, after a timeout, and after an addon has called a function
// that may have changed it. The C wrappers of these functions request that run.

import { LoopBridge } from "../event-loop/loop-bridge.ts";
import { Epoll } from "../io/epoll.ts";
import { EventList } from "../io/event-list.ts";
import { EPOLLIN } from "../kernel/constants.ts";
import { untracedSyscalls } from "../kernel/ffi.ts";
import { checkFreeFds } from "../kernel/free-fds.ts";
import type { LibuvHost, LoopState } from "./host.ts";

/** A libuv loop on Bun's event loop. It lives as long as the thread. */
export class EmbeddedLoop {
  readonly #host: LibuvHost;
  /** Contains libuv's epoll fd. Waiting for that fd consumes none of libuv's events. Not part of a traced program. */
  readonly #epoll: Epoll;
  readonly #events = new EventList(1);
  readonly #bridge: LoopBridge;
  #state: LoopState = { isAlive: false, timeoutMs: Infinity };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerDueMs = Infinity;

  /** @throws {ErrnoError} EMFILE, ENFILE, ENOMEM or EAGAIN if the loop or its bridge cannot be set up */
  constructor(host: LibuvHost) {
    this.#host = host;
    const sys = untracedSyscalls();
    checkFreeFds(sys, MAX_FDS_OF_LOOP);
    this.#epoll = new Epoll(undefined, sys);
    try {
      const fd = host.attach(() => this.#bridge?.iterate()); // undefined if the rest of this constructor fails
      this.#epoll.register(fd, EPOLLIN);
      this.#bridge = new LoopBridge(
        this.#epoll,
        1,
        () => this.#runOnce(),
        () => this.#setTimer(),
      );
    } catch (error) {
      this.#epoll.close();
      throw error;
    }
    this.#bridge.unref();
  }

  /** Whether active handles or requests keep the process alive. */
  get isAlive(): boolean {
    return this.#host.state.isAlive;
  }

  /** Schedules a run. */
  wake(): void {
    this.#bridge.wake();
  }

  /** Handles pending events and due timers, and returns whether there may be more. */
  #runOnce(): boolean {
    const n = this.#bridge.waitInto(this.#epoll, this.#events, 0);
    try {
      this.#host.run(); // throws if the addon has left a callback's exception pending
    } finally {
      this.#state = this.#host.state;
      if (this.#state.isAlive) this.#bridge.ref();
      else this.#bridge.unref();
    }
    return n > 0 || this.#state.timeoutMs === 0;
  }

  /** Sets the timer for the next run. Keeps an earlier timer: its extra run costs less than resetting the timer. */
  #setTimer(): void {
    const { isAlive, timeoutMs } = this.#state;
    const dueMs = performance.now() + timeoutMs;
    if (dueMs < this.#timerDueMs || timeoutMs === Infinity) {
      clearTimeout(this.#timer);
      this.#timer = timeoutMs === Infinity ? undefined : setTimeout(this.#onTimeout, timeoutMs);
      this.#timerDueMs = dueMs;
    }
    if (isAlive) this.#timer?.ref();
    else this.#timer?.unref();
  }

  readonly #onTimeout = (): void => {
    this.#timer = undefined;
    this.#timerDueMs = Infinity;
    this.#bridge.iterate();
  };
}

/** libuv opens up to 6 fds for a loop. If it cannot open a pipe for signals, it ends the process. */
const MAX_FDS_OF_LOOP = 6;
