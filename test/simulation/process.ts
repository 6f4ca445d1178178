// A simulated process: its fd table, and the system call table that a server gets instead of the real one.

import {
  EPOLL_CTL_DEL,
  F_DUPFD_CLOEXEC,
  IPPROTO_TCP,
  SO_ACCEPTCONN,
  SO_ERROR,
  SO_LINGER,
  SO_TYPE,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_DEFER_ACCEPT,
} from "../../src/kernel/constants.ts";
import {
  EADDRINUSE,
  EAGAIN,
  EBADF,
  EINPROGRESS,
  EINTR,
  EINVAL,
  EMFILE,
  ENOENT,
  ENOSYS,
  ENOTCONN,
  EPERM,
  EPIPE,
} from "../../src/kernel/errno.ts";
import { syscalls, type Syscalls } from "../../src/kernel/ffi.ts";
import { type Reporting, type Registration, SimEpoll } from "./epoll.ts";
import { RegularFile, SimFile } from "./file.ts";
import type { SimKernel } from "./kernel.ts";
import { pattern } from "./pattern.ts";
import { Listener, TcpSocket } from "./tcp.ts";

const ENOTSOCK = 88;
const ECONNREFUSED = 111;
const EISCONN = 106;
const O_PATH = 0x200000;
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;

/** A TCP socket that is neither connected nor listening. */
class NewSocket extends SimFile {
  port = 0;
  defers = false;

  override poll(): number {
    return 0x14; // EPOLLOUT | EPOLLHUP, as for any socket in the state TCP_CLOSE
  }
}

/** What a test observes, and where it injects faults. */
export interface Observer {
  /** Returns an errno to fail the call with, or 0. `file`: what the fd refers to. */
  fault(call: string, fd: number, file: SimFile | undefined): number;
  /** Returns how many bytes to transfer at most. */
  limit(call: "recv" | "send", file: TcpSocket, length: number): number;
  onCall(call: string, fd: number, file: SimFile | undefined, result: number): void;
  onAccepted(socket: TcpSocket, fd: number): void;
  onReceived(socket: TcpSocket, length: number): void;
  onReceivedEnd(socket: TcpSocket): void;
  onSent(socket: TcpSocket, bytes: Uint8Array, offset: number, length: number, wanted: number): void;
  onShutdown(socket: TcpSocket, how: number): void;
  /** The last fd of a socket is about to be closed. */
  onClosing(socket: TcpSocket): void;
  reporting: Reporting | undefined;
  /** Returns an additional event that is not true, or undefined. */
  spuriousEvent(epoll: SimEpoll): [registration: Registration, events: number] | undefined;
  /** Lets simulated time pass until `isReady` returns true, or until `timeoutMs` is over (negative: never). */
  wait(isReady: () => boolean, timeoutMs: number): void;
}

export class SimProcess {
  readonly kernel: SimKernel;
  readonly sys: Syscalls;
  observer: Observer | undefined;
  fdLimit = 1024;
  readonly #files: (SimFile | undefined)[] = [];
  readonly #isOpenFd = (file: SimFile | undefined): boolean => file !== undefined;

  /** @param firstFd numbers below it are taken */
  constructor(kernel: SimKernel, firstFd = 3) {
    this.kernel = kernel;
    for (let fd = 0; fd < firstFd; fd++) this.#files.push(new RegularFile(0, false));
    this.sys = this.#table();
  }

  /** The open fds, without those that were taken from the start. */
  openFds(firstFd = 3): number[] {
    return this.#files.flatMap((file, fd) => (this.#isOpenFd(file) && fd >= firstFd ? [fd] : []));
  }

  file(fd: number): SimFile | undefined {
    return this.#files[fd];
  }

