// The file descriptors under test: many idle ones and an active one, in the form that select, poll and epoll_wait expect.

import { AF_UNIX, EPOLLIN, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../kernel/constants.ts";
import { Epoll } from "../../io/epoll.ts";
import { EINTR } from "../../kernel/errno.ts";
import { check, ClosedError, outOfRange } from "../../kernel/errors.ts";
import { syscalls, type Syscalls } from "../../kernel/ffi.ts";
import { type SelectPoll, selectPoll } from "./select-poll.ts";

/** The number of bits in an fd_set: select(2) cannot watch an fd with this number or a higher one. */
export const FD_SETSIZE = 1024;

const POLLIN = 1;
const ONE_BYTE: Uint8Array = new Uint8Array(new ArrayBuffer(1));

/** The calls under test, in the order in which they were added to Linux. */
export const calls = ["select", "poll", "epoll"] as const;
export type Call = (typeof calls)[number];

/** The first `size` fds of the pool, as arguments of select and epoll_wait. poll receives a prefix of one shared array. */
interface Subset {
  readonly size: number;
  readonly epoll: Epoll;
  readonly selectMask: Int32Array;
  readonly highestFd: number;
}

/**
 * A pool of unix socket pairs, because servers wait for sockets.
 *
 * Exactly one fd of the current subset is readable: the middle one, so that a linear scan visits half of the subset.
 */
export class FdPool implements Disposable {
  readonly #sys: Syscalls = syscalls();
  readonly #functions: SelectPoll = selectPoll();
  readonly #fds: number[] = [];
  readonly #pollFds: Int32Array;
  readonly #subsets = new Map<number, Subset>();
  #current: Subset | undefined;

  /**
   * @throws {ErrnoError} EMFILE or ENFILE if that many cannot be opened; ENOMEM
   * @see socketpair(2)
   */
  constructor(count: number) {
    this.#pollFds = new Int32Array(new ArrayBuffer(8 * count));
    const pair = new Int32Array(new ArrayBuffer(8));
    try {
      while (this.#fds.length < count) {
        check(this.#sys.socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), "socketpair");
        this.#fds.push(...pair);
      }
    } catch (error) {
      this.close();
      throw error;
    }
    for (let i = 0; i < count; i++) this.#pollFds.set([this.#fd(i), POLLIN], 2 * i);
  }

  /**
   * Makes the first `size` fds the current subset, and the middle one of them readable.
   *
   * @throws {ErrnoError} EMFILE; ENOMEM; ENOSPC if it would exceed /proc/sys/fs/epoll/max_user_watches
   */
  useFirst(size: number): void {
    if (this.#current !== undefined) check(this.#sys.read(this.#activeFd(this.#current), ONE_BYTE, 0, 1), "read");
    this.#current = undefined;
    const subset = this.#subsets.get(size) ?? this.#createSubset(size);
    const peer = this.#fd((size >> 1) ^ 1); // the other end of the active fd's pair
    check(this.#sys.write(peer, ONE_BYTE, 0, 1), "write");
    this.#current = subset;
  }

  /** Whether the current subset has an fd that does not fit into an fd_set. */
  get exceedsFdSetSize(): boolean {
    return this.#subset().highestFd >= FD_SETSIZE;
  }

  /**
   * Makes a call `times` times. Each one waits indefinitely and finds the readable fd.
   *
   * @throws {ErrnoError} EINVAL from select if an fd does not fit into an fd_set; ENOMEM
   */
  wait(call: Call, times: number): void {
    const subset = this.#subset();
    let fd: number;
    do fd = this.#wait(subset, call, times);
    while (fd === -EINTR);
    check(fd, call);
    const expected = this.#activeFd(subset);
    if (fd !== expected) throw new Error(`${call} reported fd ${fd} as readable instead of ${expected}`);
  }

  /** Closes all fds. Idempotent. */
  close(): void {
    this.#current = undefined;
    for (const { epoll } of this.#subsets.values()) epoll.close();
    for (const fd of this.#fds.splice(0)) this.#sys.close(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #fd(i: number): number {
    return this.#fds[i] as number;
  }

  #activeFd({ size }: Subset): number {
    return this.#fd(size >> 1);
  }

  /** Returns the current subset. Without one, no fd is readable, and a call would block indefinitely. */
  #subset(): Subset {
    if (this.#fds.length === 0) throw new ClosedError("FdPool.wait");
    if (this.#current === undefined) throw new Error("no subset is in use: call useFirst() before wait()");
    return this.#current;
  }

  #createSubset(size: number): Subset {
    const fds = this.#fds.slice(0, size);
    if (size < 1 || fds.length < size) throw outOfRange("size", `an integer from 1 to ${this.#fds.length}`, size);
    const selectMask = new Int32Array(new ArrayBuffer(FD_SETSIZE / 8));
    for (const fd of fds) {
      if (fd < FD_SETSIZE) selectMask[fd >> 5] = (selectMask[fd >> 5] as number) | (1 << (fd & 31));
    }
    const subset: Subset = { size, epoll: new Epoll(), selectMask, highestFd: Math.max(...fds) };
    this.#subsets.set(size, subset);
    for (const fd of fds) subset.epoll.register(fd, EPOLLIN);
    return subset;
  }

  #wait({ size, epoll, selectMask, highestFd }: Subset, call: Call, times: number): number {
    switch (call) {
      case "select":
        return this.#functions.select_times(selectMask, highestFd + 1, times);
      case "poll":
        return this.#functions.poll_times(this.#pollFds, size, times);
      case "epoll":
        return this.#functions.epoll_wait_times(epoll.fileno(), times);
    }
  }
}
