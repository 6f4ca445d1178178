// The protocol of the `socket` option: passes the bytes of each connection to the application's handlers.

import { Buffer } from "node:buffer";
import { invalidType, unknownOptions } from "../../kernel/errors.ts";
import type { Syscalls } from "../../kernel/ffi.ts";
import { suggest } from "../../kernel/suggest.ts";
import { awaitHandler } from "../await-handler.ts";
import type { ConnectionRejection, Protocol, ProtocolConnection } from "../protocol.ts";
import { ServerSocket, type SocketHandlers } from "./server-socket.ts";

const HANDLERS: readonly (keyof SocketHandlers)[] = ["open", "data", "drain", "end", "close", "error"];

/**
 * Checks the `socket` option.
 *
 * @throws {TypeError} if the handler `data` is missing, or a handler is unknown or not a function
 */
export function checkHandlers(handlers: unknown): asserts handlers is SocketHandlers {
  const expected = "an object with the handler data, and optionally open, drain, end, close and error";
  if (typeof handlers !== "object" || handlers === null) throw invalidType("socket", expected, handlers);
  const unknown = Object.keys(handlers).filter((name) => !(HANDLERS as readonly string[]).includes(name));
  if (unknown.length > 0) {
    const list = unknown.map((name) => {
      const similar = suggest(name, HANDLERS);
      return `${JSON.stringify(name)}${similar === undefined ? "" : ` (did you mean ${JSON.stringify(similar)}?)`}`;
    });
    throw unknownOptions(`unknown handler${unknown.length > 1 ? "s" : ""} of socket: ${list.join(", ")}`);
  }
  for (const [name, handler] of Object.entries(handlers)) {
    if (handler !== undefined && typeof handler !== "function") {
      throw invalidType(`socket.${name}`, "a function", handler);
    }
  }
  const { data } = handlers as Partial<SocketHandlers>;
  if (data === undefined) throw invalidType("socket.data", "a function", data);
}

export class SocketProtocol implements Protocol {
  readonly lingers: boolean = true;
  readonly requests: number = 0;
  readonly rejectedBy: Record<ConnectionRejection, number> = {
    "too-many-connections": 0,
    "bad-proxy-header": 0,
    "unexpected-http": 0,
  };

  readonly #handlers: SocketHandlers;
  readonly #sys: Syscalls;

  constructor(handlers: SocketHandlers, sys: Syscalls) {
    this.#handlers = handlers;
    this.#sys = sys;
  }

  updateTime(): void {}

  open(connection: ProtocolConnection): void {
    const socket = new ServerSocket(connection, this.#sys);
    connection.protocolState = socket;
    connection.phase = "idle";
    connection.isDuplex = true;
    this.#call(connection, socket, () => this.#handlers.open?.(socket));
  }

  receive(connection: ProtocolConnection, bytes: Uint8Array, length: number): void {
    const socket = connection.protocolState as ServerSocket;
    connection.messages++;
    this.#call(connection, socket, () => this.#handlers.data(socket, Buffer.from(bytes.subarray(0, length))));
  }

  end(connection: ProtocolConnection): void {
    const socket = connection.protocolState as ServerSocket;
    ServerSocket.onEnd(socket);
    if (this.#handlers.end === undefined) connection.finish(true);
    else this.#call(connection, socket, () => this.#handlers.end?.(socket));
  }

  drain(connection: ProtocolConnection): void {
    const socket = connection.protocolState as ServerSocket;
    if (ServerSocket.takeDrain(socket)) this.#call(connection, socket, () => this.#handlers.drain?.(socket));
  }

  timeout(connection: ProtocolConnection): void {
    connection.finish(false);
  }

  reject(connection: ProtocolConnection, reason: ConnectionRejection): void {
    this.rejectedBy[reason]++;
    connection.finish(false);
  }

  closed(connection: ProtocolConnection): void {
    const socket = connection.protocolState as ServerSocket | undefined;
    connection.protocolState = undefined;
    if (socket !== undefined) this.#call(connection, socket, () => this.#handlers.close?.(socket));
  }

  stop(): void {}

  endIteration(): void {}

  failBlockedRequests(): boolean {
    return false;
  }

  /** Calls a handler. Its error goes to the `error` handler. If there is none, it is thrown: the run loop resets the connection. */
  #call(connection: ProtocolConnection, socket: ServerSocket, handler: () => unknown): void {
    try {
      awaitHandler(handler(), (error) => this.#onRejected(connection, socket, error));
    } catch (error) {
      this.#onError(connection, socket, error);
    }
  }

  #onError(connection: ProtocolConnection, socket: ServerSocket, error: unknown): void {
    if (this.#handlers.error === undefined) throw error;
    awaitHandler(this.#handlers.error(socket, error), (own) => connection.fail(own));
  }

  /** The promise of an async handler has rejected, outside of the run loop's calls. */
  #onRejected(connection: ProtocolConnection, socket: ServerSocket, error: unknown): void {
    try {
      this.#onError(connection, socket, error);
    } catch (uncaught) {
      connection.fail(uncaught);
    }
  }
}
