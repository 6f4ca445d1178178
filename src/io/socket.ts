// class Socket: a non-blocking socket with the API of Python's socket.socket.

import {
  type Address,
  addressBuffer,
  type AddressLike,
  decodeAddress,
  encodeAddress,
  errorEndpoint,
} from "../kernel/address.ts";
import {
  AF_INET,
  AF_UNIX,
  IPPROTO_MPTCP,
  IPPROTO_TCP,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  MSG_TRUNC,
  SHUT_RD,
  SHUT_RDWR,
  SO_DOMAIN,
  SO_LINGER,
  SO_PEERCRED,
  SO_PROTOCOL,
  SO_TYPE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  SOMAXCONN,
  TCP_INFO,
} from "../kernel/constants.ts";
import { type Ancillary, type Credentials, decodeCredentials, fdsSize } from "../kernel/control-messages.ts";
import { EAGAIN, EINPROGRESS, EINTR } from "../kernel/errno.ts";
import { check, checkInteger, ErrnoError, invalidType } from "../kernel/errors.ts";
import { checkFd, type FdLike, setCloexec, setNonblocking } from "../kernel/fd.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import { getIntOption, tryGetIntOption } from "../kernel/int-options.ts";
import { checkInt } from "../kernel/integers.ts";
import { decodeTcpInfo, TCP_INFO_BYTES, type TcpInfo } from "../kernel/tcp-info.ts";
import {
  isMessageBatch,
  MAX_MESSAGES,
  MessageBatch,
  messagesOf,
  type OutgoingMessage,
  receiveBatch,
  sendBatch,
  sendMessages,
} from "./message-batch.ts";
import { checkSyscalls, OpenFd, openOr, OwnedFd } from "./owned-fd.ts";
import {
  checkDatagrams,
  type DatagramInfo,
  type Message,
  type MessageInfo,
  receiveFrom,
  receiveMessage,
  sendMessage,
} from "./socket-messages.ts";
import { encodeLinger, encodeOption, getOption, setOption } from "./socket-options.ts";
import { checkBuffer, createBuffer, MAX_TRANSFER_BYTES, toBytes, transferLength, WOULD_BLOCK } from "./transfer.ts";

const SCRATCH_BYTES = 65_536;
/** Shared by all sockets of a thread; undefined during a call of `recv`, which may run the listener of a trace. */
let scratch: Uint8Array | undefined = new Uint8Array(new ArrayBuffer(SCRATCH_BYTES));

/**
 * A non-blocking, close-on-exec socket of family AF_INET, AF_INET6 or AF_UNIX, for streams or datagrams. Sockets of other
 * families work too; see `AddressLike`.
 *
 * Where Python raises BlockingIOError, methods return a value instead: `accept` and the methods that return received
 * data return `null`; `recvInto`, `recvmmsgInto` and the send methods return `WOULD_BLOCK` (-1); and `connect` returns
 * `false`. All other
 * failures throw an ErrnoError. SIGPIPE is never raised. Every method except `close` throws a ClosedError after `close`
 * or `detach`.
 *
 * @see socket(2), socket(7), ip(7), ipv6(7), unix(7)
 * @example
 * ```ts
 * using listener = new Socket(AF_INET, SOCK_STREAM);
 * listener.bind({ address: "127.0.0.1", port: 0 });
 * listener.listen();
 * ```
 */
export class Socket extends OwnedFd {
  /** The address family: AF_INET, AF_INET6, AF_UNIX, … */
  readonly family: number;
  /** SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. */
  readonly type: number;

