// Methods: RFC 9110, 9.

import { answered, type Case, each, get, head, rejected, shown } from "../case.ts";

const known = [
  "GET",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "PROPFIND",
  "MKCOL",
  "REPORT",
  "PURGE",
  "SEARCH",
  "QUERY",
  "M-SEARCH",
  "SOURCE",
];

const unknown = [
  "FOO",
  "get",
  "Get",
  "gET",
  "post",
  "GE",
  "GETX",
  "G",
  "X-GET",
  "GET_",
  "1",
  "*",
  "!#$%&'*+-.^_`|~",
  "BREW",
  "DESCRIBE",
  "SETUP",
  "ANNOUNCE",
  "INVITE",
];

const malformed = [
  "GET:",
  "GE(T",
  "GE)T",
  "GE<T",
  "GE,T",
  "GE;T",
  'GE"T',
  "GE\\T",
  "GE[T",
  "GE?T",
  "GE=T",
  "GE{T",
  "GE@T",
  "GET/",
  "/",
  "GET\x7f",
];

export const methods: readonly Case[] = [
  ...each(known, (method) =>
    answered(`9110 9.1: ${method} reaches the handler`, head(`${method} /x HTTP/1.1`, "Host: a"), {
      method,
      target: "/x",
    }),
  ),
  answered("9110 9.3.2: HEAD reaches the handler", head("HEAD /x HTTP/1.1", "Host: a"), { isHead: true }),
  answered(
    "9110 9.1: several methods in a row",
    ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
      .map((method) => head(`${method} / HTTP/1.1`, "Host: a"))
      .join(""),
    { method: "GET" },
    { method: "POST" },
    { method: "PUT" },
    { method: "DELETE" },
    { method: "OPTIONS" },
    { method: "PATCH" },
  ),
  ...each(unknown, (method) =>
    rejected(501, `9110 9.1: ${method} is not implemented`, head(`${method} / HTTP/1.1`, "Host: a")),
  ),
  ...each(malformed, (method) =>
    rejected(400, `9110 9.1: ${shown(method)} is not a token`, head(`${method} / HTTP/1.1`, "Host: a")),
  ),
  {
    ...rejected(405, "9110 9.3.8: TRACE is rejected with 405 and Allow", head("TRACE / HTTP/1.1", "Host: a")),
    responses: [{ status: 405, isFromServer: true, fields: { Allow: /^GET, HEAD/ } }],
  },
  {
    ...rejected(
      405,
      "9110 9.3.8: the response to TRACE does not contain the request",
      head("TRACE /x HTTP/1.1", "Host: a", "Cookie: secret"),
    ),
    responses: [{ status: 405, isFromServer: true, fields: { "Content-Type": /^text\/plain/, Cookie: null } }],
  },
  rejected(405, "9110 9.3.8: after a valid request", get() + head("TRACE / HTTP/1.1", "Host: a"), {}),
  rejected(501, "9110 9.1: after a valid request", get() + head("FOO / HTTP/1.1", "Host: a"), {}),
  rejected(501, "9110 9.1: with a body", `${head("FOO / HTTP/1.1", "Host: a", "Content-Length: 5")}hello`),
];
