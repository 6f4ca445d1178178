// class TlsEngine: one side of a TLS connection without a socket: node:tls over a stream that is not connected to anything.

import type { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { Duplex } from "node:stream";
import { type SecureContext, TLSSocket, type TLSSocketOptions } from "node:tls";
import type { TlsInfo } from "./tls-options.ts";
import type { TlsSettings } from "./tls-settings.ts";

/** What an engine calls, always within `feed`, `write` or `closeNotify`, except `onError`. */
export interface EngineOwner {
  /** Bytes to be sent to the peer. Nothing else uses their buffer. */
  onCiphertext(bytes: Uint8Array): void;
  /** The handshake is complete. */
  onSecure(): void;
  /** Bytes that the peer has sent. Nothing else uses them. */
  onPlaintext(bytes: Buffer): void;
  /** The peer has sent close_notify: it sends nothing more, and Bun's TLS library lets nothing more be sent. */
  onCloseNotify(): void;
  /** The handshake or the connection has failed. An alert may have been written. */
  onError(error: unknown): void;
}

/** What Bun's TLSSocket writes through. TLSSocket.write waits for an iteration of Bun's event loop after each call; this does not. */
interface Handle {
  write(bytes: Uint8Array): number;
  /** Writes close_notify. */
  shutdown(): void;
}

/** Takes what the engine writes, and is given what it is to read. */
class Transport extends Duplex {
  readonly #onWrite: (bytes: Uint8Array) => void;

  constructor(onWrite: (bytes: Uint8Array) => void) {
    super({ autoDestroy: false, emitClose: false });
    this.#onWrite = onWrite;
  }

  override _read(): void {}

  override write(bytes: Uint8Array): boolean {
    this.#onWrite(bytes);
    return true; // how much may be written is decided before it is encrypted
  }

  override end(): this {
    return this;
  }
}

/**
 * Bun's TLS library, BoringSSL, is only reachable through node:tls and Bun's own sockets. A TLSSocket over a Duplex passes bytes on
 * synchronously: what is fed is decrypted, and what is written is encrypted, before the call returns. Only its start takes an iteration of
 * Bun's event loop.
 */
export class TlsEngine {
  readonly #transport: Transport;
  readonly #socket: TLSSocket;
  readonly #handle: Handle;
  #owner: EngineOwner | undefined;
  /** Thrown by the owner in a callback, which node:tls would report as an uncaught exception. */
  #failure: { error: unknown } | undefined;

  /** @param secureContext the certificate: one of the settings' */
  constructor(settings: TlsSettings, secureContext: SecureContext, owner: EngineOwner) {
    this.#owner = owner;
    this.#transport = new Transport((bytes) => this.#owner?.onCiphertext(bytes));
    const { requestCert, rejectUnauthorized, alpnProtocols } = settings;
    const options: TLSSocketOptions = {
      isServer: true,
      secureContext,
      requestCert,
      rejectUnauthorized,
      ...(alpnProtocols === undefined ? {} : { ALPNProtocols: alpnProtocols }),
    };
    const socket = new TLSSocket(this.#transport as never, options);
    this.#socket = socket;
    this.#handle = (socket as unknown as { _handle: Handle })._handle;
    if (typeof this.#handle?.write !== "function" || typeof this.#handle.shutdown !== "function") {
      socket.destroy();
      throw new Error(
        `TLS is not supported with Bun ${process.versions.bun}: its node:tls differs from what epoll-hello knows`,
      );
    }
    socket.on("secure", () => this.#call((to) => to.onSecure()));
    socket.on("data", (bytes: Buffer) => this.#call((to) => to.onPlaintext(bytes)));
    socket.on("end", () => this.#call((to) => to.onCloseNotify()));
    socket.on("_tlsError", (error: unknown) => this.#call((to) => to.onError(error))); // after the handshake, there is no "error"
    socket.on("error", (error) => this.#call((to) => to.onError(error)));
    socket.on("close", () => this.#call((to) => to.onError(new Error("the TLS connection was closed"))));
  }

  /** Whether bytes can be fed. */
  get isStarted(): boolean {
    return this.#socket.getProtocol() !== null;
  }

  /** Processes bytes that were received. They are copied. */
  feed(bytes: Uint8Array): void {
    this.#transport.emit("data", bytes);
    this.#rethrow();
  }

  /** Encrypts bytes. They are copied. Returns false if nothing more can be sent. */
  write(bytes: Uint8Array): boolean {
    const count = this.#handle.write(bytes);
    this.#rethrow();
    return count === bytes.length;
  }

  /** Tells the peer that nothing more is sent: RFC 8446, 6.1. */
  closeNotify(): void {
    this.#handle.shutdown();
    this.#rethrow();
  }

  /** Frees the engine's memory. It calls nothing any more. */
  destroy(): void {
    this.#owner = undefined;
    this.#socket.destroy();
    this.#transport.destroy();
  }

  get info(): TlsInfo {
    const socket = this.#socket;
    const { alpnProtocol, authorizationError } = socket;
    const { servername } = socket as { servername?: string | false };
    const { raw } = socket.getPeerCertificate() as { raw?: Buffer };
    return {
      protocol: socket.getProtocol() ?? "",
      cipher: socket.getCipher()?.standardName ?? "",
      serverName: servername === false ? undefined : servername,
      alpnProtocol: typeof alpnProtocol === "string" ? alpnProtocol : undefined,
      isAuthorized: socket.authorized && raw !== undefined,
      authorizationError: authorizationError === null ? undefined : String(authorizationError),
      peerCertificate: raw === undefined ? undefined : new X509Certificate(raw),
    };
  }

  /** Calls the owner. An error is thrown by the function of the engine that was called. */
  #call(callback: (owner: EngineOwner) => void): void {
    if (this.#owner === undefined) return;
    try {
      callback(this.#owner);
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #rethrow(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
  }
}
