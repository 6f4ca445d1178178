// Input that is not HTTP/1, as every port on the internet receives it.

import { type Case, get, rejected } from "../case.ts";

const allBytes = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));

/** The first bytes of `openssl s_client`. */
const CLIENT_HELLO = Buffer.from(
  "1603010200010001fc0303d0e3f1b4a2c51d0f9c8a4f7b6e2d1c0b9a8f7e6d5c4b3a29180706050403020120" +
    "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90003e130213031301c02cc030",
  "hex",
).toString("latin1");

const garbage400: readonly (readonly [name: string, bytes: string])[] = [
  ["a TLS ClientHello", CLIENT_HELLO],
  ["a TLS ClientHello's first octet", "\x16"],
  ["an SSL 2 hello", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"],
  ["an SSH client", "SSH-2.0-OpenSSH_9.6\r\n"],
  ["SOCKS 4", "\x04\x01\x00\x50\x7f\x00\x00\x01\x00"],
  ["SOCKS 5", "\x05\x01\x00"],
  ["RDP", "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00"],
  ["SMB", "\x00\x00\x00\x54\xffSMBr\x00\x00\x00\x00"],
  ["Redis", "*1\r\n$4\r\nPING\r\n"],
  ["memcached", "stats\r\n"],
  ["PostgreSQL", "\x00\x00\x00\x08\x04\xd2\x16\x2f"],
  ["the PROXY protocol, version 2", "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"],
  ["Java RMI", "JRMI\0\x02K\r\n"],
  ["DNS over TCP", "\0\x1d\x12\x34\x01\0\0\x01"],
  ["gzip", "\x1f\x8b\x08\0\0\0\0\0"],
  ["JSON", '{"jsonrpc":"2.0"}\r\n\r\n'],
  ["XML", "<policy-file-request/>\0"],
  ["a response", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ["RTSP", "OPTIONS rtsp://a/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"],
  ["SIP", "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n"],
  ["all octets in a row", allBytes],
  ["NULs", "\0".repeat(100)],
  ["octets of 255", "\xff".repeat(100)],
  ["a byte order mark before a request", `\xef\xbb\xbf${get()}`],
  ["a request in UTF-16", [...get()].join("\0")],
  ["a word", "hello\r\n\r\n"],
  ["a sentence", "hello, world\r\n\r\n"],
  ["quotes", '"GET / HTTP/1.1"\r\n\r\n'],
  ["a lone CR before other bytes", "\rX\r\n"],
];

export const garbage: readonly Case[] = [
  ...garbage400.map(([name, bytes]) => rejected(400, `9112 2.2: ${name} is rejected`, bytes)),
  ...garbage400
    .slice(0, 6)
    .map(([name, bytes]) => rejected(400, `9112 2.2: ${name} after a request is rejected`, get() + bytes, {})),
  rejected(505, "9113 3.4: the preface of HTTP/2 is rejected", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  rejected(
    505,
    "9113 3.4: the preface of HTTP/2 with SETTINGS after it is rejected",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
  ),
  rejected(501, "9110 9.1: the PROXY protocol, version 1, is rejected", "PROXY TCP4 127.0.0.1 127.0.0.1 50000 80\r\n"),
  rejected(501, "9110 9.1: SMTP is rejected", "EHLO a.example\r\n"),
  rejected(501, "9110 9.1: FTP is rejected", "USER anonymous\r\n"),
];
