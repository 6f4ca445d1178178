// The listening sockets of a server: all addresses of a host on one port, a unix socket, or inherited fds.

import { dirname } from "node:path";
import { nodeFs } from "../kernel/node-fs.ts";
import {
  type Address,
  ADDRESS_BYTES,
  decodeAddress,
  familyOf,
  formatAddress,
  formatEndpoint,
  type InternetAddress,
} from "../kernel/address.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  SO_ACCEPTCONN,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_TYPE,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_DEFER_ACCEPT,
  TCP_NODELAY,
} from "../kernel/constants.ts";
import { EADDRINUSE, EAGAIN } from "../kernel/errno.ts";
import { ErrnoError, invalidValue, LookupError } from "../kernel/errors.ts";
import { setCloexec } from "../kernel/fd.ts";
import { encodePath } from "../kernel/path-bytes.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { getIntOption } from "../kernel/int-options.ts";
import { Socket } from "../io/socket.ts";
import type { ResolvedOptions } from "./resolve-options.ts";

export type ListenOptions = Pick<
  ResolvedOptions,
  "hostname" | "port" | "unix" | "fd" | "backlog" | "reusePort" | "ipv6Only" | "deferAccept"
>;

/** A listening socket. Closing that of a unix socket also removes its file. */
export interface Listener {
  readonly socket: Socket;
  readonly address: Address;
  /** Returns the listener of a duplicate of the socket, which from then on is the one that removes the file of a unix socket. */
  handOver(duplicate: number): Listener;
  close(): void;
}

function listenerOf(socket: Socket, address: Address): Listener {
  return {
    socket,
    address,
    handOver: (duplicate) => listenerOf(Socket.fromfd(duplicate), address),
    close: () => socket.close(),
  };
}

const MAX_PORT_ATTEMPTS = 32;
const MAX_ADDRESSES = 16;

/**
 * Opens all listening sockets, or none.
 *
 * @throws {ErrnoError} EADDRINUSE, EADDRNOTAVAIL, EACCES, … with address and port
 * @throws {LookupError} if the host name cannot be resolved
 */
export function openListeners(sys: Syscalls, options: ListenOptions): Listener[] {
  if (options.fd !== undefined) return adoptListeners(sys, options.fd);
  if (options.unix !== undefined) return [openUnix(sys, options.unix, options.backlog)];
  const addresses = resolveHost(sys, options.hostname);
  // Port 0 selects a free port for the first address. If it is taken at another address, try again with another port.
  for (let attempt = 1; ; attempt++) {
    try {
      return openAll(sys, addresses, options);
    } catch (error) {
      const isPortTaken = options.port === 0 && addresses.length > 1 && isErrno(error, "EADDRINUSE");
      if (!isPortTaken || attempt === MAX_PORT_ATTEMPTS) throw error;
    }
  }
}

/** Takes ownership of sockets that are already listening: all of them, or none. */
function adoptListeners(sys: Syscalls, fds: readonly number[]): Listener[] {
  for (const fd of fds) {
    const isStream = getIntOption(sys, fd, SOL_SOCKET, SO_TYPE) === SOCK_STREAM;
    if (!isStream || getIntOption(sys, fd, SOL_SOCKET, SO_ACCEPTCONN) !== 1) {
      throw invalidValue(`fd ${fd} is not a listening stream socket: call bind and listen before passing it`);
    }
  }
  return fds.map((fd) => {
    setCloexec(sys, fd);
    const socket = Socket.fromfd(fd);
    socket.setLinger(null); // accepted connections inherit it, and close(2) would wait for their peers, though non-blocking
    if (socket.family !== AF_UNIX) socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    return listenerOf(socket, socket.getsockname());
  });
}

function openAll(sys: Syscalls, addresses: readonly InternetAddress[], options: ListenOptions): Listener[] {
  const open: Listener[] = [];
  let { port } = options;
  let failure: unknown;
  try {
    for (const address of addresses) {
      try {
        const listener = openInternet(sys, { ...address, port }, options);
        open.push(listener);
        port = (listener.address as InternetAddress).port;
      } catch (error) {
        // Without IPv6, localhost still has its IPv4 address.
        if (addresses.length === 1 || !isErrno(error, "EADDRNOTAVAIL", "EAFNOSUPPORT")) throw error;
        failure ??= error;
      }
    }
    if (open.length === 0) throw failure;
    return open;
  } catch (error) {
    for (const listener of open) listener.close();
    throw error;
  }
}

