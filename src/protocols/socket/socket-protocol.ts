// Another protocol than HTTP, in an application's hands: connections with handlers in the shape of Bun.listen's.

import { Buffer } from "node:buffer";
import type { Address } from "../../kernel/address.ts";
import { IPPROTO_TCP, TCP_INFO } from "../../kernel/constants.ts";
import { check } from "../../kernel/errors.ts";
import type { Syscalls } from "../../kernel/ffi.ts";
import { decodeTcpInfo, TCP_INFO_BYTES, type TcpInfo } from "../../kernel/tcp-info.ts";
import type { ProtocolConnection, Protocol } from "../protocol.ts";

/** What is called when something happens on a connection. What they throw goes to `error`. */
export interface SocketHandlers<Data = unknown> {
  /** A connection was accepted. */
  open?(socket: ServerSocket<Data>): void;
  /** Bytes came: a Buffer of its own, to keep. */
  data?(socket: ServerSocket<Data>, bytes: Uint8Array): void;
  /** All that was written is with the kernel, after `write` took less than it was given. */
  drain?(socket: ServerSocket<Data>): void;
  /** The peer will send no more. Without this handler the connection ends, once all is written. */
  end?(socket: ServerSocket<Data>): void;
  /** The connection is closed, by whomever. */
  close?(socket: ServerSocket<Data>): void;
  /** A handler has thrown. Without this handler the connection is reset, and the error is `run`'s or `tick`'s. */
  error?(socket: ServerSocket<Data>, error: unknown): void;
}

const names = ["open", "data", "drain", "end", "close", "error"] as const;

/** How much a connection keeps of what is written faster than it is taken. */
const BUFFER_BYTES = 262_144;

/** @throws {TypeError} if there is none that is called for data, or one that is not known */
export function checkHandlers(handlers: unknown): void {
  if (typeof handlers !== "object" || handlers === null) throw new TypeError("socket is an object of handlers");
  for (const [name, handler] of Object.entries(handlers)) {
    if (!(names as readonly string[]).includes(name)) {
      throw new TypeError(`socket has the handlers ${names.join(", ")}, and no ${JSON.stringify(name)}`);
    }
    if (handler !== undefined && typeof handler !== "function") throw new TypeError(`socket.${name} is a function`);
  }
  if ((handlers as SocketHandlers).data === undefined) throw new TypeError("socket has at least the handler data");
}

/** A connection of a server with `socket` handlers. */
export class ServerSocket<Data = unknown> {
  /** The application's own. */
  data: Data | undefined = undefined;
  readonly #channel: ProtocolConnection;
  readonly #sys: Syscalls;
  #isShort = false;
  #isPaused = false;
  #isEnded = false;

  /** @internal */
  constructor(channel: ProtocolConnection, sys: Syscalls) {
    this.#channel = channel;
    this.#sys = sys;
  }

  /** Its descriptor; it stays the server's. -1 once it is closed. */
  get fd(): number {
    return this.closed ? -1 : this.#channel.fd;
  }

  /** The other end's address. */
  get peer(): Address {
    return this.#channel.peer;
  }

  get bytesIn(): number {
    return this.#channel.bytesIn;
  }

  get bytesOut(): number {
    return this.#channel.bytesOut;
  }

  /** Bytes that were written and are not yet with the kernel. */
  get pending(): number {
    return this.#channel.pending;
  }

  /** It is closed: nothing can be written any more. */
  get closed(): boolean {
    return this.#channel.isClosed;
  }

  /**
   * Write, as much as there is room for.
   *
   * @param bytes a string goes as UTF-8; bytes are copied
   * @returns how many bytes were taken: if less than all, the rest is to be written again when `drain` is called. -1 if it
   *   is closed, or told to end
   */
  write(bytes: string | Uint8Array): number {
    const channel = this.#channel;
    if (channel.isClosed || channel.isFinished) return -1;
    const all = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
    const length = Math.min(all.length, Math.max(0, BUFFER_BYTES - channel.pending));
    if (length < all.length) this.#isShort = channel.wantsDrain = true;
    channel.progress++;
    if (length > 0) channel.write(typeof bytes === "string" ? all : new Uint8Array(all.subarray(0, length)), length);
    channel.flush();
    return length;
  }

