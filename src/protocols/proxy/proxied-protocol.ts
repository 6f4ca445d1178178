// The protocol of connections that come through a proxy: reads the client's address first, then leaves the rest to another protocol.

import { Buffer } from "node:buffer";
import { invalidType, unknownOptions } from "../../kernel/errors.ts";
import type { Syscalls } from "../../kernel/ffi.ts";
import type { ConnectionRejection, Protocol, ProtocolConnection } from "../protocol.ts";
import { AddressList } from "./address-list.ts";
import { MAX_PARSED_BYTES, parseProxyHeader } from "./proxy-header.ts";
import type { ProxyOptions } from "./proxy-options.ts";

/** Checks the option `proxyProtocol`. @throws {TypeError} */
export function checkProxyOptions(name: string, value: unknown): void {
  if (typeof value === "boolean") return;
  if (typeof value !== "object" || value === null) throw invalidType(name, "true, false or an object { from }", value);
  const unknown = Object.keys(value).filter((key) => key !== "from");
  if (unknown.length > 0) throw unknownOptions(`${name} has unknown properties: ${unknown.join(", ")}; it takes from`);
  const { from } = value as { from?: unknown };
  if (!Array.isArray(from) || from.length === 0 || from.some((entry) => typeof entry !== "string")) {
    throw invalidType(`${name}.from`, "an array of at least one address or network", from);
  }
  void new AddressList(from, `${name}.from`);
}

/** A connection's state until its header was received. */
class PendingHeader {
  /** The beginning of the header. */
  bytes: Buffer = Buffer.alloc(0);
  /** The bytes of the header that are still to be skipped, once it was parsed. */
  left = 0;
}

export class ProxiedProtocol implements Protocol {
  readonly lingers: boolean;
  readonly peerClosed?: (connection: ProtocolConnection) => void;
  readonly #inner: Protocol;
  readonly #sys: Syscalls;
  /** Undefined: every peer is a proxy. */
  readonly #proxies: AddressList | undefined;

  constructor(inner: Protocol, options: true | ProxyOptions, sys: Syscalls) {
    this.#inner = inner;
    this.#sys = sys;
    this.#proxies = options === true ? undefined : new AddressList(options.from, "proxyProtocol.from");
    this.lingers = inner.lingers;
    if (inner.peerClosed !== undefined) {
      this.peerClosed = (connection) => {
        if (!isPending(connection)) inner.peerClosed?.(connection);
      };
    }
  }

  isProxy(connection: ProtocolConnection): boolean {
    return this.#proxies === undefined || this.#proxies.has(connection.peer);
  }

  updateTime(nowMs: number): void {
    this.#inner.updateTime(nowMs);
  }

  open(connection: ProtocolConnection): void {
    if (this.isProxy(connection)) connection.protocolState = new PendingHeader();
    else this.#inner.open(connection);
  }

  receive(connection: ProtocolConnection, bytes: Buffer, length: number): void {
    const { protocolState } = connection;
    if (!(protocolState instanceof PendingHeader)) return this.#inner.receive(connection, bytes, length);
    const used = this.#receiveHeader(connection, protocolState, bytes.subarray(0, length));
    if (used === length || connection.isFinished || isPending(connection)) return;
    this.#inner.receive(connection, bytes.subarray(used), length - used);
  }

  end(connection: ProtocolConnection): void {
    const { protocolState } = connection;
    if (!(protocolState instanceof PendingHeader)) return this.#inner.end(connection);
    if (protocolState.bytes.length === 0) connection.finish(true);
    else this.reject(connection, "bad-proxy-header");
  }

  drain(connection: ProtocolConnection): void {
    if (!isPending(connection)) this.#inner.drain(connection);
  }

  timeout(connection: ProtocolConnection): void {
    const { protocolState } = connection;
    if (!(protocolState instanceof PendingHeader)) return this.#inner.timeout(connection);
    if (protocolState.bytes.length === 0) connection.finish(false);
    else this.reject(connection, "bad-proxy-header");
  }

  reject(connection: ProtocolConnection, reason: ConnectionRejection): void {
    connection.protocolState = undefined;
    this.#inner.reject(connection, reason);
  }

  closed(connection: ProtocolConnection): void {
    if (isPending(connection)) connection.protocolState = undefined;
    else this.#inner.closed(connection);
  }

  stop(): void {
    this.#inner.stop();
  }

  endIteration(): void {
    this.#inner.endIteration();
  }

  failBlockedRequests(): boolean {
    return this.#inner.failBlockedRequests();
  }

  /** Processes part of a header; returns how many bytes belong to it. */
  #receiveHeader(connection: ProtocolConnection, state: PendingHeader, received: Buffer): number {
    if (state.left > 0) {
      const skipped = Math.min(state.left, received.length);
      state.left -= skipped;
      if (state.left === 0) this.#open(connection);
      return skipped;
    }
    const before = state.bytes.length;
    state.bytes = Buffer.concat([state.bytes, received.subarray(0, MAX_PARSED_BYTES - before)]);
    const header = parseProxyHeader(this.#sys, state.bytes);
    if (header === "malformed") {
      this.reject(connection, "bad-proxy-header");
      return received.length;
    }
    connection.phase = "head";
    if (header === "incomplete") return received.length;
    const used = Math.min(header.size - before, received.length);
    state.left = header.size - before - used;
    if (header.client !== undefined && !connection.setPeer(header.client)) {
      this.reject(connection, "too-many-connections");
      return received.length;
    }
    if (state.left === 0) this.#open(connection);
    return used;
  }

  /** The header is complete: begins with the other protocol. */
  #open(connection: ProtocolConnection): void {
    connection.protocolState = undefined;
    connection.phase = "new";
    connection.progress++; // the client's time for its first request begins now
    this.#inner.open(connection);
  }
}

function isPending({ protocolState }: ProtocolConnection): boolean {
  return protocolState instanceof PendingHeader;
}
