// class LoopBridge: an epoll instance on Bun's event loop, which can watch sockets but not epoll fds.

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
import { TokenCounter } from "../kernel/token-counter.ts";

/**
 * Bun ends the process after an uncaught exception only when no immediate is pending, so a chain of immediates must be
 * interrupted from time to time.
 */
const MAX_CONSECUTIVE_ITERATIONS = 64;

/** The part of a Bun socket that is used here. */
interface BunSocket {
  ref(): void;
  unref(): void;
  terminate(): void;
}

/** The one bridge thread of this JavaScript thread; it runs while there is a LoopBridge. */
let bridgeThread: BridgeThread | undefined;
const tokens = new TokenCounter(1); // 0 tells the thread to exit
/** Whether an exception was reported during the current iteration. */
let hasThrown = false;

/**
 * An epoll instance that is driven by Bun's event loop.
 *
 * While this instance is idle, the bridge thread waits for it: the thread has its own epoll instance, in which this one
 * is registered with EPOLLONESHOT. On an event, the thread writes four bytes to a socket that Bun watches. Iterations
 * then run in `setImmediate`, one per iteration of Bun's loop, as long as they find events. After that, one system call
 * re-arms the registration.
 *
 * The thread owns two fds and exits when Bun's end of the socket is closed: by the last `close`, or when the Worker or
 * the process ends.
 *
 * @see epoll(7) about nested epoll instances
 */
export class LoopBridge {
  readonly #thread: BridgeThread;
  readonly #token: number;
  readonly #fd: number;
  readonly #runOnce: () => boolean;
  readonly #onImmediate: () => void = () => this.#iterate();
  #immediate: NodeJS.Immediate | undefined;
  #iterations = 0;
  #hasRef = true;
  #isClosed = false;

  /**
   * @param epoll the epoll instance; it must stay open until `close`
   * @param runOnce handles the pending events without waiting, and returns whether there were any. An exception that it
   *   throws is reported as uncaught
   * @throws {ErrnoError} EMFILE, ENFILE, ENOMEM or ENOSPC if the bridge cannot be set up; EAGAIN if no thread can be
   *   started
   */
  constructor(epoll: FdLike, runOnce: () => boolean) {
    this.#fd = toFd(epoll);
    this.#runOnce = runOnce;
    this.#token = tokens.next();
    this.#thread = bridgeThread ??= new BridgeThread();
    this.#thread.add(this.#token, this.#fd, this);
  }