  /**
   * Creates a socket.
   *
   * @param family AF_INET (the default), AF_INET6 or AF_UNIX
   * @param type SOCK_STREAM (the default), SOCK_DGRAM or SOCK_SEQPACKET
   * @param protocol the protocol number; 0 (the default) selects the protocol of the type
   * @throws {ErrnoError} EMFILE or ENFILE if the limit of open file descriptors is reached; ENOBUFS, ENOMEM
   * @throws {ErrnoError} EAFNOSUPPORT if the kernel does not support the family; EPROTONOSUPPORT or ESOCKTNOSUPPORT if
   *   the family does not support the type; EACCES without permission
   * @throws {TypeError | RangeError} if an argument is not an integer, or out of range
   * @see socket(2)
   */
  constructor(family?: number, type?: number, protocol?: number);
  /** @internal takes ownership of `open`, which is already non-blocking; `sys` replaces the kernel's system calls */
  constructor(family: number, type: number, protocol: number, open: OpenFd | undefined, sys?: Syscalls);
  constructor(
    family: number = AF_INET,
    type: number = SOCK_STREAM,
    protocol: number = 0,
    open?: OpenFd,
    sys: Syscalls = syscalls(),
  ) {
    checkSocketKind(family, type, protocol);
    checkSyscalls(sys, "fifth");
    const create = (): number => check(sys.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), "socket");
    super("Socket", openOr(open, "fourth", create), sys);
    this.family = family;
    this.type = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
  }

  /**
   * Takes ownership of a socket that was opened elsewhere, and makes it non-blocking and close-on-exec.
   *
   * O_NONBLOCK belongs to the open file description, so it also applies to other processes that share the socket.
   *
   * @param fd an open socket
   * @throws {ErrnoError} EBADF if it is not open; ENOTSOCK if it is not a socket
   * @throws {TypeError | RangeError} if it is not a valid file descriptor
   */
  static fromfd(fd: number): Socket {
    const sys = syscalls();
    const number = checkFd(fd);
    const family = getIntOption(sys, number, SOL_SOCKET, SO_DOMAIN);
    const type = getIntOption(sys, number, SOL_SOCKET, SO_TYPE);
    setNonblocking(sys, number);
    setCloexec(sys, number);
    return new Socket(family, type, 0, new OpenFd(number), sys);
  }

  /**
   * Binds the socket to a local address.
   *
   * @param address `{ address, port }`, where port 0 selects a free port; `{ path }`, where `"\0name"` is an abstract
   *   name; or an address of another family. An unknown key is rejected
   * @throws {ErrnoError} EADDRINUSE if the address is in use; EADDRNOTAVAIL if it is not local
   * @throws {ErrnoError} EACCES for a privileged port, or a directory without write permission
   * @throws {ErrnoError} EINVAL if the socket is already bound; ENOENT, ENOTDIR, EROFS or ELOOP for a path
   * @throws {TypeError | RangeError} if the address does not fit the family, or its port or path is out of range
   * @throws {ClosedError} if this object is closed
   * @see bind(2)
   */
  bind(address: AddressLike): void {
    const bytes = encodeAddress(this.sys, address, this.family);
    const fd = this.open("bind"); // last: a getter of the address may have closed this socket
    const result = this.sys.bind(fd, bytes);
    if (result < 0) throw new ErrnoError(-result, "bind", { fd, ...this.#endpoint(address) });
  }

  /**
   * Listens for connections.
   *
   * @param backlog maximum number of connections waiting to be accepted, from 0 to 2147483647; the kernel caps it at
   *   net.core.somaxconn
   * @throws {ErrnoError} EADDRINUSE if another socket listens on the port; EOPNOTSUPP if this is not a stream socket
   * @throws {ErrnoError} EINVAL if the socket is connected, or if it is a unix socket that is not bound
   * @throws {TypeError | RangeError} if the backlog is not an integer, or out of range
   * @throws {ClosedError} if this object is closed
   * @see listen(2)
   */
  listen(backlog: number = SOMAXCONN): void {
    checkInt("backlog", backlog);
    const fd = this.open("listen");
    check(this.sys.listen(fd, backlog), "listen", fd);
  }

  /**
   * Accepts a connection.
   *
   * @returns the non-blocking connection and the peer's address; `null` if no connection is waiting
   * @throws {ErrnoError} ECONNABORTED if the connection was aborted before it was accepted
   * @throws {ErrnoError} EMFILE, ENFILE, ENOBUFS or ENOMEM if a limit is reached; the connection stays in the backlog
   * @throws {ErrnoError} EINVAL if the socket does not listen; EOPNOTSUPP if it is not a stream socket
   * @throws {ClosedError} if this object is closed
   * @see accept4(2)
   */
  accept(): { socket: Socket; address: Address } | null {
    const peer = addressBuffer();
    const n = this.#call("accept", "accept4", (fd) => this.sys.accept4(fd, peer, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (n === -EAGAIN) return null;
    const socket = new Socket(this.family, this.type, 0, new OpenFd(n), this.sys);
    return { socket, address: decodeAddress(this.sys, peer) };
  }

  /**
   * Connects to an address.
   *
   * @param address `{ address, port }`, `{ path }` or an address of another family. `{ family: AF_UNSPEC }` disconnects
   *   a datagram socket
   * @returns `true` if the socket is connected; `false` if the connection is in progress. In that case, wait for
   *   EPOLLOUT; `getsockopt(SOL_SOCKET, SO_ERROR)` then returns 0 or an errno
   * @throws {ErrnoError} ECONNREFUSED, ENETUNREACH, EHOSTUNREACH or EADDRNOTAVAIL if the connection fails immediately
   * @throws {ErrnoError} EISCONN if the socket is connected; EALREADY if a connection is in progress
   * @throws {ErrnoError} EACCES or EPERM without permission; EPROTOTYPE if the peer has another type; ENOENT for a path
   * @throws {ErrnoError} EAGAIN if the backlog of a unix socket is full. epoll does not report when there is space
   *   again
   * @throws {TypeError | RangeError} if the address does not fit the family, or its port or path is out of range
   * @throws {ClosedError} if this object is closed
   * @see connect(2)
   */
  connect(address: AddressLike): boolean {
    const bytes = encodeAddress(this.sys, address, this.family);
    const fd = this.open("connect");
    const result = this.sys.connect(fd, bytes);
    if (result === -EINPROGRESS || result === -EINTR) return false; // after EINTR, it continues
    if (result < 0) throw new ErrnoError(-result, "connect", { fd, ...this.#endpoint(address) });
    return true;
  }

  /**
   * Receives up to `size` bytes.
   *
   * @param size maximum number of bytes
   * @param flags MSG_PEEK, MSG_OOB, …
   * @returns the bytes, never more than `size`; an empty array at the end of the stream, or if MSG_TRUNC discarded the
   *   bytes of a TCP connection; `null` if nothing has been received yet
   * @throws {ErrnoError} ECONNRESET if the connection was reset; ETIMEDOUT if it timed out; ENOTCONN if it is not
   *   connected
   * @throws {ErrnoError} ECONNREFUSED if an earlier datagram caused an ICMP error
   * @throws {TypeError | RangeError} if the size is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see recv(2)
   */
  recv(size: number, flags: number = 0): Uint8Array | null {
    const discards = this.#discards("recv", checkFlags(flags));
    // Usually fewer bytes arrive than requested: copy them out of a shared buffer instead of keeping a large one. With
    // MSG_TRUNC, the result can count bytes that the kernel has not written: in the shared buffer, they belong to another socket.
    const isShared = checkSize(size) <= SCRATCH_BYTES && (flags & MSG_TRUNC) === 0;
    const shared = isShared ? scratch : undefined;
    const buffer = shared ?? createBuffer(size);
    if (shared !== undefined) scratch = undefined;
    try {
      const n = this.#call("recv", "recv", (fd) => this.sys.recv(fd, buffer, 0, size, flags));
      if (n === -EAGAIN) return null;
      const length = discards ? 0 : Math.min(n, size);
      return shared === undefined ? buffer.subarray(0, length) : buffer.slice(0, length);
    } finally {
      if (shared !== undefined) scratch = shared;
    }
  }

  /**
   * Receives into an existing buffer.
   *
   * @param buffer receives the bytes
   * @param flags MSG_PEEK, MSG_OOB, …
   * @returns the number of bytes, never more than the length of the buffer; 0 at the end of the stream; `WOULD_BLOCK` if
   *   nothing has been received yet. With MSG_TRUNC, a TCP connection discards the bytes that it counts; see tcp(7)
   * @throws {ErrnoError} as `recv`
   * @throws {TypeError} if `buffer` is not a Uint8Array
   * @throws {ClosedError} if this object is closed
   * @see recv(2)
   */
  recvInto(buffer: Uint8Array, flags: number = 0): number {
    checkBuffer(buffer);
    checkFlags(flags);
    let length = 0;
    const n = this.#call("recvInto", "recv", (fd) => {
      length = transferLength(buffer);
      return this.sys.recv(fd, buffer, 0, length, flags);
    });
    return n === -EAGAIN ? WOULD_BLOCK : Math.min(n, length);
  }

  /**
   * Sends bytes to the peer.
   *
   * @param data bytes, or a string, which is encoded as UTF-8
   * @param flags MSG_MORE, MSG_OOB, …
   * @returns the number of bytes sent, possibly fewer than given; `WOULD_BLOCK` if the send buffer is full
   * @throws {ErrnoError} EPIPE or ECONNRESET if the connection is closed; ENOTCONN or EDESTADDRREQ if it is not
   *   connected
   * @throws {ErrnoError} EMSGSIZE if a datagram is too long
   * @throws {TypeError} if `data` is neither a string nor a Uint8Array
   * @throws {ClosedError} if this object is closed
   * @see send(2)
   */
  send(data: Uint8Array | string, flags: number = 0): number {
    const bytes = toBytes(data);
    const allFlags = checkFlags(flags) | MSG_NOSIGNAL;
    const n = this.#call("send", "send", (fd) => this.sys.send(fd, bytes, 0, transferLength(bytes, "data"), allFlags));
    return n === -EAGAIN ? WOULD_BLOCK : n;
  }

  /**
   * Sends a datagram to an address.
   *
   * @param data bytes, or a string, which is encoded as UTF-8
   * @param address `{ address, port }`, `{ path }` or an address of another family
   * @param flags MSG_CONFIRM, …
   * @returns the number of bytes sent; `WOULD_BLOCK` if the send buffer is full
   * @throws {ErrnoError} EMSGSIZE if the datagram is too long; EISCONN if the socket is connected
   * @throws {ErrnoError} ECONNREFUSED or ENOENT if no socket has this address; EACCES or EPERM without permission
   * @throws {ErrnoError} EPIPE if the socket was shut down for writing, or if it is a TCP socket that is not connected
   * @throws {TypeError | RangeError} if an argument has the wrong type or is out of range
   * @throws {ClosedError} if this object is closed
   * @see sendto(2)
   */
  sendto(data: Uint8Array | string, address: AddressLike, flags: number = 0): number {
    const receiver = encodeAddress(this.sys, address, this.family);
    const bytes = toBytes(data);
    const allFlags = checkFlags(flags) | MSG_NOSIGNAL;
    const send = (fd: number): number =>
      this.sys.sendto(fd, bytes, 0, transferLength(bytes, "data"), allFlags, receiver);
    const n = this.#call("sendto", "sendto", send, address);
    return n === -EAGAIN ? WOULD_BLOCK : n;
  }

  /**
   * Receives a datagram and the address of its sender.
   *
   * @param size maximum number of bytes; the rest of a longer datagram is discarded
   * @param flags MSG_PEEK, MSG_TRUNC, …
   * @returns the datagram; `null` if none has been received yet
   * @throws {ErrnoError} as `recv`
   * @throws {TypeError | RangeError} if the size is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see recvfrom(2)
   */
  recvfrom(size: number, flags: number = 0): { data: Uint8Array; address: Address } | null {
    const buffer = createBuffer(size);
    const discards = this.#discards("recvfrom", checkFlags(flags));
    const from = addressBuffer();
    const n = this.#call("recvfrom", "recvfrom", (fd) => this.sys.recvfrom(fd, buffer, 0, size, flags, from));
    if (n === -EAGAIN) return null;
    return { data: buffer.subarray(0, discards ? 0 : n), address: decodeAddress(this.sys, from) };
  }

  /**
   * Sends several buffers as one message, without copying them, optionally with ancillary data.
   *
   * On a stream, ancillary data is sent with the first byte. If fewer bytes are sent than given, send the rest without
   * ancillary data.
   *
   * @param buffers the data, at most 1024 buffers
   * @param ancillary items such as `{ fds }` and `{ credentials }`, for unix sockets only; `{ packetInfo }`,
   *   `{ hopLimit }`, `{ trafficClass }` and `{ segmentSize }`, for AF_INET and AF_INET6. A stream needs at least one byte
   * @param flags MSG_MORE, …
   * @param address the receiver, for a socket that is not connected
   * @returns the number of bytes sent; `WOULD_BLOCK` if the send buffer is full and nothing was sent
   * @throws {ErrnoError} as `send` and `sendto`; EBADF if a file descriptor to send is not open
   * @throws {ErrnoError} EPERM if the credentials are not those of this process; ETOOMANYREFS if too many file
   *   descriptors are in flight
   * @throws {TypeError | RangeError} if an argument is not valid, such as an item without file descriptors or with more
   *   than 253
   * @throws {ClosedError} if this object is closed
   * @see sendmsg(2), unix(7), cmsg(3)
   */
  sendmsg(
    buffers: readonly (Uint8Array | string)[],
    ancillary: readonly Ancillary[] = [],
    flags: number = 0,
    address?: AddressLike,
  ): number {
    let fd = -1;
    const open = (): number => (fd = this.open("sendmsg"));
    const n = sendMessage(this.sys, open, this, buffers, ancillary, checkFlags(flags), address);
    if (n === -EAGAIN) return WOULD_BLOCK;
    if (n < 0) throw new ErrnoError(-n, "sendmsg", { fd, ...(address && this.#endpoint(address)) });
    return n;
  }

  /**
   * Receives a message with its sender's address, its flags and its ancillary data.
   *
   * @param size maximum number of bytes of data
   * @param ancillarySize buffer size for ancillary data: `CMSG_SPACE(4 * count)` for file descriptors. If it is too
   *   small, the kernel discards the rest, closes its file descriptors, and sets MSG_CTRUNC in `flags`
   * @param flags MSG_PEEK, …
   * @returns the message; `null` if none has been received yet
   * @throws {ErrnoError} as `recv`
   * @throws {TypeError | RangeError} if a size is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see recvmsg(2), cmsg(3)
   */
  recvmsg(size: number, ancillarySize: number = 0, flags: number = 0): Message | null {
    const discards = this.#discards("recvmsg", checkFlags(flags));
    const buffer = createBuffer(size);
    const open = (): number => this.open("recvmsg");
    const info = receiveMessage(this.sys, open, [buffer], ancillarySize, flags, discards);
    if (info === null) return null;
    const { address, flags: returned, ancillary } = info;
    return { data: buffer.subarray(0, info.size), address, flags: returned, ancillary };
  }

  /**
   * Sends bytes and file descriptors over a unix socket.
   *
   * @param data at least one byte on a stream
   * @param fds file descriptors, or objects with `fileno()`; the receiver gets duplicates
   * @returns the number of bytes sent; `WOULD_BLOCK` if the send buffer is full and nothing was sent
   * @throws {ErrnoError | TypeError | RangeError} as `sendmsg`
   * @throws {ClosedError} if this object is closed
   * @see unix(7), SCM_RIGHTS
   */
  sendFds(data: Uint8Array | string, fds: readonly FdLike[]): number {
    this.open("sendFds");
    return this.sendmsg([data], [{ fds }]);
  }

  /**
   * Receives bytes and file descriptors over a unix socket.
   *
   * @param size maximum number of bytes
   * @param maxFds maximum number of file descriptors, from 0 to 253; the kernel closes any others and sets MSG_CTRUNC in `flags`
   * @returns the bytes and the file descriptors, which the caller must close; `null` if nothing has been received yet
   * @throws {ErrnoError} as `recv`
   * @throws {TypeError | RangeError} if the size is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see unix(7), SCM_RIGHTS
   */
  recvFds(size: number, maxFds: number): { data: Uint8Array; fds: number[]; flags: number; address: Address } | null {
    const ancillarySize = fdsSize(maxFds);
    this.open("recvFds");
    const message = this.recvmsg(size, ancillarySize);
    if (message === null) return null;
    const { data, flags, address, ancillary } = message;
    return { data, fds: ancillary.flatMap((item) => ("fds" in item ? item.fds : [])), flags, address };
  }

  /**
   * Shuts down one or both directions of the connection.
   *
   * @param how SHUT_RD, SHUT_WR or SHUT_RDWR
   * @throws {ErrnoError} ENOTCONN if the socket is not connected
   * @throws {TypeError | RangeError} if `how` is none of these
   * @throws {ClosedError} if this object is closed
   * @see shutdown(2)
   */
  shutdown(how: number): void {
    checkInteger("how", how, SHUT_RD, SHUT_RDWR, ": SHUT_RD, SHUT_WR or SHUT_RDWR");
    const fd = this.open("shutdown");
    check(this.sys.shutdown(fd, how), "shutdown", fd);
  }

  /**
   * Sets a socket option.
   *
   * @param level SOL_SOCKET, IPPROTO_TCP, …
   * @param name SO_REUSEADDR, TCP_NODELAY, …
   * @param value a number or boolean if the option is an int, bytes if it is a structure
   * @throws {ErrnoError} ENOPROTOOPT if the option does not exist; EINVAL or EDOM if the value is invalid; EPERM
   * @throws {TypeError | RangeError} if an argument has the wrong type or is out of range
   * @throws {ClosedError} if this object is closed
   * @see setsockopt(2), socket(7), tcp(7), ipv6(7)
   */
  setsockopt(level: number, name: number, value: number | boolean | Uint8Array): void {
    checkOptionName(level, name);
    const bytes = encodeOption(value);
    setOption(this.sys, this.open("setsockopt"), level, name, bytes);
  }

  /**
   * Reads a socket option.
   *
   * @param level SOL_SOCKET, IPPROTO_TCP, …
   * @param name SO_ERROR, TCP_NODELAY, …
   * @param length buffer size in bytes, if the option is a structure
   * @returns a number or, if a length is given, the bytes that the kernel wrote
   * @throws {ErrnoError} ENOPROTOOPT if the option does not exist; EINVAL
   * @throws {TypeError | RangeError} if an argument is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see getsockopt(2)
   */
  getsockopt(level: number, name: number): number;
  getsockopt(level: number, name: number, length: number): Uint8Array;
  getsockopt(level: number, name: number, length?: number): number | Uint8Array {
    checkOptionName(level, name);
    if (length === undefined) return getIntOption(this.sys, this.open("getsockopt"), level, name);
    return getOption(this.sys, this.open("getsockopt"), level, name, length);
  }

  /**
   * Returns the state and the statistics of a TCP connection: round-trip times, windows, bytes.
   *
   * @throws {ErrnoError} EOPNOTSUPP or ENOPROTOOPT if this is not a TCP socket
   * @throws {ClosedError} if this object is closed
   * @see tcp(7), TCP_INFO
   */
  tcpInfo(): TcpInfo {
    this.open("tcpInfo");
    return decodeTcpInfo(this.getsockopt(IPPROTO_TCP, TCP_INFO, TCP_INFO_BYTES));
  }

  /**
   * Returns the credentials that the peer of a unix stream socket had when it called `connect`, `listen` or
   * `socketpair`.
   *
   * @returns the process, user and group ID; the process ID is 0 if it is not visible in this PID namespace
   * @throws {ClosedError} if this object is closed
   * @see unix(7), SO_PEERCRED
   */
  peerCredentials(): Credentials {
    this.open("peerCredentials");
    const bytes = this.getsockopt(SOL_SOCKET, SO_PEERCRED, 12);
    return decodeCredentials(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  /**
   * Sets SO_LINGER, which determines what `close` does with unsent data.
   *
   * @param seconds `null`, the default of a new socket, sends the data in the background. A number limits the time;
   *   after that, unsent data is discarded and the connection is reset. 0 resets the connection immediately
   * @throws {TypeError | RangeError} if `seconds` is neither `null` nor an integer from 0 to 2147483647. It must be given
   * @throws {ClosedError} if this object is closed
   * @see socket(7), SO_LINGER
   */
  setLinger(seconds: number | null): void {
    const bytes = encodeLinger(seconds);
    setOption(this.sys, this.open("setLinger"), SOL_SOCKET, SO_LINGER, bytes);
  }

  /**
   * Returns the local address.
   *
   * @throws {ErrnoError} ENOBUFS if the kernel is out of memory
   * @throws {ClosedError} if this object is closed
   * @see getsockname(2)
   */
  getsockname(): Address {
    const fd = this.open("getsockname");
    const address = addressBuffer();
    check(this.sys.getsockname(fd, address), "getsockname", fd);
    return decodeAddress(this.sys, address);
  }

  /**
   * Returns the peer's address.
   *
   * @throws {ErrnoError} ENOTCONN if the socket is not connected
   * @throws {ClosedError} if this object is closed
   * @see getpeername(2)
   */
  getpeername(): Address {
    const fd = this.open("getpeername");
    const address = addressBuffer();
    check(this.sys.getpeername(fd, address), "getpeername", fd);
    return decodeAddress(this.sys, address);
  }

  /**
   * Receives a datagram into an existing buffer, and the address of its sender.
   *
   * @param buffer receives the bytes; the rest of a longer datagram is discarded
   * @param flags MSG_PEEK, MSG_TRUNC, …
   * @returns the number of bytes and the address; `null` if none has been received yet
   * @throws {ErrnoError} as `recv`
   * @throws {TypeError} if `buffer` is not a Uint8Array
   * @throws {ClosedError} if this object is closed
   * @see recvfrom(2)
   */
  recvfromInto(buffer: Uint8Array, flags: number = 0): DatagramInfo | null {
    const discards = this.#discards("recvfromInto", checkFlags(flags));
    return receiveFrom(this.sys, () => this.open("recvfromInto"), buffer, flags, discards);
  }

  /**
   * Receives a message into several buffers, which are filled in order, with its sender's address, its flags and its
   * ancillary data.
   *
   * @param buffers receive the bytes, at most 1024 buffers; the rest of a longer datagram is discarded
   * @param ancillarySize buffer size for ancillary data; see `recvmsg`
   * @param flags MSG_PEEK, MSG_TRUNC, …
   * @returns the number of bytes, the address, flags and ancillary data; `null` if none has been received yet
   * @throws {ErrnoError} as `recv`
   * @throws {TypeError | RangeError} if an argument has the wrong type or is out of range
   * @throws {ClosedError} if this object is closed
   * @see recvmsg(2), cmsg(3)
   */
  recvmsgInto(buffers: readonly Uint8Array[], ancillarySize: number = 0, flags: number = 0): MessageInfo | null {
    const discards = this.#discards("recvmsgInto", checkFlags(flags));
    return receiveMessage(this.sys, () => this.open("recvmsgInto"), buffers, ancillarySize, flags, discards);
  }

  /**
   * Sends datagrams with one system call.
   *
   * If a datagram cannot be sent, the call returns the number of those before it. Call it again with `start` at the first
   * that was not sent: if it still cannot be sent, that call throws its error or returns `WOULD_BLOCK`.
   *
   * @param messages a MessageBatch, or an array of `{ data, address, ancillary }`, of which one call sends at most 1024
   * @param flags MSG_CONFIRM, …
   * @param start the index of the first message to send
   * @returns the number of messages sent, counted from `start`; `WOULD_BLOCK` if the send buffer is full
   * @throws {ErrnoError} as `sendto` and `sendmsg`, for the first message
   * @throws {TypeError | RangeError} if an argument is not valid, or this is a stream socket
   * @throws {ClosedError} if this object is closed
   * @see sendmmsg(2)
   */
  sendmmsg(messages: MessageBatch | readonly OutgoingMessage[], flags: number = 0, start: number = 0): number {
    checkFlags(flags);
    this.open("sendmmsg");
    checkDatagrams(this, "sendmmsg", "sendmsg");
    let fd = -1;
    const open = (): number => (fd = this.open("sendmmsg"));
    const n = isMessageBatch(messages)
      ? sendBatch(this.sys, open, messages, this.family, start, flags)
      : sendMessages(this.sys, open, this.family, messages, start, flags);
    return n === -EAGAIN ? WOULD_BLOCK : check(n, "sendmmsg", fd);
  }

  /**
   * Receives datagrams with one system call.
   *
   * @param maxMessages maximum number of datagrams, from 1 to 1024
   * @param size maximum number of bytes of each datagram; the rest of a longer one is discarded
   * @param ancillarySize buffer size for the ancillary data of each datagram; see `recvmsg`
   * @param flags MSG_PEEK, MSG_TRUNC, …
   * @returns the datagrams that have been received; `null` if there is none yet
   * @throws {ErrnoError} as `recv`
   * @throws {TypeError | RangeError} if an argument is not a number or out of range, or this is a stream socket
   * @throws {ClosedError} if this object is closed
   * @see recvmmsg(2)
   */
  recvmmsg(maxMessages: number, size: number, ancillarySize: number = 0, flags: number = 0): Message[] | null {
    this.open("recvmmsg");
    checkInteger("maxMessages", maxMessages, 1, MAX_MESSAGES);
    checkInteger("size", size, 0, Math.floor(MAX_TRANSFER_BYTES / maxMessages));
    const { family } = this;
    const batch = new MessageBatch({ capacity: maxMessages, messageSize: size, ancillarySize, family });
    return this.recvmmsgInto(batch, flags) === WOULD_BLOCK ? null : messagesOf(batch);
  }

  /**
   * Receives datagrams into a batch with one system call, without allocating memory. What the batch contained is lost.
   *
   * @param batch receives the datagrams, as many as have been received or fit
   * @param flags MSG_PEEK, MSG_TRUNC, …
   * @returns the number of datagrams; `WOULD_BLOCK` if none has been received yet
   * @throws {ErrnoError} as `recv`. An error after the first datagram is reported by the next call
   * @throws {TypeError | RangeError} if an argument is not valid, or this is a stream socket
   * @throws {ClosedError} if this object is closed
   * @see recvmmsg(2)
   */
  recvmmsgInto(batch: MessageBatch, flags: number = 0): number {
    checkFlags(flags);
    this.open("recvmmsgInto");
    checkDatagrams(this, "recvmmsg", "recvmsg");
    let fd = -1;
    const open = (): number => (fd = this.open("recvmmsgInto"));
    if (!isMessageBatch(batch)) throw invalidType("batch", "a MessageBatch", batch);
    const n = receiveBatch(this.sys, open, batch, this.family, flags);
    return n === -EAGAIN ? WOULD_BLOCK : check(n, "recvmmsg", fd);
  }

  /**
   * Makes a call, and repeats it if a signal interrupts it. The file descriptor is looked up before each attempt, because
   * the listener of a trace, which runs between them, may close this socket.
   *
   * @returns the result, or -EAGAIN
   * @throws {ErrnoError} if the call fails otherwise, with the address `to`
   */
  #call(method: string, syscall: string, call: (fd: number) => number, to?: AddressLike): number {
    for (;;) {
      const fd = this.open(method);
      const n = call(fd);
      if (n >= 0 || n === -EAGAIN) return n;
      if (n !== -EINTR) throw new ErrnoError(-n, syscall, { fd, ...(to && this.#endpoint(to)) });
    }
  }

  /** Whether a receiving call with these flags discards bytes instead of writing them to the buffer; see tcp(7). */
  #discards(method: string, flags: number): boolean {
    if ((flags & MSG_TRUNC) === 0 || (flags & MSG_ERRQUEUE) !== 0 || this.type !== SOCK_STREAM) return false;
    const protocol = tryGetIntOption(this.sys, this.open(method), SOL_SOCKET, SO_PROTOCOL);
    return protocol === IPPROTO_TCP || protocol === IPPROTO_MPTCP;
  }

  #endpoint(address: AddressLike): { address: string; port?: number } {
    return errorEndpoint(this.sys, address, this.family);
  }
}

/**
 * Creates a pair of connected sockets.
 *
 * @param family AF_UNIX (the default), the only family that supports socketpair
 * @param type SOCK_STREAM (the default), SOCK_DGRAM or SOCK_SEQPACKET
 * @param protocol the protocol number; 0 (the default) selects the protocol of the type
 * @throws {ErrnoError} EOPNOTSUPP if the family is not AF_UNIX; EMFILE or ENFILE if the limit of open file descriptors
 *   is reached
 * @throws {TypeError | RangeError} if an argument is not an integer, or out of range
 * @see socketpair(2)
 */
export function socketpair(
  family: number = AF_UNIX,
  type: number = SOCK_STREAM,
  protocol: number = 0,
): [Socket, Socket] {
  checkSocketKind(family, type, protocol);
  const sys = syscalls();
  const fds = new Int32Array(new ArrayBuffer(8));
  check(sys.socketpair(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol, fds), "socketpair");
  const socket = (i: number): Socket => new Socket(family, type, protocol, new OpenFd(fds[i] as number), sys);
  return [socket(0), socket(1)];
}

function checkSocketKind(family: number, type: number, protocol: number): void {
  checkInt("family", family, ", such as AF_INET");
  checkInt("type", type, ", such as SOCK_STREAM");
  checkInt("protocol", protocol, ", such as IPPROTO_TCP");
}

function checkOptionName(level: number, name: number): void {
  checkInt("level", level, ", such as SOL_SOCKET");
  checkInt("name", name, ", such as SO_REUSEADDR");
}

function checkFlags(flags: number): number {
  return checkInt("flags", flags, ", such as MSG_PEEK");
}

function checkSize(size: number): number {
  return checkInteger("size", size, 0, MAX_TRANSFER_BYTES);
}
