// What the bytes mean: the small interface between the run loop, which moves them, and a protocol, which understands them.

import type { Address } from "../kernel/address.ts";

/**
 * What a connection waits for, and so which of the server's clocks runs while it does.
 *
 * `new`: for a first byte. `head`: for the rest of a message's head. `body`: for more of its body. `handler`: for an
 * application. `idle`: for a next message, or just for bytes. While output waits for room, that is what it waits for.
 */
export type Phase = "new" | "head" | "body" | "handler" | "idle";

/** A connection, as far as a protocol sees it. Only `flush` and `abort` make a system call: the rest the loop does, afterwards. */
export interface ProtocolConnection {
  readonly fd: number;
  /** The other end's address. */
  readonly peer: Address;
  /** The protocol's own, for this connection. */
  protocolState: unknown;
  /** Complete heads so far, or whatever the protocol counts. */
  messages: number;
  phase: Phase;
  /** Raised when a wait of the same phase begins anew. */
  progress: number;
  /** Nothing more is to be received for now. */
  isPaused: boolean;
  /** The loop shall call `drain` once all output is sent. */
  wantsDrain: boolean;
  /** Bytes that are queued and not yet with the kernel. */
  readonly pending: number;
  /** `finish` was called. */
  readonly isFinished: boolean;
  /** All is over, and the descriptor closed. */
  readonly isClosed: boolean;
  /** What was received and sent. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /**
   * Queue the first `length` bytes.
   *
   * @param isLent they are good until the loop has tried to send them; else they must not change until they are sent
   */
  write(bytes: Uint8Array, length?: number, isLent?: boolean): void;
  /**
   * Close, once all that is queued is sent.
   *
   * @param isPeerDone the peer has promised to send no more: nothing can arrive that would turn the close into a reset
   */
  finish(isPeerDone: boolean): void;
  /** Copy what is queued and only lent. */
  copyBorrowed(): void;
  /** Outside of the loop's calls: do at once what was asked for. Within them it is done anyway. */
  flush(): void;
  /** Close at once and reset: what is queued is lost. */
  abort(): void;
}

/** A protocol; one object serves all connections of a server. */
export interface Protocol {
  /** Input is looked at also while output waits for room. */
  readonly isDuplex: boolean;
  /** After our last byte, what still comes is read for a while, lest it turn the close into a reset; or both halves are shut. */
  readonly lingers: boolean;
  /** An iteration begins. `nowMs` is the loop's clock. */
  startIteration(nowMs: number): void;
  /** A connection was accepted. */
  open(channel: ProtocolConnection): void;
  /** `length` bytes came. They are only lent: the next call overwrites them. */
  receive(channel: ProtocolConnection, bytes: Uint8Array, length: number): void;
  /** The peer has shut its half: no more will come. To go on all the same, pause the channel; else finish it. */
  end(channel: ProtocolConnection): void;
  /** All output is sent, and that was asked for. */
  drain(channel: ProtocolConnection): void;
  /** A wait in `phase` was too long: say so, if that is the custom, and finish. */
  timeout(channel: ProtocolConnection): void;
  /** There are too many connections from its address: say so, if that is the custom, and finish. */
  reject(channel: ProtocolConnection): void;
  /** The connection is closed, by whomever. */
  closed(channel: ProtocolConnection): void;
  /** The server is about to stop: let each connection end with its next reply. */
  stop(): void;
  /**
   * The thread blocks between iterations, so that Bun's event loop never turns: end what waits for that.
   *
   * @returns whether there was something: then microtasks are to be run once more
   */
  failBlocked(): boolean;
}
