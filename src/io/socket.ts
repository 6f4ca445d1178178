// class Socket: Python's socket.socket, always non-blocking.

import { Buffer } from "node:buffer";
import {
  type Ancillary,
  CMSG_LEN,
  type Credentials,
  decodeAncillary,
  decodeCredentials,
  encodeAncillary,
  type ReceivedAncillary,
} from "../kernel/control-messages.ts";
import { type Address, addressBuffer, type AddressLike, decodeAddress, encodeAddress } from "../kernel/address.ts";
import {
  AF_INET,
  AF_UNIX,
  F_GETFL,
  F_SETFL,
  IPPROTO_TCP,
  MSG_CMSG_CLOEXEC,
  MSG_NOSIGNAL,
  O_NONBLOCK,
  SO_DOMAIN,
  SO_LINGER,
  SO_PEERCRED,
  SO_TYPE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  SOMAXCONN,
  TCP_INFO,
} from "../kernel/constants.ts";
import { EAGAIN, EINPROGRESS, EINTR } from "../kernel/errno.ts";
import { check, ClosedError, ErrnoError } from "../kernel/errors.ts";
import { type FdLike, toFd } from "../kernel/fd.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import { decodeTcpInfo, TCP_INFO_BYTES, type TcpInfo } from "../kernel/tcp-info.ts";

/** What `recvInto` and `send` return where the call would have had to wait: ask epoll, then try again. */
export const WOULD_BLOCK = -1;

const MAX_BYTES = 0x7ffff000; // what Linux moves in one call at most
const SCRATCH_BYTES = 65_536;
const scratch = new Uint8Array(new ArrayBuffer(SCRATCH_BYTES));
const NO_BYTES = new Uint8Array(new ArrayBuffer(8));
const NO_ADDRESS = addressBuffer();

/** A message that `recvmsg` received. */
export interface Message {
  data: Uint8Array;
  /** Where it came from; unnamed (`path: ""`) on a connected stream. */
  address: Address;
  /** MSG_TRUNC if the datagram was longer than asked for, MSG_CTRUNC if ancillary data was cut. */
  flags: number;
  /** What came beside the bytes. Descriptors are the receiver's to close. */
  ancillary: ReceivedAncillary[];
}

/**
 * A non-blocking, close-on-exec socket: AF_INET, AF_INET6 or AF_UNIX, stream or datagram.
 *
 * Where Python raises BlockingIOError this returns instead: `null` from `accept`, `recv`, `recvfrom` and `recvmsg`,
 * `WOULD_BLOCK` (-1) from `recvInto` and the sends, `false` from `connect`. Every other failure is an ErrnoError. The socket
 * owns its descriptor until `close` or `detach`; nothing else ever closes it.
 *
 * @see socket(2), socket(7), ip(7), ipv6(7), unix(7)
 * @example
 * ```ts
 * using listener = new Socket(AF_INET, SOCK_STREAM);
 * listener.bind({ address: "127.0.0.1", port: 0 });
 * listener.listen();
 * ```
 */
export class Socket implements Disposable {
  readonly #sys: Syscalls;
  #fd: number;
  readonly family: number;
  /** SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. */
  readonly type: number;

  /**
   * Create a socket.
   *
   * @throws {ErrnoError} EMFILE or ENFILE if no descriptor is left; EAFNOSUPPORT if the kernel lacks the family;
   *   EPROTONOSUPPORT, ESOCKTNOSUPPORT if the type does not go with it; EACCES; ENOBUFS, ENOMEM
   */
  constructor(family?: number, type?: number, protocol?: number);
  /** @internal `fd` is taken over, and is non-blocking already; `sys` stands in for the kernel */
  constructor(family: number, type: number, protocol: number, fd: number | undefined, sys?: Syscalls);
  constructor(family = AF_INET, type = SOCK_STREAM, protocol = 0, fd?: number, sys: Syscalls = syscalls()) {
    this.#sys = sys;
    this.family = family;
    this.type = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    this.#fd = fd ?? open(sys, family, type, protocol);
  }

