// class ServerSocket: a connection of a server with `socket` handlers, and the type of these handlers.

import { type Address, addressBuffer, decodeAddress, type InternetAddress } from "../../kernel/address.ts";
import { IPPROTO_TCP, TCP_INFO } from "../../kernel/constants.ts";
import { check } from "../../kernel/errors.ts";
import type { Syscalls } from "../../kernel/ffi.ts";
import { decodeTcpInfo, TCP_INFO_BYTES, type TcpInfo } from "../../kernel/tcp-info.ts";
import type { ProtocolConnection } from "../protocol.ts";
import { outputBytes } from "./output-bytes.ts";

/**
 * The handlers of the `socket` option, in the shape of Bun.listen's. Only `data` is required.
 *
 * A handler may be async. The server does not wait for its promise: handlers may be called again before it settles. If it
 * rejects, that is an error of the handler, as if it had thrown.
 */
export interface SocketHandlers<Data = unknown> {
  /** Called when a connection has been accepted. */
  open?(socket: ServerSocket<Data>): void;
  /** Called with the bytes received, in a Buffer that the handler may keep. */
  data(socket: ServerSocket<Data>, bytes: Uint8Array): void;
  /** Called when everything written is in the kernel's send queue, if a `write` took less than it was given. */
  drain?(socket: ServerSocket<Data>): void;
  /** Called when the peer has closed its side. Without this handler the connection ends once everything is sent. */
  end?(socket: ServerSocket<Data>): void;
  /** Called when the connection is closed, for whatever reason. */
  close?(socket: ServerSocket<Data>): void;
  /**
   * Called when another handler throws, or its promise rejects. The connection stays open: call `terminate` or `end` to close it.
   * Without this handler, or if it throws as well, the connection is reset, and the error is thrown by `run` or `tick`; after
   * `start` it is an uncaught exception.
   */
  error?(socket: ServerSocket<Data>, error: unknown): void;
}

/** How many bytes a connection buffers when they are written faster than they are sent. */
const MAX_BUFFERED_BYTES = 262_144;

/** A connection of a server with `socket` handlers. */
export class ServerSocket<Data = unknown> {
  /** The application's own data for this connection. */
  data: Data | undefined = undefined;
  readonly #connection: ProtocolConnection;
  readonly #sys: Syscalls;
  /** A write took less than it was given. */
  #owesDrain = false;
  #isPaused = false;
  /** The peer has closed its side. */
  #hasEnded = false;

  /** @internal */
  constructor(connection: ProtocolConnection, sys: Syscalls) {
    this.#connection = connection;
    this.#sys = sys;
  }

  /** The file descriptor; -1 once the connection is closed. The server owns it: do not close it. */
  get fd(): number {
    return this.closed ? -1 : this.#connection.fd;
  }

  /** The peer's address. */
  get peer(): Address {
    return this.#connection.peer;
  }

  /** The number of bytes received. */
  get bytesIn(): number {
    return this.#connection.bytesIn;
  }

  /** The number of bytes sent. */
  get bytesOut(): number {
    return this.#connection.bytesOut;
  }

  /** The number of bytes that were written but are not yet in the kernel's send queue. */
  get pending(): number {
    return this.#connection.pending;
  }

  /** Whether the connection is closed. */
  get closed(): boolean {
    return this.#connection.isClosed;
  }

  /** Whether the connection can be written to: 1 if so; -1 if it is closed or `end` was called. As in Bun. */
  get readyState(): 1 | -1 {
    return this.#connection.isFinished ? -1 : 1;
  }

  /** The number of bytes that `write` and `end` have accepted. */
  get bytesWritten(): number {
    return this.#connection.bytesOut + this.#connection.pending;
  }

  /** The peer's IP address; undefined on a unix socket. */
  get remoteAddress(): string | undefined {
    return internet(this.peer)?.address;
  }

  /** The peer's port; undefined on a unix socket. */
  get remotePort(): number | undefined {
    return internet(this.peer)?.port;
  }

  /** The IP version of the peer's address; undefined on a unix socket. */
  get remoteFamily(): "IPv4" | "IPv6" | undefined {
    return internet(this.peer)?.family;
  }

  /** The local IP address; undefined on a unix socket, and once the connection is closed. */
  get localAddress(): string | undefined {
    return this.#local?.address;
  }

  /** The local port; undefined on a unix socket, and once the connection is closed. */
  get localPort(): number | undefined {
    return this.#local?.port;
  }

  /** The IP version of the local address; undefined on a unix socket, and once the connection is closed. */
  get localFamily(): "IPv4" | "IPv6" | undefined {
    return this.#local?.family;
  }

