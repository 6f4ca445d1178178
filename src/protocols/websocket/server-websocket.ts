// class ServerWebSocket: a WebSocket as the handlers see it, with the interface of Bun's.

import { Buffer } from "node:buffer";
import { invalidType, invalidValue } from "../../kernel/errors.ts";
import { PING, PONG } from "./opcodes.ts";
import { type OutgoingMessage, toBinary, toControlData, toMessage, toText } from "./outgoing-message.ts";
import type { WebSocketOwner } from "./websocket-owner.ts";

/** What is sent: a string as a text, everything else as binary data. */
export type WebSocketData = string | ArrayBufferView | ArrayBufferLike | Blob;

/** The type of binary data that handlers receive. */
export type BinaryType = "nodebuffer" | "arraybuffer" | "uint8array" | "blob";

const BINARY_TYPES: readonly string[] = ["nodebuffer", "arraybuffer", "uint8array", "blob"];
const NORMAL_CLOSURE = 1000;
const MAX_CONTROL_BYTES = 125;

/**
 * A WebSocket of a server with the `websocket` option.
 *
 * The methods that send return the size of the message in bytes; -1 if the client does not receive fast enough: the message is
 * queued, and `drain` is called when the queue is empty; 0 if the message was dropped, because more than `backpressureLimit` bytes are
 * queued or the WebSocket is closed.
 */
export class ServerWebSocket<Data = undefined> {
  /** The application's own data: what was passed to `server.upgrade`. */
  data: Data;
  readonly #owner: WebSocketOwner;
  #binaryType: BinaryType = "nodebuffer";

  /** @internal */
  constructor(owner: WebSocketOwner, data: Data) {
    this.#owner = owner;
    this.data = data;
  }

  /**
   * Sends a message.
   *
   * @param data a string is sent as a text, bytes and a Blob in memory as binary data
   * @param compress whether to compress it, if `perMessageDeflate` is on and the client supports it; default: false
   * @throws {TypeError} if `data` is undefined or null, or detached
   */
  send(data: WebSocketData, compress: boolean = false): number {
    return this.#owner.send(toMessage(data), compress);
  }

  /**
   * Sends a text.
   *
   * @param compress as for `send`
   * @throws {TypeError} if `data` is not a string
   */
  sendText(data: string, compress: boolean = false): number {
    return this.#owner.send(toText(data), compress);
  }

  /**
   * Sends binary data.
   *
   * @param compress as for `send`
   * @throws {TypeError} if `data` is neither bytes nor a Blob in memory
   */
  sendBinary(data: ArrayBufferView | ArrayBufferLike | Blob, compress: boolean = false): number {
    return this.#owner.send(toBinary(data), compress);
  }

  /**
   * Sends a message to all other subscribers of a topic; with `publishToSelf`, also to this one. A WebSocket that is closed sends
   * nothing.
   *
   * @param compress as for `send`
   * @returns as `send`; if there are several subscribers, the worst result
   * @throws {TypeError} as `send` does, or if `topic` is not a string
   * @throws {RangeError} if `topic` is empty
   */
  publish(topic: string, data: WebSocketData, compress: boolean = false): number {
    return this.#publish(topic, toMessage(data), compress);
  }

  /** Sends a text to the subscribers of a topic, as `publish` does. @throws {TypeError} if `data` is not a string */
  publishText(topic: string, data: string, compress: boolean = false): number {
    return this.#publish(topic, toText(data), compress);
  }

  /** Sends binary data to the subscribers of a topic, as `publish` does. @throws {TypeError} if `data` is neither bytes nor a Blob */
  publishBinary(topic: string, data: ArrayBufferView | ArrayBufferLike | Blob, compress: boolean = false): number {
    return this.#publish(topic, toBinary(data), compress);
  }

  /**
   * Subscribes to a topic.
   *
   * @returns whether it is subscribed now; false if it is closed
   * @throws {TypeError} if `topic` is not a string
   * @throws {RangeError} if `topic` is empty
   */
  subscribe(topic: string): boolean {
    checkTopic(topic);
    return this.#owner.subscribe(topic);
  }

  /** Ends a subscription. @returns whether there was one */
  unsubscribe(topic: string): boolean {
    checkTopic(topic);
    return this.#owner.unsubscribe(topic);
  }

  /** Returns whether it is subscribed to a topic. */
  isSubscribed(topic: string): boolean {
    checkTopic(topic);
    return this.#owner.isSubscribed(topic);
  }

