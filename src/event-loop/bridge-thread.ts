// class BridgeThread: a native thread that waits for an epoll instance, and the socket pair by which it wakes Bun's event loop.

import { AF_UNIX, F_SETFL, O_NONBLOCK, SOCK_CLOEXEC, SOCK_STREAM } from "../kernel/constants.ts";
import { EAGAIN, EPIPE } from "../kernel/errno.ts";
import { check, ErrnoError } from "../kernel/errors.ts";
import { type Syscalls, untracedSyscalls } from "../kernel/ffi.ts";

/** The part of a Bun socket that is used here. */
interface BunSocket {
  ref(): void;
  unref(): void;
  terminate(): void;
}

export interface BridgeThreadCallbacks {
  /** The thread has handed over events. It waits for the instance again after `arm`. */
  onWakeUp: () => void;
  /** One of the sockets or the wait has failed: the thread has exited. */
  onLost: (error: Error) => void;
}

/**
 * A native thread that waits for an epoll instance. native/bridge-thread.c is its code.
 *
 * The thread owns one socket of a pair, and Bun the other. Each side notices when the other one closes its socket: Bun
 * calls `close`, and the thread's socket is registered in the instance, so that EPOLLHUP ends its wait.
 */
export class BridgeThread {
  /** Whether the thread waits, or has handed over events that have not been taken. */
  isArmed: boolean = true;
  /** Whether the thread may have handed over events that have not been taken. */
  hasEvents: boolean = false;
  /** Whether the thread runs and can wake Bun's event loop. */
  isOpen: boolean = true;

  readonly #sys: Syscalls = untracedSyscalls();
  readonly #callbacks: BridgeThreadCallbacks;
  readonly #bridge: number;
  readonly #socket: BunSocket;
  #isClosed = false;

  /**
   * Starts the thread, which waits immediately.
   *
   * @throws {ErrnoError} EMFILE, ENFILE, ENOMEM or ENOSPC; EAGAIN if no thread can be started
   */
  constructor(epfd: number, maxEvents: number, callbacks: BridgeThreadCallbacks) {
    const sys = this.#sys;
    this.#callbacks = callbacks;
    const pair = new Int32Array(new ArrayBuffer(8));
    check(sys.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
    const [threadsEnd = -1, bunsEnd = -1] = pair;
    let bridge = -1;
    try {
      check(sys.fcntl(bunsEnd, F_SETFL, O_NONBLOCK), "fcntl", bunsEnd);
      const n = sys.bridge_start(epfd, threadsEnd, maxEvents);
      bridge = check(n, n === -EAGAIN ? "pthread_create" : "epoll_ctl", epfd);
      this.#bridge = bridge;
      this.#socket = this.#openSocket(bunsEnd);
    } catch (error) {
      if (bridge >= 0) sys.bridge_free(bridge);
      else sys.close(threadsEnd);
      sys.close(bunsEnd);
      throw error;
    }
    sys.disown(bunsEnd); // Bun closes it
  }

  /** Sets whether the thread keeps the process alive. Initially it does. */
  setRef(hasRef: boolean): void {
    if (!this.isOpen) return;
    if (hasRef) this.#socket.ref();
    else this.#socket.unref();
  }

  /** Copies the events that the thread has handed over to `out`, and returns their number, or 0. */
  take(out: Int32Array, max: number): number {
    if (!this.isArmed) return 0;
    const n = this.#sys.bridge_take(this.#bridge, out, max);
    this.hasEvents = false;
    if (n === -EAGAIN) return 0;
    this.isArmed = false;
    return n;
  }

  /** Lets the thread wait for the instance, unless it does. */
  arm(): void {
    if (this.isArmed) return;
    this.isArmed = true;
    this.#sys.bridge_resume(this.#bridge);
  }

  /** Stops the thread, and returns when it has exited. The events that it has handed over can still be taken. */
  stop(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#sys.bridge_stop(this.#bridge);
    this.#socket.terminate();
  }

  /** Stops the thread and frees its memory. Closing twice has no effect. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.stop();
    this.isArmed = this.hasEvents = false;
    this.#sys.bridge_free(this.#bridge);
  }

  #openSocket(fd: number): BunSocket {
    let opened: BunSocket | undefined;
    const socket = {
      open: (socket: BunSocket) => void (opened = socket),
      data: () => {
        if (!this.isOpen) return;
        this.hasEvents = this.isArmed;
        this.#callbacks.onWakeUp();
      },
      close: (_: BunSocket, error?: Error) => this.#onClose(error),
    };
    // Bun calls `open` synchronously; if it fails, the check below throws.
    void Bun.connect({ fd, socket } as never).catch(() => {});
    if (opened === undefined) throw new Error("epoll-hello: Bun cannot add a socket to its event loop");
    return opened;
  }

  #onClose(error: Error | undefined): void {
    if (!this.isOpen) return; // closed by `stop`
    this.isOpen = false;
    const errno = this.#sys.bridge_stop(this.#bridge);
    this.hasEvents = this.isArmed;
    this.#callbacks.onLost(error ?? new ErrnoError(errno || EPIPE, "bridge thread"));
  }
}
