// The four forms of a target: RFC 9112, 3.2 and 3.3.

import { answered, type Case, type Expected, each, get, head, last, orRejected, rejected, shown } from "../case.ts";

const to = (target: string, ...fields: readonly string[]): string =>
  head(`GET ${target} HTTP/1.1`, "Host: a", ...fields);

/** The server's own response to `OPTIONS *`. */
const options: Expected = { status: 204, isFromServer: true, fields: { Allow: /GET/, "Content-Length": null } };
const notAllowed: Expected = { status: 405, isFromServer: true, fields: { Allow: /GET/ } };

const wrong = [
  "x",
  "index.html",
  "?x",
  "a:80",
  "a.example",
  "**",
  "*/",
  "*?x",
  "\\",
  "http:",
  "http:/",
  "http://",
  "http:///x",
  "http://?x",
  "http:x",
  "https:///",
  "://b/",
  "ftp://b/",
  "file:///etc/passwd",
  "javascript:1",
  "http://u@b/",
  "http://u:p@b/",
  "http://b:x/",
  "http://b:99999/",
  "http://b:-1/",
  "http://b:80:80/",
  "http://[::1/",
  "http://::1/",
  "http://[z]/",
  "http://b\\x/",
  "http://b\\",
  "http://\\b/",
  "http://\xc3\xa4/",
  "http://b/#f",
  "#",
  "/#",
  "/x#f",
  "/?x#f",
  "/%00",
  "/a%00b",
  "/?x=%00",
  "a\\b",
];

