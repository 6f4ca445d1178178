// The sockets a server listens on: a host's addresses on one port, or a path.

import { nodeFs } from "../kernel/node-fs.ts";
import { type Address, ADDRESS_BYTES, decodeAddress, familyOf, type InternetAddress } from "../kernel/address.ts";
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
import { ErrnoError, LookupError } from "../kernel/errors.ts";
import { setCloexec } from "../kernel/fd.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { getIntOption } from "../kernel/int-options.ts";
import { Socket } from "../io/socket.ts";

export interface ListenOptions {
  hostname: string;
  port: number;
  unix: string | undefined;
  fd: readonly number[] | undefined;
  backlog: number;
  reusePort: boolean;
  deferAccept: boolean;
}

/** A listening socket, and the file that has to go when it is closed. */
export interface Listener {
  readonly socket: Socket;
  readonly address: Address;
  close(): void;
}

const PORT_ATTEMPTS = 32;
const MAX_ADDRESSES = 16;

/**
 * Open all the sockets that the options ask for, or none.
 *
 * @throws {ErrnoError} EADDRINUSE, EADDRNOTAVAIL, EACCES, … with address and port
 * @throws {LookupError} if the host's name is not known
 */
export function openListeners(sys: Syscalls, options: ListenOptions): Listener[] {
  if (options.fd !== undefined) return takeOver(sys, options.fd);
  if (options.unix !== undefined) return [openUnix(sys, options.unix, options.backlog)];
  const addresses = lookUp(sys, options.hostname);
  // Port 0 takes any free one, but the same for all addresses: try again where that one is taken at the next address.
  for (let attempt = 1; ; attempt++) {
    try {
      return openAll(sys, addresses, options);
    } catch (error) {
      const isUnlucky = options.port === 0 && addresses.length > 1 && isErrno(error, "EADDRINUSE");
      if (!isUnlucky || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

/** Sockets that somebody else has opened: all of them, or none is touched. */
function takeOver(sys: Syscalls, fds: readonly number[]): Listener[] {
  for (const fd of fds) {
    if (
      getIntOption(sys, fd, SOL_SOCKET, SO_TYPE) !== SOCK_STREAM ||
      getIntOption(sys, fd, SOL_SOCKET, SO_ACCEPTCONN) !== 1
    ) {
      throw new RangeError(
        `descriptor ${fd} is a socket that does not listen for connections: bind it, and call listen`,
      );
    }
  }
  return fds.map((fd) => {
    setCloexec(sys, fd);
    const socket = Socket.fromfd(fd);
    if (socket.family !== AF_UNIX) socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    return { socket, address: socket.getsockname(), close: () => socket.close() };
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
        // A machine without IPv6 still has a localhost.
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
  { backlog, reusePort, deferAccept }: ListenOptions,
): Listener {
  const family = address.family === "IPv6" ? AF_INET6 : AF_INET;
  const socket = newSocket(sys, family);
  try {
    socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); // bind though old connections of the port are in TIME_WAIT
    if (reusePort) socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1);
    // "::" takes IPv4 too, whatever the system's default; any other address is one family's anyway.
    if (family === AF_INET6) socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, !/^[0:.]+$/.test(address.address));
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1); // accepted connections inherit it
    if (deferAccept) socket.setsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT, 1); // seconds
    socket.bind(address);
    listen(socket, backlog, address);
    return { socket, address: socket.getsockname(), close: () => socket.close() };
  } catch (error) {
    socket.close();
    throw error;
  }
}

function openUnix(sys: Syscalls, path: string, backlog: number): Listener {
  const socket = newSocket(sys, AF_UNIX);
  try {
    try {
      socket.bind({ path });
    } catch (error) {
      if (!isErrno(error, "EADDRINUSE") || !isLeftOver(sys, path)) throw error;
      nodeFs().unlinkSync(path);
      socket.bind({ path });
    }
    socket.listen(backlog);
    const inode = inodeOf(path);
    return {
      socket,
      address: socket.getsockname(),
      close() {
        if (socket.closed) return;
        socket.close();
        if (inode === undefined || inodeOf(path) !== inode) return; // gone, or another's by now
        nodeFs().rmSync(path, { force: true });
      },
    };
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** Two sockets may both bind with SO_REUSEADDR; the second learns it here. */
function listen(socket: Socket, backlog: number, { address, port }: InternetAddress): void {
  try {
    socket.listen(backlog);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    throw new ErrnoError(-error.errno, "listen", { fd: socket.fileno(), address, port });
  }
}

/** Whether a path is a socket that nobody listens on any more, left by a server that was killed. */
function isLeftOver(sys: Syscalls, path: string): boolean {
  if (path.startsWith("\0") || nodeFs().lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  const probe = newSocket(sys, AF_UNIX); // not `using`: Node must be able to read this file, to be told what is missing
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

/** A host's addresses; `localhost` is 127.0.0.1 and ::1 whatever the resolver says (RFC 6761, 6.3). */
function lookUp(sys: Syscalls, hostname: string): InternetAddress[] {
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