  /** Returns the lowest free fd for a file, or -EMFILE. */
  install(file: SimFile): number {
    let fd = 0;
    while (this.#files[fd] !== undefined) fd++;
    if (fd >= this.fdLimit) return -EMFILE;
    this.#files[fd] = file;
    file.references++;
    return fd;
  }

  get #isFull(): boolean {
    let fd = 0;
    while (this.#files[fd] !== undefined) fd++;
    return fd >= this.fdLimit;
  }

  close(fd: number): number {
    const file = this.#files[fd];
    if (file === undefined) return -EBADF;
    if (file.references === 1 && file instanceof TcpSocket) this.observer?.onClosing(file);
    this.#files[fd] = undefined;
    if (--file.references > 0) return 0;
    while (file.registrations.length > 0) {
      const registration = file.registrations[0] as Registration;
      registration.epoll.remove(registration);
    }
    file.release();
    if (file instanceof Listener) this.kernel.listeners.delete(file.port);
    file.changes++;
    if (file instanceof TcpSocket) this.#deliver(file);
    return 0;
  }

  #deliver(socket: TcpSocket): void {
    if (!this.kernel.isImmediate) return;
    let moved = true;
    while (moved) {
      moved = socket.transmit();
      moved = socket.peer.transmit() || moved;
    }
  }

