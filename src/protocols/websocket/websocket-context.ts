// What all WebSockets of a server share: handlers, settings, topics, and the sockets whose output is to be sent.

import type { BufferBudget } from "../buffer-budget.ts";
import { createFrameReceiver, type FrameReceiver } from "./frame-receiver.ts";
import type { OutgoingMessage } from "./outgoing-message.ts";
import { type Subscriber, Topics } from "./topics.ts";
import type { WebSocketHandlers, WebSocketSettings } from "./websocket-options.ts";

/** A frame that was sent or received, for traces. */
export interface FrameDetails {
  direction: "in" | "out";
  opcode: number;
  fin: boolean;
  /** The length of its content, as transmitted. */
  length: number;
  compressed: boolean;
}

/** A WebSocket as its server sees it. */
export interface WebSocketMember extends Subscriber {
  /** Sends a message; returns the size of its content, -1 or 0. */
  send(message: OutgoingMessage, isCompressed: boolean): number;
  /** Sends what is queued. */
  flush(): void;
  /** The server stops. */
  goAway(): void;
}

/** The results of `send` and `publish`, besides the number of bytes. */
export const DROPPED: number = 0;
export const BACKPRESSURE: number = -1;

export class WebSocketContext {
  readonly handlers: WebSocketHandlers<unknown>;
  readonly settings: WebSocketSettings;
  readonly budget: BufferBudget;
  readonly topics: Topics<WebSocketMember> = new Topics<WebSocketMember>();
  readonly connections: Set<WebSocketMember> = new Set<WebSocketMember>();
  /** Whether microtasks may run within an iteration. Not in `tick`, which other code may have called. */
  mayRunMicrotasks: boolean = false;
  /** Called for each frame, if the server is traced. */
  onFrame: ((fd: number, details: FrameDetails) => void) | undefined;
  /** A parser that no connection uses. Most messages arrive whole, so that one parser is enough for all connections. */
  readonly #freeReceivers: [plain: FrameReceiver | undefined, compressed: FrameReceiver | undefined] = [
    undefined,
    undefined,
  ];
  /** Connections with output that was queued outside of their callbacks. */
  #unflushed: WebSocketMember[] = [];
  readonly #flush = (): void => this.flush();

  constructor(handlers: WebSocketHandlers<unknown>, settings: WebSocketSettings, budget: BufferBudget) {
    this.handlers = handlers;
    this.settings = settings;
    this.budget = budget;
  }

  takeReceiver(hasDeflate: boolean): FrameReceiver {
    const free = this.#freeReceivers[Number(hasDeflate)];
    this.#freeReceivers[Number(hasDeflate)] = undefined;
    return free ?? createFrameReceiver(this.settings.maxPayloadLength, hasDeflate);
  }

  returnReceiver(receiver: FrameReceiver, hasDeflate: boolean): void {
    receiver.owner = undefined;
    this.#freeReceivers[Number(hasDeflate)] = receiver;
  }

  /** Sends a connection's output at the end of the iteration, or outside of one when microtasks run: once for all messages until then. */
  scheduleFlush(connection: WebSocketMember): void {
    if (this.#unflushed.length === 0) queueMicrotask(this.#flush);
    this.#unflushed.push(connection);
  }

  flush(): void {
    if (this.#unflushed.length === 0) return;
    const connections = this.#unflushed;
    this.#unflushed = [];
    for (const connection of connections) connection.flush();
  }

  /**
   * Sends a message to all subscribers of a topic.
   *
   * @param except a subscriber that does not get it
   * @returns the size of the message; -1 if a subscriber has backpressure; 0 if one has dropped it, or there are none
   */
  publish(topic: string, message: OutgoingMessage, isCompressed: boolean, except?: WebSocketMember): number {
    let result = DROPPED;
    let isFirst = true;
    for (const connection of this.topics.subscribersOf(topic) ?? []) {
      if (connection === except) continue;
      const sent = connection.send(message, isCompressed);
      if (isFirst || rank(sent) < rank(result)) result = sent;
      isFirst = false;
    }
    return result;
  }

  /** The server stops: all WebSockets get a Close frame with the code 1001. */
  stop(): void {
    for (const connection of this.connections) connection.goAway();
  }
}

/** Orders results: dropped, backpressure, sent. */
function rank(result: number): number {
  return result === DROPPED ? 0 : result < 0 ? 1 : 2;
}
