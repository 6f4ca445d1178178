// Chunked bodies, with extensions and trailers: RFC 9112, 7.1.

import { answered, type Case, chunked, each, get, orRejected, rejected, shown, SMUGGLED } from "../case.ts";

const right: readonly (readonly [name: string, wire: string, body: string])[] = [
  ["one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"],
  ["only the last chunk", "0\r\n\r\n", ""],
  ["several chunks", "1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n", "hello"],
  ["a size in upper case", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"],
  ["a size in lower case", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"],
  ["a size of two digits", `1F\r\n${"x".repeat(31)}\r\n0\r\n\r\n`, "x".repeat(31)],
  ["a size with zeros before it", "0005\r\nhello\r\n0\r\n\r\n", "hello"],
  ["a last chunk of several zeros", "5\r\nhello\r\n0000\r\n\r\n", "hello"],
  ["line ends in a chunk", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"],
  ["a chunk that looks like the last one", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"],
  ["a chunk that looks like a request", `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`, SMUGGLED],
  ["a chunk of NULs", "3\r\n\0\0\0\r\n0\r\n\r\n", "\0\0\0"],
  ["a chunk of 20000 octets", `4e20\r\n${"y".repeat(20_000)}\r\n0\r\n\r\n`, "y".repeat(20_000)],
  ["300 chunks", `${"2\r\nab\r\n".repeat(300)}0\r\n\r\n`, "ab".repeat(300)],
  ["an extension's name", "5;a\r\nhello\r\n0\r\n\r\n", "hello"],
  ["an extension with a value", "5;a=b\r\nhello\r\n0\r\n\r\n", "hello"],
  ["an extension with a quoted value", '5;a="b c"\r\nhello\r\n0\r\n\r\n', "hello"],
  ["a quoted value with a semicolon", '5;a="b;c=d"\r\nhello\r\n0\r\n\r\n', "hello"],
  ["a quoted value with a quoted pair", '5;a="\\"\\\\"\r\nhello\r\n0\r\n\r\n', "hello"],
  ["an empty quoted value", '5;a=""\r\nhello\r\n0\r\n\r\n', "hello"],
  ["several extensions", '5;a;b=c;d="e"\r\nhello\r\n0\r\n\r\n', "hello"],
  ["an extension of the last chunk", "5\r\nhello\r\n0;a=b\r\n\r\n", "hello"],
];

const wrong: readonly (readonly [name: string, wire: string])[] = [
  ["an empty size", "\r\nhello\r\n0\r\n\r\n"],
  ["an extension without a size", ";a\r\nhello\r\n0\r\n\r\n"],
  ["a plus sign", "+5\r\nhello\r\n0\r\n\r\n"],
  ["a minus sign", "-5\r\nhello\r\n0\r\n\r\n"],
  ["0x before a size", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["0x as the last chunk", "5\r\nhello\r\n0x0\r\n\r\n"],
  ["a size in letters after F", "g\r\nhello\r\n0\r\n\r\n"],
  ["a letter after a size", "5h\r\nhello\r\n0\r\n\r\n"],
  ["an underscore in a size", "0_5\r\nhello\r\n0\r\n\r\n"],
  ["a dot in a size", "5.0\r\nhello\r\n0\r\n\r\n"],
  ["a comma in a size", "5,0\r\nhello\r\n0\r\n\r\n"],
  ["a quoted size", '"5"\r\nhello\r\n0\r\n\r\n'],
  ["NUL after a size", "5\0\r\nhello\r\n0\r\n\r\n"],
  ["a byte above 127 for a size", "\xb5\r\nhello\r\n0\r\n\r\n"],
  ["a space before a size", " 5\r\nhello\r\n0\r\n\r\n"],
  ["a tab before a size", "\t5\r\nhello\r\n0\r\n\r\n"],
  ["a space after an extension", "5;a \r\nhello\r\n0\r\n\r\n"],
  ["a space after an extension's value", "5;a=b \r\nhello\r\n0\r\n\r\n"],
  ["a space after a quoted value", '5;a="b" \r\nhello\r\n0\r\n\r\n'],
  ["a space for a semicolon", "5 a\r\nhello\r\n0\r\n\r\n"],
  ["a line end before a semicolon", "5\r\n;a\r\nhello\r\n0\r\n\r\n"],
  ["a space after a size", "5 \r\nhello\r\n0\r\n\r\n"],
  ["a tab after a size", "5\t\r\nhello\r\n0\r\n\r\n"],
  ["two sizes", "5 5\r\nhello\r\n0\r\n\r\n"],
  ["a bare LF after a size", "5\nhello\r\n0\r\n\r\n"],
  ["a bare CR after a size", "5\rhello\r\n0\r\n\r\n"],
  ["CR CR LF after a size", "5\r\r\nhello\r\n0\r\n\r\n"],
  ["a size of 65 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"],
  ["a size of 17 digits", "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"],
  ["no line end after a chunk", "5\r\nhello0\r\n\r\n"],
  ["a bare LF after a chunk", "5\r\nhello\n0\r\n\r\n"],
  ["a bare CR after a chunk", "5\r\nhello\r0\r\n\r\n"],
  ["a space after a chunk", "5\r\nhello \r\n0\r\n\r\n"],
  ["more than the size says", "5\r\nhello!\r\n0\r\n\r\n"],
  ["less than the size says", "5\r\nhell\r\n0\r\n\r\nmore"],
  ["an empty line after a chunk", "5\r\nhello\r\n\r\n0\r\n\r\n"],
  ["a bare LF after the last chunk", "5\r\nhello\r\n0\n\r\n"],
  ["bare LFs at the end", "5\r\nhello\r\n0\n\n"],
  ["a bare LF for the last line", "5\r\nhello\r\n0\r\n\n"],
  ["a bare CR for the last line", "5\r\nhello\r\n0\r\n\rX"],
  ["an extension's name in parentheses", "5;(a)\r\nhello\r\n0\r\n\r\n"],
  ["a control byte in an extension's name", "5;a\x01\r\nhello\r\n0\r\n\r\n"],
  ["NUL in an extension's name", "5;a\0b\r\nhello\r\n0\r\n\r\n"],
  ["NUL in an extension's value", "5;a=\0\r\nhello\r\n0\r\n\r\n"],
  ["a byte above 127 in an extension's name", "5;\xe4\r\nhello\r\n0\r\n\r\n"],
  ["a bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n"],
  ["a bare LF in an extension's value", "5;a=b\nhello\r\n0\r\n\r\n"],
  ["a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"],
  ["a bare CR in an extension's value", "5;a=b\rc\r\nhello\r\n0\r\n\r\n"],
  ["a bare LF in a quoted value", '5;a="b\nc"\r\nhello\r\n0\r\n\r\n'],
  ["a line end in a quoted value", '5;a="b\r\nc"\r\nhello\r\n0\r\n\r\n'],
  ["a quoted value without an end", '5;a="b\r\nhello\r\n0\r\n\r\n'],
  ["text after a quoted value", '5;a="b"c\r\nhello\r\n0\r\n\r\n'],
  ["a space in a trailer's name", "5\r\nhello\r\n0\r\nX Y: 1\r\n\r\n"],
  ["a space before a trailer's colon", "5\r\nhello\r\n0\r\nX : 1\r\n\r\n"],
  ["a space before a trailer", "5\r\nhello\r\n0\r\n X: 1\r\n\r\n"],
  ["a trailer without a colon", "5\r\nhello\r\n0\r\nX\r\n\r\n"],
  ["a trailer without a name", "5\r\nhello\r\n0\r\n: 1\r\n\r\n"],
  ["a trailer with obs-fold", "5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n"],
  ["a trailer with a bare LF", "5\r\nhello\r\n0\r\nX: 1\n\r\n"],
  ["a trailer with a bare LF within", "5\r\nhello\r\n0\r\nX: 1\nY: 2\r\n\r\n"],
  ["a trailer with a bare CR", "5\r\nhello\r\n0\r\nX: 1\rY: 2\r\n\r\n"],
  ["a trailer with NUL", "5\r\nhello\r\n0\r\nX: \0\r\n\r\n"],
  ["a trailer with a control byte", "5\r\nhello\r\n0\r\nX: \x01\r\n\r\n"],
  ["a request for a trailer", "5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
];

/** Fields that are not allowed as trailers: RFC 9110, 6.5.1. They have no effect. */
const forbidden = [
  "Content-Length: 50",
  "Transfer-Encoding: gzip",
  "Host: b",
  "Connection: close",
  "Expect: 100-continue",
  "Upgrade: x",
];

/** Not allowed by the grammar, but unambiguous. */
const odd: readonly (readonly [name: string, wire: string])[] = [
  ["an extension without a name", "5;=b\r\nhello\r\n0\r\n\r\n"],
  ["a semicolon without an extension", "5;\r\nhello\r\n0\r\n\r\n"],
  ["two semicolons", "5;;a\r\nhello\r\n0\r\n\r\n"],
  ["an extension without its value", "5;a=\r\nhello\r\n0\r\n\r\n"],
];

/** BWS, which a recipient must accept. */
const bad: readonly (readonly [name: string, wire: string])[] = [
  ["a space before an extension", "5 ;a=b\r\nhello\r\n0\r\n\r\n"],
  ["a tab before an extension", "5\t;a=b\r\nhello\r\n0\r\n\r\n"],
  ["a space before an extension's name", "5; a=b\r\nhello\r\n0\r\n\r\n"],
  ["spaces around an extension's equals sign", "5;a = b\r\nhello\r\n0\r\n\r\n"],
  ["spaces everywhere", '5 ; a = "b" ; c\r\nhello\r\n0 ; d\r\n\r\n'],
];

export const chunks: readonly Case[] = [
  ...right.map(([name, wire, body]) => answered(`9112 7.1: ${name}`, chunked(wire), { body })),
  answered(
    "9112 7.1: what follows is the next request",
    chunked("5\r\nhello\r\n0\r\n\r\n") + get(),
    { body: "hello" },
    {
      method: "GET",
      body: "",
    },
  ),
  answered(
    "9112 7.1.2: a trailer ends the body and is not a header field",
    chunked("5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n") + get(),
    { body: "hello", headers: { "x-t": null } },
    { method: "GET", headers: { "x-t": null } },
  ),
  answered(
    "9112 7.1.2: several trailers",
    chunked("5\r\nhello\r\n0\r\nX: 1\r\nY:\r\nX: 2\r\n\r\n") + get(),
    { body: "hello" },
    {
      method: "GET",
    },
  ),
  answered("9112 7.1.2: a trailer of an empty body", chunked("0\r\nX: 1\r\n\r\n"), { body: "" }),
  ...each(forbidden, (line) =>
    orRejected(
      answered(
        `9110 6.5.1: a trailer ${line} changes nothing`,
        chunked(`5\r\nhello\r\n0\r\n${line}\r\n\r\n`) + get(),
        { body: "hello" },
        { method: "GET", url: "http://a/" },
      ),
    ),
  ),
  ...odd.map(([name, wire]) => orRejected(answered(`9112 7.1.1: ${name}`, chunked(wire), { body: "hello" }))),
  ...bad.map(([name, wire]) =>
    answered(`9110 5.6.3: bad white space: ${name}`, chunked(wire) + get(), { body: "hello" }, {}),
  ),
  ...wrong.map(([name, wire]) => rejected(400, `9112 7.1: ${name} is rejected`, chunked(wire))),
  // Rejected immediately or at the end of the input, but never read as a number that wrapped around.
  ...each(["80000000", "80000005", "FFFFFFFF", "100000005", "7FFFFFFFFFFFFFFF", "FFFFFFFFFFFFFFFF"], (size) => ({
    ...rejected(
      [400, 413],
      `9112 7.1: a size of ${size} does not wrap around`,
      chunked(`${size}\r\nhello\r\n0\r\n\r\n`),
    ),
    ends: true,
  })),
  rejected(
    [400, 413, 431],
    "9112 7.1: a size after endless zeros",
    chunked(`${"0".repeat(100_000)}5\r\nhello\r\n0\r\n\r\n`),
  ),
  rejected(
    [400, 413, 431],
    "9112 7.1.1: an endless extension",
    chunked(`5;${"a".repeat(100_000)}\r\nhello\r\n0\r\n\r\n`),
  ),
  rejected(
    [400, 413, 431],
    "9112 7.1.1: endless extensions of small chunks",
    chunked(`${`1;${"e".repeat(5000)}\r\nx\r\n`.repeat(40)}0\r\n\r\n`),
  ),
  rejected(431, "9112 7.1.2: an endless trailer", chunked(`5\r\nhello\r\n0\r\nX: ${"a".repeat(100_000)}\r\n\r\n`)),
  rejected(431, "9112 7.1.2: too many trailers", chunked(`5\r\nhello\r\n0\r\n${"X: 1\r\n".repeat(20_000)}\r\n`)),
  rejected(400, "9112 7.1: after a valid request", `${get()}${chunked("x\r\n")}`, {}),
  ...each(["5\r\nhello\r\n", "5\r\nhello\r\n0\r\nX: 1\r\n"], (wire) =>
    rejected(400, `9112 7.1: ${shown(wire)} and then a request`, chunked(wire) + SMUGGLED),
  ),
];
