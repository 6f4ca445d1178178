// Messages of several buffers, with ancillary data: sendmsg(2) and recvmsg(2).

import { type Address, addressBuffer, type AddressLike, decodeAddress, encodeAddress } from "../kernel/address.ts";
import { AF_UNIX, MSG_CMSG_CLOEXEC, MSG_NOSIGNAL, MSG_TRUNC, SOCK_STREAM } from "../kernel/constants.ts";
import {
  type Ancillary,
  decodeAncillary,
  encodeAncillary,
  type ReceivedAncillary,
} from "../kernel/control-messages.ts";
import { EAGAIN } from "../kernel/errno.ts";
import { check, invalidType, invalidValue } from "../kernel/errors.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { checkBuffer, createBuffer, retryInterrupted, toBytes, transferLength } from "./transfer.ts";

const NO_BYTES = new Uint8Array(new ArrayBuffer(8)); // passed with length 0
const NO_ADDRESS = addressBuffer();

/** The kernel's limit of buffers per call. */
const IOV_MAX = 1024;
const IOVEC_BYTES = 16;
/** Filled and used within one call, between which no other code runs. */
const iovecs = new Uint8Array(new ArrayBuffer(IOV_MAX * IOVEC_BYTES));

/** A message received by `recvmsg` or `recvmmsg`. */
export interface Message {
  /** The received bytes. */
  data: Uint8Array;
  /** The sender's address; an empty path for a connected stream. */
  address: Address;
  /** MSG_TRUNC if the datagram was longer than `size`, MSG_CTRUNC if ancillary data was discarded. */
  flags: number;
  /** Ancillary data. The receiver must close the file descriptors in it. */
  ancillary: ReceivedAncillary[];
}

/** A datagram received by `recvfromInto`. */
export interface DatagramInfo {
  /** The number of bytes in the buffer. */
  size: number;
  /** The size of the datagram if the flag MSG_TRUNC was given, even if the buffer is shorter. Otherwise as `size`. */
  fullSize: number;
  /** The sender's address; an empty path for a connected stream. */
  address: Address;
}

/** A message received by `recvmsgInto`. */
export interface MessageInfo extends DatagramInfo {
  /** MSG_TRUNC if the datagram was longer than the buffers, MSG_CTRUNC if ancillary data was discarded. */
  flags: number;
  /** Ancillary data. The receiver must close the file descriptors in it. */
  ancillary: ReceivedAncillary[];
}

/** The properties of a socket that determine which messages it can send, and how it receives them. */
export interface SocketKind {
  readonly family: number;
  readonly type: number;
}

/**
 * Sends buffers as one message, without copying them. Returns the result of sendmsg: the number of bytes sent, or
 * -errno.
 *
 * @param open returns the fd. It is called last: getters of the arguments may have closed the socket
 */
export function sendMessage(
  sys: Syscalls,
  open: () => number,
  { family, type }: SocketKind,
  buffers: readonly (Uint8Array | string)[],
  ancillary: readonly Ancillary[],
  flags: number,
  address: AddressLike | undefined,
): number {
  if (!Array.isArray(buffers)) throw invalidType("buffers", "an array, such as [data]", buffers);
  const parts = Array.from(buffers as readonly (Uint8Array | string)[], toBytes);
  checkCount(parts);
  const control = encodeAncillary(sys, ancillary, family);
  if (control.length > 0 && type === SOCK_STREAM && parts.every((part) => part.length === 0)) {
    throw invalidValue("buffers are empty: on a stream socket, ancillary data requires at least one byte of data");
  }
  const to = address === undefined ? NO_ADDRESS : encodeAddress(sys, address, family);
  const fd = open();
  return retryInterrupted(() => {
    setIovecs(sys, parts);
    return sys.sendmsg(fd, iovecs, parts.length, to, control, control.length, flags | MSG_NOSIGNAL, parts);
  });
}

