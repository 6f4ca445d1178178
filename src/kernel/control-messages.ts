// Ancillary data of a message, cmsg(3): passed file descriptors, credentials, timestamps, packet information, errors.

import {
  type Address,
  decodeSockaddr,
  encodeIpAddress,
  formatIpAddress,
  type InternetAddress,
  interfaceIndex,
} from "./address.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IP_ORIGDSTADDR,
  IP_PKTINFO,
  IP_RECVERR,
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_HOPLIMIT,
  IPV6_ORIGDSTADDR,
  IPV6_PKTINFO,
  IPV6_RECVERR,
  IPV6_TCLASS,
  SCM_CREDENTIALS,
  SCM_PIDFD,
  SCM_RIGHTS,
  SCM_TIMESTAMP,
  SCM_TIMESTAMPING,
  SCM_TIMESTAMPNS,
  SO_RXQ_OVFL,
  SOL_SOCKET,
  UDP_GRO,
  UDP_SEGMENT,
} from "./constants.ts";
import { byteLengthOf } from "./byte-arrays.ts";
import { errnoName } from "./errno.ts";
import { checkInteger, invalidType, invalidValue, unknownOptions } from "./errors.ts";
import { type FdLike, toFd } from "./fd.ts";
import type { Syscalls } from "./ffi.ts";

/** The identity of a process: its process, user and group ID. */
export interface Credentials {
  /** The process ID. */
  pid: number;
  /** The user ID. */
  uid: number;
  /** The group ID. */
  gid: number;
}

/** Where a received packet was addressed to, or where a packet is to be sent from; IP_PKTINFO, IPV6_PKTINFO. */
export interface PacketInfo {
  /** The index of the interface on which the packet was received. */
  ifindex: number;
  /** The destination address of the packet, which may be a broadcast or multicast address. */
  address: string;
  /** The local address that a reply should be sent from; absent for an IPv6 multicast packet. */
  localAddress?: string;
}

/** Timestamps of a packet, in nanoseconds since 1970; SO_TIMESTAMPING. `null` if it was not taken. */
export interface PacketTimestamps {
  /** Taken by the kernel. */
  software: bigint | null;
  /** Taken by the network adapter, by its own clock. */
  hardware: bigint | null;
}

/** An error from a socket's error queue, struct sock_extended_err; see ip(7), IP_RECVERR. */
export interface ExtendedError {
  /** The name of the error: `"ECONNREFUSED"`. Timestamps and completed zero-copy sends also use this queue. */
  code: string;
  /** The error number, negative as in ErrnoError. */
  errno: number;
  /** Where the error originates: SO_EE_ORIGIN_LOCAL, SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, … */
  origin: number;
  /** The type of the ICMP message. */
  icmpType: number;
  /** The code of the ICMP message. */
  icmpCode: number;
  /** Further information: the MTU for EMSGSIZE, the kind of timestamp, the first completed send. */
  info: number;
  /** Further data: the ID of the packet, the last completed send. */
  data: number;
  /** The address of the host that reported the error; `null` if it is not known. */
  offender: Address | null;
}

/** An item of ancillary data that is not decoded. */
export interface RawAncillary {
  /** The protocol: SOL_SOCKET, IPPROTO_IP, … */
  readonly level: number;
  /** The type of the item, which depends on the level. */
  readonly type: number;
  readonly data: Uint8Array;
}

/** An item of ancillary data to send with `sendmsg`; see unix(7), ip(7), ipv6(7), udp(7). */
export type Ancillary =
  | {
      /** File descriptors to pass over a unix socket, at most 253. */
      readonly fds: readonly FdLike[];
    }
  | { readonly credentials: Credentials }
  | {
      /** The interface and the local address to send from. */
      readonly packetInfo: {
        readonly ifindex?: number | undefined;
        readonly ifname?: string | undefined;
        readonly localAddress?: string | undefined;
      };
    }
  | {
      /** The hop limit of the packet, or its TTL: 0 to 255. */
      readonly hopLimit: number;
    }
  | {
      /** The traffic class of the packet, or its type of service: 0 to 255. */
      readonly trafficClass: number;
    }
  | {
      /** Splits the data into datagrams of this size; UDP_SEGMENT. */
      readonly segmentSize: number;
    }
  | RawAncillary;

