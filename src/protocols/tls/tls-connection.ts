// class TlsConnection: a connection as the protocol inside of TLS sees it. Decrypts what is received, and encrypts what is written.

import { Buffer } from "node:buffer";
import type { Address } from "../../kernel/address.ts";
import type { BufferBudget } from "../buffer-budget.ts";
import type { ConnectionRejection, Phase, Protocol, ProtocolConnection } from "../protocol.ts";
import { serverNameOf } from "./client-hello.ts";
import { PlaintextQueue } from "./plaintext-queue.ts";
import { type EngineOwner, TlsEngine } from "./tls-engine.ts";
import type { TlsInfo } from "./tls-options.ts";
import type { TlsSettings } from "./tls-settings.ts";

const NOTHING = Buffer.alloc(0);

/** Output is encrypted until this many bytes wait to be sent; the rest of it stays as it is. */
const MAX_CIPHERTEXT_BYTES = 262_144;

/** Then other connections get their turn. */
const MAX_TURN_BYTES = 1_048_576;

/** Input that is kept until the engine has started. A ClientHello has at most 16 KiB. */
const MAX_EARLY_BYTES = 32_768;

/**
 * - `new`: nothing was received.
 * - `starting`: the engine was created, and cannot be used yet.
 * - `handshake`: the handshake is in progress.
 * - `open`: the handshake is complete.
 * - `ended`: the peer has sent close_notify. Nothing can be sent.
 * - `failed`: TLS has failed, or the connection was rejected. Nothing can be sent.
 */
type State = "new" | "starting" | "handshake" | "open" | "ended" | "failed";

/** What the TLS connections of a server share. */
export interface TlsContext {
  /** The protocol inside. */
  readonly inner: Protocol;
  readonly budget: BufferBudget;
  /** The settings of new connections. */
  settings: TlsSettings;
  /** Handshakes that were completed. */
  handshakes: number;
  /** Handshakes that have failed: by an error, by the timeout, or by the end of the connection. */
  failedHandshakes: number;
}

export class TlsConnection implements ProtocolConnection, EngineOwner {
  readonly isSecure: boolean = true;
  readonly #context: TlsContext;
  /** The connection that carries the ciphertext. */
  readonly #carrier: ProtocolConnection;
  #engine: TlsEngine | undefined;
  #state: State = "new";
  /** The protocol inside was told about the connection. */
  #isInnerOpen = false;
  /** Input from before the engine has started. */
  #early: Buffer = NOTHING;
  #output = new PlaintextQueue();
  /** The bytes of `#output` that are counted in the budget. */
  #countedBytes = 0;
  /** Decrypted input that waits, because the protocol inside is paused. */
  #held: Buffer[] = [];
  /** The peer's end waits behind that input. */
  #isEndHeld = false;
  #isDeliveryScheduled = false;
  /** The argument of `finish`, once it was called. */
  #isPeerDone: boolean | undefined;
  #hasSentCloseNotify = false;
  #wantsDrain = false;
  /** The protocol inside is being called outside of the run loop's callbacks. */
  #isCalling = false;
  #bytesIn = 0;
  #bytesOut = 0;

  protocolState: unknown = undefined;
  /** Not used: what is received is decrypted first. */
  receiveInto: Buffer | undefined = undefined;

  constructor(context: TlsContext, carrier: ProtocolConnection) {
    this.#context = context;
    this.#carrier = carrier;
  }

  // ---- what the run loop reports about the connection that carries the ciphertext ----

  get isNew(): boolean {
    return this.#state === "new";
  }

  /** Whether the protocol inside decides what happens. */
  get isInnerOpen(): boolean {
    return this.#isInnerOpen && this.#state !== "failed";
  }

