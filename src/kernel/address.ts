// Conversion of socket addresses between struct sockaddr and objects such as `{ address, port }` and `{ path }`.

import { networkInterfaces } from "node:os";
import { AF_CAN, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_UNSPEC, AF_VSOCK } from "./constants.ts";
import { byteLengthOf } from "./byte-arrays.ts";
import { checkInteger, invalidType, invalidValue, outOfRange, unknownOptions } from "./errors.ts";
import type { Syscalls } from "./ffi.ts";
import { formatPath } from "./format-path.ts";
import { decodePath, encodePath } from "./path-bytes.ts";
import { suggest } from "./suggest.ts";

/** An IPv4 or IPv6 address and port, in the shape of Node's `server.address()`. */
export interface InternetAddress {
  /** The address as text, as inet_ntop(3) writes it: `"127.0.0.1"`, `"::1"`. */
  address: string;
  /** The port number, from 0 to 65535. */
  port: number;
  /** The IP version of the address. */
  family: "IPv4" | "IPv6";
  /** The interface index of a link-local IPv6 address; see ipv6(7). */
  scopeId?: number;
  /** The flow information of an IPv6 address, from 0 to 4294967295; absent if it is 0. */
  flowInfo?: number;
}

/** The address of a unix domain socket; see unix(7). */
export interface UnixAddress {
  /**
   * A file system path; an abstract name, which starts with `"\0"`; or `""` for an unnamed socket. A byte that is not
   * part of valid UTF-8 is a lone surrogate, `"\udc80"` to `"\udcff"`, as in Python: `encodePath` returns the bytes.
   */
  path: string;
}

/** The address of a netlink socket; see netlink(7). */
export interface NetlinkAddress {
  family: "netlink";
  /** The port ID, usually the process ID; 0 is the kernel. */
  pid: number;
  /** The multicast groups, a 32-bit mask. */
  groups: number;
}

/** The address of a packet socket, struct sockaddr_ll; see packet(7). */
export interface PacketAddress {
  family: "packet";
  /** The interface index; 0 in `bind` means all interfaces. See `ifNameToIndex`. */
  ifindex: number;
  /** The protocol of the frame, such as ETH_P_IP or ETH_P_ALL, in host byte order. */
  protocol: number;
  /** PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST, PACKET_OTHERHOST or PACKET_OUTGOING. */
  packetType: number;
  /** The ARP hardware type of the interface: 1 is Ethernet, 772 loopback. */
  hardwareType: number;
  /** The link-layer address, at most 8 bytes: 6 for Ethernet. */
  hardwareAddress: Uint8Array;
}

/** The address of a VM socket; see vsock(7). */
export interface VsockAddress {
  family: "vsock";
  /** The context ID: VMADDR_CID_HOST, VMADDR_CID_LOCAL, VMADDR_CID_ANY, or that of a virtual machine. */
  cid: number;
  /** The port, 32 bits. */
  port: number;
  /** VMADDR_FLAG_TO_HOST; absent if it is 0. */
  flags?: number;
}

/** The address of a CAN socket of protocol CAN_RAW, CAN_BCM or CAN_ISOTP. Addresses of CAN_J1939 are RawAddress objects. */
export interface CanAddress {
  family: "can";
  /** The interface index; 0 means all interfaces. See `ifNameToIndex`. */
  ifindex: number;
  /** The CAN ID to receive, of CAN_ISOTP. */
  rxId?: number;
  /** The CAN ID to send, of CAN_ISOTP. */
  txId?: number;
}

/** The address of a socket of any other family, as bytes. */
export interface RawAddress {
  /** The address family, AF_…, as a number. */
  family: number;
  /** The bytes of the sockaddr that follow the family, at most 126. */
  bytes: Uint8Array;
}

/**
 * The address of a socket, as the kernel reports it. Only an InternetAddress has `address`, and only a UnixAddress has
 * `path`; `family` distinguishes the others.
 */
export type Address =
  | InternetAddress
  | UnixAddress
  | NetlinkAddress
  | PacketAddress
  | VsockAddress
  | CanAddress
  | RawAddress;

/**
 * An address passed as an argument. It must fit the socket's family, except for `{ family, bytes }`, which is passed to
 * the kernel as it is: `{ family: AF_UNSPEC }` dissolves the association of a connected datagram socket. An object with
 * any other key is refused.
 *
 * @see connect(2), bind(2)
 */