/** An item of ancillary data received by `recvmsg`. Test for its kind with `in`: `"fds" in item`. */
export type ReceivedAncillary =
  | {
      /** Duplicates of the sender's file descriptors, close-on-exec. The receiver owns them and must close them. */
      readonly fds: readonly number[];
    }
  | {
      /** Only the pidfd, so that code that closes all received file descriptors also closes it. */
      readonly fds: readonly number[];
      /** A pidfd of the sender, which the receiver owns and must close; SO_PASSPIDFD. */
      readonly pidfd: number;
    }
  | { readonly credentials: Credentials }
  | {
      /** When the packet was received, in nanoseconds since 1970; SO_TIMESTAMP, SO_TIMESTAMPNS. */
      readonly timestamp: bigint;
    }
  | { readonly timestamps: PacketTimestamps }
  | { readonly packetInfo: PacketInfo }
  | {
      /** The hop limit of the packet, or its TTL; IPV6_RECVHOPLIMIT, IP_RECVTTL. */
      readonly hopLimit: number;
    }
  | {
      /** The traffic class of the packet, or its type of service; IPV6_RECVTCLASS, IP_RECVTOS. */
      readonly trafficClass: number;
    }
  | {
      /** The address that the packet was sent to before it was redirected; IP_RECVORIGDSTADDR. */
      readonly originalDestination: InternetAddress;
    }
  | {
      /** The size of the datagrams that were merged into the received data; the last may be shorter; UDP_GRO. */
      readonly segmentSize: number;
    }
  | {
      /** How many packets have been dropped since the socket was created; SO_RXQ_OVFL. */
      readonly dropped: number;
    }
  | { readonly error: ExtendedError }
  | RawAncillary;

/** The kernel's limit per message, SCM_MAX_FD. */
const MAX_FDS = 253;
/** struct cmsghdr on 64-bit Linux: a size_t length, then level and type. musl pads its 32-bit length with zeros. */
const HEADER_BYTES = 16;
const UCRED_BYTES = 12; // struct ucred { pid_t pid; uid_t uid; gid_t gid; }
const TIME_BYTES = 16; // struct timespec and struct timeval
const ERROR_BYTES = 16; // struct sock_extended_err
const MAX_LENGTH = 0x7fffffff - HEADER_BYTES - 7;

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

/**
 * Returns the buffer size for `maxFds` file descriptors. With CMSG_SPACE, padding could admit one more.
 *
 * @throws {TypeError | RangeError} if `maxFds` is not an integer from 0 to 253
 */
export function fdsSize(maxFds: number): number {
  return CMSG_LEN(4 * checkInteger("maxFds", maxFds, 0, MAX_FDS));
}

/**
 * Encodes items of ancillary data as control messages, for a socket of the given family.
 *
 * @throws {TypeError | RangeError} if an item is not valid, or cannot be sent over the socket
 */