  #table(): Syscalls {
    const host = syscalls();
    const { inet_pton, inet_ntop, equal } = host;
    const calls: Partial<Syscalls> = {
      epoll_create1: () => this.install(new SimEpoll()),
      epoll_ctl: (epfd, op, fd, events, token) => this.#epollCtl(epfd, op, fd, events, token),
      epoll_wait: (epfd, out, max, timeoutMs) => this.#epollWait(epfd, out, max, timeoutMs),
      socket: () => this.install(new NewSocket()),
      bind: (fd, address) => this.#bind(fd, address as Uint8Array),
      listen: (fd) => this.#listen(fd),
      accept4: (fd, peer) => this.#accept(fd, peer),
      connect: (fd, address) => this.#connect(fd, address as Uint8Array),
      recv: (fd, bytes, offset, length) => this.#recv(fd, bytes as Uint8Array, offset, length),
      send: (fd, bytes, offset, length) => this.#send(fd, bytes as Uint8Array, offset, length),
      shutdown: (fd, how) => this.#shutdown(fd, how),
      setsockopt: (fd, level, name, value) => this.#setsockopt(fd, level, name, value as Uint8Array),
      getsockopt: (fd, level, name, value) => this.#getsockopt(fd, level, name, value as Int32Array),
      getsockname: (fd, address) => this.#getsockname(fd, address as Uint8Array),
      fcntl: (fd, command) => this.#fcntl(fd, command),
      open: (path, flags) => this.#open(path as Uint8Array, flags),
      openat2: (path, flags) => this.#open(path as Uint8Array, flags),
      statx: (fd, out) => this.#statx(fd, out as Uint8Array),
      preadv2: (fd, bytes, length, low) => this.#pread(fd, bytes as Uint8Array, length, low),
      close: (fd) => this.close(fd),
      own: () => 0,
      disown: () => 0,
    };
    const sys: Record<string, (...args: never[]) => number> = {};
    for (const name of Object.keys(host)) {
      const call = calls[name as keyof Syscalls] as ((...args: never[]) => number) | undefined;
      sys[name] =
        call === undefined
          ? () => {
              this.observer?.onCall(name, -1, undefined, -ENOSYS);
              return -ENOSYS;
            }
          : this.#observed(name, call);
    }
    return { ...(sys as unknown as Syscalls), inet_pton, inet_ntop, equal };
  }

  /** Lets the observer see a call, and fail it. */
  #observed(name: string, call: (...args: never[]) => number): (...args: never[]) => number {
    if (name === "own" || name === "disown") return call;
    const hasFd = !["epoll_create1", "socket", "open", "openat2"].includes(name);
    const fdIndex = name === "epoll_ctl" ? 2 : 0;
    return (...args) => {
      const { observer } = this;
      if (observer === undefined) return call(...args);
      const fd = hasFd ? ((args as number[])[fdIndex] as number) : -1;
      const file = hasFd ? this.#files[fd] : undefined;
      const errno = observer.fault(name, fd, file);
      if (errno > 0 && name === "close") call(...args); // on Linux the fd is closed whatever close returns
      const result = errno > 0 ? -errno : call(...args);
      observer.onCall(
        name === "epoll_ctl" && (args as number[])[1] === EPOLL_CTL_DEL ? "epoll_ctl DEL" : name,
        fd,
        file,
        result,
      );
      return result;
    };
  }

  // ---- epoll ----

  #epollCtl(epfd: number, op: number, fd: number, events: number, token: number): number {
    const epoll = this.#files[epfd];
    const file = this.#files[fd];
    if (epoll === undefined || file === undefined) return -EBADF;
    if (!file.isPollable) return -EPERM;
    if (!(epoll instanceof SimEpoll) || epoll === file) return -EINVAL;
    const result = epoll.control(op, fd, file, events, token);
    if (result === 0) file.changes++;
    return result;
  }

  #epollWait(epfd: number, out: Int32Array, max: number, timeoutMs: number): number {
    if (max <= 0) return -EINVAL;
    const epoll = this.#files[epfd];
    if (epoll === undefined) return -EBADF;
    if (!(epoll instanceof SimEpoll)) return -EINVAL;
    const { observer } = this;
    if (observer === undefined) return epoll.collect(out, max);
    observer.wait(() => epoll.isReady, timeoutMs);
    let n = epoll.collect(out, max, observer.reporting);
    const spurious = n < max ? observer.spuriousEvent(epoll) : undefined;
    if (spurious !== undefined) {
      const [{ fd, token }, events] = spurious;
      let isReported = false;
      for (let i = 0; i < n; i++) isReported ||= out[3 * i + 1] === fd;
      if (!isReported) out.set([events, fd, token], 3 * n++);
    }
    return n;
  }

  // ---- sockets ----

  #connection(fd: number): TcpSocket | number {
    const file = this.#files[fd];
    if (file === undefined) return -EBADF;
    if (file instanceof TcpSocket) return file;
    return file instanceof NewSocket || file instanceof Listener ? -ENOTCONN : -ENOTSOCK;
  }

  #bind(fd: number, address: Uint8Array): number {
    const file = this.#files[fd];
    if (!(file instanceof NewSocket)) return file === undefined ? -EBADF : -EINVAL;
    const port = ((address[6] as number) << 8) | (address[7] as number);
    if (this.kernel.listeners.has(port)) return -EADDRINUSE;
    file.port = port === 0 ? this.kernel.takePort() : port;
    return 0;
  }

  #listen(fd: number): number {
    const file = this.#files[fd];
    if (file === undefined) return -EBADF;
    if (file instanceof Listener) return 0;
    if (!(file instanceof NewSocket)) return -EINVAL;
    const listener = new Listener(file.port);
    listener.defers = file.defers;
    listener.references = 1;
    this.#files[fd] = listener;
    this.kernel.listeners.set(file.port, listener);
    return 0;
  }

  #accept(fd: number, peer: Uint8Array | Int32Array): number {
    const listener = this.#files[fd];
    if (listener === undefined) return -EBADF;
    if (!(listener instanceof Listener)) return listener instanceof RegularFile ? -ENOTSOCK : -EINVAL;
    if (this.#isFull) return -EMFILE; // before the backlog is looked at
    const socket = listener.backlog.shift();
    if (socket === undefined) return -EAGAIN;
    listener.changes++;
    const words = peer instanceof Int32Array ? peer : new Int32Array(peer.buffer, peer.byteOffset, 4);
    words[0] = 16;
    words[1] = 2 | ((socket.peerPort & 0xff) << 24) | ((socket.peerPort >> 8) << 16);
    words[2] = socket.peerAddress;
    const accepted = this.install(socket);
    this.observer?.onAccepted(socket, accepted);
    return accepted;
  }

  #connect(fd: number, address: Uint8Array): number {
    const file = this.#files[fd];
    if (file === undefined) return -EBADF;
    if (!(file instanceof NewSocket)) return file instanceof TcpSocket ? -EISCONN : -ENOTSOCK;
    const client = this.kernel.connect(((address[6] as number) << 8) | (address[7] as number));
    if (client === undefined) return -ECONNREFUSED;
    client.references = file.references;
    this.#files[fd] = client;
    return this.kernel.isImmediate ? 0 : -EINPROGRESS;
  }

  #recv(fd: number, bytes: Uint8Array, offset: number, length: number): number {
    const socket = this.#connection(fd);
    if (typeof socket === "number") return socket;
    const before = socket.in.read;
    const { observer } = this;
    const n = socket.recv(bytes, offset, observer?.limit("recv", socket, length) ?? length);
    if (n >= 0 || (n !== -EAGAIN && n !== -EINTR)) socket.changes++;
    if (n > 0) observer?.onReceived(socket, socket.in.read - before);
    else if (n === 0) observer?.onReceivedEnd(socket);
    if (n > 0) this.#deliver(socket);
    return n;
  }

  #send(fd: number, bytes: Uint8Array, offset: number, length: number): number {
    const socket = this.#connection(fd);
    if (typeof socket === "number") return socket === -ENOTCONN ? -EPIPE : socket;
    const { observer } = this;
    const n = socket.send(bytes, offset, observer?.limit("send", socket, length) ?? length);
    if (n >= 0 || n !== -EAGAIN) socket.changes++;
    observer?.onSent(socket, bytes, offset, n, length);
    if (n > 0) this.#deliver(socket);
    return n;
  }

  #shutdown(fd: number, how: number): number {
    const socket = this.#connection(fd);
    if (typeof socket === "number") return socket;
    const result = socket.shutdown(how);
    socket.changes++;
    this.observer?.onShutdown(socket, how);
    this.#deliver(socket);
    return result;
  }

  #setsockopt(fd: number, level: number, name: number, value: Uint8Array): number {
    const file = this.#files[fd];
    if (file === undefined) return -EBADF;
    if (level === SOL_SOCKET && name === SO_LINGER && file instanceof TcpSocket) {
      file.resetsOnClose = value[0] === 1 && value[4] === 0;
    }
    if (level === IPPROTO_TCP && name === TCP_DEFER_ACCEPT && file instanceof NewSocket) file.defers = true;
    return 0;
  }

  #getsockopt(fd: number, level: number, name: number, value: Int32Array): number {
    const file = this.#files[fd];
    if (file === undefined) return -EBADF;
    if (level !== SOL_SOCKET) return -ENOSYS;
    if (name === SO_ACCEPTCONN) value[0] = file instanceof Listener ? 1 : 0;
    else if (name === SO_TYPE) value[0] = SOCK_STREAM;
    else if (name === SO_ERROR) value[0] = file instanceof TcpSocket ? file.takeErrorOption() : 0;
    else return -ENOSYS;
    return 4;
  }

  #getsockname(fd: number, address: Uint8Array): number {
    const file = this.#files[fd];
    if (file === undefined) return -EBADF;
    const port = file instanceof NewSocket || file instanceof Listener ? file.port : 0;
    address.set([16, 0, 0, 0, 2, 0, port >> 8, port & 0xff, 127, 0, 0, 1]);
    return 0;
  }

  #fcntl(fd: number, command: number): number {
    const file = this.#files[fd];
    if (file === undefined) return -EBADF;
    if (command === F_DUPFD_CLOEXEC) return this.install(file);
    return [F_GETFD, F_SETFD, F_GETFL, F_SETFL].includes(command) ? 0 : -EINVAL;
  }

  // ---- regular files ----

  #open(path: Uint8Array, flags: number): number {
    const size = this.kernel.files.get(Buffer.from(path).toString("latin1", 0, path.indexOf(0)));
    if (size === undefined) return -ENOENT;
    return this.install(new RegularFile(size, (flags & O_PATH) !== 0));
  }

  #statx(fd: number, out: Uint8Array): number {
    const file = this.#files[fd];
    if (!(file instanceof RegularFile)) return -EBADF;
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    out.fill(0);
    view.setUint16(28, 0x81a4, true);
    view.setBigUint64(40, BigInt(file.size), true);
    view.setBigInt64(112, 1_700_000_000n, true);
    return 0;
  }

  #pread(fd: number, bytes: Uint8Array, length: number, position: number): number {
    const file = this.#files[fd];
    if (!(file instanceof RegularFile) || file.isPath) return -EBADF;
    const n = Math.max(0, Math.min(length, file.size - position));
    bytes.set(pattern(file.size, position, n));
    return n;
  }
}
