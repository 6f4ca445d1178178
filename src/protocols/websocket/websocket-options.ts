// The `websocket` option: its handlers and settings, their validation and defaults.

import { invalidType, outOfRange, unknownOptions } from "../../kernel/errors.ts";
import { suggest } from "../../kernel/suggest.ts";
import { type DeflateSettings, resolveDeflate, type WebSocketCompressor } from "./deflate-settings.ts";
import type { ServerWebSocket } from "./server-websocket.ts";

// Without the types of Bun or Node, this is `any`. The comment is part of the declarations that are published.
/** @ts-ignore */
type MessageBuffer = import("node:buffer").Buffer<ArrayBuffer>;

/**
 * The `websocket` option, as for Bun.serve: the handlers of all WebSockets, and their settings.
 *
 * A handler may be async. The server does not wait for its promise: handlers may be called again before it settles. If it
 * rejects, that is an error of the handler, as if it had thrown.
 */
export interface WebSocketHandlers<Data = undefined> {
  /** Only for its type, which is that of `ws.data`. */
  data?: Data;
  /** Called when a WebSocket has opened, before `server.upgrade` returns. */
  open?(ws: ServerWebSocket<Data>): unknown;
  /** Called with a message: a string if it is a text; otherwise bytes of the type that `ws.binaryType` selects. */
  message?(ws: ServerWebSocket<Data>, message: string | MessageBuffer): unknown;
  /** Called when everything queued is in the kernel's send queue, if a `send` or a `publish` has returned -1. */
  drain?(ws: ServerWebSocket<Data>): unknown;
  /**
   * Called once, when the WebSocket has closed.
   *
   * @param code that of the Close frame; 1005 if it had none; 1006 if there was no valid one
   * @param reason that of the Close frame, or why the server has closed the connection
   */
  close?(ws: ServerWebSocket<Data>, code: number, reason: string): unknown;
  /** Called when a ping was received. The server has answered it already. */
  ping?(ws: ServerWebSocket<Data>, data: MessageBuffer): unknown;
  /** Called when a pong was received. */
  pong?(ws: ServerWebSocket<Data>, data: MessageBuffer): unknown;
  /**
   * Called when another handler throws, or its promise rejects. The WebSocket stays open. Without this handler, or if it throws as
   * well, the connection is reset, and the error is thrown by `run` or `tick`; after `start` it is an uncaught exception.
   */
  error?(error: Error, ws: ServerWebSocket<Data>): unknown;
  /** The maximum size of a message in bytes, after decompression. Beyond it: close code 1009. Default: 16777216 (16 MiB). */
  maxPayloadLength?: number | undefined;
  /**
   * How many bytes may be queued on a connection. Beyond it, messages are dropped, and `send` returns 0. 0: no limit. Default:
   * 16777216 (16 MiB).
   */
  backpressureLimit?: number | undefined;
  /** Whether a connection is closed when its `backpressureLimit` is exceeded. Default: false. */
  closeOnBackpressureLimit?: boolean | undefined;
  /**
   * After how many seconds without a message or a pong a connection is closed, from 0 to 960. 0: never, and no pings are sent. 1 to 7
   * are rounded up to 8. Default: 120.
   */
  idleTimeout?: number | undefined;
  /** Whether a client is pinged before its `idleTimeout`, so that it stays connected as long as it responds. Default: true. */
  sendPings?: boolean | undefined;
  /** Whether `ws.publish` sends to `ws` as well, if it is subscribed. Default: false. */
  publishToSelf?: boolean | undefined;
  /**
   * Whether to compress messages, if the client can: `true` is `{ compress: "shared", decompress: "shared" }`. Shared contexts are
   * reset for each message; a dedicated one, of the given size, belongs to one connection and compresses better. Default: false.
   */
  perMessageDeflate?:
    | boolean
    | { compress?: WebSocketCompressor | boolean | undefined; decompress?: WebSocketCompressor | boolean | undefined }
    | undefined;
}

/** The handlers among the members of `WebSocketHandlers`. */
export const HANDLERS = ["open", "message", "drain", "close", "ping", "pong", "error"] as const;

/** The settings with their defaults filled in. */
export interface WebSocketSettings {
  maxPayloadLength: number;
  backpressureLimit: number;
  closeOnBackpressureLimit: boolean;
  /** Milliseconds until a ping is sent, or the connection is closed; Infinity: never. */
  openTimeoutMs: number;
  /** Milliseconds for the answer to a ping. */
  pingTimeoutMs: number;
  sendPings: boolean;
  publishToSelf: boolean;
  deflate: DeflateSettings | undefined;
}

