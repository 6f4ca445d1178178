// The entry point of WebSockets: upgrades requests, and publishes to the WebSockets of a server.

import type { Buffer } from "node:buffer";
import type { BufferBudget } from "../buffer-budget.ts";
import type { UpgradedState } from "../http/http-state.ts";
import type { RequestHead } from "../http/request-head.ts";
import type { UpgradeFailure } from "../http/server-request.ts";
import type { ProtocolConnection } from "../protocol.ts";
import { Deflate } from "./deflate.ts";
import { checkHandshake, failureResponse, serializeHandshake } from "./handshake.ts";
import { toMessage } from "./outgoing-message.ts";
import { checkTopic, type WebSocketData } from "./server-websocket.ts";
import type { UpgradeOptions } from "./upgrade-options.ts";
import { WebSocketConnection } from "./websocket-connection.ts";
import { type FrameDetails, WebSocketContext } from "./websocket-context.ts";
import type { WebSocketHandlers, WebSocketSettings } from "./websocket-options.ts";

/** What it takes to upgrade a request. */
export interface PendingUpgrade {
  /** The head of the response. */
  response: Buffer;
  deflate: Deflate | undefined;
}

export class WebSockets {
  readonly #context: WebSocketContext;

  constructor(handlers: WebSocketHandlers<unknown>, settings: WebSocketSettings, budget: BufferBudget) {
    this.#context = new WebSocketContext(handlers, settings, budget);
  }

  set onFrame(onFrame: (fd: number, details: FrameDetails) => void) {
    this.#context.onFrame = onFrame;
  }

  /** `run` or `start` was called: only they call the loop from now on. */
  onRunning(): void {
    this.#context.mayRunMicrotasks = true;
  }

  /** The number of open WebSockets. */
  get count(): number {
    return this.#context.connections.size;
  }

  /**
   * Prepares the response to an upgrade request.
   *
   * @returns what `open` needs; a failure if the request is not valid
   * @throws {TypeError} if the header fields in `options` are not valid
   */
  prepare(head: RequestHead, dateLine: string, options: UpgradeOptions): PendingUpgrade | UpgradeFailure {
    const handshake = checkHandshake(head);
    if ("status" in handshake) return { response: failureResponse(handshake), isFinal: handshake.isFinal };
    const deflate = Deflate.negotiate(this.#context.settings.deflate, handshake.extensions);
    const response = serializeHandshake(handshake, deflate?.extension, dateLine, options.headers);
    return { response, deflate };
  }

  /** Responds, and calls the `open` handler. Returns what handles the connection from now on. */
  open(connection: ProtocolConnection, { response, deflate }: PendingUpgrade, data: unknown): UpgradedState {
    connection.writeOnce(response);
    const webSocket = new WebSocketConnection(connection, this.#context, deflate, data);
    webSocket.open();
    return webSocket;
  }

  /**
   * Sends a message to all subscribers of a topic.
   *
   * @throws {TypeError} if the topic is not a string, or there is no message
   */
  publish(topic: string, data: WebSocketData, compress: boolean): number {
    checkTopic(topic);
    return this.#context.publish(topic, toMessage(data), compress);
  }

  /** Returns the number of subscribers of a topic. */
  subscriberCount(topic: string): number {
    checkTopic(topic);
    return this.#context.topics.subscribersOf(topic)?.size ?? 0;
  }

  /** Sends what was queued outside of callbacks of the connections. */
  flush(): void {
    this.#context.flush();
  }

  /** The server stops. */
  stop(): void {
    this.#context.stop();
  }
}
