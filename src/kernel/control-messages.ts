// What travels beside a message's bytes: descriptors and credentials, as control messages, cmsg(3).

import { SCM_CREDENTIALS, SCM_RIGHTS, SOL_SOCKET } from "./constants.ts";
import { type FdLike, toFd } from "./fd.ts";

/** Who a process is. */
export interface Credentials {
  pid: number;
  uid: number;
  gid: number;
}

/** What can be sent beside the bytes: unix(7). */
export type Ancillary =
  | { readonly fds: readonly FdLike[] }
  | { readonly credentials: Credentials }
  | { readonly level: number; readonly type: number; readonly data: Uint8Array };

/** What can come beside the bytes. */
export type ReceivedAncillary =
  | {
      /** New numbers for the sender's open files, close-on-exec: the receiver's to close. */
      readonly fds: readonly number[];
    }
  | { readonly credentials: Credentials }
  | { readonly level: number; readonly type: number; readonly data: Uint8Array };

/** The kernel's limit for one message, SCM_MAX_FD. */
const MAX_FDS = 253;
/**
 * struct cmsghdr on 64-bit Linux: its length as a size_t, then level and type. musl has a 32-bit length and padding that is
 * 0: the same bytes.
 */
const HEADER_BYTES = 16;
const UCRED_BYTES = 12; // struct ucred { pid_t pid; uid_t uid; gid_t gid; }

/**
 * How much room so many bytes of ancillary data take: `CMSG_SPACE(4 * count)` for descriptors.
 *
 * @see cmsg(3)
 */
export function CMSG_SPACE(length: number): number {
  return HEADER_BYTES + align(length);
}

/**
 * How many bytes an item with so many bytes of data has, without what follows it.
 *
 * @see cmsg(3)
 */
export function CMSG_LEN(length: number): number {
  return HEADER_BYTES + length;
}

/** @throws {TypeError | RangeError} if an item is none of those that can be sent */
export function encodeAncillary(items: readonly Ancillary[]): Uint8Array {
  if (!Array.isArray(items)) throw new TypeError("ancillary data is an array: [{ fds: [fd] }]");
  const parts = items.map(contentOf);
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

/** What `length` bytes of control messages hold. */
export function decodeAncillary(bytes: Uint8Array, length: number): ReceivedAncillary[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const items: ReceivedAncillary[] = [];
  for (let at = 0; at + HEADER_BYTES <= length;) {
    const size = view.getUint32(at, true);
    if (size < HEADER_BYTES) break;
    const level = view.getInt32(at + 8, true);
    const type = view.getInt32(at + 12, true);
    const data = bytes.slice(at + HEADER_BYTES, Math.min(at + size, length));
    items.push(meaning(level, type, data));
    at += align(size);
  }
  return items;
}

function meaning(level: number, type: number, data: Uint8Array): ReceivedAncillary {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (level === SOL_SOCKET && type === SCM_RIGHTS) {
    return { fds: Array.from({ length: data.length >> 2 }, (_, i) => view.getInt32(4 * i, true)) };
  }
  if (level === SOL_SOCKET && type === SCM_CREDENTIALS && data.length >= UCRED_BYTES) {
    return { credentials: decodeCredentials(view) };
  }
  return { level, type, data };
}

/** struct ucred. */
export function decodeCredentials(view: DataView): Credentials {
  return { pid: view.getInt32(0, true), uid: view.getUint32(4, true), gid: view.getUint32(8, true) };
}

function contentOf(item: Ancillary): { level: number; type: number; data: Uint8Array } {
  if ("fds" in item) {
    const fds = item.fds.map(toFd);
    if (fds.length === 0) throw new RangeError("there is no descriptor to send: leave the item out");
    if (fds.length > MAX_FDS) {
      throw new RangeError(`one message carries ${MAX_FDS} descriptors at most, not ${fds.length}: send several`);
    }
    return { level: SOL_SOCKET, type: SCM_RIGHTS, data: new Uint8Array(Int32Array.from(fds).buffer) };
  }
  if ("credentials" in item) {
    const { pid, uid, gid } = item.credentials;
    return { level: SOL_SOCKET, type: SCM_CREDENTIALS, data: new Uint8Array(Int32Array.of(pid, uid, gid).buffer) };
  }
  const { level, type, data } = item;
  if (!(data instanceof Uint8Array) || !Number.isInteger(level) || !Number.isInteger(type)) {
    throw new TypeError("an item is { fds }, { credentials: { pid, uid, gid } } or { level, type, data }");
  }
  return { level, type, data };
}

function align(length: number): number {
  return (length + 7) & ~7;
}
