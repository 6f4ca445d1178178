// Parses the header that a proxy sends first on each connection, with the client's address: the PROXY protocol, versions 1 and 2.
//
// https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt

import { Buffer } from "node:buffer";
import { type Address, decodeAddress, decodeSockaddr, encodeAddress } from "../../kernel/address.ts";
import { AF_INET, AF_INET6 } from "../../kernel/constants.ts";
import type { Syscalls } from "../../kernel/ffi.ts";
import { decodePath } from "../../kernel/path-bytes.ts";

export interface ProxyHeader {
  /** In bytes. Version 2 may have extensions (TLVs) after the addresses, which may not have been received yet. */
  readonly size: number;
  /** The client's address. Undefined if the proxy itself is the client (LOCAL), or does not know it (UNKNOWN, UNSPEC). */
  readonly client: Address | undefined;
}

/** No more than this many bytes are needed to parse a header: version 2 with two unix addresses. */
export const MAX_PARSED_BYTES: number = 16 + 2 * 108;

const V1_BYTES_MAX = 107;
const V1_START = Buffer.from("PROXY ");
const V2_START = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const V2_HEAD_BYTES = 16;
const VERSION_2 = 0x20;
const LOCAL = 0;
const PROXY = 1;

const v1Tcp = /^PROXY TCP([46]) ([\da-fA-F:.]+) ([\da-fA-F:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/;
// oxlint-disable-next-line no-control-regex -- a control character could end the line for another parser
const v1Unknown = /^PROXY UNKNOWN(?: [^\x00-\x1f\x7f]*)?$/;

/**
 * Parses the header at the beginning of the input.
 *
 * @returns the header; `"incomplete"` if more bytes are needed, of which MAX_PARSED_BYTES are enough; `"malformed"`
 */
export function parseProxyHeader(sys: Syscalls, bytes: Uint8Array): ProxyHeader | "incomplete" | "malformed" {
  if (startsLike(bytes, V2_START)) return bytes.length < V2_HEAD_BYTES ? "incomplete" : parseV2(sys, bytes);
  return startsLike(bytes, V1_START) ? parseV1(sys, bytes) : "malformed";
}

/** Returns whether the bytes begin as expected, as far as there are any. */
function startsLike(bytes: Uint8Array, start: Uint8Array): boolean {
  for (let i = 0; i < Math.min(bytes.length, start.length); i++) if (bytes[i] !== start[i]) return false;
  return true;
}

/** `PROXY TCP4 192.0.2.1 192.0.2.2 50000 80` and CRLF */
function parseV1(sys: Syscalls, bytes: Uint8Array): ReturnType<typeof parseProxyHeader> {
  const text = Buffer.from(bytes.subarray(0, V1_BYTES_MAX)).toString("latin1");
  const end = text.search(/[\r\n]/);
  if (end < 0) return text.length < V1_BYTES_MAX ? "incomplete" : "malformed";
  if (text.length === end + 1 && text[end] === "\r") return text.length < V1_BYTES_MAX ? "incomplete" : "malformed";
  if (text.slice(end, end + 2) !== "\r\n") return "malformed";
  const line = text.slice(0, end);
  const size = end + 2;
  if (v1Unknown.test(line)) return { size, client: undefined };
  const [, version, source = "", destination = "", sourcePort, destinationPort] = v1Tcp.exec(line) ?? [];
  const family = version === "4" ? AF_INET : AF_INET6;
  const client = version === undefined ? undefined : toAddress(sys, source, Number(sourcePort), family);
  const server = client === undefined ? undefined : toAddress(sys, destination, Number(destinationPort), family);
  return client === undefined || server === undefined ? "malformed" : { size, client };
}

/** Returns an address in the form that the kernel's addresses have; undefined if it is not valid. */
function toAddress(sys: Syscalls, address: string, port: number, family: number): Address | undefined {
  try {
    return decodeAddress(sys, encodeAddress(sys, { address, port }, family));
  } catch {
    return undefined; // inet_pton does not accept it, or the port is above 65535
  }
}

/** Twelve fixed bytes, version and command, family and transport, the length of the rest, and then the addresses. */
function parseV2(sys: Syscalls, bytes: Uint8Array): ReturnType<typeof parseProxyHeader> {
  const [versionAndCommand = 0, familyAndTransport = 0] = bytes.subarray(V2_START.length, V2_HEAD_BYTES);
  const length = ((bytes[14] as number) << 8) | (bytes[15] as number);
  const size = V2_HEAD_BYTES + length;
  const command = versionAndCommand - VERSION_2;
  if (command !== LOCAL && command !== PROXY) return "malformed";
  if (command === LOCAL) return { size, client: undefined }; // whatever the rest says
  const format = v2Formats.get(familyAndTransport);
  if (format === undefined || length < format.length) return "malformed";
  if (bytes.length < V2_HEAD_BYTES + format.length) return "incomplete";
  return { size, client: format.decode(sys, bytes.subarray(V2_HEAD_BYTES, V2_HEAD_BYTES + format.length)) };
}

interface V2Format {
  /** Of both addresses, in bytes. */
  readonly length: number;
  /** Decodes the first of the two addresses. */
  decode(sys: Syscalls, bytes: Uint8Array): Address | undefined;
}

const unspec: V2Format = { length: 0, decode: () => undefined };
const ipv4: V2Format = { length: 12, decode: (sys, bytes) => decodeInternet(sys, bytes, AF_INET, 4) };
const ipv6: V2Format = { length: 36, decode: (sys, bytes) => decodeInternet(sys, bytes, AF_INET6, 16) };
const unix: V2Format = {
  length: 216,
  decode(_, bytes) {
    const end = bytes.indexOf(0);
    return { path: decodePath(bytes.subarray(0, end < 0 || end > 108 ? 108 : end)) };
  },
};

/** By address family (high half) and transport (low half). Other combinations are not valid. */
const v2Formats: ReadonlyMap<number, V2Format> = new Map([
  [0x00, unspec],
  [0x11, ipv4],
  [0x12, ipv4],
  [0x21, ipv6],
  [0x22, ipv6],
  [0x31, unix],
  [0x32, unix],
]);

function decodeInternet(sys: Syscalls, bytes: Uint8Array, family: number, addressBytes: number): Address {
  const sockaddr = new Uint8Array(28);
  const isIpv4 = family === AF_INET;
  new DataView(sockaddr.buffer).setUint16(0, family, true);
  sockaddr.set(bytes.subarray(2 * addressBytes, 2 * addressBytes + 2), 2); // the port
  sockaddr.set(bytes.subarray(0, addressBytes), isIpv4 ? 4 : 8);
  return decodeSockaddr(sys, isIpv4 ? sockaddr.subarray(0, 16) : sockaddr);
}
