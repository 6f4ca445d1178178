// The part of a connection that a ServerWebSocket uses.

import type { OutgoingMessage } from "./outgoing-message.ts";

export interface WebSocketOwner {
  readonly isOpen: boolean;
  readonly isPaused: boolean;
  /** The number of bytes that the kernel has not taken. */
  readonly bufferedAmount: number;
  readonly remoteAddress: string | undefined;
  readonly subscriptions: string[];
  send(message: OutgoingMessage, isCompressed: boolean): number;
  publish(topic: string, message: OutgoingMessage, isCompressed: boolean): number;
  control(opcode: number, data: Uint8Array): number;
  subscribe(topic: string): boolean;
  unsubscribe(topic: string): boolean;
  isSubscribed(topic: string): boolean;
  close(code: number, reason: string, reported: number): void;
  terminate(): void;
  setPaused(isPaused: boolean): void;
}
