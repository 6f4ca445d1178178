// sockaddr ⇄ { address, port } | { path }: what bind, connect and sendto take, and what accept and recvfrom give.

import { networkInterfaces } from "node:os";
import { AF_INET, AF_INET6, AF_UNIX } from "./constants.ts";
import type { Syscalls } from "./ffi.ts";

/** An IPv4 or IPv6 endpoint; the shape of Node's `server.address()`. */
export interface InternetAddress {
  /** In text, as inet_ntop(3) writes it: `"127.0.0.1"`, `"::1"`. */
  address: string;
  port: number;
  family: "IPv4" | "IPv6";
  /** The interface of a link-local IPv6 address, as a number; see ipv6(7). */
  scopeId?: number;
}

/** A unix(7) socket's name. */
export interface UnixAddress {
  /** A file's path; an abstract name, which starts with `"\0"`; or `""`, unnamed. */
  path: string;
}

export type Address = InternetAddress | UnixAddress;

/** What may be written where an address is asked for; without `address`, the wildcard of the socket's family. */
export type AddressLike =
  | { address?: string | undefined; port: number; scopeId?: number | undefined; family?: "IPv4" | "IPv6" | undefined }
  | UnixAddress;

/** How an address crosses into the shim: its length in 32 bits, then the sockaddr. */
export const ADDRESS_BYTES = 132;
const START = 4; // of the sockaddr; in it, sin_port and the path stand at 2
const UNIX_PATH_MAX = 108;

const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true }); // a path may start with what looks like one

/** A buffer for an address to be written into. */
export function addressBuffer(): Uint8Array {
  return new Uint8Array(new ArrayBuffer(ADDRESS_BYTES));
}

/**
 * Encode an address for a socket of a family.
 *
 * @throws {TypeError} if the shape does not fit the family
 * @throws {RangeError} if the port or the path's length is out of range, or the text is no address of the family
 */
export function encodeAddress(sys: Syscalls, to: AddressLike, family: number): Uint8Array {
  if (typeof to !== "object" || to === null) {
    throw new TypeError(`an address is { address, port } or { path }, not ${String(to)}`);
  }
  const buffer = addressBuffer();
  const view = new DataView(buffer.buffer);
  view.setUint16(START, family, true);
  if (family === AF_UNIX) {
    if (!("path" in to)) throw new TypeError("a unix socket's address is { path }");
    view.setUint32(0, 2 + encodePath(to.path, buffer), true);
    return buffer;
  }
  if ("path" in to) throw new TypeError("{ path } is the address of an AF_UNIX socket; here it is { address, port }");
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
    view.setUint32(START + 24, checkScopeId(to.scopeId ?? (zone < 0 ? 0 : scopeOf(text.slice(zone + 1)))), true);
    view.setUint32(0, 28, true);
    return buffer;
  }
  throw new TypeError(`no address can be written for socket family ${family}: use AF_INET, AF_INET6 or AF_UNIX`);
}

/** Decode what the kernel wrote; an address of another family is an unnamed path. */
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

/** The family that a host's text belongs to: AF_INET, AF_INET6, or 0 if it is a name. */
export function familyOf(sys: Syscalls, host: string): number {
  const scratch = new Uint8Array(new ArrayBuffer(16));
  const [text = ""] = host.split("%", 2);
  if (text.includes("\0")) return 0;
  if (sys.inet_pton(AF_INET, encoder.encode(`${host}\0`), scratch, 0) === 1) return AF_INET;
  return sys.inet_pton(AF_INET6, encoder.encode(`${text}\0`), scratch, 0) === 1 ? AF_INET6 : 0;
}

/** @throws {RangeError} unless it is a whole number from 0 to 65535 */
export function checkPort(port: number): number {
  if (typeof port !== "number") {
    const given: unknown = port;
    const text = typeof given === "bigint" ? `${given}n` : JSON.stringify(given);
    throw new TypeError(`a port is a number from 0 to 65535, not ${text}`);
  }
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new RangeError(`a port is a whole number from 0 to 65535, not ${port}`);
  }
  return port;
}

function checkScopeId(scopeId: number): number {
  if (typeof scopeId !== "number") {
    throw new TypeError('a scope id is a number: write an interface\'s name into the address, as in "fe80::1%eth0"');
  }
  if (!Number.isInteger(scopeId) || scopeId < 0 || scopeId > 0xffffffff) {
    throw new RangeError(`a scope id is a whole number from 0 to 4294967295, not ${scopeId}`);
  }
  return scopeId;
}

function encodePath(path: string, buffer: Uint8Array): number {
  if (typeof path !== "string") throw new TypeError("a unix socket's path is a string");
  const bytes = encoder.encode(path);
  const isAbstract = bytes[0] === 0;
  if (!isAbstract && bytes.includes(0)) throw new RangeError("a unix socket's path cannot contain a NUL byte");
  // An abstract name ends where the length says; a path needs room for its NUL.
  const room = isAbstract ? UNIX_PATH_MAX : UNIX_PATH_MAX - 1;
  if (bytes.length > room) {
    throw new RangeError(
      `a unix socket's path is at most ${room} bytes, this one has ${bytes.length}: use a shorter one`,
    );
  }
  buffer.set(bytes, START + 2);
  return bytes.length === 0 || isAbstract ? bytes.length : bytes.length + 1;
}

function encodeText(sys: Syscalls, family: number, text: string, buffer: Uint8Array, offset: number): void {
  if (typeof text !== "string") throw new TypeError("an address is a string");
  if (text.includes("\0") || sys.inet_pton(family, encoder.encode(`${text}\0`), buffer, offset) !== 1) {
    const kind = family === AF_INET ? "IPv4" : "IPv6";
    throw new RangeError(`${JSON.stringify(text)} is not an ${kind} address, which a socket of this family needs`);
  }
}

function decodeText(sys: Syscalls, family: number, buffer: Uint8Array, offset: number): string {
  const text = new Uint8Array(new ArrayBuffer(48));
  sys.inet_ntop(family, buffer, offset, text, text.length);
  return latin1.decode(text.subarray(0, text.indexOf(0)));
}

function scopeOf(zone: string): number {
  if (/^\d+$/.test(zone) && Number(zone) <= 0xffffffff) return Number(zone);
  const interfaces = networkInterfaces();
  const addresses = (Object.hasOwn(interfaces, zone) ? interfaces[zone] : undefined) ?? [];
  // Its global addresses have scope 0; the one that is not 0 is the interface's, and its link-local address has that.
  const scopeIds = addresses.filter((address) => address.family === "IPv6").map((address) => address.scopeid ?? 0);
  if (scopeIds.length > 0) return Math.max(...scopeIds);
  throw new RangeError(`there is no network interface ${JSON.stringify(zone)} with an IPv6 address`);
}

/** For people and URLs: `127.0.0.1:80`, `[::1]:80`, or a path as it is (an abstract one with `@` for its NUL). */
export function formatEndpoint(address: string, port?: number): string {
  if (port === undefined) return address.replaceAll("\0", "@");
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
