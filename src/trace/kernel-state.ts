// What the kernel itself says: which descriptors an epoll instance watches, what waits in a descriptor's queues, and why it is ready.

import { addressBuffer, type Address, decodeAddress } from "../kernel/address.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLLERR,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  EPOLLWAKEUP,
  IPPROTO_TCP,
  SO_ACCEPTCONN,
  SO_DOMAIN,
  SO_TYPE,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_INFO,
} from "../kernel/constants.ts";
import { formatMask } from "../kernel/format-mask.ts";
import { EBADF } from "../kernel/errno.ts";
import { check, ErrnoError } from "../kernel/errors.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import { untracedSyscalls, type Syscalls } from "../kernel/ffi.ts";
import { tryGetIntOption } from "../kernel/int-options.ts";
import { nodeFs } from "../kernel/node-fs.ts";
import { decodeTcpInfo, TCP_INFO_BYTES, type TcpInfo } from "../kernel/tcp-info.ts";
import { formatPeer } from "./format.ts";

const FIONREAD = 0x541b;
const SIOCOUTQ = 0x5411;
/** How a registration behaves, not what it is for: these stay when EPOLLONESHOT has had its one event. */
const MANNERS = EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP;
const ALL = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP;

/** A line of the kernel's interest list. */
export interface Interest {
  fd: number;
  /** As registered, with EPOLLERR and EPOLLHUP, which the kernel adds; without them: EPOLLONESHOT has had its event. */
  mask: number;
}

/**
 * The kernel's own interest list of an epoll instance of this process, by descriptor.
 *
 * @throws {ErrnoError} EBADF if it is not open
 * @throws {TypeError} if it is no epoll instance
 * @see proc_pid_fdinfo(5)
 */
export function interestList(epoll: FdLike): Interest[] {
  const epfd = toFd(epoll);
  const text = fdInfo(epfd);
  if (fileOf(epfd) !== "anon_inode:[eventpoll]") throw new TypeError(`descriptor ${epfd} is no epoll instance`);
  return [...text.matchAll(/^tfd:\s*(\d+) events:\s*([\da-f]+)/gm)]
    .map(([, fd, mask]) => ({ fd: Number(fd), mask: Number.parseInt(mask as string, 16) }))
    .sort((a, b) => a.fd - b.fd);
}

/** Where a program's own idea of what it watches is not the kernel's. `undefined`: not watched. */
export interface InterestDifference {
  fd: number;
  ours: number | undefined;
  kernels: number | undefined;
  /** In a sentence. */
  message: string;
}

/** @param ours what the program believes that it has registered */
export function compareInterest(ours: ReadonlyMap<number, number>, epoll: FdLike): InterestDifference[] {
  const kernels = new Map(interestList(epoll).map(({ fd, mask }) => [fd, mask]));
  const fds = [...new Set([...ours.keys(), ...kernels.keys()])].sort((a, b) => a - b);
  return fds.flatMap((fd) => {
    const [mine, theirs] = [ours.get(fd), kernels.get(fd)];
    const message = differ(mine, theirs);
    return message === undefined ? [] : [{ fd, ours: mine, kernels: theirs, message: `${fd}: ${message}` }];
  });
}

function differ(ours: number | undefined, kernels: number | undefined): string | undefined {
  if (ours === undefined)
    return "the kernel still watches it, and the program does not know: a duplicate keeps it alive";
  if (kernels === undefined) return "the program believes that it is watched, and the kernel does not: it was closed";
  if ((kernels & ~MANNERS) === 0 && (ours & EPOLLONESHOT) !== 0) {
    return "EPOLLONESHOT has had its one event: nothing is reported until it is armed again";
  }
  if ((ours | EPOLLERR | EPOLLHUP) >>> 0 === kernels >>> 0) return undefined;
  return `the program believes in ${formatMask(ours)}, the kernel watches ${formatMask(kernels)}`;
}

