// The open connections by fd: adds them, registers them with epoll, and closes them.

import { addressBuffer } from "../kernel/address.ts";
import { SO_LINGER, SOL_SOCKET } from "../kernel/constants.ts";
import type { Epoll } from "../io/epoll.ts";
import { ErrnoError, throwErrors } from "../kernel/errors.ts";
import type { FdLike } from "../kernel/fd.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import type { BufferBudget } from "../protocols/buffer-budget.ts";
import type { Protocol } from "../protocols/protocol.ts";
import { Connection, type ConnectionOwner, UNREGISTERED } from "./connection.ts";
import { FIRST_CONNECTION } from "./tokens.ts";
import { TokenCounter } from "../kernel/token-counter.ts";
import type { ServerWarning } from "./types.ts";

const RESET_ON_CLOSE = new Uint8Array(Int32Array.of(1, 0).buffer); // struct linger { l_onoff, l_linger }

export interface ConnectionTableOptions {
  maxConnectionsPerAddress: number;
  onWarning: ((warning: ServerWarning) => void) | undefined;
}

export class ConnectionTable {
  /** Connections open now. */
  open: number = 0;
  /** Connections that failed: reset by the peer, or lost by the network. */
  errors: number = 0;
  /** Where accept4 writes the peer's address. */
  readonly peer: Int32Array = new Int32Array(addressBuffer().buffer);
  /** Called after a connection was closed. */
  onClosed: () => void = () => {};

  readonly #sys: Syscalls;
  readonly #epoll: Epoll;
  readonly #protocol: Protocol;
  readonly #options: ConnectionTableOptions;
  /** Indexed by fd. */
  readonly #connections: (Connection | undefined)[] = [];
  readonly #tokens = new TokenCounter(FIRST_CONNECTION);
  /** The number of connections of each address, if that is limited. */
  readonly #countByAddress = new Map<string, number>();
  readonly #budget: BufferBudget;
  /** Errors that callbacks have thrown, to be thrown out of the run loop's iterations. */
  readonly #deferredErrors: unknown[] = [];

  constructor(sys: Syscalls, epoll: Epoll, protocol: Protocol, options: ConnectionTableOptions, budget: BufferBudget) {
    this.#sys = sys;
    this.#epoll = epoll;
    this.#protocol = protocol;
    this.#options = options;
    this.#budget = budget;
  }

  get(fd: number): Connection | undefined {
    return this.#connections[fd];
  }