  /** The topics that it is subscribed to. */
  get subscriptions(): string[] {
    return this.#owner.subscriptions;
  }

  /**
   * Calls a function. Exists for compatibility: what is sent in a handler, or until microtasks run, is always sent together.
   *
   * @returns what the function returns
   * @throws what the function throws
   */
  cork<R = unknown>(callback: (ws: ServerWebSocket<Data>) => R): R {
    if (typeof callback !== "function") throw invalidType("callback", "a function", callback);
    return callback(this);
  }

  /**
   * Sends a Close frame after what is queued, and ends the connection. The `close` handler is called before this returns.
   *
   * @param code the status code; default: 1000. 0, 1005 and 1006: none
   * @param reason at most 123 bytes of UTF-8; the rest is cut off
   * @throws {TypeError} if `code` is not a number
   */
  close(code: number = NORMAL_CLOSURE, reason: string = ""): void {
    if (typeof code !== "number") throw invalidType("code", "a number", code);
    const integer = code | 0;
    this.#owner.close(integer, String(reason), integer);
  }

  /** Ends the connection without a Close frame. What is queued is sent first, as far as the kernel takes it immediately. */
  terminate(): void {
    this.#owner.terminate();
  }

  /**
   * Sends a ping.
   *
   * @param data at most 125 bytes
   * @throws {TypeError} if `data` is neither a string nor bytes
   * @throws {RangeError} if it is too long
   */
  ping(data?: WebSocketData): number {
    return this.#control(PING, data);
  }

  /** Sends a pong, as `ping` does. Pings are answered without it. */
  pong(data?: WebSocketData): number {
    return this.#control(PONG, data);
  }

  /** Stops receiving, and the idle timeout, until `resume`. What was received already is still delivered. */
  pause(): void {
    this.#owner.setPaused(true);
  }

  /** Receives again. */
  resume(): void {
    this.#owner.setPaused(false);
  }

  /** Whether `pause` is in effect. */
  get isPaused(): boolean {
    return this.#owner.isPaused;
  }

  /** 1: open; 3: closed, or `close` or `terminate` was called. As in Bun. */
  get readyState(): 1 | 3 {
    return this.#owner.isOpen ? 1 : 3;
  }

  /** The client's IP address; an empty string on a unix socket. */
  get remoteAddress(): string {
    return this.#owner.remoteAddress ?? "";
  }

  /**
   * The type of binary messages, and of the data of pings and pongs, that handlers receive. Default: `"nodebuffer"`.
   *
   * @throws {RangeError} when it is set to an unknown type
   */
  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(type: BinaryType) {
    if (!BINARY_TYPES.includes(type)) {
      throw invalidValue(`binaryType must be one of ${BINARY_TYPES.join(", ")}; received ${String(type)}`);
    }
    this.#binaryType = type;
  }

  /** Returns how many bytes are queued that the kernel has not taken. */
  getBufferedAmount(): number {
    return this.#owner.bufferedAmount;
  }

  /** @internal returns received data, as `binaryType` has it, in memory of its own */
  static binary(ws: ServerWebSocket<unknown>, data: Uint8Array): Buffer<ArrayBuffer> {
    const bytes = new Uint8Array(data);
    switch (ws.#binaryType) {
      case "nodebuffer":
        return Buffer.from(bytes.buffer);
      case "arraybuffer":
        return bytes.buffer as never;
      case "uint8array":
        return bytes as never;
      case "blob":
        return new Blob([bytes]) as never;
    }
  }

  #publish(topic: string, message: OutgoingMessage, compress: boolean): number {
    checkTopic(topic);
    return this.#owner.publish(topic, message, compress);
  }

  #control(opcode: number, data: unknown): number {
    const bytes = toControlData(data);
    if (bytes.length > MAX_CONTROL_BYTES) {
      throw invalidValue(`the data of a ping or pong has at most ${MAX_CONTROL_BYTES} bytes; received ${bytes.length}`);
    }
    return this.#owner.control(opcode, bytes);
  }
}

/** @throws {TypeError} if a topic is not a string @throws {RangeError} if it is empty */
export function checkTopic(topic: unknown): asserts topic is string {
  if (typeof topic !== "string") throw invalidType("topic", "a string", topic);
  if (topic === "") throw invalidValue("topic is empty: pass the name of a topic");
}