/** One descriptor, as the kernel has it now. */
export interface FdInfo {
  fd: number;
  kind: "connection" | "listener" | "datagrams" | "other";
  /** The kernel's name for it: `socket:[4711]`, `pipe:[12]`, `anon_inode:[eventfd]`, a path. */
  file: string;
  /** All that it is ready for now, whether anybody asks or not; 0 also for what epoll cannot watch. */
  ready: number;
  /** Bytes that can be read. */
  unread: number | undefined;
  /** Bytes that the peer has not taken yet; on a unix socket what they take up in memory. */
  unsent: number | undefined;
  local: Address | undefined;
  peer: Address | undefined;
  tcp: TcpInfo | undefined;
}

/**
 * Look at a descriptor, without changing anything.
 *
 * @throws {ErrnoError} EBADF if it is not open
 * @see ioctl_tty(2), FIONREAD; tcp(7), SIOCOUTQ and TCP_INFO
 */
export function inspectFd(fdLike: FdLike): FdInfo {
  const fd = toFd(fdLike);
  const sys = untracedSyscalls();
  const file = fileOf(fd);
  const kind = kindOf(sys, fd);
  const family = kind === "other" ? 0 : tryGetIntOption(sys, fd, SOL_SOCKET, SO_DOMAIN);
  const isTcp = (family === AF_INET || family === AF_INET6) && (kind === "connection" || kind === "listener");
  return {
    fd,
    kind,
    file,
    ready: readiness(sys, fd),
    unread: kind === "listener" ? undefined : count(sys.ioctl(fd, FIONREAD)),
    unsent: kind === "connection" ? count(sys.ioctl(fd, SIOCOUTQ)) : undefined,
    local: kind === "other" ? undefined : address(sys, sys.getsockname, fd),
    peer: kind === "connection" ? address(sys, sys.getpeername, fd) : undefined,
    tcp: isTcp ? tcpInfo(sys, fd) : undefined,
  };
}

/** How many bytes wait to be read, and to be taken by the peer; undefined: there is no such queue. */
export function queuesOf(fd: number): { unread: number | undefined; unsent: number | undefined } {
  const sys = untracedSyscalls();
  return { unread: count(sys.ioctl(fd, FIONREAD)), unsent: count(sys.ioctl(fd, SIOCOUTQ)) };
}

/**
 * Why epoll reports a descriptor, or does not, in sentences.
 *
 * @param mask what it is watched for; undefined: it is not
 */
export function explainReadiness(look: FdInfo, mask: number | undefined): string {
  return [subject(look), ...input(look), ...output(look), ...ends(look), verdict(look, mask)].join(" ");
}

function subject({ fd, kind, file, local, peer, tcp }: FdInfo): string {
  const at = (address: Address | undefined): string => (address === undefined ? "nowhere" : formatPeer(address));
  if (kind === "listener") return `${fd} listens at ${at(local)}.`;
  if (kind === "datagrams") return `${fd} is a socket for datagrams at ${at(local)}.`;
  if (kind === "connection") {
    const isUnix = local !== undefined && "path" in local;
    const state = tcp === undefined ? "" : `, ${tcp.state}`;
    return `${fd} is a ${isUnix ? "unix" : "TCP"} connection with ${peer === undefined ? "nobody" : at(peer)}${state}.`;
  }
  return `${fd} is ${file}.`;
}

function input({ kind, ready, unread, tcp }: FdInfo): string[] {
  if (kind === "listener") {
    const waiting = tcp?.unacked; // of a listener, tcp_info has the queue there
    if ((ready & EPOLLIN) === 0) return ["No connection waits to be accepted."];
    return [`${waiting === undefined ? "Somebody" : people(waiting)} to be accepted, so it is readable (EPOLLIN).`];
  }
  if (unread !== undefined && unread > 0) {
    return [`${bytes(unread)} to be read${(ready & EPOLLIN) === 0 ? "" : ", so it is readable (EPOLLIN)"}.`];
  }
  if ((ready & (EPOLLRDHUP | EPOLLIN)) === (EPOLLRDHUP | EPOLLIN)) {
    return [
      "Nothing is left to be read, and the peer sends no more: recv will say so with 0, so it is readable (EPOLLIN).",
    ];
  }
  return [(ready & EPOLLIN) === 0 ? "Nothing waits to be read." : "It is readable (EPOLLIN)."];
}

