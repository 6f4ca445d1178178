// Limits, each at its last octet and one over it: RFC 9110, 2.3, 5.4, 15.5.14 and 15.5.15; RFC 6585, 5.

import { answered, type Case, chunked, get, head, last, post, refused } from "../case.ts";

const HOST = "Host: a";

/** A head of so many octets. */
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
  within(small, answered("9110 5.4: a head of just so many octets", headOf(300))),
  within(small, answered("9110 5.4: each head for itself", headOf(300) + headOf(300), {}, {})),
  within(small, refused(431, "6585 5: a head of one octet more", headOf(301))),
  within(small, refused(431, "6585 5: a head of ten times as many", headOf(3000))),
  within(small, refused(431, "6585 5: a head without an end", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(300)}`)),
  within(small, refused(431, "6585 5: a name without an end", `GET / HTTP/1.1\r\nHost: a\r\n${"x".repeat(300)}`)),
  within(small, refused(431, "6585 5: after a request that was right", get() + headOf(301), {})),
  within(small, answered("6585 5: so many fields", fields(5))),
  within(small, refused(431, "6585 5: one field more", fields(6))),
  within(small, answered("9110 15.5.15: a target of so many octets", target(50), { target: `/${"t".repeat(49)}` })),
  within(small, refused(414, "9110 15.5.15: a target of one octet more", target(51))),
  within(small, refused(414, "9110 15.5.15: a target of more than a head may have", target(400))),
  within(small, refused(414, "9110 15.5.15: a target without an end", `GET /${"t".repeat(400)}`)),
  within(small, refused(414, "9110 15.5.15: after a request that was right", get() + target(51), {})),
  within(small, answered("9110 15.5.14: a body of so many octets", sized(20), { body: "b".repeat(20) })),
  within(small, refused(413, "9110 15.5.14: a body of one octet more", sized(21))),
  within(small, refused(413, "9110 15.5.14: before it has come", post("Content-Length: 21"))),
  within(small, refused(413, "9110 15.5.14: after a request that was right", get() + sized(21), {})),
  within(
    small,
    answered("9110 15.5.14: chunks of so many octets", chunked("a\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), {
      body: "0123456789".repeat(2),
    }),
  ),
  within(
    small,
    refused(413, "9110 15.5.14: chunks of one octet more", chunked("a\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n")),
  ),
  within(small, refused(413, "9110 15.5.14: a chunk of more", chunked(`15\r\n${"b".repeat(21)}\r\n0\r\n\r\n`))),
  within({ maxBodyBytes: 0 }, answered("9110 15.5.14: no body where none may be", post("Content-Length: 0"))),
  within({ maxBodyBytes: 0 }, refused(413, "9110 15.5.14: a body where none may be", sized(1))),
  within({ maxBodyBytes: 0 }, answered("9110 15.5.14: no chunks where no body may be", chunked("0\r\n\r\n"))),
  within(
    { maxBodyBytes: 0 },
    refused(413, "9110 15.5.14: a chunk where no body may be", chunked("1\r\nx\r\n0\r\n\r\n")),
  ),
  answered("6585 5: 100 fields are taken unless said otherwise", fields(100)),
  refused(431, "6585 5: and 101 are not", fields(101)),
  answered("6585 5: 16384 octets are taken unless said otherwise", headOf(16_384)),
  refused(431, "6585 5: and 16385 are not", headOf(16_385)),
  answered("9110 2.3: a target of 8192 octets is taken unless said otherwise", target(8192)),
  refused(414, "9110 15.5.15: and one of 8193 is not", target(8193)),
  refused(
    413,
    "9110 15.5.14: a body of 16 MiB and 1 is not taken unless said otherwise",
    post("Content-Length: 16777217"),
  ),
  refused([400, 431, 501], "9110 2.3: a method without an end", "A".repeat(20_000)),
  refused(431, "6585 5: fields without an end", `GET / HTTP/1.1\r\n${"X: 1\r\n".repeat(10_000)}`),
  answered("9112 9.3: a body of 256 KiB that nobody reads is passed over", sized(262_144)),
  {
    ...answered("9112 9.3: one of more that nobody reads ends the connection", sized(262_145)),
    on: { deaf: { after: "closes" } },
  },
  {
    ...answered(
      "9112 9.3: chunks of more that nobody reads end the connection",
      chunked(`${`10000\r\n${"c".repeat(65_536)}\r\n`.repeat(5)}0\r\n\r\n`),
    ),
    on: { deaf: { after: "closes" } },
  },
  {
    ...last(
      "9112 9.6: a large body of a last request is read to its end",
      post("Connection: close", "Content-Length: 200000") + "b".repeat(200_000),
      { body: "b".repeat(200_000) },
    ),
    options: { eager: true }, // else it shuts both ways, and a long reply may be lost to what is sent on
  },
];