  /**
   * Writes as much as fits into the buffer.
   *
   * @param data a string is encoded as UTF-8. Bytes are copied
   * @param byteOffset where to begin: the number of bytes that an earlier call accepted
   * @param byteLength how many bytes to write; the rest if omitted
   * @returns the number of bytes accepted. If that is less than all, write the rest when `drain` is called. -1 if the connection is
   *   closed or `end` was called
   * @throws {TypeError} if `data` is neither a string nor bytes, or is detached
   * @throws {RangeError} if `byteOffset` or `byteLength` is out of range
   */
  write(data: string | ArrayBufferView | ArrayBufferLike, byteOffset?: number, byteLength?: number): number {
    const bytes = outputBytes(data, byteOffset, byteLength);
    const room = Math.max(0, MAX_BUFFERED_BYTES - this.#connection.pending);
    return this.#write(bytes, Math.min(bytes.length, room), typeof data === "string");
  }

  /**
   * Writes, and ends the connection once everything is sent: the server closes its side first, then waits a limited time for the
   * peer to close its own. Data that the peer sends until then is discarded.
   *
   * @param data as for `write`, but all of it is accepted, regardless of its size
   * @returns the number of bytes accepted; -1 if the connection is closed or `end` was called before
   * @throws {TypeError} and {RangeError} as `write` does; the connection then does not end
   */
  end(data?: string | ArrayBufferView | ArrayBufferLike, byteOffset?: number, byteLength?: number): number {
    const bytes = data === undefined ? undefined : outputBytes(data, byteOffset, byteLength);
    if (this.#connection.isFinished) return -1;
    const taken = bytes === undefined ? 0 : this.#write(bytes, bytes.length, typeof data === "string");
    if (this.#connection.isFinished) return taken; // the connection failed, or a `drain` handler has ended it
    this.#connection.finish(false);
    this.#connection.flush();
    return taken;
  }

  /** Resets the connection. What has not been sent is lost. */
  terminate(): void {
    this.#connection.abort();
  }

  /** Stops receiving, until `resume`. The kernel's receive queue then fills up, which slows down the peer. */
  pause(): void {
    this.#setPaused(true);
  }

  /** Receives again. */
  resume(): void {
    this.#setPaused(false);
  }

  /** Whether `pause` is in effect. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /**
   * Sets a socket option that is a 32-bit integer: TCP_NODELAY, SO_KEEPALIVE, ….
   *
   * @throws {ErrnoError} ENOPROTOOPT, EINVAL, …; EBADF if the connection is closed
   * @see setsockopt(2), tcp(7)
   */
  setsockopt(level: number, option: number, value: number): void {
    const bytes = new Uint8Array(Int32Array.of(value).buffer);
    check(this.#sys.setsockopt(this.fd, level, option, bytes, bytes.length), "setsockopt");
  }

  /**
   * Returns a socket option that is a 32-bit integer.
   *
   * @throws {ErrnoError} ENOPROTOOPT, …; EBADF if the connection is closed
   * @see getsockopt(2)
   */
  getsockopt(level: number, option: number): number {
    const bytes = new Uint8Array(new ArrayBuffer(4));
    check(this.#sys.getsockopt(this.fd, level, option, bytes, bytes.length), "getsockopt");
    return new DataView(bytes.buffer).getInt32(0, true);
  }

  /**
   * Returns the kernel's statistics of a TCP connection: state, round-trip times, windows, bytes.
   *
   * @throws {ErrnoError} EOPNOTSUPP if it is not a TCP connection; EBADF if it is closed
   * @see tcp(7), TCP_INFO
   */
  tcpInfo(): TcpInfo {
    const bytes = new Uint8Array(new ArrayBuffer(TCP_INFO_BYTES));
    const n = this.#sys.getsockopt(this.fd, IPPROTO_TCP, TCP_INFO, bytes, bytes.length);
    return decodeTcpInfo(bytes.subarray(0, check(n, "getsockopt")));
  }

  get #local(): InternetAddress | undefined {
    const address = addressBuffer();
    return this.#sys.getsockname(this.fd, address) < 0 ? undefined : internet(decodeAddress(this.#sys, address));
  }

  /** Queues the first `length` bytes, and tries to send them. Copies them unless they are our own. */
  #write(bytes: Uint8Array, length: number, isOwn: boolean): number {
    const connection = this.#connection;
    if (connection.isFinished) return -1;
    if (length < bytes.length) this.#owesDrain = connection.wantsDrain = true;
    connection.progress++;
    if (length > 0) connection.write(isOwn ? bytes : new Uint8Array(bytes.subarray(0, length)), length);
    connection.flush();
    return length;
  }

  #setPaused(isPaused: boolean): void {
    if (this.#isPaused === isPaused || this.closed) return;
    this.#isPaused = isPaused;
    this.#connection.isPaused = isPaused || this.#hasEnded;
    this.#connection.flush();
  }

  /** @internal the peer has closed its side: nothing is left to receive, whether paused or not */
  static onEnd(socket: ServerSocket): void {
    socket.#hasEnded = socket.#connection.isPaused = true;
  }

  /** @internal all output was sent; returns whether to call `drain` */
  static takeDrain(socket: ServerSocket): boolean {
    const owesDrain = socket.#owesDrain;
    socket.#owesDrain = socket.#connection.wantsDrain = false;
    return owesDrain;
  }
}

function internet(address: Address): InternetAddress | undefined {
  return "address" in address ? address : undefined;
}