  /** Write, then close once all is sent: our half first, then, when the peer has closed its half, or within a bound, all. */
  end(bytes?: string | Uint8Array): number {
    const taken = bytes === undefined ? 0 : this.write(bytes);
    if (this.#channel.isClosed || this.#channel.isFinished) return taken;
    this.#channel.finish(false);
    this.#channel.flush();
    return taken;
  }

  /** Close at once and reset: what is not sent is lost. */
  terminate(): void {
    this.#channel.abort();
  }

  /** Receive nothing, until `resume`: the peer comes to feel that. */
  pause(): void {
    this.#setPaused(true);
  }

  resume(): void {
    this.#setPaused(false);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /**
   * Set an option of the kernel's, a 32-bit number: TCP_NODELAY, SO_KEEPALIVE, ….
   *
   * @throws {ErrnoError} ENOPROTOOPT, EINVAL, …; EBADF if it is closed
   * @see setsockopt(2), tcp(7)
   */
  setsockopt(level: number, option: number, value: number): void {
    const bytes = new Uint8Array(Int32Array.of(value).buffer);
    check(this.#sys.setsockopt(this.fd, level, option, bytes, bytes.length), "setsockopt");
  }

  /**
   * Read an option of the kernel's, a 32-bit number.
   *
   * @throws {ErrnoError} ENOPROTOOPT, …; EBADF if it is closed
   * @see getsockopt(2)
   */
  getsockopt(level: number, option: number): number {
    const bytes = new Uint8Array(new ArrayBuffer(4));
    check(this.#sys.getsockopt(this.fd, level, option, bytes, bytes.length), "getsockopt");
    return new DataView(bytes.buffer).getInt32(0, true);
  }

  /**
   * What the kernel knows of the connection: its state, round trips, windows, bytes.
   *
   * @throws {ErrnoError} EOPNOTSUPP if it is no TCP connection; EBADF if it is closed
   * @see tcp(7), TCP_INFO
   */
  tcpInfo(): TcpInfo {
    const bytes = new Uint8Array(new ArrayBuffer(TCP_INFO_BYTES));
    const n = this.#sys.getsockopt(this.fd, IPPROTO_TCP, TCP_INFO, bytes, bytes.length);
    return decodeTcpInfo(bytes.subarray(0, check(n, "getsockopt")));
  }

  #setPaused(isPaused: boolean): void {
    if (this.#isPaused === isPaused || this.closed) return;
    this.#isPaused = isPaused;
    this.#channel.isPaused = isPaused || this.#isEnded;
    this.#channel.flush();
  }

  /** @internal the peer sends no more: there is nothing to receive, whether it is paused or not */
  static ended(socket: ServerSocket): void {
    socket.#isEnded = socket.#channel.isPaused = true;
  }

  /** @internal all is sent: whether `drain` is due */
  static hasRoom(socket: ServerSocket): boolean {
    const wasShort = socket.#isShort;
    socket.#isShort = socket.#channel.wantsDrain = false;
    return wasShort;
  }
}

export class SocketProtocol implements Protocol {
  readonly isDuplex: boolean = true;
  readonly lingers: boolean = true;
  readonly requests: number = 0;
  readonly rejectedBy: { "too-many-connections": number } = { "too-many-connections": 0 };

  readonly #handlers: SocketHandlers;
  readonly #sys: Syscalls;

  constructor(handlers: SocketHandlers, sys: Syscalls) {
    this.#handlers = handlers;
    this.#sys = sys;
  }

  startIteration(): void {}

  open(channel: ProtocolConnection): void {
    const socket = new ServerSocket(channel, this.#sys);
    channel.state = socket;
    channel.phase = "idle";
    this.#call(socket, () => this.#handlers.open?.(socket));
  }

  receive(channel: ProtocolConnection, bytes: Uint8Array, length: number): void {
    const socket = channel.state as ServerSocket;
    channel.messages++;
    this.#call(socket, () => this.#handlers.data?.(socket, Buffer.from(bytes.subarray(0, length))));
  }

  end(channel: ProtocolConnection): void {
    const socket = channel.state as ServerSocket;
    ServerSocket.ended(socket);
    if (this.#handlers.end === undefined) channel.finish(true);
    else this.#call(socket, () => this.#handlers.end?.(socket));
  }

  drain(channel: ProtocolConnection): void {
    const socket = channel.state as ServerSocket;
    if (ServerSocket.hasRoom(socket)) this.#call(socket, () => this.#handlers.drain?.(socket));
  }

  timeout(channel: ProtocolConnection): void {
    channel.finish(false);
  }

  reject(channel: ProtocolConnection): void {
    this.rejectedBy["too-many-connections"]++;
    channel.finish(false);
  }

  closed(channel: ProtocolConnection): void {
    const socket = channel.state as ServerSocket | undefined;
    channel.state = undefined;
    if (socket !== undefined) this.#call(socket, () => this.#handlers.close?.(socket));
  }

  stop(): void {}

  failBlocked(): boolean {
    return false;
  }

  #call(socket: ServerSocket, handler: () => void): void {
    try {
      handler();
    } catch (error) {
      if (this.#handlers.error === undefined) throw error;
      this.#handlers.error(socket, error);
    }
  }
}