  /** Schedules an iteration, whether or not there is an event. */
  wake(): void {
    if (this.#isClosed || this.#immediate !== undefined) return;
    this.#immediate = setImmediate(this.#onImmediate);
  }

  /** Whether the bridge keeps the process alive while it is open. */
  get hasRef(): boolean {
    return this.#hasRef;
  }

  /** Keeps the process alive while the bridge is open. This is the default. */
  ref(): void {
    if (this.#hasRef || this.#isClosed) return;
    this.#hasRef = true;
    this.#thread.addRef();
  }

  /** Lets the process exit while the bridge is open. */
  unref(): void {
    if (!this.#hasRef || this.#isClosed) return;
    this.#hasRef = false;
    this.#thread.releaseRef();
  }

  /** Leaves Bun's event loop. Call it before closing the epoll instance. Closing twice has no effect. */
  close(): void {
    if (this.#isClosed) return;
    this.unref();
    this.#isClosed = true;
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#thread.remove(this.#token, this.#fd);
  }

  /** @internal Called when the thread reports an event. The registration is disarmed until it is re-armed. */
  onReady(): void {
    this.#iterations = 0;
    if (this.#immediate === undefined) this.#iterate();
  }

  #iterate(): void {
    this.#immediate = undefined;
    let isBusy = true;
    hasThrown = false;
    try {
      isBusy = this.#runOnce();
    } catch (error) {
      throwUncaught(error);
    }
    if (this.#isClosed) return;
    // Not if unref'd: an immediate keeps the process alive, and an unref'd immediate does not wake Bun's loop.
    if (isBusy && this.#hasRef && !hasThrown && ++this.#iterations < MAX_CONSECUTIVE_ITERATIONS) this.wake();
    else this.#thread.rearm(this.#token, this.#fd);
  }
}

/**
 * The bridge thread, its epoll instance, and a socket pair: the thread writes to one end, and Bun reads from the other.
 */
class BridgeThread {
  readonly #sys: Syscalls = untracedSyscalls();
  readonly #bridges = new Map<number, LoopBridge>();
  /** Owned and closed by the thread; valid while the read end is open. */
  readonly #epfd: number;
  readonly #readEndFd: number;
  readonly #readEnd: BunSocket;
  #refs = 0;

  constructor() {
    const sys = this.#sys;
    const owned: number[] = [];
    try {
      this.#epfd = check(sys.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
      owned.push(this.#epfd);
      const pair = new Int32Array(new ArrayBuffer(8));
      check(sys.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
      const [writeEndFd = -1, readEndFd = -1] = pair; // the write end stays blocking, so that no token is dropped
      owned.push(writeEndFd, readEndFd);
      check(sys.fcntl(readEndFd, F_SETFL, O_NONBLOCK), "fcntl", readEndFd);
      // With an empty mask, only EPOLLHUP is reported: when the read end is closed. The thread then exits.
      check(sys.epoll_ctl(this.#epfd, EPOLL_CTL_ADD, writeEndFd, 0, 0), "epoll_ctl", writeEndFd);
      check(sys.start_bridge_thread(this.#epfd, writeEndFd, Bun.isMainThread ? 0 : 1), "pthread_create");
      owned.splice(0, 2); // now owned by the thread
      this.#readEndFd = readEndFd;
      sys.disown(readEndFd); // Bun closes it
      this.#readEnd = this.#openReadEnd(readEndFd);
    } catch (error) {
      for (const fd of owned) sys.close(fd);
      throw error;
    }
    this.#readEnd.unref();
  }

  /** Registers the epoll instance of a bridge. */
  add(token: number, fd: number, bridge: LoopBridge): void {
    const n = this.#sys.epoll_ctl(this.#epfd, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, token);
    if (n < 0 && this.#bridges.size === 0) this.#stop();
    check(n, "epoll_ctl", fd);
    this.#bridges.set(token, bridge);
    this.addRef();
  }

  /** Re-arms the registration, so that the thread waits for the epoll instance again. */
  rearm(token: number, fd: number): void {
    check(this.#sys.epoll_ctl(this.#epfd, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, token), "epoll_ctl", fd);
  }

  /** Removes the registration. Stops the thread if it was the last one. */
  remove(token: number, fd: number): void {
    this.#sys.epoll_ctl(this.#epfd, EPOLL_CTL_DEL, fd, 0, 0);
    this.#bridges.delete(token);
    if (this.#bridges.size === 0) this.#stop();
  }

  addRef(): void {
    if (++this.#refs === 1) this.#readEnd.ref();
  }

  releaseRef(): void {
    if (--this.#refs === 0) this.#readEnd.unref();
  }

  #openReadEnd(fd: number): BunSocket {
    let readEnd: BunSocket | undefined;
    const socket = {
      open: (opened: BunSocket) => void (readEnd = opened),
      data: (_: BunSocket, tokens: Buffer) => {
        // A bridge that was closed in the meantime is no longer in the map.
        for (let i = 0; i < tokens.length; i += 4) this.#bridges.get(tokens.readUInt32LE(i))?.onReady();
      },
    };
    // Bun calls `open` synchronously; if it fails, the check below throws.
    void Bun.connect({ fd, socket } as never).catch(() => {});
    if (readEnd === undefined) throw new Error("epoll-hello: Bun cannot add a socket to its event loop");
    return readEnd;
  }

  /** Stops the thread, and returns when it has exited and closed its fds. */
  #stop(): void {
    if (bridgeThread === this) bridgeThread = undefined;
    this.#sys.stop_bridge_thread(this.#readEndFd);
    this.#readEnd.terminate();
  }
}

/** Reports an error as an uncaught exception, as Bun does for its own callbacks, and returns. */
export function throwUncaught(error: unknown): void {
  hasThrown = true;
  queueMicrotask(() => {
    throw error;
  });
}