  /**
   * Take over a socket that was opened elsewhere, and make it non-blocking: `close` closes it.
   *
   * @throws {ErrnoError} EBADF if it is not open; ENOTSOCK if it is no socket
   */
  static fromfd(fd: number): Socket {
    const sys = syscalls();
    const number = toFd(fd);
    const family = readInt(sys, number, SO_DOMAIN);
    const type = readInt(sys, number, SO_TYPE);
    const flags = check(sys.fcntl(number, F_GETFL, 0), "fcntl", number);
    check(sys.fcntl(number, F_SETFL, flags | O_NONBLOCK), "fcntl", number);
    return new Socket(family, type, 0, number, sys);
  }

  /** The descriptor, to watch with an Epoll. */
  fileno(): number {
    return this.#open("fileno");
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  /**
   * Give the socket its local address.
   *
   * @param address `{ address, port }`, port 0 for any free one; or `{ path }`, `"\0name"` for an abstract one
   * @throws {ErrnoError} EADDRINUSE; EADDRNOTAVAIL if the address is not this machine's; EACCES for a port below 1024 or
   *   a directory without permission; EINVAL if it has one already; ENOENT, ENOTDIR, EROFS, ELOOP for a path
   * @throws {RangeError} if the text is no address of this family, or the port or path is out of range
   * @see bind(2)
   */
  bind(address: AddressLike): void {
    const fd = this.#open("bind");
    const result = this.#sys.bind(fd, encodeAddress(this.#sys, address, this.family));
    if (result < 0) throw new ErrnoError(-result, "bind", { fd, ...this.#endpoint(address) });
  }

  /**
   * Accept connections from now on.
   *
   * @param backlog how many connections may wait to be accepted; the kernel caps it at net.core.somaxconn
   * @throws {ErrnoError} EADDRINUSE; EOPNOTSUPP if this is no stream socket; EINVAL if it is connected, or if a unix socket
   *   is not bound
   * @see listen(2)
   */
  listen(backlog: number = SOMAXCONN): void {
    const fd = this.#open("listen");
    if (!Number.isInteger(backlog)) throw new RangeError(`a backlog is a whole number, not ${String(backlog)}`);
    check(this.#sys.listen(fd, Math.max(0, Math.min(backlog, 0x7fffffff))), "listen", fd);
  }

  /**
   * Take the next waiting connection.
   *
   * @returns the connection, non-blocking, and the peer's address; `null` if nobody waits
   * @throws {ErrnoError} ECONNABORTED if it went away meanwhile; EMFILE, ENFILE, ENOBUFS, ENOMEM if there is no room for it;
   *   EINVAL if this socket does not listen; EOPNOTSUPP if it is no stream socket
   * @see accept4(2)
   */
  accept(): { socket: Socket; address: Address } | null {
    const fd = this.#open("accept");
    const peer = addressBuffer();
    const n = retry(() => this.#sys.accept4(fd, peer, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (n === -EAGAIN) return null;
    const socket = new Socket(this.family, this.type, 0, check(n, "accept4", fd), this.#sys);
    return { socket, address: decodeAddress(this.#sys, peer) };
  }

  /**
   * Connect to an address.
   *
   * @returns `true` if it is connected; `false` if it is under way: wait for EPOLLOUT, then `getsockopt(SOL_SOCKET, SO_ERROR)`
   *   tells how it went (0, or an errno)
   * @throws {ErrnoError} ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, EACCES, EPERM; EISCONN if it is connected;
   *   EALREADY if it is under way already; EPROTOTYPE; for a path also ENOENT, and EAGAIN if the peer's backlog is full (epoll
   *   does not tell when there is room: try again later)
   * @see connect(2)
   */
  connect(address: AddressLike): boolean {
    const fd = this.#open("connect");
    const result = this.#sys.connect(fd, encodeAddress(this.#sys, address, this.family));
    if (result === -EINPROGRESS || result === -EINTR) return false; // interrupted, it goes on by itself
    if (result < 0) throw new ErrnoError(-result, "connect", { fd, ...this.#endpoint(address) });
    return true;
  }

  /**
   * Receive up to `size` bytes.
   *
   * @returns the bytes, none at the end of the stream; `null` if there is nothing yet
   * @throws {ErrnoError} ECONNRESET, ECONNREFUSED (a datagram's ICMP answer), ETIMEDOUT, ENOTCONN
   * @see recv(2)
   */
  recv(size: number, flags: number = 0): Uint8Array | null {
    const fd = this.#open("recv");
    // What comes is mostly less than what was asked for: it is copied out, and no buffer of that size is made and kept.
    const isShort = Number.isInteger(size) && size >= 0 && size <= SCRATCH_BYTES;
    const buffer = isShort ? scratch : receiveBuffer(size);
    const n = retry(() => this.#sys.recv(fd, buffer, 0, size, flags));
    if (n === -EAGAIN) return null;
    check(n, "recv", fd);
    return isShort ? buffer.slice(0, n) : buffer.subarray(0, n);
  }

  /**
   * Receive into a buffer of the caller's.
   *
   * @returns how many bytes, 0 at the end of the stream; `WOULD_BLOCK` if there is nothing yet
   * @throws {ErrnoError} as `recv`
   * @see recv(2)
   */
  recvInto(buffer: Uint8Array, flags: number = 0): number {
    const fd = this.#open("recvInto");
    if (!(buffer instanceof Uint8Array)) throw new TypeError("a buffer is a Buffer or a Uint8Array");
    const n = retry(() => this.#sys.recv(fd, buffer, 0, lengthOf(buffer), flags));
    return n === -EAGAIN ? WOULD_BLOCK : check(n, "recv", fd);
  }

  /**
   * Send bytes to the peer.
   *
   * @returns how many were taken, perhaps not all; `WOULD_BLOCK` if there is no room at all
   * @throws {ErrnoError} EPIPE (no SIGPIPE is raised) or ECONNRESET if the peer is gone; ENOTCONN; EDESTADDRREQ; EMSGSIZE
   * @see send(2)
   */
  send(data: Uint8Array | string, flags: number = 0): number {
    const fd = this.#open("send");
    const bytes = toBytes(data);
    const n = retry(() => this.#sys.send(fd, bytes, 0, lengthOf(bytes), flags | MSG_NOSIGNAL));
    return n === -EAGAIN ? WOULD_BLOCK : check(n, "send", fd);
  }

  /**
   * Send a datagram to an address.
   *
   * @returns how many bytes were taken; `WOULD_BLOCK` if there is no room
   * @throws {ErrnoError} EMSGSIZE if it is too long; EISCONN; ECONNREFUSED, ENOENT if nobody is there; EACCES, EPERM; EPIPE
   * @see sendto(2)
   */
  sendto(data: Uint8Array | string, address: AddressLike, flags: number = 0): number {
    const fd = this.#open("sendto");
    const bytes = toBytes(data);
    const to = encodeAddress(this.#sys, address, this.family);
    const n = retry(() => this.#sys.sendto(fd, bytes, 0, lengthOf(bytes), flags | MSG_NOSIGNAL, to));
    if (n === -EAGAIN) return WOULD_BLOCK;
    if (n < 0) throw new ErrnoError(-n, "sendto", { fd, ...this.#endpoint(address) });
    return n;
  }

  /**
   * Receive a datagram and where it came from.
   *
   * @param size at most how many bytes; the rest of a longer datagram is lost
   * @returns `null` if there is nothing yet
   * @throws {ErrnoError} as `recv`
   * @see recvfrom(2)
   */
  recvfrom(size: number, flags: number = 0): { data: Uint8Array; address: Address } | null {
    const fd = this.#open("recvfrom");
    const buffer = receiveBuffer(size);
    const from = addressBuffer();
    const n = retry(() => this.#sys.recvfrom(fd, buffer, 0, size, flags, from));
    if (n === -EAGAIN) return null;
    return { data: buffer.subarray(0, check(n, "recvfrom", fd)), address: decodeAddress(this.#sys, from) };
  }

  /**
   * Send several buffers as one message, and descriptors or credentials beside them.
   *
   * On a stream they go with the first byte: if fewer bytes were taken than given, send the rest without them.
   *
   * @param ancillary over a unix socket: `[{ fds }]`, `[{ credentials }]`; they need at least one byte on a stream
   * @returns how many bytes were taken; `WOULD_BLOCK` if there is no room, and nothing was sent
   * @throws {ErrnoError} as `send` and `sendto`; EBADF if a descriptor is not open; EPERM if the credentials are not one's own;
   *   ETOOMANYREFS if too many descriptors are under way
   * @throws {RangeError} for more than 253 descriptors, or none
   * @see sendmsg(2), unix(7)
   */
  sendmsg(
    buffers: readonly (Uint8Array | string)[],
    ancillary: readonly Ancillary[] = [],
    flags: number = 0,
    address?: AddressLike,
  ): number {
    const fd = this.#open("sendmsg");
    if (!Array.isArray(buffers)) throw new TypeError("sendmsg takes an array of buffers: [data]");
    const bytes = buffers.length === 1 ? toBytes(buffers[0] as Uint8Array) : Buffer.concat(buffers.map(toBytes));
    const control = encodeAncillary(ancillary);
    if (this.family !== AF_UNIX && ancillary.some((item) => !("data" in item))) {
      throw new TypeError("descriptors and credentials go over unix sockets only: over others the kernel drops them");
    }
    if (control.length > 0 && bytes.length === 0 && this.type === SOCK_STREAM) {
      throw new RangeError("on a stream ancillary data goes with at least one byte: add one");
    }
    const to = address === undefined ? NO_ADDRESS : encodeAddress(this.#sys, address, this.family);
    const n = retry(() =>
      this.#sys.sendmsg(fd, bytes, lengthOf(bytes), to, control, control.length, flags | MSG_NOSIGNAL),
    );
    if (n === -EAGAIN) return WOULD_BLOCK;
    if (n < 0) throw new ErrnoError(-n, "sendmsg", { fd, ...(address && this.#endpoint(address)) });
    return n;
  }

  /**
   * Receive a message, where it came from, what the kernel says of it, and what came beside it.
   *
   * @param ancillarySize bytes of room for that: `CMSG_SPACE(4 * count)` for descriptors. Without room it is lost: descriptors
   *   are closed by the kernel, and MSG_CTRUNC says so
   * @returns `null` if there is nothing yet
   * @throws {ErrnoError} as `recv`
   * @throws {RangeError} if a size is out of range
   * @see recvmsg(2), cmsg(3)
   */
  recvmsg(size: number, ancillarySize: number = 0, flags: number = 0): Message | null {
    const fd = this.#open("recvmsg");
    const buffer = receiveBuffer(size);
    const control = ancillarySize === 0 ? NO_BYTES : receiveBuffer(ancillarySize);
    const from = addressBuffer();
    const out = new Int32Array(new ArrayBuffer(8));
    const n = retry(() =>
      this.#sys.recvmsg(fd, buffer, size, from, control, ancillarySize, out, flags | MSG_CMSG_CLOEXEC),
    );
    if (n === -EAGAIN) return null;
    const data = buffer.subarray(0, check(n, "recvmsg", fd));
    const ancillary = ancillarySize === 0 ? [] : decodeAncillary(control, out[0] as number);
    return {
      data,
      address: decodeAddress(this.#sys, from),
      flags: (out[1] as number) & ~MSG_CMSG_CLOEXEC, // the kernel repeats it
      ancillary,
    };
  }

  /**
   * Send bytes and descriptors over a unix socket.
   *
   * @returns how many bytes were taken; `WOULD_BLOCK` if there is no room, and nothing was sent
   * @throws {ErrnoError | RangeError} as `sendmsg`
   */
  sendFds(data: Uint8Array | string, fds: readonly FdLike[]): number {
    this.#open("sendFds");
    return this.sendmsg([data], [{ fds }]);
  }

  /**
   * Receive bytes and the descriptors that came with them.
   *
   * @param maxFds for how many there is room; the kernel closes what is more, and `flags` has MSG_CTRUNC
   * @returns `null` if there is nothing yet; the descriptors are the caller's to close
   * @throws {ErrnoError} as `recv`
   */
  recvFds(size: number, maxFds: number): { data: Uint8Array; fds: number[]; flags: number; address: Address } | null {
    this.#open("recvFds");
    const message = this.recvmsg(size, CMSG_LEN(4 * maxFds)); // with CMSG_SPACE one more might come
    if (message === null) return null;
    const { data, flags, address, ancillary } = message;
    return { data, fds: ancillary.flatMap((item) => ("fds" in item ? item.fds : [])), flags, address };
  }

  /**
   * Shut one half of the connection or both.
   *
   * @param how SHUT_RD, SHUT_WR or SHUT_RDWR
   * @throws {ErrnoError} ENOTCONN if it is not connected, or no longer
   * @see shutdown(2)
   */
  shutdown(how: number): void {
    const fd = this.#open("shutdown");
    if (!Number.isInteger(how)) throw new TypeError("shutdown takes SHUT_RD, SHUT_WR or SHUT_RDWR");
    check(this.#sys.shutdown(fd, how), "shutdown", fd);
  }

  /**
   * Set an option.
   *
   * @param value a number or boolean for the options that are an int; bytes for those that are a structure
   * @throws {ErrnoError} ENOPROTOOPT if there is no such option; EINVAL, EDOM if the value is out of range; EPERM
   * @see setsockopt(2), socket(7), tcp(7), ipv6(7)
   */
  setsockopt(level: number, name: number, value: number | boolean | Uint8Array): void {
    const fd = this.#open("setsockopt");
    const bytes = value instanceof Uint8Array ? value : int32(toInt(value));
    check(this.#sys.setsockopt(fd, level, name, bytes, bytes.byteLength), "setsockopt", fd);
  }

  /**
   * Read an option.
   *
   * @param length for an option that is a structure: how many bytes to make room for
   * @returns a number; the bytes that the kernel wrote, if a length was given
   * @throws {ErrnoError} ENOPROTOOPT if there is no such option; EINVAL
   * @see getsockopt(2)
   */
  getsockopt(level: number, name: number): number;
  getsockopt(level: number, name: number, length: number): Uint8Array;
  getsockopt(level: number, name: number, length?: number): number | Uint8Array {
    const fd = this.#open("getsockopt");
    const value = length === undefined ? int32(0) : new Uint8Array(receiveBuffer(length));
    const n = check(this.#sys.getsockopt(fd, level, name, value, value.byteLength), "getsockopt", fd);
    return value instanceof Int32Array ? (value[0] as number) : value.subarray(0, n);
  }

  /**
   * What the kernel knows of a TCP connection: its state, round trips, windows, bytes.
   *
   * @throws {ErrnoError} EOPNOTSUPP, ENOPROTOOPT if it is no TCP socket
   * @see tcp(7), TCP_INFO
   */
  tcpInfo(): TcpInfo {
    this.#open("tcpInfo");
    return decodeTcpInfo(this.getsockopt(IPPROTO_TCP, TCP_INFO, TCP_INFO_BYTES));
  }

  /**
   * Who the peer of a unix stream socket was when it connected, or called `socketpair`.
   *
   * @returns pid 0 if it is in a pid namespace that this one does not see
   * @see unix(7), SO_PEERCRED
   */
  peerCredentials(): Credentials {
    this.#open("peerCredentials");
    const bytes = this.getsockopt(SOL_SOCKET, SO_PEERCRED, 12);
    return decodeCredentials(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  /**
   * What `close` does with bytes that are not sent yet: go on in the background, `null`, as it is at first; or after so many
   * seconds drop them and reset the connection. 0 resets at once.
   *
   * @see socket(7), SO_LINGER
   */
  setLinger(seconds: number | null): void {
    this.#open("setLinger");
    this.setsockopt(
      SOL_SOCKET,
      SO_LINGER,
      new Uint8Array(Int32Array.of(seconds === null ? 0 : 1, seconds ?? 0).buffer),
    );
  }

  /**
   * The socket's own address.
   *
   * @throws {ErrnoError} ENOBUFS
   * @see getsockname(2)
   */
  getsockname(): Address {
    const fd = this.#open("getsockname");
    const address = addressBuffer();
    check(this.#sys.getsockname(fd, address), "getsockname", fd);
    return decodeAddress(this.#sys, address);
  }

  /**
   * The peer's address.
   *
   * @throws {ErrnoError} ENOTCONN if it is not connected, or no longer
   * @see getpeername(2)
   */
  getpeername(): Address {
    const fd = this.#open("getpeername");
    const address = addressBuffer();
    check(this.#sys.getpeername(fd, address), "getpeername", fd);
    return decodeAddress(this.#sys, address);
  }

  /** Give the descriptor away: the caller owns it from now on, and this object is closed. */
  detach(): number {
    const fd = this.#open("detach");
    this.#sys.disown(fd);
    this.#fd = -1;
    return fd;
  }

  /** Close the socket. Closing twice is fine. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    const n = this.#sys.close(fd);
    if (n !== -EINTR) check(n, "close", fd); // after EINTR it is closed on Linux
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(method: string): number {
    if (this.#fd < 0) throw new ClosedError(`Socket.${method}`);
    return this.#fd;
  }

  #endpoint(address: AddressLike): { address: string; port?: number } {
    if ("path" in address) return { address: address.path };
    return { address: address.address ?? (this.family === AF_INET ? "0.0.0.0" : "::"), port: address.port };
  }
}

/**
 * Create two connected sockets.
 *
 * @throws {ErrnoError} EOPNOTSUPP unless the family is AF_UNIX; EMFILE, ENFILE
 * @see socketpair(2)
 */
export function socketpair(
  family: number = AF_UNIX,
  type: number = SOCK_STREAM,
  protocol: number = 0,
): [Socket, Socket] {
  const sys = syscalls();
  const fds = new Int32Array(new ArrayBuffer(8));
  checkKind(family, type, protocol);
  check(sys.socketpair(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol, fds), "socketpair");
  return [new Socket(family, type, protocol, fds[0], sys), new Socket(family, type, protocol, fds[1], sys)];
}

function open(sys: Syscalls, family: number, type: number, protocol: number): number {
  checkKind(family, type, protocol);
  return check(sys.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), "socket");
}

function checkKind(family: number, type: number, protocol: number): void {
  if (Number.isInteger(family) && Number.isInteger(type) && Number.isInteger(protocol)) return;
  throw new TypeError("family, type and protocol are numbers: AF_INET, SOCK_STREAM, 0");
}

/** Call again as long as a signal interrupts; such a call had done nothing yet. */
function retry(call: () => number): number {
  for (;;) {
    const n = call();
    if (n !== -EINTR) return n;
  }
}

function readInt(sys: Syscalls, fd: number, name: number): number {
  const value = int32(0);
  check(sys.getsockopt(fd, SOL_SOCKET, name, value, 4), "getsockopt", fd);
  return value[0] as number;
}

function int32(value: number): Int32Array {
  const array = new Int32Array(new ArrayBuffer(4));
  array[0] = value;
  return array;
}

function toInt(value: number | boolean): number {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value !== "number") throw new TypeError("an option's value is a number, a boolean or a Uint8Array");
  if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
    throw new RangeError(`an option's value is a whole number of 32 bits, not ${value}`);
  }
  return value;
}

function receiveBuffer(size: number): Uint8Array {
  if (!Number.isInteger(size) || size < 0 || size > MAX_BYTES) {
    throw new RangeError(`a size is a whole number of bytes from 0 to ${MAX_BYTES}, not ${String(size)}`);
  }
  return new Uint8Array(new ArrayBuffer(size));
}

function toBytes(data: Uint8Array | string): Uint8Array {
  if (typeof data === "string") return Buffer.from(data);
  if (data instanceof Uint8Array) return data;
  throw new TypeError("data is a string, a Buffer or a Uint8Array");
}

function lengthOf(bytes: Uint8Array): number {
  return Math.min(bytes.byteLength, MAX_BYTES);
}