function output({ kind, ready, unsent }: FdInfo): string[] {
  if (kind !== "connection") return (ready & EPOLLOUT) === 0 ? [] : ["It is writable (EPOLLOUT)."];
  const queued = unsent === undefined || unsent === 0 ? "" : `${bytes(unsent)} for the peer to take`;
  if ((ready & EPOLLOUT) !== 0)
    return [`${queued === "" ? "The" : `${queued}; the`} kernel would take more to send (EPOLLOUT).`];
  return [`${queued === "" ? "The" : `${queued}: the`} kernel takes no more to send.`];
}

function ends({ ready }: FdInfo): string[] {
  if ((ready & EPOLLERR) !== 0) return ["It is broken (EPOLLERR), which is reported whether asked for or not."];
  if ((ready & EPOLLHUP) !== 0) {
    return ["Both directions are at their end (EPOLLHUP), which is reported whether asked for or not."];
  }
  return [];
}

function verdict({ ready }: FdInfo, mask: number | undefined): string {
  if (mask === undefined) return "Epoll does not watch it.";
  const asked = mask & ~MANNERS;
  const reported = ready & (asked | EPOLLERR | EPOLLHUP);
  const wish = asked === 0 ? "Nothing is asked for" : `${formatMask(asked)} is asked for`;
  if (reported === 0) return `${wish}: epoll_wait is silent about it.`;
  const how = (mask & EPOLLET) === 0 ? "" : ", once for each time that something new comes (EPOLLET)";
  return `${wish}: epoll_wait reports ${formatMask(reported)}${how}.`;
}

function bytes(count: number): string {
  return count === 1 ? "1 byte waits" : `${count} bytes wait`;
}

function people(count: number): string {
  return count === 1 ? "1 connection waits" : `${count} connections wait`;
}

/** What an epoll instance made for this one question reports. */
function readiness(sys: Syscalls, fd: number): number {
  const epfd = check(sys.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  try {
    if (sys.epoll_ctl(epfd, EPOLL_CTL_ADD, fd, ALL, 0) < 0) return 0; // EPERM: a file, always ready and never watched
    const out = new Int32Array(new ArrayBuffer(16));
    return sys.epoll_wait(epfd, out, 1, 0) > 0 ? (out[0] as number) : 0;
  } finally {
    sys.close(epfd);
  }
}

function kindOf(sys: Syscalls, fd: number): FdInfo["kind"] {
  const type = tryGetIntOption(sys, fd, SOL_SOCKET, SO_TYPE);
  if (type === undefined) return "other";
  if (type === SOCK_DGRAM) return "datagrams";
  if (tryGetIntOption(sys, fd, SOL_SOCKET, SO_ACCEPTCONN) === 1) return "listener";
  return type === SOCK_STREAM || tryGetIntOption(sys, fd, SOL_SOCKET, SO_DOMAIN) === AF_UNIX ? "connection" : "other";
}

function tcpInfo(sys: Syscalls, fd: number): TcpInfo | undefined {
  const all = new Uint8Array(new ArrayBuffer(TCP_INFO_BYTES));
  const n = sys.getsockopt(fd, IPPROTO_TCP, TCP_INFO, all, all.length);
  return n < 0 ? undefined : decodeTcpInfo(all.subarray(0, n));
}

function address(sys: Syscalls, ask: Syscalls["getsockname"], fd: number): Address | undefined {
  const buffer = addressBuffer();
  return ask(fd, buffer) < 0 ? undefined : decodeAddress(sys, buffer);
}

function count(answer: number): number | undefined {
  return answer < 0 ? undefined : answer;
}

function fileOf(fd: number): string {
  try {
    return nodeFs().readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    throw new ErrnoError(EBADF, "readlink", { fd });
  }
}

function fdInfo(fd: number): string {
  try {
    return nodeFs().readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
  } catch {
    throw new ErrnoError(EBADF, "fdinfo", { fd });
  }
}
