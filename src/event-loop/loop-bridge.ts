// The bridge to Bun's event loop, which can watch a socket but no epoll: a thread waits, and tells by a socket.

import {
  AF_UNIX,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLIN,
  EPOLLONESHOT,
  F_SETFL,
  O_NONBLOCK,
  SOCK_CLOEXEC,
  SOCK_STREAM,
} from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import { untracedSyscalls, type Syscalls } from "../kernel/ffi.ts";

/** So many iterations in a row without parking: an error that nobody catches ends the process only when no immediate is pending. */
const TURNS_IN_A_ROW = 64;

/** The end of the socket pair that Bun watches. */
interface Ear {
  ref(): void;
  unref(): void;
  terminate(): void;
}

/** This thread's bridge; there is one while anything crosses it. */
let bridge: Bridge | undefined;
let lastToken = 0;
/** Something was thrown in the iteration that is just made. */
let hasThrown = false;

/**
 * An epoll instance on Bun's event loop.
 *
 * While there is nothing to do it is parked: a thread waits for the instance (in an epoll of its own that holds it with
 * EPOLLONESHOT, so that the instance speaks up once and is re-armed by one system call), and sends four bytes to a socket
 * that Bun watches. Then come iterations: one each time that Bun's loop comes round (`setImmediate`), as long as they find work.
 *
 * The thread knows nothing but two descriptors, which are its own, and ends with Bun's end of the socket: the last crossing's
 * `close` shuts that, and waits until it has ended; so does the end of a Worker, or of the process.
 *
 * @see epoll(7) on epolls in epolls
 */
export class LoopBridge {
  readonly #bridge: Bridge;
  readonly #token: number;
  readonly #fd: number;
  readonly #runOnce: () => boolean;
  readonly #turn: () => void = () => this.#takeTurn();
  #immediate: NodeJS.Immediate | undefined;
  #turns = 0;
  #hasRef = true;
  #isClosed = false;

  /**
   * @param epoll the instance; it must stay open until `close`
   * @param iteration does what there is to do without waiting; whether there was something. What it throws is an uncaught exception
   * @throws {ErrnoError} EMFILE, ENFILE, ENOMEM, ENOSPC; EAGAIN if no thread can be started
   */
  constructor(epoll: FdLike, runOnce: () => boolean) {
    this.#fd = toFd(epoll);
    this.#runOnce = runOnce;
    this.#token = nextToken();
    this.#bridge = bridge ??= new Bridge();
    this.#bridge.add(this.#token, this.#fd, this);
  }