export function encodeAncillary(sys: Syscalls, items: readonly Ancillary[], family: number): Uint8Array {
  if (!Array.isArray(items)) throw invalidType("ancillary", "an array, such as [{ fds: [fd] }]", items);
  const parts = Array.from(items, (item) => encodeItem(sys, item, family));
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

/**
 * Decodes the first `length` bytes of a buffer of control messages. Never throws: it would leak received file
 * descriptors.
 */
export function decodeAncillary(sys: Syscalls, bytes: Uint8Array, length: number): ReceivedAncillary[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = Math.min(length, bytes.byteLength);
  const items: ReceivedAncillary[] = [];
  for (let at = 0; at + HEADER_BYTES <= end;) {
    const size = view.getUint32(at, true);
    if (size < HEADER_BYTES) break;
    const level = view.getInt32(at + 8, true);
    const type = view.getInt32(at + 12, true);
    const data = bytes.slice(at + HEADER_BYTES, Math.min(at + size, end));
    items.push(decodeItem(sys, level, type, data));
    if (size >= end - at) break;
    at += align(size);
  }
  return items;
}

function decodeItem(sys: Syscalls, level: number, type: number, data: Uint8Array): ReceivedAncillary {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const decoded =
    level === SOL_SOCKET
      ? decodeSocketItem(type, data, view)
      : level === IPPROTO_IP
        ? decodeIpItem(sys, type, data, view)
        : level === IPPROTO_IPV6
          ? decodeIpv6Item(sys, type, data, view)
          : level === IPPROTO_UDP && type === UDP_GRO && data.length >= 4
            ? { segmentSize: view.getInt32(0, true) }
            : undefined;
  return decoded ?? { level, type, data };
}

function decodeSocketItem(type: number, data: Uint8Array, view: DataView): ReceivedAncillary | undefined {
  const { length } = data;
  if (type === SCM_RIGHTS) {
    return { fds: Array.from({ length: length >> 2 }, (_, i) => view.getInt32(4 * i, true)) };
  }
  if (type === SCM_CREDENTIALS && length >= UCRED_BYTES) return { credentials: decodeCredentials(view) };
  if (type === SCM_PIDFD && length >= 4 && view.getInt32(0, true) >= 0) {
    const pidfd = view.getInt32(0, true); // -errno if the sender has been reaped
    return { fds: [pidfd], pidfd };
  }
  if (type === SCM_TIMESTAMP && length >= TIME_BYTES) return { timestamp: nanoseconds(view, 0, 1000n) };
  if (type === SCM_TIMESTAMPNS && length >= TIME_BYTES) return { timestamp: nanoseconds(view, 0) };
  if (type === SCM_TIMESTAMPING && length >= 3 * TIME_BYTES) {
    // The second one is no longer used by the kernel.
    const [software, hardware] = [nanoseconds(view, 0), nanoseconds(view, 2 * TIME_BYTES)];
    return { timestamps: { software: software || null, hardware: hardware || null } };
  }
  if (type === SO_RXQ_OVFL && length >= 4) return { dropped: view.getUint32(0, true) };
  return undefined;
}

function decodeIpItem(sys: Syscalls, type: number, data: Uint8Array, view: DataView): ReceivedAncillary | undefined {
  const { length } = data;
  if (type === IP_PKTINFO && length >= 12) {
    const [localAddress, address] = [formatIpAddress(sys, AF_INET, data, 4), formatIpAddress(sys, AF_INET, data, 8)];
    return { packetInfo: { ifindex: view.getInt32(0, true), address, localAddress } };
  }
  if (type === IP_TTL && length >= 4) return { hopLimit: view.getInt32(0, true) };
  if (type === IP_TOS && length >= 1) return { trafficClass: view.getUint8(0) };
  if (type === IP_RECVERR) return decodeError(sys, data, view);
  return type === IP_ORIGDSTADDR ? decodeDestination(sys, data) : undefined;
}

function decodeIpv6Item(sys: Syscalls, type: number, data: Uint8Array, view: DataView): ReceivedAncillary | undefined {
  const { length } = data;
  if (type === IPV6_PKTINFO && length >= 20) {
    const packetInfo: PacketInfo = {
      ifindex: view.getInt32(16, true),
      address: formatIpAddress(sys, AF_INET6, data, 0),
    };
    if (data[0] !== 0xff) packetInfo.localAddress = packetInfo.address; // ff00::/8 is multicast
    return { packetInfo };
  }
  if (type === IPV6_HOPLIMIT && length >= 4) return { hopLimit: view.getInt32(0, true) };
  if (type === IPV6_TCLASS && length >= 4) return { trafficClass: view.getInt32(0, true) };
  if (type === IPV6_RECVERR) return decodeError(sys, data, view);
  return type === IPV6_ORIGDSTADDR ? decodeDestination(sys, data) : undefined;
}

/** struct sock_extended_err: errno, origin, type, code, padding, info, data; then the sockaddr of the offender. */
function decodeError(sys: Syscalls, data: Uint8Array, view: DataView): ReceivedAncillary | undefined {
  if (data.length < ERROR_BYTES) return undefined;
  const errno = view.getUint32(0, true);
  const address = decodeSockaddr(sys, data.subarray(ERROR_BYTES));
  const isKnown = "address" in address || ("family" in address && address.family !== 0); // else AF_UNSPEC
  return {
    error: {
      code: errnoName(errno),
      errno: -errno,
      origin: view.getUint8(4),
      icmpType: view.getUint8(5),
      icmpCode: view.getUint8(6),
      info: view.getUint32(8, true),
      data: view.getUint32(12, true),
      offender: isKnown ? address : null,
    },
  };
}

function decodeDestination(sys: Syscalls, data: Uint8Array): ReceivedAncillary | undefined {
  const originalDestination = decodeSockaddr(sys, data);
  return "address" in originalDestination ? { originalDestination } : undefined;
}

/** Decodes a struct timespec, or a struct timeval, whose second member is in units of 1000 ns. */
function nanoseconds(view: DataView, at: number, unit = 1n): bigint {
  return view.getBigInt64(at, true) * 1_000_000_000n + view.getBigInt64(at + 8, true) * unit;
}

/** Decodes a struct ucred. */
export function decodeCredentials(view: DataView): Credentials {
  return { pid: view.getInt32(0, true), uid: view.getUint32(4, true), gid: view.getUint32(8, true) };
}

const ITEM_SHAPES = "{ fds }, { credentials: { pid, uid, gid } } or { level, type, data }";
const IP_ONLY = new Set(["packetInfo", "hopLimit", "trafficClass", "segmentSize"]);

function encodeItem(sys: Syscalls, item: Ancillary, family: number): RawAncillary {
  if (typeof item !== "object" || item === null) throw invalidType("an item of ancillary data", ITEM_SHAPES, item);
  const kind = Object.keys(item).find((key) => IP_ONLY.has(key));
  if (kind !== undefined) return encodeIpItem(sys, item, kind, family);
  if (family !== AF_UNIX && ("fds" in item || "credentials" in item)) {
    throw invalidValue(
      "ancillary contains file descriptors or credentials, which can be sent only over unix sockets; " +
        "over other sockets the kernel discards them",
    );
  }
  if ("fds" in item) {
    return { level: SOL_SOCKET, type: SCM_RIGHTS, data: new Uint8Array(Int32Array.from(checkFds(item.fds)).buffer) };
  }
  if ("credentials" in item) {
    return { level: SOL_SOCKET, type: SCM_CREDENTIALS, data: encodeCredentials(item.credentials) };
  }
  const { level, type, data } = item as RawAncillary;
  if (!(data instanceof Uint8Array) || !Number.isInteger(level) || !Number.isInteger(type)) {
    throw invalidType("an item of ancillary data", ITEM_SHAPES, item);
  }
  checkInteger("level", level, -0x80000000, 0x7fffffff);
  checkInteger("type", type, -0x80000000, 0x7fffffff);
  byteLengthOf(data, "data");
  return { level, type, data: new Uint8Array(data) }; // a copy has no length property of its own
}

function checkFds(fds: readonly FdLike[]): number[] {
  if (!Array.isArray(fds)) throw invalidType("fds", "an array of file descriptors, or objects with fileno()", fds);
  const numbers = Array.from(fds, toFd);
  if (numbers.length === 0) throw invalidValue("fds is empty: omit the item to send no file descriptors");
  if (numbers.length > MAX_FDS) {
    throw invalidValue(
      `fds has ${numbers.length} file descriptors; a message carries at most ${MAX_FDS}: send several messages`,
    );
  }
  return numbers;
}

function encodeCredentials(credentials: Credentials): Uint8Array {
  if (typeof credentials !== "object" || credentials === null) {
    throw invalidType("credentials", "{ pid, uid, gid }", credentials);
  }
  const pid = checkInteger("credentials.pid", credentials.pid, 0, 0x7fffffff);
  const uid = checkInteger("credentials.uid", credentials.uid, 0, 0xffffffff);
  const gid = checkInteger("credentials.gid", credentials.gid, 0, 0xffffffff);
  return new Uint8Array(Uint32Array.of(pid, uid, gid).buffer);
}

function encodeIpItem(sys: Syscalls, item: Ancillary, kind: string, family: number): RawAncillary {
  if (family !== AF_INET && family !== AF_INET6) {
    throw invalidValue(`ancillary contains ${kind}, which can be sent only over AF_INET and AF_INET6 sockets`);
  }
  const isIpv4 = family === AF_INET;
  const level = isIpv4 ? IPPROTO_IP : IPPROTO_IPV6;
  if ("hopLimit" in item) {
    const hopLimit = checkInteger("hopLimit", item.hopLimit, 0, 255);
    return { level, type: isIpv4 ? IP_TTL : IPV6_HOPLIMIT, data: new Uint8Array(Int32Array.of(hopLimit).buffer) };
  }
  if ("trafficClass" in item) {
    const trafficClass = checkInteger("trafficClass", item.trafficClass, 0, 255);
    return { level, type: isIpv4 ? IP_TOS : IPV6_TCLASS, data: new Uint8Array(Int32Array.of(trafficClass).buffer) };
  }
  if ("segmentSize" in item) {
    const segmentSize = checkInteger("segmentSize", item.segmentSize, 1, 0xffff);
    return { level: IPPROTO_UDP, type: UDP_SEGMENT, data: new Uint8Array(Uint16Array.of(segmentSize).buffer) };
  }
  const { packetInfo } = item as { packetInfo: { ifindex?: number; ifname?: string; localAddress?: string } };
  if (typeof packetInfo !== "object" || packetInfo === null) {
    throw invalidType("packetInfo", "{ ifindex, localAddress }", packetInfo);
  }
  // A received one can be passed back: its `address` is where the packet was sent to, and is not used.
  const unknown = Object.keys(packetInfo).find(
    (key) => !["ifindex", "ifname", "localAddress", "address"].includes(key),
  );
  if (unknown !== undefined) {
    throw unknownOptions(
      `unknown key ${JSON.stringify(unknown)} in packetInfo: the keys are ifindex, ifname, localAddress`,
    );
  }
  const ifindex =
    packetInfo.ifname === undefined
      ? checkInteger("packetInfo.ifindex", packetInfo.ifindex === undefined ? 0 : packetInfo.ifindex, 0, 0x7fffffff)
      : interfaceIndex(sys, packetInfo.ifname);
  const data = new Uint8Array(new ArrayBuffer(isIpv4 ? 12 : 20));
  new DataView(data.buffer).setInt32(isIpv4 ? 0 : 16, ifindex, true);
  if (packetInfo.localAddress !== undefined)
    encodeIpAddress(sys, family, packetInfo.localAddress, data, isIpv4 ? 4 : 0);
  return { level, type: isIpv4 ? IP_PKTINFO : IPV6_PKTINFO, data };
}

function align(length: number): number {
  return (length + 7) & ~7;
}