export type AddressLike =
  | {
      /** An IP address as text. The default is the wildcard address of the socket's family. */
      address?: string | undefined;
      port: number;
      scopeId?: number | undefined;
      flowInfo?: number | undefined;
      family?: "IPv4" | "IPv6" | undefined;
    }
  | {
      /** A path or an abstract name, as a string or as bytes. */
      path: string | Uint8Array;
    }
  | { pid?: number | undefined; groups?: number | undefined; family?: "netlink" | undefined }
  | {
      /** The interface index. One of `ifindex` and `ifname` is required, except to bind to all interfaces. */
      ifindex?: number | undefined;
      /** The name of the interface, instead of its index. */
      ifname?: string | undefined;
      protocol?: number | undefined;
      packetType?: number | undefined;
      hardwareType?: number | undefined;
      hardwareAddress?: Uint8Array | undefined;
      family?: "packet" | undefined;
    }
  | { cid: number; port: number; flags?: number | undefined; family?: "vsock" | undefined }
  | {
      ifindex?: number | undefined;
      ifname?: string | undefined;
      rxId?: number | undefined;
      txId?: number | undefined;
      family?: "can" | undefined;
    }
  | { family: number; bytes?: Uint8Array | undefined };

/** Size of an encoded address: a 32-bit length, then 128 bytes of sockaddr. */
export const ADDRESS_BYTES = 132;
const START = 4; // offset of the sockaddr; sin_port and sun_path are at offset 2 within it
const UNIX_PATH_MAX = 108;

const SOCKADDR_BYTES = ADDRESS_BYTES - START;
const RAW_BYTES_MAX = SOCKADDR_BYTES - 2;
const HARDWARE_ADDRESS_MAX = 8;

const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");
const EMPTY = new Uint8Array(0);

/** Creates a buffer for an encoded address. */
export function addressBuffer(): Uint8Array {
  return new Uint8Array(new ArrayBuffer(ADDRESS_BYTES));
}

/** An address format: the keys of its objects, and the conversion of the sockaddr. */
interface Format {
  /** How messages describe the address. */
  readonly shape: string;
  /** `family` is the value that decoded addresses have. */
  readonly family?: string | readonly string[];
  readonly keys: readonly string[];
  /** Writes the sockaddr after its family, and returns the length of the sockaddr. */
  encode(sys: Syscalls, to: Record<string, unknown>, buffer: Uint8Array, view: DataView): number;
}

const FORMATS: ReadonlyMap<number, Format> = new Map<number, Format>([
  [
    AF_INET,
    { shape: "{ address, port }", keys: ["address", "port", "family", "scopeId", "flowInfo"], encode: encodeIpv4 },
  ],
  [
    AF_INET6,
    { shape: "{ address, port }", keys: ["address", "port", "family", "scopeId", "flowInfo"], encode: encodeIpv6 },
  ],
  [AF_UNIX, { shape: "{ path }", keys: ["path"], encode: encodeUnix }],
  [
    AF_NETLINK,
    { shape: "{ pid, groups }", family: "netlink", keys: ["pid", "groups", "family"], encode: encodeNetlink },
  ],
  [
    AF_PACKET,
    {
      shape: "{ ifindex, protocol }",
      family: "packet",
      keys: ["ifindex", "ifname", "protocol", "packetType", "hardwareType", "hardwareAddress", "family"],
      encode: encodePacket,
    },
  ],
  [
    AF_VSOCK,
    { shape: "{ cid, port }", family: "vsock", keys: ["cid", "port", "flags", "family"], encode: encodeVsock },
  ],
  [
    AF_CAN,
    { shape: "{ ifindex }", family: "can", keys: ["ifindex", "ifname", "rxId", "txId", "family"], encode: encodeCan },
  ],
]);

const RAW_SHAPE = "{ family, bytes }";
const FAMILY_NAMES: ReadonlyMap<number, string> = new Map([
  [AF_UNSPEC, "AF_UNSPEC"],
  [AF_INET, "AF_INET"],
  [AF_INET6, "AF_INET6"],
  [AF_UNIX, "AF_UNIX"],
  [AF_NETLINK, "AF_NETLINK"],
  [AF_PACKET, "AF_PACKET"],
  [AF_VSOCK, "AF_VSOCK"],
  [AF_CAN, "AF_CAN"],
]);

/** Returns the name of an address family, `"AF_INET"`, or its number as text. */
export function familyName(family: number): string {
  return FAMILY_NAMES.get(family) ?? String(family);
}

