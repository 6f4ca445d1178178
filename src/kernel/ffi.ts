// The typed table of system calls, compiled from the C files in native/ on first use. No other file uses bun:ffi.

import bridgeThread from "../../native/bridge-thread.c" with { type: "text" };
import shim from "../../native/shim.c" with { type: "text" };
import signals from "../../native/signals.c" with { type: "text" };
import { check, ErrnoError } from "./errors.ts";
import { checkRequirements, explainFfiError, explainMemfdError } from "./requirements.ts";

/** Memory that the kernel reads or writes during one call. */
type Bytes = Uint8Array | Int32Array;

/**
 * The system calls. Each returns a number >= 0, or -errno; none throws or allocates.
 *
 * Every call takes memory as a view, not as a stored address. A view is as fast, keeps the buffer alive during the
 * call, and cannot dangle (a stored `ptr()` of a small typed array can, oven-sh/bun#32054). An address argument is 132
 * bytes: a 32-bit length, then the sockaddr; see address.ts.
 */
export interface Syscalls {
  epoll_create1(flags: number): number;
  /** epoll_wait returns `token`, 32 bits, with each event of the registration. */
  epoll_ctl(epfd: number, op: number, fd: number, events: number, token: number): number;
  /** Fills `out` (16 bytes for each of `max` events) with triples: events, fd, token. */
  epoll_wait(epfd: number, out: Int32Array, max: number, timeoutMs: number): number;
  /** As epoll_wait, with a timeout of seconds and nanoseconds. -ENOSYS before Linux 5.11. */
  epoll_pwait2(epfd: number, out: Int32Array, max: number, seconds: number, nanoseconds: number): number;
  socket(family: number, type: number, protocol: number): number;
  socketpair(family: number, type: number, protocol: number, fds: Int32Array): number;
  bind(fd: number, address: Bytes): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, peer: Bytes, flags: number): number;
  connect(fd: number, address: Bytes): number;
  recv(fd: number, bytes: Bytes, offset: number, length: number, flags: number): number;
  send(fd: number, bytes: Bytes, offset: number, length: number, flags: number): number;
  recvfrom(fd: number, bytes: Bytes, offset: number, length: number, flags: number, from: Bytes): number;
  sendto(fd: number, bytes: Bytes, offset: number, length: number, flags: number, to: Bytes): number;
  /**
   * Sets element `index` of an array of buffers, 16 bytes each, for the next call. Not a system call. The array does not
   * keep the buffer alive: pass the buffers to the call as well.
   */
  set_iovec(iovecs: Bytes, index: number, bytes: Bytes, offset: number, length: number): number;
  /** `buffers` are those of `iovecs`. They are passed to keep them alive, and for traces. */
  sendmsg(
    fd: number,
    iovecs: Bytes,
    count: number,
    to: Bytes,
    control: Bytes,
    controlLength: number,
    flags: number,
    buffers: readonly Bytes[],
  ): number;
  /** `state` holds the size of `control` and the flags; it returns the length of the control messages and the flags. */
  recvmsg(
    fd: number,
    iovecs: Bytes,
    count: number,
    from: Bytes,
    control: Bytes,
    state: Int32Array,
    buffers: readonly Bytes[],
  ): number;
  /**
   * Sends `count` messages of one buffer each. `headers` is memory, 64 bytes for each. `batch` holds the flags, the
   * size of a message's part of `control`, the index of the first message, 0, and for each message its length, flags,
   * length of control messages, and whether to send them. `addresses` has 132 bytes for each message.
   */
  sendmmsg(
    fd: number,
    headers: Bytes,
    iovecs: Bytes,
    addresses: Bytes,
    control: Bytes,
    batch: Int32Array,
    count: number,
    buffers: readonly Bytes[],
  ): number;
  /** Receives up to `count` messages, and describes them in `batch`; see `sendmmsg`. */
  recvmmsg(
    fd: number,
    headers: Bytes,
    iovecs: Bytes,
    addresses: Bytes,
    control: Bytes,
    batch: Int32Array,
    count: number,
    buffers: readonly Bytes[],
  ): number;
  shutdown(fd: number, how: number): number;
  /** Returns the number of bytes written to `value`. */
  getsockopt(fd: number, level: number, name: number, value: Bytes, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: Bytes, length: number): number;
  getsockname(fd: number, address: Bytes): number;
  getpeername(fd: number, address: Bytes): number;
  /** Returns 1 if `text` (NUL-terminated) is an address of the family, else 0. */
  inet_pton(family: number, text: Bytes, out: Bytes, offset: number): number;
  inet_ntop(family: number, from: Bytes, offset: number, text: Bytes, length: number): number;
  /** Returns the index of a network interface. `name` is NUL-terminated. */
  if_nametoindex(name: Bytes): number;
  /** Writes the name of a network interface, NUL-terminated, to `name`, 16 bytes. */
  if_indextoname(index: number, name: Bytes): number;
  /** Writes addresses of `host` (NUL-terminated) to `out`. Returns their number, or a negative EAI_ code. */
  getaddrinfo(host: Bytes, out: Bytes, max: number): number;
  read(fd: number, bytes: Bytes, offset: number, length: number): number;
  write(fd: number, bytes: Bytes, offset: number, length: number): number;
  /** Like `read`, but never waits, even if the fd is blocking. For an fd that other processes share. */
  read_nowait(fd: number, bytes: Bytes, offset: number, length: number): number;
  /** Like `write`, but never waits, even if the fd is blocking. May write less than there is space for. */
  write_nowait(fd: number, bytes: Bytes, offset: number, length: number): number;
  close(fd: number): number;
  /** Returns 1 if `length` bytes at `offset` equal those of `other`, else 0. Not a system call: memcmp(3). */
  equal(bytes: Bytes, offset: number, other: Bytes, length: number): number;
  /** Tracks `fd`, which was opened elsewhere, so that the end of a Worker closes it. Not a system call. */
  own(fd: number): number;
  /** Stops tracking `fd`: another owner closes it, so the end of a Worker must not. Not a system call. */
  disown(fd: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  /** For requests that return one int: FIONREAD, SIOCOUTQ. */
  ioctl(fd: number, request: number): number;
  eventfd(initial: number, flags: number): number;
  pipe2(fds: Int32Array, flags: number): number;
  timerfd_create(clock: number, flags: number): number;
  /** `value` and `old` are 32 bytes each, a struct itimerspec. */
  timerfd_settime(fd: number, flags: number, value: Bytes, old: Bytes): number;
  timerfd_gettime(fd: number, now: Bytes): number;
  inotify_init1(flags: number): number;
  /** `path` is NUL-terminated. */
  inotify_add_watch(fd: number, path: Bytes, mask: number): number;
  inotify_rm_watch(fd: number, wd: number): number;
  memfd_create(name: Bytes, flags: number): number;
  pidfd_open(pid: number, flags: number): number;
  pidfd_send_signal(fd: number, signal: number): number;
  /** `path` is NUL-terminated, and relative to the current directory. */
  open(path: Bytes, flags: number): number;
  openat2(path: Bytes, flags: number, resolve: number): number;
  /** `out` is 256 bytes, a struct statx. Returns cached attributes: does not wait for a file server. */
  statx(fd: number, out: Bytes): number;
  /** Reads at a position, whose lower and upper 32 bits are given. */
  preadv2(fd: number, bytes: Bytes, length: number, positionLow: number, positionHigh: number, flags: number): number;
  /** `info` is 128 bytes, a siginfo_t. */
  waitid(pidfd: number, info: Bytes, options: number): number;
  /**
   * On each delivery of a signal, to whichever thread, writes 48 bytes of its siginfo_t to `pipe`. If the pipe is full,
   * adds 1 to the eventfd `lost`.
   */
  signal_catch(signal: number, pipe: number, lost: number, chains: number): number;
  signal_release(signal: number): number;
  /** Returns the first and the last real-time signal that programs may use; see signal(7). */
  signal_rtmin(): number;
  signal_rtmax(): number;
  /** Closes the fds that this thread, a Worker's, has opened and not closed when the thread exits. Not a system call. */
  close_fds_at_thread_exit(): number;
  flock(fd: number, operation: number): number;
  /** `fds` holds `count` pairs: an fd, and its events in the lower 16 bits; the upper 16 bits receive what it is ready for. */
  poll(fds: Int32Array, count: number, timeoutMs: number): number;
  /**
   * Writes 6 numbers about this thread to `out`: its CPU time in seconds and nanoseconds, the time it was ready but waited for a CPU
   * (-1 and -1 unless `withQueue` is 1, or if the kernel does not say), how often it blocked, and how often it was preempted.
   */
  thread_times(out: Int32Array, withQueue: number): number;
  /** Lets the kernel end this process `seconds` after its parent has exited, whatever the process is doing. 0: immediately. */
  end_with_parent(seconds: number): number;
  /**
   * Returns `n`. Called for the `n` events that a bridge thread has received from epoll_wait, so that a wrapped table can
   * report them. Not a system call.
   */
  handed_over(epfd: number, out: Int32Array, n: number, max: number): number;
  /**
   * Starts a thread that waits for up to `max` events of `epfd` and writes a byte to `socket` when it has some. The
   * thread owns the socket. Returns the number of the bridge. See loop-bridge.ts.
   */
  bridge_start(epfd: number, socket: number, max: number): number;
  /** Copies the events that the thread has handed over to `out`, as epoll_wait does; -EAGAIN if there are none. */
  bridge_take(bridge: number, out: Int32Array, max: number): number;
  /** Lets the thread wait again. */
  bridge_resume(bridge: number): number;
  /** Stops the thread and waits until it has exited. Returns the errno that made it exit earlier, or 0. */
  bridge_stop(bridge: number): number;
  /** Stops the thread, and frees the bridge with the events that were not taken. */
  bridge_free(bridge: number): number;
}

