// Content-Length: RFC 9112, 6.2 and 6.3; RFC 9110, 8.6.

import { answered, type Case, each, get, head, last, post, rejected, shown, SMUGGLED } from "../case.ts";

const allBytes = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));

const wrong = [
  "",
  "+5",
  "-5",
  "-0",
  "5,5",
  "5, 5",
  "5,",
  ",5",
  "5 5",
  "5\t5",
  "5\t,",
  "\t",
  "0x5",
  "5x",
  "x5",
  "5.0",
  "5e0",
  "5;",
  "five",
  '"5"',
  "5\0",
  "\x0b5",
  "5\x0c",
  "\xb2",
];

export const contentLength: readonly Case[] = [
  answered("9112 6.3: Content-Length octets are the body", `${post("Content-Length: 5")}hello`, {
    method: "POST",
    body: "hello",
  }),
  answered(
    "9112 6.3: what follows is the next request",
    `${post("Content-Length: 5")}hello${get()}`,
    { body: "hello" },
    {
      method: "GET",
      body: "",
    },
  ),
  answered("9112 6.3: 0 means an empty body", post("Content-Length: 0"), { body: "" }),
  rejected(400, "9110 8.6: leading zeros are rejected", `${post("Content-Length: 0005")}hello`),
  rejected(400, "9110 8.6: 010 is rejected, which some parsers read as 8", `${post("Content-Length: 010")}1234567890`),
  rejected(400, "9110 8.6: 08 is rejected, which is not an octal number", `${post("Content-Length: 08")}12345678`),
  rejected(400, "9110 8.6: a length of several zeros is rejected", post("Content-Length: 000")),
  answered("9112 5.1: spaces around it", `${post("Content-Length:   5  ")}hello`, { body: "hello" }),
  answered("9112 5.1: a tab before it", `${post("Content-Length:\t5")}hello`, { body: "hello" }),
  answered("9112 5.1: a tab after it", `${post("Content-Length: 5\t")}hello${get()}`, { body: "hello" }, {}),
  answered("9112 5.1: tabs and spaces after it", `${post("Content-Length: 5 \t \t")}hello`, { body: "hello" }),
  last("9112 5.1: a tab after it in HTTP/1.0", `${head("POST / HTTP/1.0", "Content-Length: 5\t")}hello`, {
    isHttp10: true,
    body: "hello",
  }),
  answered("9112 5.1: no white space before it", `${post("Content-Length:5")}hello`, { body: "hello" }),
  answered("9112 5: its name in any case", `${post("cONTENT-lENGTH: 5")}hello`, { body: "hello" }),
  answered("9112 6: a body of all octets", post("Content-Length: 256") + allBytes, { body: allBytes }),
  answered("9112 6: a body of line ends", `${post("Content-Length: 8")}\r\n\r\n\r\n\r\n`, { body: "\r\n\r\n\r\n\r\n" }),
  answered(
    "9112 6: a body that looks like a request is a body",
    post(`Content-Length: ${SMUGGLED.length}`) + SMUGGLED,
    { body: SMUGGLED },
  ),
  answered("9112 6: a body that looks like chunks is a body", `${post("Content-Length: 10")}5\r\nhello\r\n`, {
    body: "5\r\nhello\r\n",
  }),
  answered("9112 6: a body of 20000 octets", post("Content-Length: 20000") + "abcd".repeat(5000), {
    body: "abcd".repeat(5000),
  }),
  ...each(["GET", "DELETE", "OPTIONS", "PUT", "PATCH"], (method) =>
    answered(
      `9112 6.3: the body of ${method} is a body`,
      `${head(`${method} / HTTP/1.1`, "Host: a", "Content-Length: 5")}hello`,
      { method },
    ),
  ),
  answered("9112 6.3: the body of HEAD is a body", `${head("HEAD / HTTP/1.1", "Host: a", "Content-Length: 5")}hello`, {
    isHead: true,
  }),
  answered(
    "9112 6.3: a POST without any length has no body",
    post() + get(),
    { method: "POST", body: "" },
    { method: "GET" },
  ),
  answered("9112 5: a field with a longer name is another", get("Content-Length-X: 5", "X-Content-Length: 5")),
  ...each(wrong, (value) =>
    rejected(400, `9110 8.6: ${shown(value)} is not a length`, `${post(`Content-Length: ${value}`)}hello`),
  ),
  rejected([400, 413], "9110 8.6: a length beyond 64 bits is rejected", post("Content-Length: 18446744073709551621")),
  rejected([400, 413], "9110 8.6: a length of 40 digits is rejected", post(`Content-Length: ${"9".repeat(40)}`)),
  rejected(413, "9110 8.6: a length beyond 53 bits is too large", post("Content-Length: 9007199254740993")),
  rejected(413, "9110 8.6: a length of 32 bits and 5 is too large", `${post("Content-Length: 4294967301")}hello`),
  rejected(
    400,
    "9112 6.3: the same length twice is rejected",
    `${post("Content-Length: 5", "Content-Length: 5")}hello`,
  ),
  rejected(400, "9112 6.3: different lengths are rejected", `${post("Content-Length: 5", "Content-Length: 6")}hello!`),
  rejected(
    400,
    "9112 6.3: different lengths are rejected, the longer one first",
    `${post("Content-Length: 6", "Content-Length: 5")}hello!`,
  ),
  rejected(
    400,
    "9112 6.3: 0 and another length are rejected",
    `${post("Content-Length: 0", "Content-Length: 5")}hello`,
  ),
  rejected(
    400,
    "9112 6.3: twice in different cases is rejected",
    `${post("Content-Length: 5", "content-length: 5")}hello`,
  ),
  rejected(400, "9112 6.3: a second that is empty is rejected", `${post("Content-Length: 5", "Content-Length:")}hello`),
  rejected(400, "9112 6.3: an invalid one after a valid request", `${get()}${post("Content-Length: x")}`, {}),
  last("9112 6.3: HTTP/1.0 with a body", `${head("POST / HTTP/1.0", "Content-Length: 5")}hello`, {
    isHttp10: true,
    body: "hello",
  }),
  last("9112 6.3: HTTP/1.0 with an empty body", head("POST / HTTP/1.0", "Content-Length: 0"), {
    isHttp10: true,
    body: "",
  }),
  ...each(["POST", "PUT", "PATCH"], (method) =>
    rejected(411, `1945 7.2.2: ${method} of HTTP/1.0 needs a length`, head(`${method} / HTTP/1.0`)),
  ),
  ...each(["GET", "DELETE", "OPTIONS"], (method) =>
    last(`1945 7.2.2: ${method} of HTTP/1.0 needs no length`, head(`${method} / HTTP/1.0`), { isHttp10: true, method }),
  ),
];