  /** All open connections. Closing some while iterating is allowed. */
  *[Symbol.iterator](): IterableIterator<Connection> {
    for (const connection of this.#connections) if (connection !== undefined) yield connection;
  }

  /** Adds the connection that accept4 returned; its peer's address is in `peer`. */
  add(fd: number, owner: ConnectionOwner): Connection {
    const connection = new Connection(this.#sys, owner, fd, this.#tokens.next(), this.peer);
    while (this.#connections.length <= fd) this.#connections.push(undefined); // keeps the array dense
    this.#connections[fd] = connection;
    this.open++;
    return connection;
  }

  /** Counts the connection for its address, and returns whether the address now has too many. */
  exceedsAddressLimit(connection: Connection): boolean {
    const { maxConnectionsPerAddress } = this.#options;
    if (maxConnectionsPerAddress === Infinity) return false;
    const { peer } = connection;
    if (!("address" in peer)) return false;
    const count = (this.#countByAddress.get(peer.address) ?? 0) + 1;
    this.#countByAddress.set(peer.address, count);
    connection.countedAddress = peer.address;
    return count > maxConnectionsPerAddress;
  }

  /**
   * Registers the connection for `mask`, with a system call only if the mask changes.
   *
   * @returns false if that failed: the connection has been closed
   */
  watch(connection: Connection, mask: number): boolean {
    if (connection.registeredMask === mask) return true;
    try {
      if (connection.registeredMask === UNREGISTERED) this.#epoll.register(connection.fd, mask, connection.token);
      else this.#epoll.modify(connection.fd, mask, connection.token);
      connection.registeredMask = mask;
      return true;
    } catch (error) {
      this.abort(connection);
      if (!(error instanceof ErrnoError)) throw error;
      this.#options.onWarning?.({ code: error.code, message: error.message }); // ENOSPC, ENOMEM
      return false;
    }
  }

  /** Closes a connection that failed. */
  fail(connection: Connection): void {
    this.errors++;
    this.close(connection);
  }

  /** Resets the connection: closes it and drops what was not sent. */
  abort(connection: Connection): void {
    if (connection.isClosed) return;
    this.#sys.setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, RESET_ON_CLOSE, RESET_ON_CLOSE.length);
    this.close(connection);
  }

  /** Unregisters and closes the connection. Every connection ends here. */
  close(connection: Connection): void {
    if (connection.isClosed) return;
    const { fd } = connection;
    this.#connections[fd] = undefined;
    this.open--;
    connection.transition("closed");
    connection.output = undefined;
    connection.pending = 0;
    if (connection.countedBytes > 0) this.countOutput(connection);
    if (connection.countedAddress !== undefined) this.#uncount(connection.countedAddress);
    connection.timeoutQueue?.remove(connection);
    // close() alone is not enough: a duplicate of the fd, in a child between fork and exec, keeps the registration alive.
    if (connection.registeredMask !== UNREGISTERED) this.unregister(fd);
    this.#sys.close(fd);
    try {
      this.#protocol.closed(connection);
    } catch (error) {
      this.deferError(error); // thrown by the application; the caller may have more connections to close
    }
    this.onClosed();
  }

  /** Closes the connections that are idle. */
  closeIdle(): void {
    for (const connection of this) if (connection.isIdle && !connection.isInCallback) this.closeQuiet(connection);
  }

  /** Closes a connection without pending output. Its protocol may say so to the peer. */
  closeQuiet(connection: Connection): void {
    this.#protocol.closing?.(connection);
    this.close(connection);
  }

  /** Closes all connections. Those with an unfinished request or response are reset, so that the peer notices. */
  closeAll(): void {
    for (const connection of this) {
      const isUnfinished = connection.pending > 0 || (!connection.isFinished && !connection.isIdle);
      if (isUnfinished) this.abort(connection);
      else if (connection.isIdle) this.closeQuiet(connection);
      else this.close(connection);
    }
  }

  /** Removes the registration of a stale event, which epoll would otherwise report on every wait. */
  removeStale(fd: number): void {
    if (fd >= 0 && this.#connections[fd] === undefined) this.unregister(fd); // otherwise it is the new connection's
  }

  /** Removes a registration, if there is one. */
  unregister(fd: FdLike): void {
    try {
      this.#epoll.unregister(fd);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error; // ENOENT, EBADF: it is not registered
    }
  }

  /** Resets the connections that have nothing to send to their peers, which have closed their side. */
  closeHalfClosed(): void {
    for (const connection of this) if (connection.hasPeerClosed && connection.pending === 0) this.abort(connection);
  }

  /** Counts the output that waits for room in the server's budget. */
  countOutput(connection: Connection): void {
    this.#budget.add(connection.pending - connection.countedBytes);
    connection.countedBytes = connection.pending;
  }

  /** Keeps an error that a callback has thrown, until `rethrow`. */
  deferError(error: unknown): void {
    this.#deferredErrors.push(error);
  }

  get hasDeferredError(): boolean {
    return this.#deferredErrors.length > 0;
  }

  /** Throws the first of the deferred errors, if there are any. */
  rethrow(): void {
    if (this.#deferredErrors.length > 0) throw this.#deferredErrors.shift();
  }

  /** Throws all deferred errors as one, if there are any. */
  rethrowAll(): void {
    throwErrors(this.#deferredErrors.splice(0));
  }

  #uncount(address: string): void {
    const count = (this.#countByAddress.get(address) ?? 1) - 1;
    if (count > 0) this.#countByAddress.set(address, count);
    else this.#countByAddress.delete(address);
  }
}
