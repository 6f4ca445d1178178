// The interface between the run loop, which transfers bytes, and a protocol, which interprets them.

import type { Buffer } from "node:buffer";
import type { Address } from "../kernel/address.ts";
import type { TlsInfo } from "./tls/tls-options.ts";

/**
 * What an open connection waits for, and so which of the server's timeouts applies.
 *
 * - `new`: the first byte.
 * - `head`: the rest of a message's head.
 * - `body`: more of a message's body.
 * - `handler`: the application, for a response.
 * - `streaming`: the application, for more of a response that has begun.
 * - `idle`: the next message, or, without messages, more bytes.
 * - `open`: the next message from either side, of a protocol in which both sides may send at any time.
 * - `pinged`: a sign of life from the peer, which was asked for one.
 * - `paused`: the application, to receive again. There is no timeout.
 *
 * While output waits for room in the send queue, the write timeout applies instead. Once the peer has closed its side, the
 * timeouts of `handler` and `streaming` are shorter.
 */
export type Phase = "new" | "head" | "body" | "handler" | "streaming" | "idle" | "open" | "pinged" | "paused";

/**
 * Why a connection is rejected before its first message:
 *
 * - `too-many-connections`: its peer's address has too many
 * - `bad-proxy-header`: it does not begin with a valid header of the PROXY protocol
 * - `unexpected-http`: it begins with a plain HTTP request instead of a TLS handshake
 */
export type ConnectionRejection = "too-many-connections" | "bad-proxy-header" | "unexpected-http";

/**
 * A connection, as its protocol sees it. Only `flush`, `sendNow` and `abort` make system calls; the run loop does everything else
 * after each callback.
 */
export interface ProtocolConnection {
  readonly fd: number;
  /** The peer's address, or that of the client whose connection the peer forwards. */
  readonly peer: Address;
  /** Whether the bytes are encrypted by TLS on their way. */
  readonly isSecure: boolean;
  /** What the TLS handshake has agreed on; undefined without TLS. */
  readonly tlsInfo?: TlsInfo | undefined;
  /**
   * Replaces the peer's address by that of the client whose connection the peer forwards, and counts the connection for it.
   *
   * @returns whether the connection is allowed; false if the address has too many
   */
  setPeer(peer: Address): boolean;
  /** The protocol's own data for this connection. */
  protocolState: unknown;
  /** The number of messages so far, by the protocol's count. A new one restarts the timeout. */
  messages: number;
  /** The phase; undefined once the connection is finished. Setting it has no effect then. */
  get phase(): Phase | undefined;
  set phase(phase: Phase);
  /** Incremented by the protocol to restart the timeout within a phase. */
  progress: number;
  /**
   * The timeout of `handler` and `streaming` for the current message, in milliseconds; undefined: the server's. Setting it restarts
   * the timeout.
   */
  get handlerTimeoutMs(): number | undefined;
  set handlerTimeoutMs(timeoutMs: number);
  /** The peer has closed its side. Input that it sent before may still be unread. */
  readonly hasPeerClosed: boolean;
  /** Whether input is also received while output waits for room. */
  isDuplex: boolean;
  /** A request to the run loop: receive nothing for now. */
  isPaused: boolean;
  /** Where the run loop receives next, so that large messages need not be copied; undefined: a buffer of its own. */
  receiveInto: Buffer | undefined;
  /** A request to the run loop: call `drain` when all output has been sent. */
  wantsDrain: boolean;
  /** The number of bytes that are queued and not yet in the kernel's send queue. */
  readonly pending: number;
  /** The send queue is full: output waits for EPOLLOUT. */
  readonly isBlocked: boolean;
  /** The protocol is being called. What it requests is performed when the call returns. */
  readonly isInCallback: boolean;
  /** `finish` was called, or the connection is closed. */
  readonly isFinished: boolean;
  /** The fd is closed. */
  readonly isClosed: boolean;
  /** Bytes received. */
  readonly bytesIn: number;
  /** Bytes sent. */
  readonly bytesOut: number;
  /**
   * Queues the first `length` bytes.
   *
   * @param isBorrowed the bytes are valid until the run loop has tried to send them; otherwise they must not change until they
   *   are sent
   */
  write(bytes: Uint8Array, length?: number, isBorrowed?: boolean): void;
  /** Queues bytes whose memory is freed once they are sent: nothing else uses their buffer. */
  writeOnce(bytes: Uint8Array): void;
  /**
   * Ends the connection once all output has been sent.
   *
   * @param isPeerDone the peer has announced that it sends nothing more, so no input can turn the close into a reset
   */
  finish(isPeerDone: boolean): void;
  /** Copies the queued bytes that are borrowed. */
  copyBorrowed(): void;
  /** Performs requested operations immediately. Only needed outside of a callback; has no effect in one. */
  flush(): void;
  /** Sends as much of the queued output as the kernel takes, also in a callback. Calls nothing back. */
  sendNow(): void;
  /** Resets the connection. Queued output is lost. */
  abort(): void;
  /**
   * Resets the connection, because a callback of the application has thrown outside of the run loop's calls. The run loop throws
   * the error from its current or next iteration, as it does with an error that is thrown within its calls.
   */
  fail(error: unknown): void;
}

