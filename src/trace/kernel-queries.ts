// Questions to the kernel that change nothing: what fds are ready for, and the accept queue of a listening socket.

import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLNVAL, IPPROTO_TCP, SOL_SOCKET, TCP_INFO } from "../kernel/constants.ts";
import { EINTR } from "../kernel/errno.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { decodeTcpInfo, TCP_INFO_BYTES, type TcpInfo } from "../kernel/tcp-info.ts";

/** System calls that ask about an fd, and change nothing. An epoll instance that is created with them is one of this process. */
export type FdSyscalls = Pick<
  Syscalls,
  | "poll"
  | "getsockopt"
  | "ioctl"
  | "fcntl"
  | "getsockname"
  | "getpeername"
  | "epoll_create1"
  | "epoll_ctl"
  | "epoll_wait"
  | "close"
>;

/** poll(2) has the events of epoll_wait(2) in 16 bits. */
const POLL_EVENTS = 0xffff;
/** The number of fds in one call, which RLIMIT_NOFILE limits. */
const MAX_POLL_FDS = 256;
const FIONREAD = 0x541b;
const SO_MEMINFO = 55;
/** The index of the number of dropped packets in the array of SO_MEMINFO, see linux/sock_diag.h. */
const SK_MEMINFO_DROPS = 8;

/**
 * Returns what fds are ready for, without taking anything from the kernel's ready list. An fd that is not open is ready for nothing.
 *
 * @param pairs an fd, and the mask of the events to report; EPOLLERR and EPOLLHUP are always reported
 * @returns the events of each pair, in the same order
 * @see poll(2)
 */
export function pollFds(sys: FdSyscalls, pairs: readonly (readonly [fd: number, mask: number])[]): number[] {
  const ready: number[] = [];
  for (let start = 0; start < pairs.length; start += MAX_POLL_FDS) {
    ready.push(...pollSome(sys, pairs.slice(start, start + MAX_POLL_FDS)));
  }
  return ready;
}

function pollSome(sys: FdSyscalls, pairs: readonly (readonly [fd: number, mask: number])[]): number[] {
  const fds = new Int32Array(new ArrayBuffer(8 * pairs.length));
  for (const [i, [fd, mask]] of pairs.entries()) {
    fds[2 * i] = fd;
    fds[2 * i + 1] = mask & POLL_EVENTS;
  }
  for (let n; (n = sys.poll(fds, pairs.length, 0)) < 0;) if (n !== -EINTR) return pairs.map(() => 0);
  return pairs.map(([, mask], i) => {
    const ready = (fds[2 * i + 1] as number) >>> 16;
    return (ready & EPOLLNVAL) !== 0 ? 0 : ready & ((mask & POLL_EVENTS) | EPOLLERR | EPOLLHUP);
  });
}

/** Returns whether an fd is readable: for a listening socket, whether a connection can be accepted. */
export function isReadable(sys: FdSyscalls, fd: number): boolean {
  return ((pollFds(sys, [[fd, EPOLLIN]])[0] as number) & EPOLLIN) !== 0;
}

/** The part of struct tcp_info without which its state and options are unknown. */
const MIN_TCP_INFO_BYTES = 8;

/** Returns the TCP_INFO of a TCP socket; undefined for any other fd. */
export function tcpInfo(sys: FdSyscalls, fd: number): TcpInfo | undefined {
  const bytes = new Uint8Array(new ArrayBuffer(TCP_INFO_BYTES));
  const size = sys.getsockopt(fd, IPPROTO_TCP, TCP_INFO, bytes, bytes.length);
  return size < MIN_TCP_INFO_BYTES ? undefined : decodeTcpInfo(bytes.subarray(0, size)); // qemu-user returns 4 bytes
}

/** The accept queue of a listening TCP socket. */
export interface AcceptQueue {
  /** The number of connections that wait to be accepted: Recv-Q in ss(8). */
  length: number;
  /** The backlog: Send-Q in ss(8). The queue is full when it is longer, and new connections are dropped. */
  limit: number;
  /** The number of packets for the socket that were dropped: because the queue was full, or for other reasons, such as TCP_DEFER_ACCEPT. */
  dropped: number;
}

/** Returns the accept queue of a listening TCP socket; undefined for any other fd. */
export function acceptQueue(sys: FdSyscalls, fd: number): AcceptQueue | undefined {
  // A listening socket has the queue in these two fields, see tcp_get_info() in the kernel's net/ipv4/tcp.c.
  const { state, unacked: length, sacked: limit } = tcpInfo(sys, fd) ?? {};
  if (state !== "LISTEN" || length === undefined || limit === undefined) return undefined;
  const memory = new Int32Array(new ArrayBuffer(4 * (SK_MEMINFO_DROPS + 1)));
  const written = sys.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, memory.byteLength);
  return { length, limit, dropped: written === memory.byteLength ? (memory[SK_MEMINFO_DROPS] as number) : 0 };
}

/** Returns whether an accept queue is full, so that the kernel drops new connections. */
export function isFull({ length, limit }: AcceptQueue): boolean {
  return length > limit;
}

/**
 * Returns how many bytes of a TCP connection have been read, by this program or by another owner of the socket; undefined for any other
 * fd. The end of the stream counts as a byte.
 */
export function bytesRead(sys: FdSyscalls, fd: number): number | undefined {
  const bytesReceived = tcpInfo(sys, fd)?.bytesReceived;
  return bytesReceived === undefined ? undefined : bytesReceived - Math.max(0, sys.ioctl(fd, FIONREAD));
}