/** The parameter types of C functions, all of which return a 32-bit integer. */
export type Signatures<Functions> = { readonly [Name in keyof Functions]: readonly ("i32" | "buffer")[] };

export const int = "i32";
export const bytes = "buffer";

const signatures: Signatures<Syscalls> = {
  epoll_create1: [int],
  epoll_ctl: [int, int, int, int, int],
  epoll_wait: [int, bytes, int, int],
  epoll_pwait2: [int, bytes, int, int, int],
  socket: [int, int, int],
  socketpair: [int, int, int, bytes],
  bind: [int, bytes],
  listen: [int, int],
  accept4: [int, bytes, int],
  connect: [int, bytes],
  recv: [int, bytes, int, int, int],
  send: [int, bytes, int, int, int],
  recvfrom: [int, bytes, int, int, int, bytes],
  sendto: [int, bytes, int, int, int, bytes],
  set_iovec: [bytes, int, bytes, int, int],
  sendmsg: [int, bytes, int, bytes, bytes, int, int],
  recvmsg: [int, bytes, int, bytes, bytes, bytes],
  sendmmsg: [int, bytes, bytes, bytes, bytes, bytes, int],
  recvmmsg: [int, bytes, bytes, bytes, bytes, bytes, int],
  shutdown: [int, int],
  getsockopt: [int, int, int, bytes, int],
  setsockopt: [int, int, int, bytes, int],
  getsockname: [int, bytes],
  getpeername: [int, bytes],
  inet_pton: [int, bytes, bytes, int],
  inet_ntop: [int, bytes, int, bytes, int],
  if_nametoindex: [bytes],
  if_indextoname: [int, bytes],
  getaddrinfo: [bytes, bytes, int],
  read: [int, bytes, int, int],
  write: [int, bytes, int, int],
  read_nowait: [int, bytes, int, int],
  write_nowait: [int, bytes, int, int],
  close: [int],
  equal: [bytes, int, bytes, int],
  own: [int],
  disown: [int],
  fcntl: [int, int, int],
  ioctl: [int, int],
  eventfd: [int, int],
  pipe2: [bytes, int],
  timerfd_create: [int, int],
  timerfd_settime: [int, int, bytes, bytes],
  timerfd_gettime: [int, bytes],
  inotify_init1: [int],
  inotify_add_watch: [int, bytes, int],
  inotify_rm_watch: [int, int],
  memfd_create: [bytes, int],
  pidfd_open: [int, int],
  pidfd_send_signal: [int, int],
  open: [bytes, int],
  openat2: [bytes, int, int],
  statx: [int, bytes],
  preadv2: [int, bytes, int, int, int, int],
  waitid: [int, bytes, int],
  signal_catch: [int, int, int, int],
  signal_release: [int],
  signal_rtmin: [],
  signal_rtmax: [],
  flock: [int, int],
  poll: [bytes, int, int],
  thread_times: [bytes, int],
  end_with_parent: [int],
  close_fds_at_thread_exit: [],
  handed_over: [int, bytes, int, int],
  bridge_start: [int, int, int],
  bridge_take: [int, bytes, int],
  bridge_resume: [int],
  bridge_stop: [int],
  bridge_free: [int],
};

