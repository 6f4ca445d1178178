// File descriptors for the tests of Epoll, closed by `using`, and functions that show its events and interest list.

import { afterEach, beforeEach, expect } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AF_INET,
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  F_DUPFD_CLOEXEC,
  SO_LINGER,
  SOL_SOCKET,
} from "../../src/kernel/constants.ts";
import { formatMask } from "../../src/kernel/format-mask.ts";
import { Epoll } from "../../src/io/epoll.ts";
import { check } from "../../src/kernel/errors.ts";
import { type FdLike, toFd } from "../../src/kernel/fd.ts";
import { syscalls, type Syscalls } from "../../src/kernel/ffi.ts";
import { Socket, socketpair } from "../../src/io/socket.ts";
import { openFds } from "./fds.ts";
import { accepted } from "./sockets.ts";

/** An fd that is not a socket: an eventfd, one end of a FIFO, a file, a duplicate. */
export class Descriptor implements Disposable {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  fileno(): number {
    return this.#fd;
  }

  write(bytes: Uint8Array): number {
    return syscalls().write(this.#fd, bytes, 0, bytes.length);
  }

  read(size: number): number {
    return syscalls().read(this.#fd, new Uint8Array(new ArrayBuffer(size)), 0, size);
  }

  close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** An eventfd: readable while its count is greater than 0, and always writable. */
export class EventFd extends Descriptor {
  constructor(count: number = 0) {
    super(check(syscalls().eventfd(count, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd"));
  }

  add(n: number = 1): void {
    const bytes = new Uint8Array(new ArrayBuffer(8));
    bytes[0] = n;
    check(this.write(bytes), "write");
  }

  take(): void {
    check(this.read(8), "read");
  }
}

/** Both ends of a FIFO in a temporary directory. */
export class Fifo implements Disposable {
  readonly #directory: string = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  readonly path: string = join(this.#directory, "fifo");
  readonly reader: Descriptor;
  readonly writer: Descriptor;

  constructor() {
    const { exitCode } = Bun.spawnSync(["mkfifo", this.path], { stdio: ["ignore", "ignore", "ignore"] });
    if (exitCode !== 0) throw new Error("mkfifo failed");
    this.reader = new Descriptor(openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK));
    this.writer = new Descriptor(openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK));
  }

  /** Writes until the FIFO is full. */
  fill(): void {
    const bytes = new Uint8Array(new ArrayBuffer(4096));
    while (this.writer.write(bytes) > 0);
  }

  [Symbol.dispose](): void {
    this.reader.close();
    this.writer.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A pair of connected sockets. */
export class Ends implements Disposable {
  readonly here: Socket;
  readonly there: Socket;

  constructor([here, there]: [Socket, Socket] = socketpair()) {
    this.here = here;
    this.there = there;
  }

  /** Creates a TCP connection over loopback; `here` is the accepted socket. */
  static tcp(): Ends {
    using listener = new Socket(AF_INET);
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen();
    const there = new Socket(AF_INET);
    there.connect(listener.getsockname());
    return new Ends([accepted(listener).socket, there]);
  }

  /** Sends from `here` until the send buffer is full. Returns the number of bytes. */
  fill(): number {
    const bytes = new Uint8Array(4096);
    let sent = 0;
    for (let n = 0; n >= 0; n = this.here.send(bytes)) sent += n;
    return sent;
  }

  /** Receives at `there` until its receive queue is empty. */
  drain(): void {
    while (this.there.recv(65_536) !== null);
  }

  /** Closes `there` so that the connection is reset. */
  reset(): void {
    const linger = new Uint8Array(new ArrayBuffer(8)); // l_onoff 1, l_linger 0: close sends RST, socket(7)
    linger[0] = 1;
    this.there.setsockopt(SOL_SOCKET, SO_LINGER, linger);
    this.there.close();
  }

  [Symbol.dispose](): void {
    this.here.close();
    this.there.close();
  }
}

/** Several disposable objects of one kind. */
export class Several<T extends Disposable> implements Disposable {
  readonly all: readonly T[];

  constructor(length: number, make: (i: number) => T) {
    this.all = Array.from({ length }, (_, i) => make(i));
  }

  /** Returns the object at index `i`. -1 is the last one. */
  at(i: number): T {
    return this.all.at(i) as T;
  }

  [Symbol.dispose](): void {
    for (const each of this.all) each[Symbol.dispose]();
  }
}

/** Duplicates an fd to the lowest free number that is at least `from`. */
export function duplicate(fd: FdLike, from: number = 0): Descriptor {
  return new Descriptor(check(syscalls().fcntl(toFd(fd), F_DUPFD_CLOEXEC, from), "fcntl"));
}

/** Returns the events of `fd`, the only fd that may be ready, by name, or "nothing". */
export function reportOf(epoll: Epoll, fd: FdLike, timeoutMs: number = 0): string {
  const [event, ...others] = epoll.poll(timeoutMs);
  if (event === undefined) return "nothing";
  expect(others).toEqual([]);
  expect(event[0]).toBe(toFd(fd));
  return formatMask(event[1]);
}

/** Returns the fds that are ready now, in ascending order. */
export function readyFds(epoll: Epoll, maxEvents?: number): number[] {
  return epoll
    .poll(0, maxEvents)
    .map(([fd]) => fd)
    .sort((a, b) => a - b);
}

/** Returns the numbers of the fds, in ascending order. */
export function numbersOf(fds: readonly FdLike[]): number[] {
  return fds.map(toFd).sort((a, b) => a - b);
}

/** Returns the kernel's interest list of an epoll instance; see proc_pid_fdinfo(5). */
export function interestOf(epoll: FdLike): { fd: number; mask: number; token: number }[] {
  const info = readFileSync(`/proc/self/fdinfo/${toFd(epoll)}`, "utf8");
  return [...info.matchAll(/^tfd:\s+(\d+) events:\s+([0-9a-f]+) data:\s+([0-9a-f]+)/gm)].map(
    ([, fd, mask = "", data = ""]) => ({
      fd: Number(fd),
      mask: Number.parseInt(mask, 16),
      token: Number(BigInt(`0x${data}`) >> 32n),
    }),
  );
}

/**
 * Creates an Epoll that calls `wait` instead of epoll_wait and epoll_pwait2, and records the arguments of the calls. With
 * `pwait2Error`, epoll_pwait2 fails.
 */
export function withWait(
  wait: Syscalls["epoll_wait"],
  pwait2Error?: number,
): { epoll: Epoll; timeouts: number[]; counts: number[] } {
  const timeouts: number[] = [];
  const counts: number[] = [];
  const epoll = new Epoll(undefined, {
    ...syscalls(),
    epoll_wait(epfd, out, max, timeoutMs) {
      timeouts.push(timeoutMs);
      counts.push(max);
      return wait(epfd, out, max, timeoutMs);
    },
    epoll_pwait2(epfd, out, max, seconds, nanoseconds) {
      if (pwait2Error !== undefined) return -pwait2Error;
      timeouts.push((seconds * 1e9 + nanoseconds) / 1e6);
      counts.push(max);
      return wait(epfd, out, max, seconds * 1000 + Math.ceil(nanoseconds / 1e6));
    },
  });
  return { epoll, timeouts, counts };
}

/** Asserts after each test of the file that it left no fd open. */
export function everyFdIsClosed(): void {
  syscalls(); // compiles the shim before the first test
  Bun.spawnSync(["true"]); // Bun opens some fds with the first child process and keeps them
  let before = new Map<number, string>();
  beforeEach(() => {
    before = openFds();
  });
  const left = (): unknown[] => [...openFds()].filter(([fd, what]) => before.get(fd) !== what);
  afterEach(async () => {
    // Bun closes the pipes of a child process shortly after its exit.
    const deadline = performance.now() + 2000;
    while (left().length > 0 && performance.now() < deadline) await new Promise(setImmediate);
    expect(left()).toEqual([]);
  });
}