function openInternet(
  sys: Syscalls,
  address: InternetAddress,
  { backlog, reusePort, ipv6Only, deferAccept }: ListenOptions,
): Listener {
  const family = address.family === "IPv6" ? AF_INET6 : AF_INET;
  const socket = newSocket(sys, family);
  try {
    socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); // allows bind while connections of the port are in TIME_WAIT
    if (reusePort) socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1);
    // "::" also accepts IPv4 unless ipv6Only is set, whatever net.ipv6.bindv6only says. Other addresses belong to one family.
    if (family === AF_INET6)
      socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, ipv6Only || !/^[0:.]+$/.test(address.address));
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1); // accepted connections inherit it
    if (deferAccept) socket.setsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT, 1); // seconds
    socket.bind(address);
    listen(socket, backlog, address);
    return listenerOf(socket, socket.getsockname());
  } catch (error) {
    socket.close();
    throw error;
  }
}

function openUnix(sys: Syscalls, path: string, backlog: number): Listener {
  const socket = newSocket(sys, AF_UNIX);
  try {
    // Between bind and listen the socket refuses connections, as a stale one does: another server must not look at it then.
    const unlock = path.startsWith("\0") ? undefined : lockDirectory(sys, path);
    try {
      bindUnix(sys, socket, path);
      socket.listen(backlog);
      return unixListener(socket, path, inodeOf(path));
    } finally {
      unlock?.();
    }
  } catch (error) {
    socket.close();
    throw error;
  }
}

function unixListener(socket: Socket, path: string, inode: string | undefined): Listener {
  let ownsFile = inode !== undefined;
  return {
    socket,
    address: socket.getsockname(),
    handOver(duplicate) {
      ownsFile = false;
      return unixListener(Socket.fromfd(duplicate), path, inode);
    },
    close() {
      if (socket.closed) return;
      // The file is removed first: while this socket listens, no other server takes the file for a stale one and replaces it. A
      // file with another inode is another server's.
      try {
        if (ownsFile && inodeOf(path) === inode) nodeFs().rmSync(path, { force: true });
      } finally {
        socket.close();
      }
    },
  };
}

function bindUnix(sys: Syscalls, socket: Socket, path: string): void {
  try {
    socket.bind({ path });
  } catch (error) {
    if (!isErrno(error, "EADDRINUSE") || !removeStaleSocketFile(sys, path)) throw error;
    socket.bind({ path });
  }
}

const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_TIMEOUT_MS = 10_000;
const LOCK_POLL_MS = 5;

/**
 * Locks the directory of a socket against other servers that are starting there, see flock(2). The kernel releases the lock if this
 * process dies. Without permission to read the directory, or where its file system has no locks, nothing is locked.
 *
 * @returns a function that releases the lock
 * @throws {ErrnoError} EADDRINUSE if another process keeps the lock
 */
function lockDirectory(sys: Syscalls, path: string): (() => void) | undefined {
  const { openSync, closeSync } = nodeFs();
  let fd: number;
  try {
    fd = openSync(dirname(path), "r");
  } catch {
    return undefined; // if the directory does not exist, bind reports that
  }
  for (let waitedMs = 0; ; waitedMs += LOCK_POLL_MS) {
    const errno = -sys.flock(fd, LOCK_EX | LOCK_NB);
    if (errno <= 0) return () => closeSync(fd);
    if (errno === EAGAIN && waitedMs < LOCK_TIMEOUT_MS) {
      Bun.sleepSync(LOCK_POLL_MS);
      continue;
    }
    closeSync(fd);
    if (errno !== EAGAIN) return undefined;
    const hint = "another server is starting there, or a process has locked the directory (flock)";
    throw new ErrnoError(EADDRINUSE, "bind", { address: path, hint });
  }
}

/** With SO_REUSEADDR two sockets may bind the same address. The second one fails here, so the error has to name the address. */
function listen(socket: Socket, backlog: number, { address, port }: InternetAddress): void {
  try {
    socket.listen(backlog);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    throw new ErrnoError(-error.errno, "listen", { fd: socket.fileno(), address, port });
  }
}

