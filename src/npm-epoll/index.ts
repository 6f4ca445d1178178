// class Epoll of the npm package `epoll`, implemented with watch(), so that no native addon needs to be compiled.

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
import { ClosedError, ErrnoError, invalidType } from "../kernel/errors.ts";
import { checkFd } from "../kernel/fd.ts";
import { check32Bit } from "../kernel/integers.ts";
import { type Watch, watch } from "../event-loop/watch.ts";

/** Called on the event loop when a file descriptor is ready. `err` is always null. */
export type EpollCallback = (err: Error | null, fd: number, events: number) => void;

/**
 * Watches file descriptors as the npm package `epoll` does. An added file descriptor keeps the process alive until it
 * is removed. Pending events of a removed file descriptor are dropped. Unlike those of the package, errors have a
 * `code`.
 *
 * @see https://github.com/fivdi/epoll
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

  /**
   * Creates an instance without file descriptors.
   *
   * @param callback called for each event
   * @throws {TypeError} if `callback` is not a function
   */
  constructor(callback: EpollCallback) {
    if (typeof callback !== "function") throw invalidType("callback", "a function", callback);
    this.#callback = callback;
  }

  /** Whether `close` has been called. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /**
   * Adds a file descriptor.
   *
   * @param fd an open file descriptor that is not watched by any instance
   * @param events the events to watch for, combined with `|`
   * @throws {ErrnoError} EEXIST if it is already watched by this instance or another; EBADF, EPERM, … as for `watch`
   * @throws {TypeError | RangeError} if `fd` is not a file descriptor, or `events` is not a 32-bit integer
   * @throws {ClosedError} after `close`
   */
  add(fd: number, events: number): this {
    this.#assertOpen("add");
    this.#watches.set(
      checkFd(fd),
      watch(fd, check32Bit("events", events), (mask) => this.#callback(null, fd, mask)),
    );
    return this;
  }

  /**
   * Changes the events to watch for. Re-arms EPOLLONESHOT.
   *
   * @param fd a file descriptor that has been added
   * @param events the events to watch for from now on
   * @throws {ErrnoError} ENOENT if it has not been added
   * @throws {TypeError | RangeError} if `events` is not a 32-bit integer
   * @throws {ClosedError} after `close`
   */
  modify(fd: number, events: number): this {
    this.#watchOf(fd, "modify").modify(check32Bit("events", events));
    return this;
  }

  /**
   * Removes a file descriptor.
   *
   * @param fd a file descriptor that has been added
   * @throws {ErrnoError} ENOENT if it has not been added
   * @throws {ClosedError} after `close`
   */
  remove(fd: number): this {
    this.#watchOf(fd, "remove").close();
    this.#watches.delete(fd);
    return this;
  }

  /**
   * Removes all file descriptors.
   *
   * @throws {ClosedError} if it is already closed
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
