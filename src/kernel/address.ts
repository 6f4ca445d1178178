// Conversion of socket addresses between struct sockaddr and `{ address, port }` or `{ path }`.

import { networkInterfaces } from "node:os";
import { AF_INET, AF_INET6, AF_UNIX } from "./constants.ts";
import { invalidType, invalidValue, outOfRange } from "./errors.ts";
import type { Syscalls } from "./ffi.ts";

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
}

/** The address of a unix domain socket; see unix(7). */
export interface UnixAddress {
  /** A file system path; an abstract name, which starts with `"\0"`; or `""` for an unnamed socket. */
  path: string;
}

/** The address of a socket, as the kernel reports it. */
export type Address = InternetAddress | UnixAddress;

/** An address passed as an argument. `address` defaults to the wildcard address of the socket's family. */
export type AddressLike =
  | { address?: string | undefined; port: number; scopeId?: number | undefined; family?: "IPv4" | "IPv6" | undefined }
  | UnixAddress;

/** Size of an encoded address: a 32-bit length, then 128 bytes of sockaddr. */
export const ADDRESS_BYTES = 132;
const START = 4; // offset of the sockaddr; sin_port and sun_path are at offset 2 within it
const UNIX_PATH_MAX = 108;

const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true }); // a path may start with the bytes of a BOM

/** Creates a buffer for an encoded address. */
export function addressBuffer(): Uint8Array {
  return new Uint8Array(new ArrayBuffer(ADDRESS_BYTES));
}

/**
 * Encodes an address for a socket of the given family.
 *
 * @throws {TypeError} if the address has the wrong shape for the family
 * @throws {RangeError} if the port is out of range, the path is too long, or `address` is not an address of the family
 */
export function encodeAddress(sys: Syscalls, to: AddressLike, family: number): Uint8Array {
  if (typeof to !== "object" || to === null) {
    throw invalidType("address", "{ address, port } or { path }", to);
  }
  const buffer = addressBuffer();
  const view = new DataView(buffer.buffer);
  view.setUint16(START, family, true);
  if (family === AF_UNIX) {
    if (!("path" in to)) throw invalidType("the address of an AF_UNIX socket", "{ path }", to);
    view.setUint32(0, 2 + encodePath(to.path, buffer), true);
    return buffer;
  }
  if ("path" in to) {
    throw invalidType(
      "the address of an AF_INET or AF_INET6 socket",
      "{ address, port } ({ path } is for AF_UNIX)",
      to,
    );
  }
  view.setUint16(START + 2, checkPort(to.port), false);
  if (family === AF_INET) {
    encodeText(sys, AF_INET, to.address ?? "0.0.0.0", buffer, START + 4);
    view.setUint32(0, 16, true);
    return buffer;
  }
  if (family === AF_INET6) {
    const text = to.address ?? "::";
    const zone = typeof text === "string" ? text.indexOf("%") : -1;
    encodeText(sys, AF_INET6, zone < 0 ? text : text.slice(0, zone), buffer, START + 8);
    view.setUint32(START + 24, checkScopeId(to.scopeId ?? (zone < 0 ? 0 : scopeIdOf(text.slice(zone + 1)))), true);
    view.setUint32(0, 28, true);
    return buffer;
  }
  throw invalidType("the socket's family", "AF_INET, AF_INET6 or AF_UNIX to use addresses", family);
}

/** Decodes an address written by the kernel. An address of any other family is returned as an empty path. */
export function decodeAddress(sys: Syscalls, buffer: Uint8Array): Address {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const length = view.getUint32(0, true);
  const family = length < 2 ? 0 : view.getUint16(START, true);
  if (family === AF_INET) {
    return { address: decodeText(sys, AF_INET, buffer, START + 4), port: view.getUint16(START + 2), family: "IPv4" };
  }
  if (family === AF_INET6) {
    const decoded: InternetAddress = {
      address: decodeText(sys, AF_INET6, buffer, START + 8),
      port: view.getUint16(START + 2),
      family: "IPv6",
    };
    const scopeId = view.getUint32(START + 24, true);
    if (scopeId !== 0) decoded.scopeId = scopeId;
    return decoded;
  }
  if (family !== AF_UNIX || length <= 2) return { path: "" };
  const path = buffer.subarray(START + 2, START + length);
  if (path[0] === 0) return { path: utf8.decode(path) };
  const end = path.indexOf(0);
  return { path: utf8.decode(end < 0 ? path : path.subarray(0, end)) };
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

function encodePath(path: string, buffer: Uint8Array): number {
  if (typeof path !== "string") throw invalidType("path", "a string", path);
  const bytes = encoder.encode(path);
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
  return bytes.length === 0 || isAbstract ? bytes.length : bytes.length + 1;
}

function encodeText(sys: Syscalls, family: number, text: string, buffer: Uint8Array, offset: number): void {
  if (typeof text !== "string") throw invalidType("address", "a string", text);
  if (text.includes("\0") || sys.inet_pton(family, encoder.encode(`${text}\0`), buffer, offset) !== 1) {
    const kind = family === AF_INET ? "IPv4" : "IPv6";
    throw invalidValue(`${JSON.stringify(text)} is not an ${kind} address, and this is an ${kind} socket`);
  }
}

function decodeText(sys: Syscalls, family: number, buffer: Uint8Array, offset: number): string {
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
  if (port === undefined) return address.replaceAll("\0", "@");
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
