// Limits, tested exactly at the limit and one octet over it: RFC 9110, 2.3, 5.4, 15.5.14 and 15.5.15; RFC 6585, 5.

import { answered, type Case, chunked, get, head, last, post, rejected } from "../case.ts";

const HOST = "Host: a";

/** Returns a head with this many octets. */
const headOf = (size: number): string => {
  const rest = get("X: ").length;
  return get(`X: ${"x".repeat(size - rest)}`);
};
const target = (size: number): string => head(`GET /${"t".repeat(size - 1)} HTTP/1.1`, HOST);
const fields = (count: number): string => get(...Array.from({ length: count - 1 }, (_, i) => `X-${i}: ${i}`));
const sized = (size: number): string => post(`Content-Length: ${size}`) + "b".repeat(size);

const small = { maxHeaderBytes: 300, maxHeaderCount: 5, maxTargetBytes: 50, maxBodyBytes: 20 };
const within = (options: Case["options"], one: Case): Case => ({ ...one, options });

export const limits: readonly Case[] = [
  within(small, answered("9110 5.4: a head at the limit", headOf(300))),
  within(small, answered("9110 5.4: the limit applies to each head", headOf(300) + headOf(300), {}, {})),
  within(small, rejected(431, "6585 5: a head one octet over the limit", headOf(301))),
  within(small, rejected(431, "6585 5: a head ten times over the limit", headOf(3000))),
  within(small, rejected(431, "6585 5: a head without an end", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(300)}`)),
  within(small, rejected(431, "6585 5: a name without an end", `GET / HTTP/1.1\r\nHost: a\r\n${"x".repeat(300)}`)),
  within(small, rejected(431, "6585 5: after a valid request", get() + headOf(301), {})),
  within(small, answered("6585 5: the maximum number of fields", fields(5))),
  within(small, rejected(431, "6585 5: one field over the limit", fields(6))),
  within(small, answered("9110 15.5.15: a target at the limit", target(50), { target: `/${"t".repeat(49)}` })),
  within(small, rejected(414, "9110 15.5.15: a target over the limit", target(51))),
  within(small, rejected(414, "9110 15.5.15: a target over the limit of the head", target(400))),
  within(small, rejected(414, "9110 15.5.15: an endless target", `GET /${"t".repeat(400)}`)),
  within(small, rejected(414, "9110 15.5.15: after a valid request", get() + target(51), {})),
  within(small, answered("9110 15.5.14: a body at the limit", sized(20), { body: "b".repeat(20) })),
  within(small, rejected(413, "9110 15.5.14: a body over the limit", sized(21))),
  within(small, rejected(413, "9110 15.5.14: a body over the limit, before it arrives", post("Content-Length: 21"))),
  within(small, rejected(413, "9110 15.5.14: after a valid request", get() + sized(21), {})),
  within(
    small,
    answered("9110 15.5.14: chunks at the limit", chunked("a\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), {
      body: "0123456789".repeat(2),
    }),
  ),
  within(
    small,
    rejected(413, "9110 15.5.14: chunks over the limit", chunked("a\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n")),
  ),
  within(
    small,
    rejected(413, "9110 15.5.14: one chunk over the limit", chunked(`15\r\n${"b".repeat(21)}\r\n0\r\n\r\n`)),
  ),
  within({ maxBodyBytes: 0 }, answered("9110 15.5.14: no body with a limit of 0", post("Content-Length: 0"))),
  within({ maxBodyBytes: 0 }, rejected(413, "9110 15.5.14: a body with a limit of 0", sized(1))),
  within({ maxBodyBytes: 0 }, answered("9110 15.5.14: an empty chunked body with a limit of 0", chunked("0\r\n\r\n"))),
  within({ maxBodyBytes: 0 }, rejected(413, "9110 15.5.14: a chunk with a limit of 0", chunked("1\r\nx\r\n0\r\n\r\n"))),
  answered("6585 5: 100 fields are accepted by default", fields(100)),
  rejected(431, "6585 5: 101 fields are rejected by default", fields(101)),
  answered("6585 5: a head of 16384 octets is accepted by default", headOf(16_384)),
  rejected(431, "6585 5: a head of 16385 octets is rejected by default", headOf(16_385)),
  answered("9110 2.3: a target of 8192 octets is accepted by default", target(8192)),
  rejected(414, "9110 15.5.15: a target of 8193 octets is rejected by default", target(8193)),
  rejected(413, "9110 15.5.14: a body of 16 MiB and 1 octet is rejected by default", post("Content-Length: 16777217")),
  rejected([400, 431, 501], "9110 2.3: an endless method", "A".repeat(20_000)),
  rejected(431, "6585 5: fields without an end", `GET / HTTP/1.1\r\n${"X: 1\r\n".repeat(10_000)}`),
  answered("9112 9.3: an unread body of 256 KiB is discarded", sized(262_144)),
  {
    ...answered("9112 9.3: a larger unread body closes the connection", sized(262_145)),
    on: { ignore: { after: "closes" } },
  },
  {
    ...answered(
      "9112 9.3: a larger unread chunked body closes the connection",
      chunked(`${`10000\r\n${"c".repeat(65_536)}\r\n`.repeat(5)}0\r\n\r\n`),
    ),
    on: { ignore: { after: "closes" } },
  },
  {
    ...last(
      "9112 9.6: the large body of a last request is received completely",
      post("Connection: close", "Content-Length: 200000") + "b".repeat(200_000),
      { body: "b".repeat(200_000) },
    ),
    options: { eager: true }, // otherwise both directions are shut down, and the client's further data may reset a long response
  },
];