let table: Syscalls | undefined;
let wrapped: Syscalls | undefined;

/**
 * Returns the system calls. The first call in each thread compiles them, which takes a few milliseconds.
 *
 * @throws {Error} if the platform is not supported; see checkRequirements
 */
export function syscalls(): Syscalls {
  return wrapped ?? untracedSyscalls();
}

/** Returns the system calls without tracing, for internal use by the package. */
export function untracedSyscalls(): Syscalls {
  return (table ??= compileTable());
}

function compileTable(): Syscalls {
  const sys = compile([shim, signals, bridgeThread].join("\n"), signatures);
  if (!Bun.isMainThread) check(sys.close_fds_at_thread_exit(), "pthread_key_create");
  return sys;
}

/** Replaces the system calls of this thread for all later callers. Used to trace a program without changing it. */
export function wrapSyscalls(wrap: (sys: Syscalls) => Syscalls): void {
  wrapped = wrap(untracedSyscalls());
}

/**
 * Compiles C source that needs no header and defines `address_of(name)`, and returns its functions.
 *
 * @throws {Error} if the platform is not supported; see checkRequirements
 * @throws {ErrnoError} EMFILE or ENFILE if the limit of open file descriptors is reached; EPERM or ENOSYS if a seccomp
 *   filter forbids memfd_create
 */
