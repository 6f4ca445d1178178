// Validation of the options: every error names the option and leaves no fd open.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type EpollServerOptions } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { GET, SENTENCE, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

function thrownBy(call: () => unknown): unknown {
  try {
    call();
    return undefined;
  } catch (error) {
    return error;
  }
}

const types: Record<string, unknown[]> = {
  hostname: [1, null, {}],
  unix: [1, null, {}],
  keepAlive: [1, "yes", null],
  eager: [0, "no", null],
  reusePort: [1, "yes", null],
  deferAccept: [1, "yes", null],
  exclusive: [1, "yes", null],
  backlog: ["1", null],
  maxConnections: ["1", null],
  maxConnectionsPerAddress: ["1", null],
  maxRequestsPerConnection: ["1", null],
  maxHeaderBytes: ["1", null],
  maxHeaderCount: ["1", null],
  maxTargetBytes: ["1", null],
  maxBodyBytes: ["1", null],
  minBodyRate: ["1", null],
  bodyTimeoutMs: ["1", null, NaN],
  headerTimeoutMs: ["1", null, NaN],
  idleTimeoutMs: ["1", null, NaN],
  writeTimeoutMs: ["1", null, NaN],
  fetch: [1, "f", {}, null],
  socket: [1, null, {}, { data: 1 }, { data() {}, message() {} }],
  onError: [1, "f", {}, null],
  onRequest: [1, "f", {}, null],
  onWarning: [1, "f", {}, null],
  response: [1, null, [], true],
};

const ranges: Record<string, unknown[]> = {
  hostname: ["", "a\0b"],
  unix: ["", "x".repeat(200)],
  port: [-1, 65_536, 1.5, NaN, Infinity],
  backlog: [0, -1, 1.5, Infinity],
  maxConnections: [0, -1, 1.5, -Infinity],
  maxConnectionsPerAddress: [0, -1, 1.5, NaN],
  maxRequestsPerConnection: [0, -1, 1.5, NaN],
  maxHeaderCount: [0, -1, 1.5, Infinity],
  maxTargetBytes: [0, -1, 1.5, Infinity],
  maxBodyBytes: [-1, 1.5, NaN],
  minBodyRate: [-1, 1.5, NaN, Infinity],
  bodyTimeoutMs: [0, -1],
  maxHeaderBytes: [0, 15, 1.5, Infinity],
  headerTimeoutMs: [0, -1],
  idleTimeoutMs: [0, -1],
  writeTimeoutMs: [0, -1],
};

for (const [kind, table] of [
  [TypeError, types],
  [RangeError, ranges],
] as const) {
  for (const [name, values] of Object.entries(table)) {
    test(`${name}: ${kind.name} for ${values.map((value) => Bun.inspect(value, { compact: true }).slice(0, 20)).join(", ")}`, () =>
      leavesNoFd(() => {
        for (const value of values) {
          const make = (): EpollServer => new EpollServer({ [name]: value });
          expect(make).toThrow(kind);
          expect(make).toThrow(name === "unix" && String(value).length > 100 ? /path/ : name);
        }
      }));
  }
}

test("port: the error for a value that is not a number names the option", () =>
  leavesNoFd(() => {
    for (const port of ["80", null, {}]) {
      expect(() => new EpollServer({ port: port as never })).toThrow(/port/);
    }
  }));

test("rejects all unknown options in one error, with suggestions", () => {
  const messages: [options: object, message: string][] = [
    [{ prot: 80 }, 'unknown option of EpollServer: "prot" (did you mean "port"?)'],
    [{ zzzzzzzz: 1 }, 'unknown option of EpollServer: "zzzzzzzz"'],
    [
      { idleTimeout: 1, port: 0, maxRequestBodySize: 1, error() {} },
      'unknown options of EpollServer: "idleTimeout" (use "idleTimeoutMs"), ' +
        '"maxRequestBodySize" (use "maxBodyBytes"), "error" (use "onError")',
    ],
    [
      { routes: {}, toString: 1 },
      'unknown options of EpollServer: "routes" (use serve(), which has routes), "toString"',
    ],
    [
      { keepAliveTimeout: 1, headersTimeout: 1, maxHeaderSize: 1, handler() {}, key: "", http2: true },
      'unknown options of EpollServer: "keepAliveTimeout" (use "idleTimeoutMs"), "headersTimeout" (use "headerTimeoutMs"), ' +
        '"maxHeaderSize" (use "maxHeaderBytes"), "handler" (use "fetch"), ' +
        '"key" (pass it in an object: tls: { key, cert }), "http2" (HTTP/2 is not supported)',
    ],
    [
      { fetch: () => new Response(), websocket: { mesage() {} } as object },
      'unknown member of websocket: "mesage" (did you mean "message"?)',
    ],
  ];
  for (const [options, message] of messages) {
    const error = thrownBy(() => new EpollServer(options as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ message, code: "ERR_UNKNOWN_OPTION" });
  }
  for (const wrong of [null, 80, "localhost"]) expect(() => new EpollServer(wrong as never)).toThrow(TypeError);
});