/**
 * Encodes an address for a socket of the given family.
 *
 * @throws {TypeError} if the address has the wrong shape for the family, or an unknown key
 * @throws {RangeError} if a number is out of range, the path is too long, or `address` is not an address of the family
 */
export function encodeAddress(sys: Syscalls, to: AddressLike, family: number): Uint8Array {
  const format = FORMATS.get(family);
  if (typeof to !== "object" || to === null) throw invalidType("address", format?.shape ?? RAW_SHAPE, to);
  const buffer = addressBuffer();
  const view = new DataView(buffer.buffer);
  if (typeof (to as RawAddress).family === "number") {
    checkKeys(to, ["family", "bytes"], `an address ${RAW_SHAPE}`);
    view.setUint32(0, encodeRaw(to as RawAddress, buffer, view), true);
    return buffer;
  }
  view.setUint16(START, family, true);
  if (format === undefined) {
    throw invalidType(
      `the address of a socket of family ${familyName(family)}`,
      `${RAW_SHAPE}, with numbers and bytes`,
      to,
    );
  }
  if (family === AF_UNIX && !("path" in to)) throw invalidType("the address of an AF_UNIX socket", "{ path }", to);
  if ((family === AF_INET || family === AF_INET6) && "path" in to) {
    throw invalidType(
      "the address of an AF_INET or AF_INET6 socket",
      "{ address, port } ({ path } is for AF_UNIX)",
      to,
    );
  }
  checkKeys(to, format.keys, `the address of an ${familyName(family)} socket`);
  const object = to as Record<string, unknown>;
  if (format.family !== undefined && object["family"] !== undefined && object["family"] !== format.family) {
    throw invalidType(
      "address.family",
      `${JSON.stringify(format.family)} for an ${familyName(family)} socket`,
      object["family"],
    );
  }
  view.setUint32(0, format.encode(sys, object, buffer, view), true);
  return buffer;
}

/** Node's dgram adds the size of the datagram to an address. */
const IGNORED_KEYS = new Set(["size"]);

/** Refuses unknown keys: with `{ hostname, port }`, a socket would otherwise be bound to all interfaces. */
function checkKeys(to: object, keys: readonly string[], what: string): void {
  for (const [key, value] of Object.entries(to)) {
    if (value === undefined || keys.includes(key) || IGNORED_KEYS.has(key)) continue;
    const meant = key === "hostname" || key === "host" || key === "ip" ? "address" : suggest(key, keys);
    const hint = meant !== undefined && keys.includes(meant) ? `did you mean ${JSON.stringify(meant)}? ` : "";
    throw unknownOptions(`unknown key ${JSON.stringify(key)} in ${what}: ${hint}The keys are ${keys.join(", ")}`);
  }
}

function encodeRaw({ family, bytes = EMPTY }: RawAddress, buffer: Uint8Array, view: DataView): number {
  const length = byteLengthOf(bytes, "address.bytes");
  if (length > RAW_BYTES_MAX) {
    throw invalidValue(`address.bytes is ${length} bytes long; an address can have at most ${RAW_BYTES_MAX}`);
  }
  view.setUint16(START, checkInteger("address.family", family, 0, 0xffff), true);
  buffer.set(bytes, START + 2);
  return 2 + length;
}

/** Copies bytes. Their number comes from the engine, so that no property of the argument can change it. */
function copyOf(bytes: unknown, name: string, expected?: string): Uint8Array {
  byteLengthOf(bytes as Uint8Array, name, expected);
  return new Uint8Array(bytes as Uint8Array);
}

function encodeUnix(_sys: Syscalls, { path }: Record<string, unknown>, buffer: Uint8Array): number {
  const bytes = typeof path === "string" ? encodePath(path) : copyOf(path, "path", "a string or a Uint8Array");
  const isAbstract = bytes[0] === 0;
  if (!isAbstract && bytes.includes(0)) {
    throw invalidValue("path contains a NUL byte, which is allowed only at the start of an abstract name");
  }
  // The length delimits an abstract name; a path needs space for its terminating NUL.
  const maxBytes = isAbstract ? UNIX_PATH_MAX : UNIX_PATH_MAX - 1;
  if (bytes.length > maxBytes) {
    throw invalidValue(`path is ${bytes.length} bytes long; the path of a unix socket can have at most ${maxBytes}`);
  }
  buffer.set(bytes, START + 2);
  return 2 + (bytes.length === 0 || isAbstract ? bytes.length : bytes.length + 1);
}