/** Removes a socket without a listener, left behind by a server that was killed. Returns whether the path is free now. */
function removeStaleSocketFile(sys: Syscalls, path: string): boolean {
  if (path.startsWith("\0")) return false;
  const stat = nodeFs().lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return true; // its server has just stopped
  if (!stat.isSocket() || !isRefused(sys, path)) return false;
  try {
    nodeFs().rmSync(path, { force: true });
  } catch (error) {
    const { errno = 0 } = error as NodeJS.ErrnoException; // EACCES, EPERM: another user's file
    throw new ErrnoError(Math.abs(errno), "unlink", { address: path });
  }
  return true;
}

function isRefused(sys: Syscalls, path: string): boolean {
  const probe = newSocket(sys, AF_UNIX); // not `using`, which Node cannot parse: it must reach the check for Bun
  try {
    probe.connect({ path });
    return false;
  } catch (error) {
    return isErrno(error, "ECONNREFUSED");
  } finally {
    probe.close();
  }
}

function inodeOf(path: string): string | undefined {
  if (path === "" || path.startsWith("\0")) return undefined;
  const stat = nodeFs().lstatSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}

/** Returns a host's addresses. `localhost` is 127.0.0.1 and ::1, whatever the resolver says (RFC 6761, 6.3). */
function resolveHost(sys: Syscalls, hostname: string): InternetAddress[] {
  const family = familyOf(sys, hostname);
  if (family === AF_INET) return [ipv4(hostname)];
  if (family === AF_INET6) return [ipv6(hostname)];
  if (/^(.+\.)?localhost\.?$/i.test(hostname)) return [ipv4("127.0.0.1"), ipv6("::1")];
  const name = new TextEncoder().encode(`${hostname}\0`);
  const out = new Uint8Array(new ArrayBuffer(MAX_ADDRESSES * ADDRESS_BYTES));
  const n = sys.getaddrinfo(name, out, MAX_ADDRESSES);
  if (n <= 0) throw new LookupError(n, hostname);
  const addresses = new Map<string, InternetAddress>();
  for (let i = 0; i < n; i++) {
    const address = decodeAddress(sys, out.subarray(i * ADDRESS_BYTES, (i + 1) * ADDRESS_BYTES));
    if ("address" in address) addresses.set(address.address, address);
  }
  return [...addresses.values()];
}

/** Returns the URL of an address, with the host name from the options; for an inherited socket, with a host that reaches it. */
export function urlOf(
  address: Address,
  { hostname, fd, tls }: Pick<ResolvedOptions, "hostname" | "fd" | "tls">,
): string {
  if ("path" in address) return `unix:${formatEndpoint(percentEncoded(address.path))}`;
  if (!("address" in address)) return formatAddress(address).replaceAll(" ", ":"); // an inherited socket: vsock:2:80
  const isWildcard = /^[0:.]+$/.test(address.address);
  const host = fd === undefined ? hostname : isWildcard ? "localhost" : address.address;
  return `${tls === undefined ? "http" : "https"}://${formatEndpoint(host, address.port)}`;
}

/** Encodes what a URL parser would not take for a part of the path. */
function percentEncoded(path: string): string {
  const bytes = Buffer.from(encodePath(path)).toString("latin1"); // also if the path is not UTF-8
  return bytes.replace(
    /[^\0\w!$&'()*+,\-./:;=@~[\]]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** What a server's URL depends on. */
export interface UrlOptions {
  socket?: unknown;
  tls?: unknown;
}

/** Returns a server's URL for people to read: the handlers of `socket` do not speak HTTP. */
export function displayedUrl(url: string, { socket, tls }: UrlOptions): string {
  const isSecure = url.startsWith("https:") || (tls !== undefined && tls !== false);
  const scheme = socket === undefined ? (isSecure ? "https:" : "http:") : isSecure ? "tls:" : "tcp:";
  return url.replace(/^https?:/, scheme);
}

function ipv4(address: string): InternetAddress {
  return { address, port: 0, family: "IPv4" };
}

function ipv6(address: string): InternetAddress {
  return { address, port: 0, family: "IPv6" };
}

function newSocket(sys: Syscalls, family: number): Socket {
  return new Socket(family, SOCK_STREAM, 0, undefined, sys);
}

function isErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof ErrnoError && codes.includes(error.code);
}
