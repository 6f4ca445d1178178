// Ancillary data of a message, cmsg(3): file descriptors and credentials passed over unix sockets.

import { SCM_CREDENTIALS, SCM_RIGHTS, SOL_SOCKET } from "./constants.ts";
import { checkInteger, invalidType, invalidValue } from "./errors.ts";
import { type FdLike, toFd } from "./fd.ts";

/** The identity of a process: its process, user and group ID. */
export interface Credentials {
  /** The process ID. */
  pid: number;
  /** The user ID. */
  uid: number;
  /** The group ID. */
  gid: number;
}

/** An item of ancillary data to send with `sendmsg`; see unix(7). */
export type Ancillary =
  | { readonly fds: readonly FdLike[] }
  | { readonly credentials: Credentials }
  | { readonly level: number; readonly type: number; readonly data: Uint8Array };

/** An item of ancillary data received by `recvmsg`. */
export type ReceivedAncillary =
  | {
      /** Duplicates of the sender's file descriptors, close-on-exec. The receiver owns them and must close them. */
      readonly fds: readonly number[];
    }
  | { readonly credentials: Credentials }
  | { readonly level: number; readonly type: number; readonly data: Uint8Array };

/** The kernel's limit per message, SCM_MAX_FD. */
const MAX_FDS = 253;
/** struct cmsghdr on 64-bit Linux: a size_t length, then level and type. musl pads its 32-bit length with zeros. */
const HEADER_BYTES = 16;
const MAX_LENGTH = 0x7fffffff - HEADER_BYTES - 7;
const UCRED_BYTES = 12; // struct ucred { pid_t pid; uid_t uid; gid_t gid; }

/**
 * Returns the number of bytes that an item of ancillary data takes in a buffer, with padding.
 *
 * @param length size of the item's data in bytes: 4 for each file descriptor
 * @throws {TypeError | RangeError} if the length is not an integer from 0 to 2147483624
 *
 * @see cmsg(3)
 */
export function CMSG_SPACE(length: number): number {
  return HEADER_BYTES + align(checkInteger("length", length, 0, MAX_LENGTH));
}

/**
 * Returns the number of bytes that an item of ancillary data takes in a buffer, without trailing padding.
 *
 * @param length size of the item's data in bytes: 4 for each file descriptor
 * @throws {TypeError | RangeError} if the length is not an integer from 0 to 2147483624
 *
 * @see cmsg(3)
 */
export function CMSG_LEN(length: number): number {
  return HEADER_BYTES + checkInteger("length", length, 0, MAX_LENGTH);
}

/** Encodes items of ancillary data as control messages. @throws {TypeError | RangeError} if an item is not valid */
export function encodeAncillary(items: readonly Ancillary[]): Uint8Array {
  if (!Array.isArray(items)) throw invalidType("ancillary", "an array, such as [{ fds: [fd] }]", items);
  const parts = items.map(encodeItem);
  const size = parts.reduce((sum, { data }) => sum + CMSG_SPACE(data.length), 0);
  const bytes = new Uint8Array(new ArrayBuffer(Math.max(size, 8)));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { level, type, data } of parts) {
    view.setUint32(at, HEADER_BYTES + data.length, true);
    view.setInt32(at + 8, level, true);
    view.setInt32(at + 12, type, true);
    bytes.set(data, at + HEADER_BYTES);
    at += CMSG_SPACE(data.length);
  }
  return bytes.subarray(0, size);
}

/** Decodes `length` bytes of control messages. */
export function decodeAncillary(bytes: Uint8Array, length: number): ReceivedAncillary[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const items: ReceivedAncillary[] = [];
  for (let at = 0; at + HEADER_BYTES <= length;) {
    const size = view.getUint32(at, true);
    if (size < HEADER_BYTES) break;
    const level = view.getInt32(at + 8, true);
    const type = view.getInt32(at + 12, true);
    const data = bytes.slice(at + HEADER_BYTES, Math.min(at + size, length));
    items.push(decodeItem(level, type, data));
    at += align(size);
  }
  return items;
}

function decodeItem(level: number, type: number, data: Uint8Array): ReceivedAncillary {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (level === SOL_SOCKET && type === SCM_RIGHTS) {
    return { fds: Array.from({ length: data.length >> 2 }, (_, i) => view.getInt32(4 * i, true)) };
  }
  if (level === SOL_SOCKET && type === SCM_CREDENTIALS && data.length >= UCRED_BYTES) {
    return { credentials: decodeCredentials(view) };
  }
  return { level, type, data };
}

/** Decodes a struct ucred. */
export function decodeCredentials(view: DataView): Credentials {
  return { pid: view.getInt32(0, true), uid: view.getUint32(4, true), gid: view.getUint32(8, true) };
}

function encodeItem(item: Ancillary): { level: number; type: number; data: Uint8Array } {
  if (typeof item !== "object" || item === null) throw invalidItem(item);
  if ("fds" in item) {
    if (!Array.isArray(item.fds)) throw invalidType("fds", "an array of file descriptors", item.fds);
    const fds = item.fds.map(toFd);
    if (fds.length === 0) throw invalidValue("fds is empty: omit the item to send no file descriptors");
    if (fds.length > MAX_FDS) {
      throw invalidValue(
        `fds has ${fds.length} file descriptors; a message carries at most ${MAX_FDS}: send several messages`,
      );
    }
    return { level: SOL_SOCKET, type: SCM_RIGHTS, data: new Uint8Array(Int32Array.from(fds).buffer) };
  }
  if ("credentials" in item) {
    if (typeof item.credentials !== "object" || item.credentials === null) throw invalidItem(item);
    const { pid, uid, gid } = item.credentials;
    return { level: SOL_SOCKET, type: SCM_CREDENTIALS, data: new Uint8Array(Int32Array.of(pid, uid, gid).buffer) };
  }
  const { level, type, data } = item;
  if (!(data instanceof Uint8Array) || !Number.isInteger(level) || !Number.isInteger(type)) {
    throw invalidItem(item);
  }
  return { level, type, data };
}

function invalidItem(item: unknown): TypeError {
  return invalidType(
    "an item of ancillary data",
    "{ fds }, { credentials: { pid, uid, gid } } or { level, type, data }",
    item,
  );
}

function align(length: number): number {
  return (length + 7) & ~7;
}