function encodeIpv4(sys: Syscalls, to: Record<string, unknown>, buffer: Uint8Array, view: DataView): number {
  view.setUint16(START + 2, checkPort(to["port"] as number), false);
  encodeIpAddress(sys, AF_INET, (to["address"] as string | undefined) ?? "0.0.0.0", buffer, START + 4);
  return 16;
}

/** struct sockaddr_in6: port, flow information (both big-endian), address, scope ID. */
function encodeIpv6(sys: Syscalls, to: Record<string, unknown>, buffer: Uint8Array, view: DataView): number {
  view.setUint16(START + 2, checkPort(to["port"] as number), false);
  const text = (to["address"] as string | undefined) ?? "::";
  const zone = typeof text === "string" ? text.indexOf("%") : -1;
  view.setUint32(START + 4, checkUint32("flowInfo", to["flowInfo"], 0), false);
  encodeIpAddress(sys, AF_INET6, zone < 0 ? text : text.slice(0, zone), buffer, START + 8);
  const scopeId = (to["scopeId"] as number | undefined) ?? (zone < 0 ? 0 : scopeIdOf(text.slice(zone + 1)));
  view.setUint32(START + 24, checkScopeId(scopeId), true);
  return 28;
}

/** struct sockaddr_nl: 2 bytes of padding, port ID, groups. */
function encodeNetlink(_sys: Syscalls, to: Record<string, unknown>, _buffer: Uint8Array, view: DataView): number {
  view.setUint32(START + 4, checkUint32("pid", to["pid"], 0), true);
  view.setUint32(START + 8, checkUint32("groups", to["groups"], 0), true);
  return 12;
}

/** struct sockaddr_ll: protocol (big-endian), interface, hardware type, packet type, length and bytes of the address. */
function encodePacket(sys: Syscalls, to: Record<string, unknown>, buffer: Uint8Array, view: DataView): number {
  const hardwareAddress = copyOf(
    to["hardwareAddress"] === undefined ? EMPTY : to["hardwareAddress"],
    "hardwareAddress",
  );
  if (hardwareAddress.length > HARDWARE_ADDRESS_MAX) {
    throw invalidValue(
      `hardwareAddress is ${hardwareAddress.length} bytes long; it can have at most ${HARDWARE_ADDRESS_MAX}`,
    );
  }
  view.setUint16(
    START + 2,
    checkInteger("protocol", to["protocol"] === undefined ? 0 : to["protocol"], 0, 0xffff),
    false,
  );
  view.setInt32(START + 4, interfaceOf(sys, to), true);
  view.setUint16(
    START + 8,
    checkInteger("hardwareType", to["hardwareType"] === undefined ? 0 : to["hardwareType"], 0, 0xffff),
    true,
  );
  view.setUint8(START + 10, checkInteger("packetType", to["packetType"] === undefined ? 0 : to["packetType"], 0, 0xff));
  view.setUint8(START + 11, hardwareAddress.length);
  buffer.set(hardwareAddress, START + 12);
  return 20;
}

/** struct sockaddr_vm: 2 reserved bytes, port, context ID, flags, padding. */
function encodeVsock(_sys: Syscalls, to: Record<string, unknown>, _buffer: Uint8Array, view: DataView): number {
  view.setUint32(START + 4, checkUint32("port", to["port"]), true);
  view.setUint32(START + 8, checkUint32("cid", to["cid"]), true);
  view.setUint8(START + 12, checkInteger("flags", to["flags"] === undefined ? 0 : to["flags"], 0, 0xff));
  return 16;
}

/** struct sockaddr_can: 2 bytes of padding, interface, the IDs of ISO-TP. */
function encodeCan(sys: Syscalls, to: Record<string, unknown>, _buffer: Uint8Array, view: DataView): number {
  view.setInt32(START + 4, interfaceOf(sys, to), true);
  if (to["rxId"] === undefined && to["txId"] === undefined) return 8;
  view.setUint32(START + 8, checkUint32("rxId", to["rxId"], 0), true);
  view.setUint32(START + 12, checkUint32("txId", to["txId"], 0), true);
  return 16;
}

function interfaceOf(sys: Syscalls, { ifindex, ifname }: Record<string, unknown>): number {
  if (ifindex !== undefined && ifname !== undefined) {
    throw invalidValue("address has both ifindex and ifname: omit one of them");
  }
  if (ifname === undefined) return checkInteger("ifindex", ifindex === undefined ? 0 : ifindex, 0, 0x7fffffff);
  return interfaceIndex(sys, ifname as string);
}