export function compile<Functions>(source: string, signatures: Signatures<Functions>): Functions {
  checkRequirements();
  const { cc, dlopen, linkSymbols, read } = bunFfi();
  // cc takes a file, and a bundle or a compiled program has none. A memfd needs no writable directory.
  const libc = orExplain(() =>
    dlopen("libc.so.6", {
      memfd_create: { args: ["buffer", "u32"], returns: "i32" },
      write: { args: ["i32", "buffer", "u64"], returns: "i64" },
      close: { args: ["i32"], returns: "i32" },
      __errno_location: { args: [], returns: "ptr" },
    }),
  );
  const errnoAddress = Number(libc.symbols["__errno_location"]?.()); // looked up first: no other call may set errno
  const failed = (call: string): Error => {
    const errno = read.i32(errnoAddress);
    return new ErrnoError(errno, call, { hint: explainMemfdError(errno) });
  };
  try {
    const text = new TextEncoder().encode(source);
    const fd = Number(libc.symbols.memfd_create?.(new TextEncoder().encode("epoll-hello-shim.c\0"), 1));
    if (fd < 0) throw failed("memfd_create");
    try {
      if (Number(libc.symbols.write?.(fd, text, text.length)) !== text.length) throw failed("write");
      // Passing flags also makes Bun ignore BUN_TCC_OPTIONS. The library is never closed, as its code stays in use.
      const { symbols } = orExplain(() =>
        cc({
          source: `/proc/self/fd/${fd}`,
          flags: ["-nostdlib", "-nostdinc"],
          symbols: { address_of: { args: ["ptr"], returns: "ptr" } },
        }),
      );
      const addressOf = symbols["address_of"] as (name: Uint8Array) => number | null;
      return link(addressOf, signatures, linkSymbols);
    } finally {
      libc.symbols.close?.(fd);
    }
  } finally {
    libc.close();
  }
}

