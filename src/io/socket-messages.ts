// Messages of several buffers, with ancillary data: sendmsg(2) and recvmsg(2).

import { type Address, addressBuffer, type AddressLike, decodeAddress, encodeAddress } from "../kernel/address.ts";
import { MSG_CMSG_CLOEXEC, MSG_NOSIGNAL, SOCK_STREAM } from "../kernel/constants.ts";
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
 * @param open returns the fd. It is called after the other arguments have been read: they may have closed the socket
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
  return retryInterrupted(() => {
    const fd = open();
    setIovecs(sys, parts, "data");
    return sys.sendmsg(fd, iovecs, parts.length, to, control, control.length, flags | MSG_NOSIGNAL, parts);
  });
}

/**
 * Receives a message into buffers, which are filled in order, or returns null if there is none.
 *
 * @param open returns the fd; it is called before each attempt
 * @param discards whether the kernel discards the bytes instead of writing them: TCP with MSG_TRUNC, see tcp(7)
 */
export function receiveMessage(
  sys: Syscalls,
  open: () => number,
  buffers: readonly Uint8Array[],
  ancillarySize: number,
  flags: number,
  discards: boolean,
): MessageInfo | null {
  if (!Array.isArray(buffers)) throw invalidType("buffers", "an array of buffers", buffers);
  const parts = Array.from(buffers as readonly Uint8Array[]);
  for (const part of parts) checkBuffer(part);
  checkCount(parts);
  const control = ancillarySize === 0 ? NO_BYTES : createBuffer(ancillarySize, "ancillarySize");
  const from = addressBuffer();
  const state = new Int32Array(new ArrayBuffer(8));
  let fd = -1;
  let capacity = 0;
  const n = retryInterrupted(() => {
    fd = open();
    state[0] = ancillarySize;
    state[1] = flags | MSG_CMSG_CLOEXEC;
    capacity = parts.reduce((sum, part) => sum + transferLength(part), 0);
    setIovecs(sys, parts, "buffer");
    return sys.recvmsg(fd, iovecs, parts.length, from, control, state, parts);
  });
  if (n === -EAGAIN) return null;
  check(n, "recvmsg", fd);
  return {
    size: discards ? 0 : Math.min(n, capacity),
    fullSize: n,
    address: decodeAddress(sys, from),
    flags: (state[1] as number) & ~MSG_CMSG_CLOEXEC, // the kernel also returns this flag
    ancillary: ancillarySize === 0 ? [] : decodeAncillary(sys, control, state[0] as number),
  };
}

/** Receives a datagram into a buffer, or returns null if there is none. See `receiveMessage`. */
export function receiveFrom(
  sys: Syscalls,
  open: () => number,
  buffer: Uint8Array,
  flags: number,
  discards: boolean,
): DatagramInfo | null {
  checkBuffer(buffer);
  const from = addressBuffer();
  let fd = -1;
  let capacity = 0;
  const n = retryInterrupted(() => {
    fd = open();
    capacity = transferLength(buffer);
    return sys.recvfrom(fd, buffer, 0, capacity, flags, from);
  });
  if (n === -EAGAIN) return null;
  check(n, "recvfrom", fd);
  return { size: discards ? 0 : Math.min(n, capacity), fullSize: n, address: decodeAddress(sys, from) };
}

function checkCount(buffers: readonly Uint8Array[]): void {
  if (buffers.length <= IOV_MAX) return;
  throw invalidValue(
    `buffers has ${buffers.length} buffers; a message can have at most ${IOV_MAX} (IOV_MAX): join some of them`,
  );
}

/**
 * Stores the addresses of the buffers. No other code may run before the system call: it could resize or detach them, and
 * reading `buffer` of a small Uint8Array moves its bytes. So the addresses are stored again before a call is repeated.
 */
function setIovecs(sys: Syscalls, buffers: readonly Uint8Array[], name: "buffer" | "data"): void {
  for (const [i, buffer] of buffers.entries()) sys.set_iovec(iovecs, i, buffer, 0, transferLength(buffer, name));
}

/** @throws {RangeError} for a stream socket, which may send or receive a part of a message */
export function checkDatagrams({ type }: SocketKind, method: string, instead: string): void {
  if (type === SOCK_STREAM) {
    throw invalidValue(
      `${method} requires a socket that preserves message boundaries, such as SOCK_DGRAM: use ${instead} on a stream`,
    );
  }
}
