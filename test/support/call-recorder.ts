// Records the system calls that run loops make, and finds those that may wait.

import { fstatSync } from "node:fs";
import {
  F_GETFL,
  F_SETFL,
  MSG_DONTWAIT,
  O_NONBLOCK,
  SO_LINGER,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from "../../src/kernel/constants.ts";
import { syscalls, type Syscalls, untracedSyscalls } from "../../src/kernel/ffi.ts";

type Name = keyof Syscalls;
type Call = (...args: unknown[]) => number;

/** How a server runs: only on Bun's event loop can other threads wait for files. */
export type Runs = "by start" | "by run or tick";

const RESOLVE_CACHED = 0x20;
const RWF_NOWAIT = 0x8;
const O_PATH = 0x200000;

/** The calls of a bridge, which has the unwrapped table. */
const BRIDGE_CALLS = [
  "socketpair",
  "fcntl",
  "disown",
  "bridge_start",
  "bridge_take",
  "bridge_resume",
  "bridge_stop",
  "bridge_free",
] as const satisfies Name[];

const host = { ...syscalls() };

/** Returns why a call may wait; undefined if it cannot. */
type Check = (runs: Runs, ...args: number[]) => string | undefined;

const needsNonblocking: Check = (_, fd = -1) => {
  const flags = host.fcntl(fd, F_GETFL, 0);
  if ((flags & O_NONBLOCK) !== 0) return undefined;
  host.fcntl(fd, F_SETFL, flags | O_NONBLOCK); // the test fails, and does not hang
  return `fd ${fd} is blocking`;
};

const needsNonblockingOrFlag: Check = (runs, fd, _bytes, _offset, _length, flags = 0) =>
  (flags & MSG_DONTWAIT) === 0 ? needsNonblocking(runs, fd as number) : undefined;

const checks: Partial<Record<Name, Check>> = {
  epoll_wait: (runs, _epfd, _out, _max, timeoutMs) =>
    runs === "by start" && timeoutMs !== 0 ? `the timeout is ${timeoutMs}` : undefined,
  recv: needsNonblockingOrFlag,
  send: needsNonblockingOrFlag,
  read: needsNonblocking,
  write: needsNonblocking,
  accept4: (runs, fd, peer, flags = 0) =>
    (flags & SOCK_NONBLOCK) === 0 ? "the connection is blocking" : needsNonblocking(runs, fd as number, peer as number),
  open: (runs, _path, flags = 0) =>
    runs === "by start" || (flags & (O_NONBLOCK | O_PATH)) === 0 ? `open with the flags ${flags}` : undefined,
  openat2: (_, _path, flags = 0, resolve = 0) =>
    (flags & (O_NONBLOCK | O_PATH)) === 0 || (resolve & RESOLVE_CACHED) === 0
      ? "the path may not be cached"
      : undefined,
  preadv2(runs, fd = -1, _bytes, _length, _low, _high, flags = 0) {
    if (!fstatSync(fd).isFile()) return `fd ${fd} is not a regular file`;
    return (flags & RWF_NOWAIT) === 0 && runs === "by start" ? "the data may not be cached" : undefined;
  },
  // close(2) ignores O_NONBLOCK if SO_LINGER is set: it waits until everything is sent, or the time is over.
  close(_, fd = -1) {
    const linger = new Int32Array(new ArrayBuffer(8));
    const n = host.getsockopt(fd, SOL_SOCKET, SO_LINGER, linger as unknown as Uint8Array, 8);
    return n === 8 && linger[0] !== 0 && linger[1] !== 0 ? `SO_LINGER is ${linger[1]} s` : undefined;
  },
};

export class CallRecorder implements Disposable {
  /** The functions of the table that were called between the first wait and the end of a loop. */
  readonly names: Set<string> = new Set();
  /** The calls that may wait, with the reason. */
  mayWait: string[] = [];
  /** The fds of the socket pairs that bridges have opened, the thread's end first. */
  readonly pairs: number[][] = [];

  /** Records the calls of all bridges until this object is disposed of. */
  constructor() {
    const table = untracedSyscalls() as unknown as Record<string, Call>;
    for (const name of BRIDGE_CALLS) {
      table[name] = (...args) => {
        const n = (host[name] as Call)(...args);
        this.names.add(name);
        if (name === "socketpair") this.pairs.push([...(args[3] as Int32Array)]);
        return n;
      };
    }
  }

  [Symbol.dispose](): void {
    Object.assign(untracedSyscalls(), Object.fromEntries(BRIDGE_CALLS.map((name) => [name, host[name]])));
  }

  /** Returns a table for one server. `replace` has calls to make instead of the real ones. */
  table(runs: Runs, replace: Partial<Syscalls> = {}): Syscalls {
    const calls: Syscalls = { ...host, ...replace };
    let epfd = -1;
    const record = (name: Name, args: unknown[]): void => {
      if (name === "epoll_wait" || name === "handed_over") epfd = args[0] as number;
      if (epfd < 0) return; // being set up
      this.names.add(name);
      const reason = checks[name]?.(runs, ...(args as number[]));
      if (reason !== undefined) this.mayWait.push(`${name}, ${runs}: ${reason}`);
      if (name === "close" && args[0] === epfd) epfd = -1;
    };
    const recording = Object.entries(calls).map(([name, call]) => [
      name,
      (...args: unknown[]) => {
        record(name as Name, args);
        return (call as Call)(...args);
      },
    ]);
    return Object.fromEntries(recording) as Syscalls;
  }
}
