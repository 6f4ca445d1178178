// The protocol of connections with TLS: does the handshake, and passes what is decrypted on to another protocol.

import type { Buffer } from "node:buffer";
import type { BufferBudget } from "../buffer-budget.ts";
import type { ConnectionRejection, Protocol, ProtocolConnection } from "../protocol.ts";
import { TlsConnection, type TlsContext } from "./tls-connection.ts";
import { TlsSettings } from "./tls-settings.ts";

/** The first byte of a record with a handshake message: RFC 8446, 5.1. */
const HANDSHAKE_RECORD = 0x16;

/** Checks the option `tls`. */
export function createTlsSettings(value: unknown, isHttp: boolean): TlsSettings {
  return new TlsSettings(value, isHttp);
}

export class TlsProtocol implements Protocol {
  readonly lingers: boolean;
  readonly peerClosed?: (connection: ProtocolConnection) => void;
  readonly #inner: Protocol;
  readonly #context: TlsContext;
  /** Connections whose engines have been created, and cannot be used yet. */
  #starting: TlsConnection[] = [];

  constructor(inner: Protocol, settings: TlsSettings, budget: BufferBudget) {
    this.#inner = inner;
    this.#context = { inner, budget, settings, handshakes: 0, failedHandshakes: 0 };
    this.lingers = inner.lingers;
    if (inner.peerClosed !== undefined) {
      this.peerClosed = (carrier) => {
        const connection = tlsOf(carrier);
        if (connection?.isInnerOpen === true) inner.peerClosed?.(connection);
      };
    }
  }

  /** Handshakes that were completed. */
  get handshakes(): number {
    return this.#context.handshakes;
  }

  /** Handshakes that have failed. */
  get failedHandshakes(): number {
    return this.#context.failedHandshakes;
  }

  /** Replaces the certificates and all other settings. Open connections keep theirs. */
  set settings(settings: TlsSettings) {
    this.#context.settings = settings;
  }

  updateTime(nowMs: number): void {
    this.#inner.updateTime(nowMs);
  }

  open(carrier: ProtocolConnection): void {
    carrier.protocolState = new TlsConnection(this.#context, carrier);
  }

  receive(carrier: ProtocolConnection, bytes: Buffer, length: number): void {
    const connection = tlsOf(carrier);
    if (connection === undefined) return; // rejected
    if (connection.isNew && bytes[0] !== HANDSHAKE_RECORD) return this.#rejectPlain(carrier, bytes);
    if (connection.receive(bytes.subarray(0, length))) this.#start(connection);
  }

  end(carrier: ProtocolConnection): void {
    tlsOf(carrier)?.end();
  }

  drain(carrier: ProtocolConnection): void {
    tlsOf(carrier)?.drain();
  }

  timeout(carrier: ProtocolConnection): void {
    const connection = tlsOf(carrier);
    if (connection === undefined) carrier.finish(false);
    else connection.timeout();
  }

  reject(carrier: ProtocolConnection, reason: ConnectionRejection): void {
    const connection = new TlsConnection(this.#context, carrier);
    carrier.protocolState = connection;
    connection.reject(reason);
  }

  closing(carrier: ProtocolConnection): void {
    tlsOf(carrier)?.closing();
  }

  closed(carrier: ProtocolConnection): void {
    const connection = tlsOf(carrier);
    carrier.protocolState = undefined;
    connection?.closed();
  }

  endIteration(): void {
    this.#inner.endIteration();
  }

  stop(): void {
    this.#inner.stop();
  }

  failBlockedRequests(): boolean {
    return this.#inner.failBlockedRequests();
  }

  /** The connection does not begin with TLS: a plain HTTP request gets a response that says so. */
  #rejectPlain(carrier: ProtocolConnection, bytes: Buffer): void {
    this.#context.failedHandshakes++;
    carrier.protocolState = undefined;
    const isMethod = /^[A-Z]/.test(bytes.toString("latin1", 0, 1));
    if (isMethod) this.#inner.reject(carrier, "unexpected-http");
    else carrier.finish(false);
  }

  /** Starting an engine takes an iteration of Bun's event loop. */
  #start(connection: TlsConnection): void {
    if (this.#starting.push(connection) === 1) setImmediate(() => this.#startAll());
  }

  #startAll(): void {
    const starting = this.#starting;
    this.#starting = [];
    const left = starting.filter((connection) => !connection.tryStart());
    const isScheduled = this.#starting.length > 0;
    this.#starting.push(...left);
    if (left.length > 0 && !isScheduled) setImmediate(() => this.#startAll());
  }
}

function tlsOf({ protocolState }: ProtocolConnection): TlsConnection | undefined {
  return protocolState as TlsConnection | undefined;
}