/**
 * Returns the index of a network interface.
 *
 * @throws {TypeError | RangeError} if `name` is not a string, or no interface has the name
 */
export function interfaceIndex(sys: Syscalls, name: string): number {
  if (typeof name !== "string") throw invalidType("ifname", 'the name of an interface, such as "eth0"', name);
  const index = name.includes("\0") ? 0 : sys.if_nametoindex(encoder.encode(`${name}\0`));
  if (index <= 0) throw invalidValue(`no network interface is named ${JSON.stringify(name)}`);
  return index;
}

/**
 * Decodes an address written by the kernel.
 *
 * @returns the address; `{ path: "" }` if the length is 0, which means that there is no address: the sender is unnamed
 */
export function decodeAddress(sys: Syscalls, buffer: Uint8Array): Address {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  return decodeSockaddr(sys, buffer.subarray(START, START + Math.min(view.getUint32(0, true), SOCKADDR_BYTES)));
}

/** Decodes a struct sockaddr. A sockaddr that is shorter than its family requires is returned as bytes. */
export function decodeSockaddr(sys: Syscalls, bytes: Uint8Array): Address {
  const { length } = bytes;
  if (length < 2) return { path: "" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const family = view.getUint16(0, true);
  if (family === AF_INET && length >= 8) {
    return { address: formatIpAddress(sys, AF_INET, bytes, 4), port: view.getUint16(2), family: "IPv4" };
  }
  if (family === AF_INET6 && length >= 24) return decodeIpv6(sys, bytes, view);
  if (family === AF_UNIX) return { path: decodeUnixPath(bytes.subarray(2)) };
  if (family === AF_NETLINK && length === 12) {
    return { family: "netlink", pid: view.getUint32(4, true), groups: view.getUint32(8, true) };
  }
  if (family === AF_PACKET && length >= 12 && length <= 20) return decodePacket(bytes, view);
  if (family === AF_VSOCK && length === 16) {
    const address: VsockAddress = { family: "vsock", cid: view.getUint32(8, true), port: view.getUint32(4, true) };
    if (view.getUint8(12) !== 0) address.flags = view.getUint8(12);
    return address;
  }
  if (family === AF_CAN && length === 8) return { family: "can", ifindex: view.getInt32(4, true) };
  if (family === AF_CAN && length === 16) {
    const [ifindex, rxId, txId] = [view.getInt32(4, true), view.getUint32(8, true), view.getUint32(12, true)];
    return { family: "can", ifindex, rxId, txId };
  }
  return { family, bytes: bytes.slice(2) };
}

function decodeIpv6(sys: Syscalls, bytes: Uint8Array, view: DataView): InternetAddress {
  const decoded: InternetAddress = {
    address: formatIpAddress(sys, AF_INET6, bytes, 8),
    port: view.getUint16(2),
    family: "IPv6",
  };
  const scopeId = bytes.length < 28 ? 0 : view.getUint32(24, true); // before Linux 2.4 there was none
  if (scopeId !== 0) decoded.scopeId = scopeId;
  const flowInfo = view.getUint32(4, false);
  if (flowInfo !== 0) decoded.flowInfo = flowInfo;
  return decoded;
}

function decodePacket(bytes: Uint8Array, view: DataView): PacketAddress {
  return {
    family: "packet",
    ifindex: view.getInt32(4, true),
    protocol: view.getUint16(2, false),
    packetType: view.getUint8(10),
    hardwareType: view.getUint16(8, true),
    hardwareAddress: bytes.slice(12, 12 + view.getUint8(11)),
  };
}

function decodeUnixPath(path: Uint8Array): string {
  if (path[0] === 0) return decodePath(path);
  const end = path.indexOf(0);
  return decodePath(end < 0 ? path : path.subarray(0, end));
}

/** Returns the family of an address in text form: AF_INET or AF_INET6; 0 if `host` is a name. */
export function familyOf(sys: Syscalls, host: string): number {
  const scratch = new Uint8Array(new ArrayBuffer(16));
  const [text = ""] = host.split("%", 2);
  if (text.includes("\0")) return 0;
  if (sys.inet_pton(AF_INET, encoder.encode(`${host}\0`), scratch, 0) === 1) return AF_INET;
  return sys.inet_pton(AF_INET6, encoder.encode(`${text}\0`), scratch, 0) === 1 ? AF_INET6 : 0;
}

const PORT_RANGE = "an integer from 0 to 65535";

/** @throws {TypeError | RangeError} unless `port` is an integer from 0 to 65535 */
function checkPort(port: number): number {
  if (typeof port !== "number") throw invalidType("port", PORT_RANGE, port);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw outOfRange("port", PORT_RANGE, port);
  return port;
}

function checkScopeId(scopeId: number): number {
  if (typeof scopeId !== "number") {
    throw invalidType("scopeId", 'a number (to use an interface name, write the address as "fe80::1%eth0")', scopeId);
  }
  if (!Number.isInteger(scopeId) || scopeId < 0 || scopeId > 0xffffffff) {
    throw outOfRange("scopeId", "an integer from 0 to 4294967295", scopeId);
  }
  return scopeId;
}

function checkUint32(name: string, value: unknown, byDefault?: number): number {
  return checkInteger(name, value === undefined ? byDefault : value, 0, 0xffffffff);
}

/** Writes an IP address to `buffer` at `offset`. @throws {TypeError | RangeError} if it is not one of the family */
export function encodeIpAddress(sys: Syscalls, family: number, text: string, buffer: Uint8Array, offset: number): void {
  if (typeof text !== "string") throw invalidType("address", "a string", text);
  if (text.includes("\0") || sys.inet_pton(family, encoder.encode(`${text}\0`), buffer, offset) !== 1) {
    const kind = family === AF_INET ? "IPv4" : "IPv6";
    throw invalidValue(`${JSON.stringify(text)} is not an ${kind} address, and this is an ${kind} socket`);
  }
}

/** Returns the IP address in `buffer` at `offset` as text. */
export function formatIpAddress(sys: Syscalls, family: number, buffer: Uint8Array, offset: number): string {
  const text = new Uint8Array(new ArrayBuffer(48));
  sys.inet_ntop(family, buffer, offset, text, text.length);
  return latin1.decode(text.subarray(0, text.indexOf(0)));
}

function scopeIdOf(zone: string): number {
  if (/^\d+$/.test(zone) && Number(zone) <= 0xffffffff) return Number(zone);
  const interfaces = networkInterfaces();
  const addresses = (Object.hasOwn(interfaces, zone) ? interfaces[zone] : undefined) ?? [];
  // Only link-local addresses have a scope ID, which is the interface index. The scope ID of other addresses is 0.
  const scopeIds = addresses.filter((address) => address.family === "IPv6").map((address) => address.scopeid ?? 0);
  if (scopeIds.length > 0) return Math.max(...scopeIds);
  throw invalidValue(`no network interface named ${JSON.stringify(zone)} has an IPv6 address`);
}

/**
 * Formats an address for display and URLs: `127.0.0.1:80`, `[::1]:80`, or a path, with `@` for the NUL of an abstract
 * name.
 */
export function formatEndpoint(address: string, port?: number): string {
  if (port === undefined) return formatPath(address);
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Formats an address of any family for display. */
export function formatAddress(address: Address): string {
  if ("path" in address) return formatPath(address.path);
  if ("address" in address) return formatEndpoint(address.address, address.port);
  if ("bytes" in address) {
    return `${familyName(address.family)} ${hex(address.bytes, "")}`.trimEnd();
  }
  switch (address.family) {
    case "netlink":
      return `netlink ${address.pid}${address.groups === 0 ? "" : ` groups 0x${address.groups.toString(16)}`}`;
    case "packet": {
      const { ifindex, protocol, hardwareAddress } = address;
      return `packet ${ifindex} 0x${protocol.toString(16).padStart(4, "0")} ${hex(hardwareAddress, ":")}`.trimEnd();
    }
    case "vsock":
      return `vsock ${address.cid === 0xffffffff ? "*" : address.cid}:${address.port}`;
    case "can":
      return `can ${address.ifindex}${address.rxId === undefined ? "" : ` ${address.rxId}/${address.txId}`}`;
  }
}

function hex(bytes: Uint8Array, separator: string): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(separator);
}

/** Returns the address and the port for an ErrnoError: those of an address argument that `encodeAddress` has accepted. */
export function errorEndpoint(sys: Syscalls, to: AddressLike, family: number): { address: string; port?: number } {
  if ("path" in to) return { address: typeof to.path === "string" ? to.path : decodePath(to.path) };
  const decoded = decodeAddress(sys, encodeAddress(sys, to, family));
  if (!("address" in decoded)) return { address: "path" in decoded ? decoded.path : formatAddress(decoded) };
  return { address: ("address" in to ? to.address : undefined) ?? decoded.address, port: decoded.port };
}