test("options that exclude each other: the error names them and says why", () => {
  const messages: [options: object, message: string][] = [
    [{ unix: "/x", port: 80 }, 'options "unix" and "port" cannot be used together: listen on a path or on a port'],
    [
      { fd: 3, port: 80, backlog: 1 },
      'options "fd", "port" and "backlog" cannot be used together: the socket of fd is already listening',
    ],
    [
      { response: "", fetch: () => new Response() },
      'options "response" and "fetch" cannot be used together: choose one of them',
    ],
  ];
  for (const [options, message] of messages) {
    const error = thrownBy(() => new EpollServer(options as never));
    expect(error).toMatchObject({ message, code: "ERR_INCOMPATIBLE_OPTIONS" });
  }
});

test("an error says which value was received, and what it must be", () => {
  const messages: [options: object, message: string][] = [
    [{ port: 70_000 }, "port must be an integer from 0 to 65535; received 70000"],
    [{ port: "80" }, 'port must be an integer from 0 to 65535; received "80"'],
    [{ maxConnections: 0 }, "maxConnections must be an integer from 1 to 2147483647, or Infinity; received 0"],
    [
      { maxConnections: 2 ** 31 },
      "maxConnections must be an integer from 1 to 2147483647, or Infinity; received 2147483648",
    ],
    [{ backlog: 0 }, "backlog must be an integer from 1 to 2147483647; received 0"],
    [{ maxBodyBytes: -1 }, "maxBodyBytes must be an integer from 0 to 9007199254740991, or Infinity; received -1"],
    [{ eager: 1 }, "eager must be true or false; received 1"],
    [{ idleTimeoutMs: -1 }, "idleTimeoutMs must be a number of milliseconds greater than 0, or Infinity; received -1"],
    [{ fetch: "f" }, 'fetch must be a function; received "f"'],
    [{ heartbeat: { everyMs: 1 } }, "heartbeat.beat must be a function; received undefined"],
    [
      { response: { headers: { a: "\n" } } },
      'response.headers.a must be a string without control characters or characters above U+00FF; received "\\n"',
    ],
    [{ fd: [] }, "fd is an empty array: pass at least one listening socket"],
  ];
  for (const [options, message] of messages) {
    expect(thrownBy(() => new EpollServer(options as never))).toMatchObject({ message });
  }
});

test("an option that is undefined has its default", () =>
  leavesNoFd(async () => {
    const names = [...Object.keys(types), "port"];
    await using server = new EpollServer(Object.fromEntries(names.map((name) => [name, undefined])));
    expect(server.url).toStartWith("http://localhost:");
  }));

test("unix cannot be used together with hostname, port or reusePort", () => {
  for (const more of [{ hostname: "localhost" }, { port: 0 }, { reusePort: true }]) {
    expect(() => new EpollServer({ unix: "\0epoll-hello-none", ...more })).toThrow(TypeError);
  }
});