const MAX_LIMIT = 0xffffffff;
const MAX_IDLE_SECONDS = 960;
const MIN_IDLE_SECONDS = 8;
const DEFAULT_LIMIT = 16_777_216;
const DEFAULT_IDLE_SECONDS = 120;

const SETTINGS = [
  "maxPayloadLength",
  "backpressureLimit",
  "closeOnBackpressureLimit",
  "idleTimeout",
  "sendPings",
  "publishToSelf",
  "perMessageDeflate",
] as const;

const NAMES: readonly string[] = ["data", ...HANDLERS, ...SETTINGS];

/**
 * Checks the `websocket` option and fills in the defaults of its settings.
 *
 * @throws {TypeError} if a member is unknown or has the wrong type
 * @throws {RangeError} if a setting is out of range
 */
export function resolveWebSocketOptions(option: unknown): WebSocketSettings {
  if (typeof option !== "object" || option === null) {
    throw invalidType("websocket", "an object with handlers: open, message, drain, close, ping, pong, error", option);
  }
  const given = option as WebSocketHandlers<unknown>;
  rejectUnknown(given);
  for (const name of HANDLERS) {
    const handler: unknown = given[name];
    if (handler !== undefined && typeof handler !== "function") {
      throw invalidType(`websocket.${name}`, "a function", handler);
    }
  }
  const sendPings = boolean("sendPings", given.sendPings, true);
  return {
    maxPayloadLength: limit("maxPayloadLength", given.maxPayloadLength, DEFAULT_LIMIT),
    backpressureLimit: limit("backpressureLimit", given.backpressureLimit, DEFAULT_LIMIT) || Infinity,
    closeOnBackpressureLimit: boolean("closeOnBackpressureLimit", given.closeOnBackpressureLimit, false),
    ...idleTimeouts(given.idleTimeout, sendPings),
    sendPings,
    publishToSelf: boolean("publishToSelf", given.publishToSelf, false),
    deflate: resolveDeflate(given.perMessageDeflate),
  };
}

function rejectUnknown(option: object): void {
  const unknown = Object.keys(option).filter((name) => !NAMES.includes(name));
  if (unknown.length === 0) return;
  const list = unknown.map((name) => {
    const similar = suggest(name, NAMES);
    return `${JSON.stringify(name)}${similar === undefined ? "" : ` (did you mean ${JSON.stringify(similar)}?)`}`;
  });
  throw unknownOptions(`unknown member${unknown.length > 1 ? "s" : ""} of websocket: ${list.join(", ")}`);
}

/** As with Bun.serve, larger values are clamped. */
function limit(name: string, value: unknown, defaultValue: number): number {
  if (value === undefined) return defaultValue;
  const expected = `an integer from 0 to ${MAX_LIMIT}`;
  if (typeof value !== "number") throw invalidType(`websocket.${name}`, expected, value);
  if (!(value === Infinity || Number.isInteger(value)) || value < 0)
    throw outOfRange(`websocket.${name}`, expected, value);
  return Math.min(value, MAX_LIMIT);
}

function boolean(name: string, value: unknown, defaultValue: boolean): boolean {
  if (value === undefined) return defaultValue;
  if (typeof value !== "boolean") throw invalidType(`websocket.${name}`, "true or false", value);
  return value;
}

/** The ping is sent early enough for an answer: 4 to 16 seconds before the timeout, as with Bun.serve. */
function idleTimeouts(value: unknown, sendPings: boolean): Pick<WebSocketSettings, "openTimeoutMs" | "pingTimeoutMs"> {
  const expected = `an integer from 0 to ${MAX_IDLE_SECONDS}`;
  if (value !== undefined && typeof value !== "number") throw invalidType("websocket.idleTimeout", expected, value);
  const seconds = value ?? DEFAULT_IDLE_SECONDS;
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > MAX_IDLE_SECONDS) {
    throw outOfRange("websocket.idleTimeout", expected, value);
  }
  if (seconds === 0) return { openTimeoutMs: Infinity, pingTimeoutMs: Infinity };
  const rounded = Math.max(seconds, MIN_IDLE_SECONDS);
  const margin = rounded >= 32 ? 16 : rounded >= 16 ? 8 : 4;
  return { openTimeoutMs: 1000 * (sendPings ? rounded - margin : rounded), pingTimeoutMs: 1000 * margin };
}
