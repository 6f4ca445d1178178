// The interface of what handles the loop's events for an HTTP connection that has a state.

import type { Buffer } from "node:buffer";

/** The state of a connection: that of its requests, or of the protocol that it was upgraded to. */
export interface HttpState {
  receive(bytes: Buffer, start: number, end: number): void;
  end(): void;
  peerClosed(): void;
  drain(): void;
  timeout(): void;
  closed(): void;
}

/** What a connection was upgraded to. */
export interface UpgradedState extends HttpState {
  /** Takes input that arrived with the request. It is delivered after the handler has returned. */
  receiveEarly(bytes: Buffer): void;
}
