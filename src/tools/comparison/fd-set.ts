// class Crowd: many idle descriptors and one that can be read, in the form in which select, poll and epoll_wait each want them.

import { AF_UNIX, EPOLLIN, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../kernel/constants.ts";
import { Epoll } from "../../io/epoll.ts";
import { EINTR } from "../../kernel/errno.ts";
import { check } from "../../kernel/errors.ts";
import { syscalls, type Syscalls } from "../../kernel/ffi.ts";
import { type SelectPoll, selectPoll } from "./select-poll.ts";

/** A descriptor with this number or a higher one has no bit in an fd_set; see select(2). */
export const FD_SETSIZE = 1024;

const POLLIN = 1;
const ONE_BYTE: Uint8Array = new Uint8Array(new ArrayBuffer(1));

/** The three calls, in the order in which Linux got them. */
export const calls = ["select", "poll", "epoll"] as const;
export type Call = (typeof calls)[number];

/** The first so many of the crowd: what each call is told about them. poll is told the beginning of one list for all. */
interface Group {
  readonly size: number;
  readonly epoll: Epoll;
  readonly fdSet: Int32Array;
  readonly highest: number;
}

/**
 * Unix sockets in pairs, as it is sockets that a server waits for. Any number of them, from the first, can be looked at: nobody
 * has written to them, but to one, which has a byte to read that nobody reads. It is the middle one: a search meets it half-way.
 */
export class FdSet implements Disposable {
  readonly #sys: Syscalls = syscalls();
  readonly #elders: SelectPoll = selectPoll();
  readonly #fds: number[] = [];
  readonly #pollFds: Int32Array;
  readonly #groups = new Map<number, Group>();
  #group: Group | undefined;

  /**
   * @throws {ErrnoError} EMFILE or ENFILE if there are not so many descriptors; ENOMEM
   * @see socketpair(2)
   */
  constructor(most: number) {
    this.#pollFds = new Int32Array(new ArrayBuffer(8 * most));
    const pair = new Int32Array(new ArrayBuffer(8));
    try {
      while (this.#fds.length < most) {
        check(this.#sys.socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), "socketpair");
        this.#fds.push(...pair);
      }
    } catch (error) {
      this.close();
      throw error;
    }
    for (let i = 0; i < most; i++) this.#pollFds.set([this.#fd(i), POLLIN], 2 * i);
  }

  /**
   * Look at the first so many from now on.
   *
   * @throws {ErrnoError} EMFILE; ENOMEM; ENOSPC over /proc/sys/fs/epoll/max_user_watches
   */
  gather(size: number): void {
    if (this.#group !== undefined) check(this.#sys.read(this.#active(this.#group), ONE_BYTE, 0, 1), "read");
    this.#group = undefined;
    const group = this.#groups.get(size) ?? this.#form(size);
    check(this.#sys.write(this.#fd((size >> 1) ^ 1), ONE_BYTE, 0, 1), "write"); // the other one of the middle one's pair
    this.#group = group;
  }

  /** select cannot be told of all that are looked at: one has too high a number. */
  get isBeyondSelect(): boolean {
    return this.#gathered().highest >= FD_SETSIZE;
  }

  /**
   * Make a call so many times: each is told what is of interest, waits for ever, returns, and finds out which one can be read.
   *
   * @throws {ErrnoError} EINVAL from select where it is beyond it; ENOMEM
   */
  wait(call: Call, times: number): void {
    const group = this.#gathered();
    let fd: number;
    do fd = this.#wait(group, call, times);
    while (fd === -EINTR);
    check(fd, call);
    if (fd !== this.#active(group)) throw new Error(`${call} says that ${fd} can be read, and it is another`);
  }

  /** Close them all. Closing twice is fine. */
  close(): void {
    this.#group = undefined;
    for (const { epoll } of this.#groups.values()) epoll.close();
    for (const fd of this.#fds.splice(0)) this.#sys.close(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #fd(i: number): number {
    return this.#fds[i] as number;
  }

  #active({ size }: Group): number {
    return this.#fd(size >> 1);
  }

  /** Without one that can be read, a wait for ever would be just that. */
  #gathered(): Group {
    if (this.#group === undefined) throw new Error("nobody is gathered");
    return this.#group;
  }

  #form(size: number): Group {
    const fds = this.#fds.slice(0, size);
    if (size < 1 || fds.length < size) throw new RangeError(`a crowd of ${this.#fds.length} has no ${size}`);
    const fdSet = new Int32Array(new ArrayBuffer(FD_SETSIZE / 8));
    for (const fd of fds) {
      if (fd < FD_SETSIZE) fdSet[fd >> 5] = (fdSet[fd >> 5] as number) | (1 << (fd & 31));
    }
    const group: Group = { size, epoll: new Epoll(), fdSet, highest: Math.max(...fds) };
    this.#groups.set(size, group);
    for (const fd of fds) group.epoll.register(fd, EPOLLIN);
    return group;
  }

  #wait({ size, epoll, fdSet, highest }: Group, call: Call, times: number): number {
    switch (call) {
      case "select":
        return this.#elders.select_times(fdSet, highest + 1, times);
      case "poll":
        return this.#elders.poll_times(this.#pollFds, size, times);
      case "epoll":
        return this.#elders.epoll_wait_times(epoll.fileno(), times);
    }
  }
}