  /** Take a turn soon, whether or not there is an event. */
  wake(): void {
    if (this.#isClosed || this.#immediate !== undefined) return;
    this.#immediate = setImmediate(this.#turn);
  }

  get hasRef(): boolean {
    return this.#hasRef;
  }

  /** Keep the process alive: it does unless told otherwise. */
  ref(): void {
    if (this.#hasRef || this.#isClosed) return;
    this.#hasRef = true;
    this.#bridge.keep(1);
  }

  /** Do not keep the process alive. */
  unref(): void {
    if (!this.#hasRef || this.#isClosed) return;
    this.#hasRef = false;
    this.#bridge.keep(-1);
  }

  /** Leave Bun's loop. Before the epoll instance is closed; twice is fine. */
  close(): void {
    if (this.#isClosed) return;
    this.unref();
    this.#isClosed = true;
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#bridge.remove(this.#token, this.#fd);
  }

  /** @internal The thread has told: the instance has an event, and is not watched until it is parked again. */
  tell(): void {
    this.#turns = 0;
    if (this.#immediate === undefined) this.#takeTurn();
  }

  #takeTurn(): void {
    this.#immediate = undefined;
    let isBusy = true;
    hasThrown = false;
    try {
      isBusy = this.#runOnce();
    } catch (error) {
      throwUncaught(error);
    }
    if (this.#isClosed) return;
    // An immediate keeps the process alive, and one that is unref'd does not keep Bun's loop from going to sleep.
    if (isBusy && this.#hasRef && !hasThrown && ++this.#turns < TURNS_IN_A_ROW) this.wake();
    else this.#bridge.park(this.#token, this.#fd);
  }
}

/** The thread, the epoll that it waits on, and the socket. */
class Bridge {
  readonly #sys: Syscalls = untracedSyscalls();
  readonly #crossings = new Map<number, LoopBridge>();
  /** The thread's, which closes it; good as long as the ear is open. */
  readonly #epfd: number;
  readonly #ear: Ear;
  readonly #earFd: number;
  #refs = 0;

  constructor() {
    const sys = this.#sys;
    const open: number[] = [];
    try {
      this.#epfd = check(sys.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
      open.push(this.#epfd);
      const pair = new Int32Array(new ArrayBuffer(8));
      check(sys.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
      const [mouth = -1, ear = -1] = pair; // the mouth blocks: what the thread has to tell must not get lost
      open.push(mouth, ear);
      check(sys.fcntl(ear, F_SETFL, O_NONBLOCK), "fcntl", ear);
      // No mask: all that it tells is that the other end is gone, EPOLLHUP, and that is the thread's end.
      check(sys.epoll_ctl(this.#epfd, EPOLL_CTL_ADD, mouth, 0, 0), "epoll_ctl", mouth);
      check(sys.bridge(this.#epfd, mouth, Bun.isMainThread ? 0 : 1), "pthread_create");
      open.splice(0, 2);
      this.#earFd = ear;
      sys.disown(ear); // Bun's
      this.#ear = this.#listen(ear);
    } catch (error) {
      for (const fd of open) sys.close(fd);
      throw error;
    }
    this.#ear.unref();
  }

  add(token: number, fd: number, crossing: LoopBridge): void {
    const n = this.#sys.epoll_ctl(this.#epfd, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, token);
    if (n < 0 && this.#crossings.size === 0) this.#close();
    check(n, "epoll_ctl", fd);
    this.#crossings.set(token, crossing);
    this.keep(1);
  }

  /** Have the thread wait for it. */
  park(token: number, fd: number): void {
    check(this.#sys.epoll_ctl(this.#epfd, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, token), "epoll_ctl", fd);
  }

  remove(token: number, fd: number): void {
    this.#sys.epoll_ctl(this.#epfd, EPOLL_CTL_DEL, fd, 0, 0);
    this.#crossings.delete(token);
    if (this.#crossings.size === 0) this.#close();
  }

  /** One more keeps the process alive, or one less. */
  keep(more: 1 | -1): void {
    this.#refs += more;
    if (this.#refs === 0) this.#ear.unref();
    else if (this.#refs === 1 && more === 1) this.#ear.ref();
  }

  #listen(fd: number): Ear {
    let ear: Ear | undefined;
    const socket = {
      open: (opened: Ear) => void (ear = opened),
      data: (_: Ear, tokens: Buffer) => {
        for (let i = 0; i < tokens.length; i += 4) this.#crossings.get(tokens.readUInt32LE(i))?.tell(); // or it has closed
      },
    };
    void Bun.connect({ fd, socket } as never).catch(() => {}); // told below, at once
    if (ear === undefined) throw new Error("epoll-hello: Bun does not take a socket to its event loop");
    return ear;
  }

  /** When this returns, the thread is gone, and with it its descriptors. */
  #close(): void {
    if (bridge === this) bridge = undefined;
    this.#sys.bridge_end(this.#earFd);
    this.#ear.terminate();
  }
}

/** Throw it where nobody catches it, as if Bun's own loop had made the call that failed; and go on here. */
export function throwUncaught(error: unknown): void {
  hasThrown = true;
  queueMicrotask(() => {
    throw error;
  });
}

/** 0 is the thread's own. A token that is still in use would be one of four thousand million crossings ago. */
function nextToken(): number {
  return (lastToken = (lastToken % 0xffffffff) + 1);
}