/** Receives a message, or returns null if there is none. */
export function receiveMessage(
  sys: Syscalls,
  open: () => number,
  kind: SocketKind,
  size: number,
  ancillarySize: number,
  flags: number,
): Message | null {
  const buffer = createBuffer(size);
  const info = receiveMessageInto(sys, open, kind, [buffer], ancillarySize, flags);
  if (info === null) return null;
  const { address, flags: returned, ancillary } = info;
  return { data: buffer.subarray(0, info.size), address, flags: returned, ancillary };
}

/** Receives a message into buffers, which are filled in order, or returns null if there is none. */
export function receiveMessageInto(
  sys: Syscalls,
  open: () => number,
  kind: SocketKind,
  buffers: readonly Uint8Array[],
  ancillarySize: number,
  flags: number,
): MessageInfo | null {
  if (!Array.isArray(buffers)) throw invalidType("buffers", "an array of buffers", buffers);
  const parts = Array.from(buffers as readonly Uint8Array[]);
  for (const part of parts) checkBuffer(part);
  checkCount(parts);
  const control = ancillarySize === 0 ? NO_BYTES : createBuffer(ancillarySize, "ancillarySize");
  const from = addressBuffer();
  const state = new Int32Array(new ArrayBuffer(8));
  const fd = open();
  const n = retryInterrupted(() => {
    setIovecs(sys, parts);
    state[0] = ancillarySize;
    state[1] = flags | MSG_CMSG_CLOEXEC;
    return sys.recvmsg(fd, iovecs, parts.length, from, control, state, parts);
  });
  if (n === -EAGAIN) return null;
  check(n, "recvmsg", fd);
  return {
    size: sizeOf(
      n,
      parts.reduce((sum, part) => sum + transferLength(part), 0),
      kind,
      flags,
    ),
    fullSize: n,
    address: decodeAddress(sys, from),
    flags: (state[1] as number) & ~MSG_CMSG_CLOEXEC, // the kernel also returns this flag
    ancillary: ancillarySize === 0 ? [] : decodeAncillary(sys, control, state[0] as number),
  };
}

/** Receives a datagram into a buffer, or returns null if there is none. */
export function receiveFromInto(
  sys: Syscalls,
  open: () => number,
  kind: SocketKind,
  buffer: Uint8Array,
  flags: number,
): DatagramInfo | null {
  checkBuffer(buffer);
  const from = addressBuffer();
  const fd = open();
  const length = transferLength(buffer);
  const n = retryInterrupted(() => sys.recvfrom(fd, buffer, 0, length, flags, from));
  if (n === -EAGAIN) return null;
  check(n, "recvfrom", fd);
  return { size: sizeOf(n, length, kind, flags), fullSize: n, address: decodeAddress(sys, from) };
}

/**
 * Returns the number of bytes that the kernel has written to buffers of `capacity` bytes.
 *
 * With MSG_TRUNC, recvmsg returns the size of the whole datagram; TCP discards the bytes instead, see tcp(7).
 */
function sizeOf(n: number, capacity: number, { family, type }: SocketKind, flags: number): number {
  if ((flags & MSG_TRUNC) !== 0 && type === SOCK_STREAM && family !== AF_UNIX) return 0;
  return Math.min(n, capacity);
}

function checkCount(buffers: readonly Uint8Array[]): void {
  if (buffers.length <= IOV_MAX) return;
  throw invalidValue(
    `buffers has ${buffers.length} buffers; a message can have at most ${IOV_MAX} (IOV_MAX): join some of them`,
  );
}

/**
 * Stores the addresses of the buffers. No other code may run before the system call: it could resize or detach them, and
 * reading `buffer` of a small Uint8Array moves its bytes. So it is done again before a call is repeated.
 */
function setIovecs(sys: Syscalls, buffers: readonly Uint8Array[]): void {
  for (const [i, buffer] of buffers.entries()) sys.set_iovec(iovecs, i, buffer, 0, transferLength(buffer));
}

/** @throws {RangeError} for a stream socket, which may send or receive a part of a message */
export function checkDatagrams({ type }: SocketKind, method: string, instead: string): void {
  if (type === SOCK_STREAM) {
    throw invalidValue(
      `${method} requires a socket that keeps messages apart, such as SOCK_DGRAM: use ${instead} on a stream`,
    );
  }
}
