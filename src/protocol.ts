// What the bytes mean: the small interface between the run loop, which moves them, and a protocol, which understands them.

import type { Address } from "./address.ts";

/** A connection, as far as a protocol sees it. Nothing here makes a system call: the loop does, afterwards. */
export interface Channel {
  /** The other end's address. */
  readonly peer: Address;
  /** The protocol's own, for this connection. */
  state: unknown;
  /** Complete messages so far. */
  messages: number;
  /** A message has begun and is not complete: the loop's header clock runs. */
  isMidMessage: boolean;
  /** Input is kept back until output has gone: the loop calls `drain` then. */
  isHeldBack: boolean;
  /** Bytes that are queued and not yet with the kernel. */
  readonly pending: number;
  /** `finish` was called. */
  readonly isFinished: boolean;
  /** Queue the first `length` bytes. They are not copied: they must not change until they are sent. */
  write(bytes: Uint8Array, length?: number): void;
  /**
   * Close, once all that is queued is sent.
   *
   * @param isPeerDone the peer has promised to send no more: nothing can arrive that would turn the close into a reset
   */
  finish(isPeerDone: boolean): void;
}

/** A protocol; one object serves all connections of a server. */
export interface Protocol {
  /** A lap begins. `nowMs` is the loop's clock. */
  lap(nowMs: number): void;
  /** `length` bytes came. They are only lent: the next call overwrites them. */
  receive(channel: Channel, bytes: Uint8Array, length: number): void;
  /** All output is sent, and input was held back: go on with it. */
  drain(channel: Channel): void;
  /** A message did not become complete in time: say so, if that is the custom, and finish. */
  timeout(channel: Channel): void;
  /** The server is about to stop: let each connection end with its next reply. */
  stop(): void;
}
