// The only importer of bun:ffi: compiles native/shim.c on first use and gives out its functions as the typed table `Sys`.

import source from "../../native/shim.c" with { type: "text" };

/** Bytes whose address goes to the kernel for the time of one call. */
type Bytes = Uint8Array | Int32Array;

/**
 * The system calls. Each returns `>= 0`, or `-errno`; nothing here throws or allocates.
 *
 * Memory is passed as a view on every call and never as a kept address: that is as fast, holds the buffer for the
 * time of the call, and cannot go stale (a kept `ptr()` of a small typed array can, oven-sh/bun#32054).
 * An `address` is 132 bytes: the length as 32 bits, then the sockaddr; see address.ts.
 */
export interface Syscalls {
  epoll_create1(flags: number): number;
  /** `token` comes back with each event; 32 bits. */
  epoll_ctl(epfd: number, op: number, fd: number, events: number, token: number): number;
  /** Fill `out` (16 bytes for each of `max`) with triples events, fd, token. */
  epoll_wait(epfd: number, out: Int32Array, max: number, timeoutMs: number): number;
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
  sendmsg(
    fd: number,
    bytes: Bytes,
    length: number,
    to: Bytes,
    control: Bytes,
    controlLength: number,
    flags: number,
  ): number;
  /** `out` receives the length of the ancillary data and the flags. */
  recvmsg(
    fd: number,
    bytes: Bytes,
    length: number,
    from: Bytes,
    control: Bytes,
    controlLength: number,
    out: Int32Array,
    flags: number,
  ): number;
  shutdown(fd: number, how: number): number;
  /** Returns how many bytes of `value` were written. */
  getsockopt(fd: number, level: number, name: number, value: Bytes, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: Bytes, length: number): number;
  getsockname(fd: number, address: Bytes): number;
  getpeername(fd: number, address: Bytes): number;
  /** 1 if `text` (NUL-terminated) is an address of that family, else 0. */
  inet_pton(family: number, text: Bytes, out: Bytes, offset: number): number;
  inet_ntop(family: number, from: Bytes, offset: number, text: Bytes, length: number): number;
  /** How many addresses of `host` (NUL-terminated) were written to `out`, or an EAI_ code. */
  getaddrinfo(host: Bytes, out: Bytes, max: number): number;
  read(fd: number, bytes: Bytes, offset: number, length: number): number;
  write(fd: number, bytes: Bytes, offset: number, length: number): number;
  close(fd: number): number;
  /** 1 if `length` bytes from `offset` on are those of `other`, else 0. No system call: memcmp(3). */
  equal(bytes: Bytes, offset: number, other: Bytes, length: number): number;
  /** It is somebody else's to close: the end of a Worker does not. */
  disown(fd: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  /** What a request answers that answers with one number: FIONREAD, SIOCOUTQ. */
  ioctl(fd: number, request: number): number;
  eventfd(initial: number, flags: number): number;
  pipe2(fds: Int32Array, flags: number): number;
  timerfd_create(clock: number, flags: number): number;
  /** `value` and `old` have 32 bytes, struct itimerspec. */
  timerfd_settime(fd: number, flags: number, value: Bytes, old: Bytes): number;
  timerfd_gettime(fd: number, now: Bytes): number;
  inotify_init1(flags: number): number;
  /** `path` ends with NUL. */
  inotify_add_watch(fd: number, path: Bytes, mask: number): number;
  inotify_rm_watch(fd: number, wd: number): number;
  memfd_create(name: Bytes, flags: number): number;
  pidfd_open(pid: number, flags: number): number;
  pidfd_send_signal(fd: number, signal: number): number;
  /** `info` has 128 bytes, a siginfo_t. */
  waitid(pidfd: number, info: Bytes, options: number): number;
  /** Count a signal, and write to the eventfd `fd` when it comes, whichever thread takes it. */
  signal_catch(signal: number, fd: number): number;
  signal_release(signal: number): number;
  /** How often the signal came since the last call. */
  signal_take(signal: number): number;
  /** Start a thread that sends the token of each event of `epfd` to the socket `out`, until one has token 0; it owns both. */
  bridge(epfd: number, out: number, isWorker: number): number;
  /** End it: shut `fd`, the other end of its socket, and wait until it is gone. */
  bridge_end(fd: number): number;
}

/** What the functions of a C unit take; all return a 32-bit number. */
export type Signatures<Functions> = { readonly [Name in keyof Functions]: readonly ("i32" | "buffer")[] };

export const int = "i32";
export const bytes = "buffer";

/** What each function of the shim takes, for the FFI; all return a 32-bit integer. */
const signatures: Signatures<Syscalls> = {
  epoll_create1: [int],
  epoll_ctl: [int, int, int, int, int],
  epoll_wait: [int, bytes, int, int],
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
  sendmsg: [int, bytes, int, bytes, bytes, int, int],
  recvmsg: [int, bytes, int, bytes, bytes, int, bytes, int],
  shutdown: [int, int],
  getsockopt: [int, int, int, bytes, int],
  setsockopt: [int, int, int, bytes, int],
  getsockname: [int, bytes],
  getpeername: [int, bytes],
  inet_pton: [int, bytes, bytes, int],
  inet_ntop: [int, bytes, int, bytes, int],
  getaddrinfo: [bytes, bytes, int],
  read: [int, bytes, int, int],
  write: [int, bytes, int, int],
  close: [int],
  equal: [bytes, int, bytes, int],
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
  waitid: [int, bytes, int],
  signal_catch: [int, int],
  signal_release: [int],
  signal_take: [int],
  bridge: [int, int, int],
  bridge_end: [int],
};

let table: Syscalls | undefined;
let interposed: Syscalls | undefined;

/**
 * The system calls of this machine's kernel; compiles the shim when first called (some milliseconds, once a thread).
 *
 * @throws {Error} with one sentence that says what is missing, anywhere but in Bun >= 1.4 on Linux, x86-64 or arm64
 */
export function syscalls(): Syscalls {
  return interposed ?? untracedSyscalls();
}

/** The same, whoever has interposed: for the package's own plumbing. */
export function untracedSyscalls(): Syscalls {
  return (table ??= compile(source, signatures));
}

/** Have all of this thread that asks from now on use another table: one that tells of what a program does, which knows nothing of it. */
export function wrapSyscalls(wrap: (sys: Syscalls) => Syscalls): void {
  interposed = wrap(untracedSyscalls());
}

/**
 * The functions of a C unit that needs no header and has `address_of(name)`.
 *
 * @throws {Error} see syscalls
 */
export function compile<Functions>(unit: string, signatures: Signatures<Functions>): Functions {
  const { cc, dlopen, linkSymbols } = bunFfi();
  // cc wants a file, and in a bundle or a compiled program there is none: a memfd is one everywhere, /tmp or not.
  const libc = dlopen("libc.so.6", {
    memfd_create: { args: ["buffer", "u32"], returns: "i32" },
    write: { args: ["i32", "buffer", "u64"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
  });
  try {
    const text = new TextEncoder().encode(unit);
    const fd = Number(libc.symbols.memfd_create?.(new TextEncoder().encode("epoll-hello-shim.c\0"), 1));
    if (fd < 0) throw new Error("epoll-hello: memfd_create failed: is the limit of open files reached?");
    try {
      if (Number(libc.symbols.write?.(fd, text, text.length)) !== text.length) {
        throw new Error("epoll-hello: cannot write the shim's source to memory");
      }
      // Its own flags also keep BUN_TCC_OPTIONS out. The handle is never closed: its code is in use for good.
      const { symbols } = cc({
        source: `/proc/self/fd/${fd}`,
        flags: ["-nostdlib", "-nostdinc"],
        symbols: { address_of: { args: ["ptr"], returns: "ptr" } },
      });
      const addressOf = symbols["address_of"] as (name: Uint8Array) => number | null;
      return link(addressOf, signatures, linkSymbols);
    } finally {
      libc.symbols.close?.(fd);
    }
  } finally {
    libc.close();
  }
}

/** All functions through linkSymbols, whose calls the engine inlines; cc's own take three times as long. */
function link<Functions>(
  addressOf: (name: Uint8Array) => number | null,
  signatures: Signatures<Functions>,
  linkSymbols: BunFfi["linkSymbols"],
): Functions {
  const encoder = new TextEncoder();
  const symbols: Record<string, object> = {};
  for (const [name, args] of Object.entries<readonly string[]>(signatures)) {
    const ptr = addressOf(encoder.encode(`${name}\0`));
    if (ptr === null || ptr === 0) throw new Error("epoll-hello: this libc lacks a function that the shim needs");
    symbols[name] = { args, returns: "i32", ptr };
  }
  return linkSymbols(symbols).symbols as Functions;
}

/** As much of bun:ffi as is used here, so that no published type needs Bun's. */
interface BunFfi {
  cc(options: object): { symbols: Record<string, (...args: never[]) => unknown> };
  dlopen(library: string, symbols: object): { symbols: Record<string, (...args: unknown[]) => unknown>; close(): void };
  linkSymbols(symbols: object): { symbols: Record<string, (...args: unknown[]) => unknown> };
}

/** Not an `import` statement: that would fail while this module loads, where Bun is not there to explain it. */
function bunFfi(): BunFfi {
  const { platform, arch, versions } = process;
  const here = `this is ${versions.bun === undefined ? `Node.js ${versions.node}` : `Bun ${versions.bun}`} on ${platform} ${arch}`;
  const [major = 0, minor = 0] = (versions.bun ?? "0.0").split(".").map(Number);
  if (platform !== "linux") throw new Error(`epoll-hello needs Linux, where epoll is; ${here}.`);
  if (major < 1 || (major === 1 && minor < 4)) throw new Error(`epoll-hello needs Bun 1.4 or newer; ${here}.`);
  if (arch !== "x64" && arch !== "arm64") throw new Error(`epoll-hello needs x86-64 or arm64; ${here}.`);
  return process.getBuiltinModule("bun:ffi" as "module") as unknown as BunFfi;
}
