// What the kernel knows about an open file descriptor: its type, queues, addresses and readiness.

import { type Address, addressBuffer, decodeAddress } from "../kernel/address.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  SO_ACCEPTCONN,
  SO_DOMAIN,
  SO_TYPE,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import { untracedSyscalls } from "../kernel/ffi.ts";
import { tryGetIntOption } from "../kernel/int-options.ts";
import type { TcpInfo } from "../kernel/tcp-info.ts";
import { openFileName } from "./interest-list.ts";
import { type AcceptQueue, acceptQueue, type FdSyscalls, tcpInfo } from "./kernel-queries.ts";
import type { KernelView } from "./kernel-view.ts";

const FIONREAD = 0x541b;
const SIOCOUTQ = 0x5411;
const ALL_EVENTS = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP;

/** What the kernel reports about an fd. */
export interface FdInfo {
  fd: number;
  kind: "connection" | "listener" | "datagram" | "other";
  /** The kernel's name for the open file: `socket:[4711]`, `pipe:[12]`, `anon_inode:[eventfd]`, a path. */
  file: string;
  /** The events that the fd is ready for, whether or not it is registered; 0 for a file that epoll cannot watch. */
  ready: number;
  /** The number of bytes in the receive queue; undefined if there is no such queue. */
  receiveQueueBytes: number | undefined;
  /** The number of bytes in the send queue; on a unix socket, the memory that they occupy. Undefined if there is no such queue. */
  sendQueueBytes: number | undefined;
  /** The local address of a socket. */
  local: Address | undefined;
  /** The address of the peer of a connection. */
  peer: Address | undefined;
  /** The TCP_INFO of a TCP socket. */
  tcp: TcpInfo | undefined;
  /** The accept queue of a listening TCP socket. */
  acceptQueue: AcceptQueue | undefined;
}

/**
 * Returns what the kernel knows about an fd, without changing its state.
 *
 * @throws {ErrnoError} EBADF if the fd is not open
 * @throws {TypeError} if `fd` is neither a number nor has `fileno()`
 * @see FIONREAD, ioctl_tty(2); SIOCOUTQ and TCP_INFO, tcp(7)
 */
export function inspectFd(fd: FdLike): FdInfo {
  return inspectFdIn({ sys: untracedSyscalls(), openFileName }, toFd(fd));
}

/**
 * Returns what the kernel knows about an fd of a process.
 *
 * @throws {ErrnoError} EBADF if the fd is not open
 */
export function inspectFdIn(kernel: Pick<KernelView, "sys" | "openFileName">, number: number): FdInfo {
  const { sys } = kernel;
  const file = kernel.openFileName(number);
  const kind = kindOf(sys, number);
  const family = kind === "other" ? undefined : tryGetIntOption(sys, number, SOL_SOCKET, SO_DOMAIN);
  const isTcp = (family === AF_INET || family === AF_INET6) && kind !== "datagram";
  const queues = queueSizes(number, sys);
  return {
    fd: number,
    kind,
    file,
    ready: readinessOf(sys, number),
    receiveQueueBytes: kind === "listener" ? undefined : queues.receiveQueueBytes,
    sendQueueBytes: kind === "connection" ? queues.sendQueueBytes : undefined,
    local: kind === "other" ? undefined : readAddress(sys.getsockname, number),
    peer: kind === "connection" ? readAddress(sys.getpeername, number) : undefined,
    tcp: isTcp ? tcpInfo(sys, number) : undefined,
    acceptQueue: isTcp && kind === "listener" ? acceptQueue(sys, number) : undefined,
  };
}

/** Returns the sizes of an fd's queues in the kernel; undefined for a queue that it does not have. */
export function queueSizes(
  fd: number,
  sys: Pick<FdSyscalls, "ioctl"> = untracedSyscalls(),
): Pick<FdInfo, "receiveQueueBytes" | "sendQueueBytes"> {
  return {
    receiveQueueBytes: undefinedIfFailed(sys.ioctl(fd, FIONREAD)),
    sendQueueBytes: undefinedIfFailed(sys.ioctl(fd, SIOCOUTQ)),
  };
}

/** Polls the fd with a temporary epoll instance. */
function readinessOf(sys: FdSyscalls, fd: number): number {
  const epfd = check(sys.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  try {
    // EPERM: a regular file, which is always ready and cannot be watched.
    if (sys.epoll_ctl(epfd, EPOLL_CTL_ADD, fd, ALL_EVENTS, 0) < 0) return 0;
    const events = new Int32Array(new ArrayBuffer(16));
    return sys.epoll_wait(epfd, events, 1, 0) > 0 ? (events[0] as number) : 0;
  } finally {
    sys.close(epfd);
  }
}

function kindOf(sys: FdSyscalls, fd: number): FdInfo["kind"] {
  const type = tryGetIntOption(sys, fd, SOL_SOCKET, SO_TYPE);
  if (type === undefined) return "other";
  if (type === SOCK_DGRAM) return "datagram";
  if (tryGetIntOption(sys, fd, SOL_SOCKET, SO_ACCEPTCONN) === 1) return "listener";
  return type === SOCK_STREAM || tryGetIntOption(sys, fd, SOL_SOCKET, SO_DOMAIN) === AF_UNIX ? "connection" : "other";
}

function readAddress(read: FdSyscalls["getsockname"], fd: number): Address | undefined {
  const buffer = addressBuffer();
  return read(fd, buffer) < 0 ? undefined : decodeAddress(untracedSyscalls(), buffer);
}

function undefinedIfFailed(result: number): number | undefined {
  return result < 0 ? undefined : result;
}