  /** Processes ciphertext. Returns whether the engine has to be started, by calling `tryStart` in later iterations of Bun's event loop. */
  receive(bytes: Buffer): boolean {
    if (this.#state === "new") {
      this.#state = "starting";
      this.#carrier.phase = "head";
    }
    if (this.#state === "starting") {
      this.#early = Buffer.concat([this.#early, bytes]); // the run loop's buffer is borrowed
      const isFull = this.#early.length >= MAX_EARLY_BYTES;
      if (isFull) this.#carrier.isPaused = true;
      return this.#engine === undefined && this.#createEngine(isFull);
    }
    this.#feed(bytes);
    this.#settle();
    return false;
  }

  /** Creates the engine with the certificate for the host name that the client asks for. Returns whether that is known. */
  #createEngine(isFull: boolean): boolean {
    const { settings } = this.#context;
    let { context } = settings;
    if (settings.hasNames) {
      const name = serverNameOf(this.#early);
      if (name === undefined && !isFull) return false;
      context = settings.contextFor(name ?? "");
    }
    this.#engine = new TlsEngine(settings, context, this);
    return true;
  }

  /** Processes the input so far if the engine has started. Returns whether there is nothing more to start. */
  tryStart(): boolean {
    if (this.#state !== "starting" || this.#engine === undefined) return true;
    if (!this.#engine.isStarted) return false;
    this.#state = "handshake";
    this.#carrier.isPaused = false;
    const early = this.#early;
    this.#early = NOTHING;
    this.#callOutside(() => this.#feed(early));
    return true;
  }

  /** The peer has closed its side of the connection, with or without close_notify before that. */
  end(): void {
    if (this.#state === "open") {
      this.#end();
      return this.#settle();
    }
    if (this.#state === "starting" || this.#state === "handshake") this.#failHandshake();
    this.#carrier.finish(true);
  }

  drain(): void {
    const end = this.#bytesOut + MAX_TURN_BYTES;
    this.#settle();
    while (this.#output.length > 0 && this.#bytesOut < end) {
      this.#carrier.sendNow(); // without waiting for EPOLLOUT, if there is room
      if (this.#carrier.pending > 0) break;
      this.#settle(); // last: while output is left, the run loop must have some of it to wait for
    }
    if (this.#output.length > 0 || !this.#wantsDrain || !this.isInnerOpen) return;
    this.#context.inner.drain(this);
    this.#settle();
  }

  /** Does not wait any longer for the handshake. */
  timeout(): void {
    if (this.isInnerOpen) {
      this.#context.inner.timeout(this);
      return this.#settle();
    }
    this.#failHandshake();
    this.#carrier.finish(true);
  }

  /** The protocol inside counts a connection that is not to be served. Nothing can be sent without a handshake. */
  reject(reason: ConnectionRejection): void {
    this.#state = "failed";
    this.#context.inner.reject(this, reason);
    this.#settle();
  }

  /** The server closes the connection, which is idle: says so, if the send queue has room. */
  closing(): void {
    if (this.#state !== "open" || this.#hasSentCloseNotify || this.#output.length > 0) return;
    this.#sendCloseNotify();
    this.#carrier.sendNow();
  }

  closed(): void {
    const isInHandshake = this.#state === "starting" || this.#state === "handshake";
    if (isInHandshake) this.#context.failedHandshakes++;
    this.#state = "failed";
    this.#engine?.destroy();
    this.#engine = undefined;
    this.#dropOutput();
    this.#early = NOTHING;
    this.#held = [];
    if (!this.#isInnerOpen) return;
    this.#isInnerOpen = false;
    this.#context.inner.closed(this);
  }

  // ---- what the engine reports ----

  onCiphertext(bytes: Uint8Array): void {
    this.#carrier.writeOnce(bytes); // garbage of this size would cost more than the encryption
  }

  onSecure(): void {
    if (this.#state !== "handshake") return;
    this.#state = "open";
    this.#context.handshakes++;
    this.#carrier.phase = "new";
    this.#carrier.progress++; // the peer's time for its first request begins now
    this.#isInnerOpen = true;
    this.#context.inner.open(this);
  }

  onPlaintext(bytes: Buffer): void {
    if (this.#state !== "open" || this.isFinished) return;
    this.#bytesIn += bytes.length;
    if (this.isPaused || this.#held.length > 0) {
      this.#held.push(bytes);
    } else {
      this.#context.inner.receive(this, bytes, bytes.length);
      this.#settle(); // before a close_notify that follows: nothing can be sent after it
    }
  }

  onCloseNotify(): void {
    if (this.#state === "handshake") return this.#failHandshake();
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#end();
    if (this.#isEndHeld) this.#context.inner.peerClosed?.(this);
  }

  onError(): void {
    if (this.#state === "starting" || this.#state === "handshake") {
      this.#failHandshake();
      this.#carrier.finish(false); // an alert may have to be sent
    } else if (this.#state === "open") {
      this.#state = "failed";
      this.#carrier.abort();
      return;
    }
    if (!this.isInCallback) this.#carrier.flush();
  }

  // ---- the protocol inside uses these ----

  get fd(): number {
    return this.#carrier.fd;
  }

  get peer(): Address {
    return this.#carrier.peer;
  }

  setPeer(peer: Address): boolean {
    return this.#carrier.setPeer(peer);
  }

  get messages(): number {
    return this.#carrier.messages;
  }

  set messages(count: number) {
    this.#carrier.messages = count;
  }

  get progress(): number {
    return this.#carrier.progress;
  }

  set progress(count: number) {
    this.#carrier.progress = count;
  }

  get phase(): Phase | undefined {
    return this.isFinished ? undefined : this.#carrier.phase;
  }

  set phase(phase: Phase) {
    if (!this.isFinished) this.#carrier.phase = phase;
  }

  get handlerTimeoutMs(): number | undefined {
    return this.#carrier.handlerTimeoutMs;
  }

  set handlerTimeoutMs(timeoutMs: number) {
    this.#carrier.handlerTimeoutMs = timeoutMs;
  }

  get hasPeerClosed(): boolean {
    return this.#state === "ended" || this.#carrier.hasPeerClosed;
  }

  get isDuplex(): boolean {
    return this.#carrier.isDuplex;
  }

  set isDuplex(isDuplex: boolean) {
    this.#carrier.isDuplex = isDuplex;
  }

  get isPaused(): boolean {
    return this.#carrier.isPaused;
  }

  set isPaused(isPaused: boolean) {
    this.#carrier.isPaused = isPaused;
    if (!isPaused && (this.#held.length > 0 || this.#isEndHeld)) this.#scheduleDelivery();
  }

  get wantsDrain(): boolean {
    return this.#wantsDrain;
  }

  set wantsDrain(wantsDrain: boolean) {
    this.#wantsDrain = wantsDrain;
    this.#carrier.wantsDrain = wantsDrain || this.#output.length > 0;
  }

  get pending(): number {
    return this.#output.length + this.#carrier.pending;
  }

  get isBlocked(): boolean {
    return this.#output.length > 0 || this.#carrier.isBlocked;
  }

  get isInCallback(): boolean {
    return this.#isCalling || this.#carrier.isInCallback;
  }

  get isFinished(): boolean {
    return this.#isPeerDone !== undefined || this.#carrier.isFinished;
  }

  get isClosed(): boolean {
    return this.#carrier.isClosed;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  get tlsInfo(): TlsInfo | undefined {
    return this.#state === "open" || this.#state === "ended" ? this.#engine?.info : undefined;
  }

  write(bytes: Uint8Array, length: number = bytes.byteLength, isBorrowed: boolean = false): void {
    this.#output.push(bytes, length, isBorrowed, false);
  }

  writeOnce(bytes: Uint8Array): void {
    this.#output.push(bytes, bytes.byteLength, false, true);
  }

  finish(isPeerDone: boolean): void {
    this.#isPeerDone = isPeerDone;
    if (this.#hasSentCloseNotify) this.#carrier.finish(isPeerDone);
  }

  copyBorrowed(): void {
    this.#output.copyBorrowed();
  }

  flush(): void {
    if (this.isInCallback || this.isClosed) return;
    this.#settle();
    this.#carrier.flush();
  }

  sendNow(): void {
    do {
      this.#settle();
      this.#carrier.sendNow();
    } while (this.#output.length > 0 && this.#carrier.pending === 0 && !this.isClosed);
  }

  abort(): void {
    this.#carrier.abort();
  }

  fail(error: unknown): void {
    this.#carrier.fail(error);
  }

  // ---- internal ----

  #feed(bytes: Buffer): void {
    if (this.#state === "handshake" || (this.#state === "open" && !this.isFinished)) this.#engine?.feed(bytes);
  }

  #failHandshake(): void {
    if (this.#state === "starting" || this.#state === "handshake") this.#context.failedHandshakes++;
    this.#state = "failed";
  }

  /** Reports the peer's end to the protocol inside, after the input before it. */
  #end(): void {
    if (this.isFinished) return;
    if (this.isPaused || this.#held.length > 0) this.#isEndHeld = true;
    else this.#context.inner.end(this);
  }

  #scheduleDelivery(): void {
    if (this.#isDeliveryScheduled) return;
    this.#isDeliveryScheduled = true;
    setImmediate(() => {
      this.#isDeliveryScheduled = false;
      if (!this.isClosed) this.#callOutside(() => this.#deliverHeld());
    });
  }

  #deliverHeld(): void {
    const { inner } = this.#context;
    while (!this.isPaused && !this.isFinished) {
      const bytes = this.#held.shift();
      if (bytes === undefined) break;
      inner.receive(this, bytes, bytes.length);
      this.#settle();
    }
    if (!this.#isEndHeld || this.isPaused || this.#held.length > 0) return;
    this.#isEndHeld = false;
    this.#end();
  }

  /** Calls the protocol inside from Bun's event loop, and performs what it requests. */
  #callOutside(call: () => void): void {
    this.#isCalling = true;
    try {
      call();
    } catch (error) {
      this.#carrier.fail(error);
    } finally {
      this.#isCalling = false;
    }
    this.flush();
  }

  /** Passes what the protocol inside has requested on to the connection: encrypts its output as far as there is room, and ends it. */
  #settle(): void {
    if (this.isClosed) return;
    const carrier = this.#carrier;
    const output = this.#output;
    if (this.#state === "open" && this.#engine !== undefined) {
      while (output.length > 0 && carrier.pending < MAX_CIPHERTEXT_BYTES) {
        const piece = output.next();
        if (!this.#engine.write(piece)) return carrier.abort();
        this.#bytesOut += piece.length;
        output.consume(piece.length);
      }
      output.copyBorrowed();
      this.#countOutput();
      if (output.length === 0 && this.#isPeerDone !== undefined && !this.#hasSentCloseNotify) {
        this.#sendCloseNotify();
        carrier.finish(this.#isPeerDone);
      }
    } else {
      if (output.length > 0 && this.#state === "ended") carrier.abort(); // otherwise it would look complete
      this.#dropOutput();
      if (this.#isPeerDone !== undefined) carrier.finish(this.#isPeerDone);
      else if (this.#state === "ended" && !this.#isEndHeld) carrier.finish(true);
    }
    carrier.wantsDrain = this.#wantsDrain || output.length > 0;
  }

  #sendCloseNotify(): void {
    this.#hasSentCloseNotify = true;
    this.#engine?.closeNotify();
  }

  #countOutput(): void {
    if (this.#output.length === this.#countedBytes) return;
    this.#context.budget.add(this.#output.length - this.#countedBytes);
    this.#countedBytes = this.#output.length;
  }

  #dropOutput(): void {
    this.#output.clear();
    this.#countOutput();
  }
}