export const targets: readonly Case[] = [
  answered("9112 3.2.1: origin-form; Host supplies the rest of the URL", to("/x?y"), { url: "http://a/x?y" }),
  answered("9112 3.2.1: an empty query", to("/x?"), { url: "http://a/x?" }),
  answered("9112 3.2.1: two slashes do not begin an authority", to("//evil.example/x"), {
    url: "http://a//evil.example/x",
  }),
  answered("9112 3.2.1: a URL in the path is a path", to("/http://b/x"), { url: "http://a/http://b/x" }),
  answered("9112 3.2.1: a URL in the query is a query", to("/?u=http://b/x"), { url: "http://a/?u=http://b/x" }),
  answered("9110 4.2.3: percent-encoding is kept", to("/a%2Fb%20%E4?%23"), { url: "http://a/a%2Fb%20%E4?%23" }),
  answered("9112 3.2.1: an at sign in the path does not end a userinfo", to("/@b/x"), { url: "http://a/@b/x" }),
  answered("9110 4.2.3: a backslash in the query is passed on", to("/?a\\b"), { url: "http://a/?a\\b" }),
  ...(
    [
      ["/a\\b", "/a%5Cb"],
      ["/\\b", "/%5Cb"],
      ["/a\\..\\b", "/a%5C..%5Cb"],
      ["/a/..\\b?x\\y", "/a/..%5Cb?x\\y"],
      ["http://a/b\\c", "/b%5Cc"],
    ] as const
  ).map(([target, path]) =>
    answered(`3986 2.1: a backslash is not a slash: ${target}`, to(target) + get(), { url: `http://a${path}` }, {}),
  ),
  ...(
    [
      ["/\xc3\xa4", "/%C3%A4"],
      ["/a?q=\xe2\x82\xac", "/a?q=%E2%82%AC"],
      ["/\xff", "/%FF"],
      ["/\x80\xc3", "/%80%C3"],
      ["/\xc3\xa4/../b", "/b"],
      ["http://a/\xc3\xa4", "/%C3%A4"],
    ] as const
  ).map(([target, path]) =>
    answered(
      `3986 2.1: bytes above 127 are escaped: ${shown(target)}`,
      to(target) + get(),
      { url: `http://a${path}` },
      {},
    ),
  ),
  last("3986 2.1: UTF-8 in HTTP/1.0", head("GET /\xc3\xa4 HTTP/1.0"), { isHttp10: true, target: "/%C3%A4" }),
  answered(
    "3986 2.1: UTF-8 with a chunked body",
    `${head("POST /\xc3\xa4 HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n\r\n${get()}`,
    { target: "/%C3%A4", body: "hello" },
    {},
  ),
  answered(
    "9112 2.2: UTF-8 with a tab after Content-Length",
    `${head("POST /\xc3\xa4 HTTP/1.2", "Host: a", "Content-Length: 5\t")}hello${get()}`,
    { target: "/%C3%A4", body: "hello" },
    {},
  ),
  answered("9112 3.3: Host's port is in the URL", head("GET / HTTP/1.1", "Host: a:8080"), { url: "http://a:8080/" }),
  answered("9112 3.2.2: absolute-form: its authority replaces Host", to("http://b.example/x?y"), {
    url: "http://b.example/x?y",
  }),
  answered("9112 3.2.2: absolute-form with a port", to("http://b.example:8080/x"), { url: "http://b.example:8080/x" }),
  answered("9112 3.2.2: absolute-form with an IPv6 address", to("http://[::1]:8080/x"), { url: "http://[::1]:8080/x" }),
  answered("9112 3.2.2: absolute-form without a path", to("http://b.example"), { url: "http://b.example/" }),
  answered("9112 3.2.2: absolute-form with a query and no path", to("http://b.example?y"), {
    url: "http://b.example/?y",
  }),
  answered("9112 3.2.2: absolute-form of https", to("https://b.example/x"), { target: "/x" }),
  answered("9110 4.2.3: a scheme in any case", to("HTTP://b.example/x"), { url: "http://b.example/x" }),
  orRejected(
    answered("3986 3.2.3: absolute-form with an empty port", to("http://b.example:/x"), { url: "http://b.example/x" }),
  ),
  last("9112 3.2.2: absolute-form in HTTP/1.0", head("GET http://b.example/x HTTP/1.0"), {
    isHttp10: true,
    url: "http://b.example/x",
  }),
  answered("9112 3.2.4: OPTIONS * applies to the server", head("OPTIONS * HTTP/1.1", "Host: a"), options),
  answered(
    "9112 3.2.4: OPTIONS * between other requests, in order",
    get() + head("OPTIONS * HTTP/1.1", "Host: a") + get(),
    {},
    options,
    {},
  ),
  answered(
    "9110 9.3.7: OPTIONS * with a body",
    `${head("OPTIONS * HTTP/1.1", "Host: a", "Content-Length: 5")}hello`,
    options,
  ),
  last("9112 3.2.4: OPTIONS * in HTTP/1.0", head("OPTIONS * HTTP/1.0"), { ...options, isHttp10: true }),
  answered("9112 3.2.1: OPTIONS with a path reaches the handler", head("OPTIONS /x HTTP/1.1", "Host: a"), {
    method: "OPTIONS",
    target: "/x",
  }),
  ...each(["GET", "HEAD", "POST", "DELETE"], (method) => ({
    ...rejected(400, `9112 3.2.4: ${method} * is rejected`, head(`${method} * HTTP/1.1`, "Host: a")),
    responses: [{ status: 400, isFromServer: true, isHead: method === "HEAD" }],
  })),
  ...each(wrong, (target) => rejected(400, `9112 3.2: ${target} is not a valid target for GET`, to(target))),
  ...each(["b.example:443", "[::1]:443", "127.0.0.1:22"], (target) => ({
    ...rejected(
      405,
      `9112 3.2.3: CONNECT ${target} is not allowed`,
      head(`CONNECT ${target} HTTP/1.1`, `Host: ${target}`),
    ),
    responses: [notAllowed],
  })),
  ...each(["b.example", "http://b.example:443/", "*", ":443", "u@b.example:443", "b.example:x"], (target) =>
    rejected(400, `9112 3.2.3: CONNECT ${target} is malformed`, head(`CONNECT ${target} HTTP/1.1`, "Host: a")),
  ),
];
