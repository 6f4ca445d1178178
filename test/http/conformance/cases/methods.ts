// Methods: RFC 9110, 9.

import { answered, type Case, each, get, head, refused, shown } from "../case.ts";

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
    answered(`9110 9.1: ${method} is the handler's`, head(`${method} /x HTTP/1.1`, "Host: a"), {
      method,
      target: "/x",
    }),
  ),
  answered("9110 9.3.2: HEAD is the handler's", head("HEAD /x HTTP/1.1", "Host: a"), { isHead: true }),
  answered(
    "9110 9.1: one after the other",
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
    refused(501, `9110 9.1: ${method} is not implemented`, head(`${method} / HTTP/1.1`, "Host: a")),
  ),
  ...each(malformed, (method) =>
    refused(400, `9110 9.1: ${shown(method)} is no token`, head(`${method} / HTTP/1.1`, "Host: a")),
  ),
  {
    ...refused(405, "9110 9.3.8: TRACE is not allowed, and said so", head("TRACE / HTTP/1.1", "Host: a")),
    replies: [{ status: 405, isServers: true, fields: { Allow: /^GET, HEAD/ } }],
  },
  {
    ...refused(
      405,
      "9110 9.3.8: TRACE tells nothing of the request",
      head("TRACE /x HTTP/1.1", "Host: a", "Cookie: secret"),
    ),
    replies: [{ status: 405, isServers: true, fields: { "Content-Type": /^text\/plain/, Cookie: null } }],
  },
  refused(405, "9110 9.3.8: after a request that was right", get() + head("TRACE / HTTP/1.1", "Host: a"), {}),
  refused(501, "9110 9.1: after a request that was right", get() + head("FOO / HTTP/1.1", "Host: a"), {}),
  refused(501, "9110 9.1: with a body", `${head("FOO / HTTP/1.1", "Host: a", "Content-Length: 5")}hello`),
];
