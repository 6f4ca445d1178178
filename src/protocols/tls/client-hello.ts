// The host name in a ClientHello, by which the certificate is chosen: Bun's node:tls has no callback for it without a socket.

import { Buffer } from "node:buffer";

const HANDSHAKE_RECORD = 22;
const RECORD_HEAD_BYTES = 5;
const CLIENT_HELLO = 1;
const MESSAGE_HEAD_BYTES = 4;
const SERVER_NAME_EXTENSION = 0;
const HOST_NAME = 0;
/** Version and random: RFC 8446, 4.1.2. */
const FIXED_BYTES = 34;

/**
 * Returns the host name that a client asks for. It is not verified: the TLS library parses the same bytes, and rejects what is not valid.
 *
 * @param bytes all bytes that were received on the connection
 * @returns an empty string if the client asks for none, or if this is no ClientHello; undefined if more bytes are needed
 * @see RFC 6066, 3
 */
export function serverNameOf(bytes: Buffer): string | undefined {
  const message = messageIn(bytes);
  if (message === undefined) return undefined;
  let at = FIXED_BYTES;
  at += 1 + byte(message, at); // session id
  at += 2 + uint16(message, at); // cipher suites
  at += 1 + byte(message, at); // compression methods
  const end = Math.min(message.length, at + 2 + uint16(message, at));
  at += 2;
  while (at + 4 <= end) {
    const type = uint16(message, at);
    const length = uint16(message, at + 2);
    at += 4;
    if (type === SERVER_NAME_EXTENSION) return nameIn(message.subarray(at, Math.min(end, at + length)));
    at += length;
  }
  return "";
}

/** Returns the body of the first handshake message, which may be spread over several records; an empty one if there is none. */
function messageIn(bytes: Buffer): Buffer | undefined {
  const head: number[] = [];
  let received = 0;
  let size = Infinity;
  let at = 0;
  while (received < size) {
    if (at < bytes.length && bytes[at] !== HANDSHAKE_RECORD) return Buffer.alloc(0);
    if (bytes.length - at < RECORD_HEAD_BYTES) return undefined;
    const start = at + RECORD_HEAD_BYTES;
    at = start + uint16(bytes, at + 3);
    for (let i = start; i < Math.min(at, bytes.length) && head.length < MESSAGE_HEAD_BYTES; i++)
      head.push(byte(bytes, i));
    received += Math.min(at, bytes.length) - start;
    if (head.length < MESSAGE_HEAD_BYTES) continue;
    if (head[0] !== CLIENT_HELLO) return Buffer.alloc(0);
    size = MESSAGE_HEAD_BYTES + Buffer.from(head).readUIntBE(1, 3);
  }
  return Buffer.concat([...fragmentsOf(bytes.subarray(0, at))]).subarray(MESSAGE_HEAD_BYTES, size);
}

/** Yields the content of each record. */
function* fragmentsOf(bytes: Buffer): IterableIterator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const end = at + RECORD_HEAD_BYTES + uint16(bytes, at + 3);
    yield bytes.subarray(at + RECORD_HEAD_BYTES, end);
    at = end;
  }
}

/** A list of names, of which only one type exists. */
function nameIn(list: Buffer): string {
  for (let at = 2; at + 3 <= list.length; at += 3 + uint16(list, at + 1)) {
    if (list[at] === HOST_NAME) return list.toString("latin1", at + 3, at + 3 + uint16(list, at + 1));
  }
  return "";
}

/** Returns 0 beyond the end. */
function byte(bytes: Buffer, at: number): number {
  return bytes[at] ?? 0;
}

function uint16(bytes: Buffer, at: number): number {
  return (byte(bytes, at) << 8) | byte(bytes, at + 1);
}
