// The opening handshake: checks an upgrade request, and serializes the response with status 101. RFC 6455, 4.2.

import type { HeaderFields } from "./upgrade-options.ts";
import { Buffer } from "node:buffer";
import type { RequestHead } from "../http/request-head.ts";

/** The key of RFC 6455, 1.3, which is hashed together with the client's. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION = "13";

/** A valid upgrade request. */
export interface Handshake {
  /** The value of Sec-WebSocket-Accept. */
  accept: string;
  /** The subprotocols that the client offers, as received; null if there are none. */
  protocols: string | null;
  /** The extensions that the client offers, as received; null if there are none. */
  extensions: string | null;
}

/** Why a request cannot be upgraded, with the response that says so. */
export interface HandshakeFailure {
  status: 400 | 426;
  message: string;
  /** The client speaks another version. It gets this response, whatever the handler returns: RFC 6455, 4.4. */
  isFinal: boolean;
}

/**
 * Checks an upgrade request.
 *
 * @returns what is needed to respond; a failure if it cannot be upgraded
 */
export function checkHandshake(head: RequestHead): Handshake | HandshakeFailure {
  if (head.method !== "GET" || head.minor === 0) return failure(400, "A WebSocket opens with GET and HTTP/1.1.");
  if (!includes(fieldOf(head, "upgrade"), "websocket") || !includes(fieldOf(head, "connection"), "upgrade")) {
    return failure(426, "This resource requires a WebSocket: Upgrade: websocket, Connection: Upgrade.");
  }
  const key = fieldOf(head, "sec-websocket-key");
  if (key === null || !isKey(key)) return failure(400, "Sec-WebSocket-Key must be 16 bytes in Base64.");
  if (fieldOf(head, "sec-websocket-version") !== VERSION) {
    return failure(426, "The only supported Sec-WebSocket-Version is 13.", true);
  }
  return {
    accept: Bun.SHA1.hash(key + GUID, "base64"),
    protocols: fieldOf(head, "sec-websocket-protocol"),
    extensions: fieldOf(head, "sec-websocket-extensions"),
  };
}

/** Returns the response to a request that cannot be upgraded. Both statuses name the protocol and the version that would work. */
export function failureResponse({ status, message, isFinal }: HandshakeFailure): Response {
  const headers: Record<string, string> = { "Sec-WebSocket-Version": VERSION };
  // A server that sends 426 names the protocol: RFC 9110, 15.5.22.
  if (status === 426)
    Object.assign(headers, { Upgrade: "websocket", Connection: isFinal ? "Upgrade, close" : "Upgrade" });
  return new Response(message, { status, headers });
}

/**
 * Serializes the head of the response.
 *
 * @param extensions the value of Sec-WebSocket-Extensions; undefined if there are none
 * @param dateLine a Date field
 * @param headers fields that the application adds
 * @throws {TypeError} if `headers` are not valid
 */
export function serializeHandshake(
  { accept, protocols }: Handshake,
  extensions: string | undefined,
  dateLine: string,
  headers: HeaderFields | undefined,
): Buffer {
  let text =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n`;
  const added = headers === undefined ? undefined : new Headers(headers);
  // As with Bun.serve: the client's first subprotocol, if the application has not selected one.
  if (protocols !== null && added?.has("sec-websocket-protocol") !== true) {
    text += `Sec-WebSocket-Protocol: ${protocols.split(",", 1)[0]?.trim() ?? ""}\r\n`;
  }
  if (extensions !== undefined) text += `Sec-WebSocket-Extensions: ${extensions}\r\n`;
  added?.forEach((value, name) => {
    if (!OWN_FIELDS.has(name)) text += `${name}: ${value}\r\n`;
  });
  return Buffer.from(`${text}${dateLine}\r\n`, "latin1");
}

/** The fields that only the server sets. */
const OWN_FIELDS = new Set([
  "upgrade",
  "connection",
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "content-length",
  "transfer-encoding",
]);

const failure = (status: HandshakeFailure["status"], message: string, isFinal = false): HandshakeFailure => ({
  status,
  message,
  isFinal,
});

/** Returns the value of a field; null if there is none. A repeated field has its values joined by commas: RFC 9110, 5.3. */
function fieldOf(head: RequestHead, name: string): string | null {
  let values: string | null = null;
  for (let i = 0; i < head.fieldCount; i++) {
    if (head.nameLengthAt(i) !== name.length || head.nameAt(i).toLowerCase() !== name) continue;
    values = values === null ? head.valueAt(i) : `${values}, ${head.valueAt(i)}`;
  }
  return values;
}

/** Returns whether a comma-separated list contains an item, in any case. */
function includes(list: string | null, item: string): boolean {
  return list !== null && list.split(",").some((one) => one.trim().toLowerCase() === item);
}

function isKey(key: string): boolean {
  return /^[A-Za-z0-9+/]{22}==$/.test(key);
}