/**
 * Returns the addresses of libc functions, as the C library defines them. Bun exports some of the same names.
 *
 * @throws {Error} if the C library lacks one
 */
export function libcAddresses(...names: string[]): BigUint64Array {
  const { dlopen } = bunFfi();
  const addresses = new BigUint64Array(new ArrayBuffer(8 * names.length));
  names.forEach((name, i) => {
    const find = (library: string): number => {
      const loaded = dlopen(library, { [name]: { args: [], returns: "ptr" } });
      const { ptr } = loaded.symbols[name] as unknown as { ptr: number };
      loaded.close(); // it stays loaded, as Bun depends on it
      return ptr;
    };
    try {
      addresses[i] = BigInt(find("libc.so.6"));
    } catch {
      addresses[i] = BigInt(orExplain(() => find("libdl.so.2"))); // before glibc 2.34
    }
  });
  return addresses;
}

/**
 * Returns the address of a C function that schedules `callback` on this thread's event loop. Every thread may call it, at
 * any time. It exists as long as the process.
 */
export function scheduledCallback(callback: () => void): bigint {
  const { JSCallback } = bunFfi();
  const scheduled = new JSCallback(callback, { args: [], returns: "void", threadsafe: true });
  callbacks.push(scheduled);
  return BigInt(scheduled.ptr);
}

/** Keeps them alive: C code may call them as long as the thread runs. */
const callbacks: object[] = [];

/** Returns what `load` returns. If bun:ffi fails, the error says what the process lacks. */
function orExplain<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    throw new Error(explainFfiError(error), { cause: error });
  }
}

/** Binds the functions with linkSymbols, whose calls the engine inlines: calls of cc's symbols are three times as slow. */
function link<Functions>(
  addressOf: (name: Uint8Array) => number | null,
  signatures: Signatures<Functions>,
  linkSymbols: BunFfi["linkSymbols"],
): Functions {
  const encoder = new TextEncoder();
  const symbols: Record<string, object> = {};
  for (const [name, args] of Object.entries<readonly string[]>(signatures)) {
    const ptr = addressOf(encoder.encode(`${name}\0`));
    if (ptr === null || ptr === 0) throw new Error("epoll-hello: this libc lacks a required function");
    symbols[name] = { args, returns: "i32", ptr };
  }
  return linkSymbols(symbols).symbols as Functions;
}

/** The functions of bun:ffi used here, declared so that the published types do not depend on Bun's. */
interface BunFfi {
  cc(options: object): { symbols: Record<string, (...args: never[]) => unknown> };
  dlopen(library: string, symbols: object): { symbols: Record<string, (...args: unknown[]) => unknown>; close(): void };
  linkSymbols(symbols: object): { symbols: Record<string, (...args: unknown[]) => unknown> };
  JSCallback: new (callback: () => void, options: object) => { readonly ptr: number };
  read: { i32(address: number): number };
}

/** Loads bun:ffi. An `import` statement would fail outside Bun before checkRequirements can explain why. */
function bunFfi(): BunFfi {
  return process.getBuiltinModule("bun:ffi" as "module") as unknown as BunFfi;
}