const responses: [what: string, response: EpollServerOptions["response"], fields: RegExp[], body: string][] = [
  ["the default", undefined, [/\r\nContent-Type: text\/plain\r\n/, /\r\nContent-Length: 24\r\n/], SENTENCE],
  ["a string", "héllo", [/\r\nContent-Type: text\/plain; charset=utf-8\r\n/, /\r\nContent-Length: 6\r\n/], "héllo"],
  ["an empty string", "", [/\r\nContent-Length: 0\r\n/], ""],
  ["bytes", new Uint8Array([104, 105]), [/\r\nContent-Length: 2\r\n/], "hi"],
  ["a body", { body: "hi" }, [/^HTTP\/1\.1 200 OK\r\n/], "hi"],
  [
    "status and headers",
    { status: 404, headers: { "X-Y": " z ", "content-type": "text/html" }, body: "no" },
    [/^HTTP\/1\.1 404 Not Found\r\n/, /\r\nX-Y: z\r\n/, /\r\ncontent-type: text\/html\r\n/],
    "no",
  ],
  ["204", { status: 204 }, [/^HTTP\/1\.1 204 No Content\r\n(?![^]*Content-Length)/], ""],
  ["a status without a reason phrase", { status: 299 }, [/^HTTP\/1\.1 299 \r\n/], ""],
];

for (const [what, response, fields, body] of responses) {
  test(`response: ${what}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness({ response });
      const client = harness.client("GET / HTTP/1.0\r\n\r\n");
      let text = "";
      for (let bytes; (bytes = client.recv(1000))?.length !== 0; harness.server.tick(1)) {
        text += bytes === null ? "" : Buffer.from(bytes).toString();
      }
      for (const field of fields) expect(text).toMatch(field);
      expect(text.slice(text.indexOf("\r\n\r\n") + 4)).toBe(body);
      expect(text.match(/content-type/gi)?.length ?? 0).toBeLessThan(2);
    }));
}

test("response: rejects what HTTP cannot send", () =>
  leavesNoFd(() => {
    const wrong: [response: unknown, kind: typeof TypeError | typeof RangeError, named: string][] = [
      [{ status: 99 }, RangeError, "99"],
      [{ status: 100 }, RangeError, "100"],
      [{ status: 600 }, RangeError, "600"],
      [{ status: 200.5 }, RangeError, "200.5"],
      [{ status: "200" }, RangeError, "200"],
      [{ status: 204, body: "x" }, TypeError, "204"],
      [{ status: 304, body: "x" }, TypeError, "304"],
      [{ body: 1 }, TypeError, "body"],
      [{ body: null }, TypeError, "body"],
      [{ headers: { "X Y": "a" } }, TypeError, "X Y"],
      [{ headers: { "": "a" } }, TypeError, "name"],
      [{ headers: { "X\r\nY": "a" } }, TypeError, "name"],
      [{ headers: { X: "a\r\nSet-Cookie: b" } }, TypeError, "X"],
      [{ headers: { X: "a\0b" } }, TypeError, "X"],
      [{ headers: { X: "€" } }, TypeError, "X"],
      [{ headers: { X: 1 } }, TypeError, "X"],
      [{ headers: { "Content-Length": "1" } }, TypeError, "Content-Length"],
      [{ headers: { date: "now" } }, TypeError, "date"],
      [{ headers: { Connection: "close" } }, TypeError, "Connection"],
      [{ headers: { "Transfer-Encoding": "chunked" } }, TypeError, "Transfer-Encoding"],
      [{ headers: new Headers() }, TypeError, "headers"],
      [{ headers: [["a", "b"]] }, TypeError, "headers"],
      [{ boddy: "x" }, TypeError, "boddy"],
    ];
    for (const [response, kind, named] of wrong) {
      const make = (): EpollServer => new EpollServer({ response: response as never });
      expect(make).toThrow(kind);
      expect(make).toThrow(named);
    }
  }));

test("maxHeaderBytes is the size of the longest head that is accepted", () =>
  leavesNoFd(() => {
    const request = (length: number): string => `GET / HTTP/1.0\r\nX: ${"x".repeat(length - 23)}\r\n\r\n`;
    expect(request(500)).toHaveLength(500);
    for (const eager of [true, false]) {
      using harness = new ServerHarness({ maxHeaderBytes: 500, eager });
      expect(harness.receive(harness.client(request(500)), /\r\n\r\n/)).toStartWith("HTTP/1.1 200 ");
      expect(harness.receive(harness.client(request(501)), /\r\n\r\n/)).toStartWith("HTTP/1.1 431 ");
      expect(harness.receive(harness.client(GET + GET), /Hello[^]*Hello/)).toStartWith("HTTP/1.1 200 "); // the limit applies to each head
    }
  }));
