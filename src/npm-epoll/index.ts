// The class of the npm package `epoll`, method for method, on watch(): what was written for it runs in Bun, with nothing to compile.

import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
} from "../kernel/constants.ts";
import { ENOENT } from "../kernel/errno.ts";
import { ClosedError, ErrnoError } from "../kernel/errors.ts";
import { type Watch, watch } from "../event-loop/watch.ts";

/** Called on the event loop when a descriptor is ready; `err` is null. */
export type EpollCallback = (err: Error | null, fd: number, events: number) => void;

/**
 * Watch descriptors as the npm package `epoll` does. A descriptor that was added keeps the process alive until it is removed;
 * an event of one that was removed meanwhile is dropped. Beyond it: errors carry a code.
 *
 * @see https://www.npmjs.com/package/epoll
 * @example
 * ```ts
 * const poller = new Epoll((err, fd, events) => readSync(fd, buffer, 0, 1, 0));
 * poller.add(valueFd, Epoll.EPOLLPRI);
 * ```
 */
export class Epoll {
  static readonly EPOLLIN: number = EPOLLIN;
  static readonly EPOLLOUT: number = EPOLLOUT;
  static readonly EPOLLRDHUP: number = EPOLLRDHUP;
  static readonly EPOLLPRI: number = EPOLLPRI;
  static readonly EPOLLERR: number = EPOLLERR;
  static readonly EPOLLHUP: number = EPOLLHUP;
  static readonly EPOLLET: number = EPOLLET;
  static readonly EPOLLONESHOT: number = EPOLLONESHOT;

  readonly #callback: EpollCallback;
  readonly #watches = new Map<number, Watch>();
  #isClosed = false;

  /** @throws {TypeError} if `callback` is no function */
  constructor(callback: EpollCallback) {
    if (typeof callback !== "function") throw new TypeError("new Epoll(callback) takes a function to call back");
    this.#callback = callback;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  /**
   * Watch a descriptor for `events`, masks that are combined with `|`.
   *
   * @throws {ErrnoError} EEXIST if it is watched already, by this Epoll or another; EBADF, EPERM, … as `watch` says
   * @throws {ClosedError} after `close`
   */
  add(fd: number, events: number): this {
    this.#assertOpen("add");
    this.#watches.set(
      fd,
      watch(fd, events, (mask) => this.#callback(null, fd, mask)),
    );
    return this;
  }

  /**
   * Watch it for other events; re-arms EPOLLONESHOT.
   *
   * @throws {ErrnoError} ENOENT if it was not added
   * @throws {ClosedError} after `close`
   */
  modify(fd: number, events: number): this {
    this.#watchOf(fd, "modify").modify(events);
    return this;
  }

  /**
   * Stop watching it.
   *
   * @throws {ErrnoError} ENOENT if it was not added
   * @throws {ClosedError} after `close`
   */
  remove(fd: number): this {
    this.#watchOf(fd, "remove").close();
    this.#watches.delete(fd);
    return this;
  }

  /**
   * Stop watching all of them.
   *
   * @throws {ClosedError} if it is closed already
   */
  close(): null {
    this.#assertOpen("close");
    this.#isClosed = true;
    for (const each of this.#watches.values()) each.close();
    this.#watches.clear();
    return null;
  }

  #watchOf(fd: number, method: string): Watch {
    this.#assertOpen(method);
    const found = this.#watches.get(fd);
    if (found === undefined) throw new ErrnoError(ENOENT, "epoll_ctl", { fd });
    return found;
  }

  #assertOpen(method: string): void {
    if (this.#isClosed) throw new ClosedError(`Epoll.${method}`);
  }
}