/** A protocol. One object serves all connections of a server. */
export interface Protocol {
  /**
   * How a connection ends. true: shut down the send direction, then discard input until the peer closes, so that late input does
   * not turn the close into a reset. false: shut down both directions, and wait for EPOLLHUP.
   */
  readonly lingers: boolean;
  /** Called in each iteration after the wait, with the time by the run loop's clock. */
  updateTime(nowMs: number): void;
  /**
   * Whether the peer is a proxy that is going to report the address of its client. Until then, the number of its connections is
   * not limited.
   */
  isProxy?(connection: ProtocolConnection): boolean;
  /** A connection was accepted. */
  open(connection: ProtocolConnection): void;
  /**
   * `length` bytes were received, into the connection's `receiveInto` or into a buffer of the run loop, which is borrowed: the
   * next receive overwrites it.
   */
  receive(connection: ProtocolConnection, bytes: Buffer, length: number): void;
  /** The peer has closed its side. The protocol either finishes the connection, or pauses it and continues to send. */
  end(connection: ProtocolConnection): void;
  /**
   * The peer has closed its side while the connection is paused: its input is still to be received, and `end` is called after
   * that. Without this method, the peer's end is not noticed while a connection is paused.
   */
  peerClosed?(connection: ProtocolConnection): void;
  /** All output has been sent; called if `wantsDrain` is set. */
  drain(connection: ProtocolConnection): void;
  /**
   * The timeout of `new`, `head`, `body`, `handler` or `streaming` has expired. The protocol may send a response, and finishes the
   * connection. Also called for `open` and `pinged`: the protocol asks the peer for a sign of life, or finishes the connection.
   */
  timeout(connection: ProtocolConnection): void;
  /** The connection is not to be served. The protocol may send a response, and finishes the connection. */
  reject(connection: ProtocolConnection, reason: ConnectionRejection): void;
  /** The server is about to close the connection, which is idle. What is written now is sent if the send queue has room for it. */
  closing?(connection: ProtocolConnection): void;
  /** The connection is closed, for whatever reason. */
  closed(connection: ProtocolConnection): void;
  /** The server begins to stop: each connection ends with its next response. */
  stop(): void;
  /** Called at the end of each iteration. */
  endIteration(): void;
  /**
   * Fails the requests whose handlers wait for Bun's event loop. Called when that loop cannot run, because this thread blocks
   * in epoll_wait between iterations.
   *
   * @returns whether there were any: if so, microtasks have to run again
   */
  failBlockedRequests(): boolean;
}
