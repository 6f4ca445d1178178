// Messages with ancillary data, sendmsg(2) and recvmsg(2): file descriptors and credentials over unix sockets.

import { Buffer } from "node:buffer";
import { type Address, addressBuffer, type AddressLike, decodeAddress, encodeAddress } from "../kernel/address.ts";
import { AF_UNIX, MSG_CMSG_CLOEXEC, MSG_NOSIGNAL, SOCK_STREAM } from "../kernel/constants.ts";
import {
  type Ancillary,
  decodeAncillary,
  encodeAncillary,
  type ReceivedAncillary,
} from "../kernel/control-messages.ts";
import { EAGAIN } from "../kernel/errno.ts";
import { check, invalidType, invalidValue } from "../kernel/errors.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { createBuffer, retryInterrupted, toBytes, transferLength } from "./transfer.ts";

const NO_BYTES = new Uint8Array(new ArrayBuffer(8)); // passed with length 0
const NO_ADDRESS = addressBuffer();

/** A message received by `recvmsg`. */
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

/** The properties of a socket that determine which messages it can send. */
interface SocketKind {
  readonly family: number;
  readonly type: number;
}

/** Sends buffers as one message. `open` returns the fd, after the other arguments have been read. Returns the result of sendmsg: the number of bytes sent, or -errno. */
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
  const bytes = buffers.length === 1 ? toBytes(buffers[0] as Uint8Array) : Buffer.concat(buffers.map(toBytes));
  const control = encodeAncillary(ancillary);
  if (family !== AF_UNIX && ancillary.some((item) => !("data" in item))) {
    throw invalidValue(
      "ancillary contains file descriptors or credentials, which can be sent only over unix sockets; " +
        "over other sockets the kernel discards them",
    );
  }
  if (control.length > 0 && bytes.length === 0 && type === SOCK_STREAM) {
    throw invalidValue("buffers are empty: on a stream socket, ancillary data requires at least one byte of data");
  }
  const to = address === undefined ? NO_ADDRESS : encodeAddress(sys, address, family);
  return retryInterrupted(() =>
    sys.sendmsg(open(), bytes, transferLength(bytes), to, control, control.length, flags | MSG_NOSIGNAL),
  );
}

/** Receives a message, or returns null if there is none. */
export function receiveMessage(
  sys: Syscalls,
  fd: number,
  size: number,
  ancillarySize: number,
  flags: number,
): Message | null {
  const buffer = createBuffer(size);
  const control = ancillarySize === 0 ? NO_BYTES : createBuffer(ancillarySize, "ancillarySize");
  const from = addressBuffer();
  const out = new Int32Array(new ArrayBuffer(8));
  const n = retryInterrupted(() =>
    sys.recvmsg(fd, buffer, size, from, control, ancillarySize, out, flags | MSG_CMSG_CLOEXEC),
  );
  if (n === -EAGAIN) return null;
  const data = buffer.subarray(0, check(n, "recvmsg", fd));
  return {
    data,
    address: decodeAddress(sys, from),
    flags: (out[1] as number) & ~MSG_CMSG_CLOEXEC, // the kernel also returns this flag
    ancillary: ancillarySize === 0 ? [] : decodeAncillary(control, out[0] as number),
  };
}
