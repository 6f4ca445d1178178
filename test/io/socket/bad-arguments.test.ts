// Invalid arguments of Socket: a TypeError or RangeError says what is expected, before any system call.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SOL_SOCKET,
} from "../../../src/kernel/constants.ts";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import { everySocketIsClosed, Pair } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

// oxlint-disable-next-line typescript/no-explicit-any -- the tests pass wrong types
type Any = any;

/** Asserts that a call throws an error of the class `kind` whose message contains `text`. */
function rejects(call: () => unknown, kind: typeof TypeError | typeof RangeError, text: string): void {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect((error as Error | undefined)?.message).toContain(text);
  expect((error as Error).name).toBe(kind.name);
}

/** Returns the class of the error for an argument that must be an integer in a range. */
function errorFor(value: unknown): typeof TypeError | typeof RangeError {
  return typeof value === "number" ? RangeError : TypeError;
}

describe.each(["bind", "connect", "sendto", "sendmsg"] as const)("the address of %s", (method) => {
  const pass = (family: number, address: unknown): void => {
    using socket = new Socket(family, 2);
    if (method === "sendto") socket.sendto("x", address as Any);
    else if (method === "sendmsg") socket.sendmsg(["x"], [], 0, address as Any);
    else socket[method](address as Any);
  };

  test.each([5, "127.0.0.1:80", null, true, ...(method === "sendmsg" ? [] : [undefined])])(
    "must be an object, not %p",
    (address) => {
      const message = `address must be { address, port } or { path }; received ${JSON.stringify(address)}`;
      rejects(() => pass(AF_INET, address), TypeError, message);
    },
  );

  test.each([undefined, "80", null, 80n, {}])("must have a numeric port, not %p", (port) => {
    rejects(
      () => pass(AF_INET, { address: "127.0.0.1", port }),
      TypeError,
      "port must be an integer from 0 to 65535; received ",
    );
  });

  test.each([-1, 65536, 1.5, NaN, Infinity])("must have a port from 0 to 65535, not %p", (port) => {
    const message = `port must be an integer from 0 to 65535; received ${port}`;
    rejects(() => pass(AF_INET, { address: "127.0.0.1", port }), RangeError, message);
    rejects(() => pass(AF_INET6, { address: "::1", port }), RangeError, message);
  });

  test.each([AF_INET, AF_INET6])("must be a string (family %d)", (family) => {
    for (const address of [5, true, {}, [127, 0, 0, 1]]) {
      rejects(() => pass(family, { address, port: 1 }), TypeError, "address must be a string; received ");
    }
  });

  test.each(["localhost", "", "::1", "127.0.0.1\0", "127.1", " 127.0.0.1", "1.2.3.4.5"])(
    "must not be %j for AF_INET",
    (address) => {
      rejects(
        () => pass(AF_INET, { address, port: 1 }),
        RangeError,
        `${JSON.stringify(address)} is not an IPv4 address`,
      );
    },
  );

  test.each(["localhost", "", "127.0.0.1", "::1\0", "[::1]", ":::", "1::2::3"])(
    "must not be %j for AF_INET6",
    (address) => {
      rejects(
        () => pass(AF_INET6, { address, port: 1 }),
        RangeError,
        `${JSON.stringify(address)} is not an IPv6 address`,
      );
    },
  );

  test("must have an existing interface as its zone", () => {
    for (const zone of ["nosuch0", "", "constructor", "__proto__", "1%2", "-1", "4294967296", "99999999999"]) {
      const message = `no network interface named ${JSON.stringify(zone)} has an IPv6 address`;
      rejects(() => pass(AF_INET6, { address: `fe80::1%${zone}`, port: 1 }), RangeError, message);
    }
  });

  test("must have a scope ID of 32 bits", () => {
    for (const scopeId of [-1, 2 ** 32, 1.5, NaN]) {
      rejects(
        () => pass(AF_INET6, { address: "::1", port: 1, scopeId }),
        RangeError,
        "scopeId must be an integer from 0 to 4294967295",
      );
    }
    rejects(
      () => pass(AF_INET6, { address: "::1", port: 1, scopeId: "lo" }),
      TypeError,
      "scopeId must be a number (to use an interface name",
    );
  });

  test("must be { path } for AF_UNIX, and { address, port } otherwise", () => {
    rejects(
      () => pass(AF_UNIX, { address: "127.0.0.1", port: 1 }),
      TypeError,
      "the address of an AF_UNIX socket must be { path }",
    );
    rejects(() => pass(AF_UNIX, {}), TypeError, "the address of an AF_UNIX socket must be { path }");
    rejects(
      () => pass(AF_INET, { path: "/x" }),
      TypeError,
      "the address of an AF_INET or AF_INET6 socket must be { address, port }",
    );
    rejects(
      () => pass(AF_INET6, { path: "/x" }),
      TypeError,
      "the address of an AF_INET or AF_INET6 socket must be { address, port }",
    );
  });

  test.each([5, undefined, null, {}])("must have a path that is a string, not %p", (path) => {
    rejects(() => pass(AF_UNIX, { path }), TypeError, "path must be a string; received ");
  });

  test("must have a path of at most 107 bytes, or 108 for an abstract name", () => {
    const message = (max: number, length: number): string =>
      `path is ${length} bytes long; the path of a unix socket can have at most ${max}`;
    rejects(() => pass(AF_UNIX, { path: "/".padEnd(108, "x") }), RangeError, message(107, 108));
    rejects(() => pass(AF_UNIX, { path: "/".padEnd(109, "x") }), RangeError, message(107, 109));
    rejects(() => pass(AF_UNIX, { path: "\0".padEnd(109, "x") }), RangeError, message(108, 109));
    rejects(() => pass(AF_UNIX, { path: `/${"é".repeat(54)}` }), RangeError, message(107, 109)); // bytes, not characters
  });

  test("must have a path without NUL, except for an abstract name", () => {
    rejects(() => pass(AF_UNIX, { path: "/tmp/a\0b" }), RangeError, "path contains a NUL byte");
    rejects(() => pass(AF_UNIX, { path: "x\0" }), RangeError, "path contains a NUL byte");
  });
});

test("bind rejects addresses for other families", () => {
  using socket = new Socket(16 /* AF_NETLINK */, 3);
  rejects(() => socket.bind({ port: 1 }), TypeError, "the socket's family must be AF_INET, AF_INET6 or AF_UNIX");
});

describe.each(["recv", "recvfrom", "recvmsg"] as const)("%s", (method) => {
  test.each([-1, 1.5, NaN, Infinity, 2 ** 31, undefined, null, "5", 5n])("rejects a size of %p", (size) => {
    using pair = new Pair(...socketpair());
    rejects(
      () => pair.client[method](size as Any),
      errorFor(size),
      `size must be an integer from 0 to 2147479552; received `,
    );
  });
});

test.each([-1, 1.5, "4", null])("getsockopt rejects a length of %p", (length) => {
  using socket = new Socket();
  rejects(
    () => socket.getsockopt(SOL_SOCKET, 17, length as Any),
    errorFor(length),
    "length must be an integer from 0 to 2147479552",
  );
});

describe.each(["send", "sendto", "sendmsg"] as const)("the data of %s", (method) => {
  test.each([
    5,
    null,
    undefined,
    [[1, 2]],
    {},
    true,
    new ArrayBuffer(3),
    new Uint16Array(1),
    new DataView(new ArrayBuffer(1)),
  ])("must be bytes or a string, not %p", (data) => {
    using pair = new Pair(...socketpair());
    const call = {
      send: () => pair.client.send(data as Any),
      sendto: () => pair.client.sendto(data as Any, { path: "" }),
      sendmsg: () => pair.client.sendmsg(["x", data as Any]),
    }[method];
    rejects(call, TypeError, "data must be a string, a Buffer or a Uint8Array; received ");
    expect(pair.server.recv(10)).toBeNull();
  });
});

test.each(["text", undefined, null, 5, {}])("sendmsg requires an array of buffers, not %p", (buffers) => {
  using pair = new Pair(...socketpair());
  rejects(() => pair.client.sendmsg(buffers as Any), TypeError, "buffers must be an array, such as [data]; received ");
});

test.each([null, undefined, 5, "text", [[1, 2]], {}, new ArrayBuffer(3), new Uint16Array(1)])(
  "recvInto requires a buffer, not %p",
  (buffer) => {
    using pair = new Pair(...socketpair());
    pair.server.send("waiting");
    rejects(() => pair.client.recvInto(buffer as Any), TypeError, "buffer must be a Buffer or a Uint8Array; received ");
  },
);

test.each([-1, NaN, 1.5, Infinity, 2 ** 31, "5", null])("listen requires an integer, not %p", (backlog) => {
  using socket = new Socket();
  rejects(
    () => socket.listen(backlog as Any),
    errorFor(backlog),
    `backlog must be an integer from 0 to 2147483647; received ${typeof backlog === "string" ? `"${backlog}"` : backlog}`,
  );
});

test.each([undefined, "SHUT_WR", null, NaN, 1.5, -1, 3, 2 ** 32])("shutdown requires an integer, not %p", (how) => {
  using pair = new Pair(...socketpair());
  rejects(
    () => pair.client.shutdown(how as Any),
    errorFor(how),
    "how must be an integer from 0 to 2: SHUT_RD, SHUT_WR or SHUT_RDWR; received ",
  );
  expect(pair.server.recv(1)).toBeNull();
});

describe("the value of setsockopt", () => {
  test.each([undefined, null, "1", {}, [[1]], new Int32Array(1), 1n])(
    "must be a number, a boolean or bytes, not %p",
    (value) => {
      using socket = new Socket();
      const call = (): void => socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, value as Any);
      rejects(call, TypeError, "value must be a number, a boolean or a Uint8Array; received ");
    },
  );

  test.each([2 ** 32, -(2 ** 31) - 1, 1.5, NaN, Infinity])("must be a 32-bit integer, not %p", (value) => {
    using socket = new Socket();
    const before = socket.getsockopt(SOL_SOCKET, SO_RCVBUF);
    rejects(
      () => socket.setsockopt(SOL_SOCKET, SO_RCVBUF, value),
      RangeError,
      "value must be a 32-bit integer; received ",
    );
    expect(socket.getsockopt(SOL_SOCKET, SO_RCVBUF)).toBe(before);
  });
});

describe("fromfd", () => {
  test.each(["3", null, undefined, {}, true])("rejects %p with a TypeError", (fd) => {
    rejects(() => Socket.fromfd(fd as Any), TypeError, "fd must be an integer from 0 to 2147483647; received ");
  });

  test.each([-1, 1.5, NaN, 2 ** 31])("rejects %p with a RangeError", (fd) => {
    rejects(() => Socket.fromfd(fd), RangeError, "fd must be an integer from 0 to 2147483647; received ");
  });
});

test.each([
  ["family", "AF_INET", TypeError, () => new Socket("AF_INET" as Any)],
  ["family", "AF_INET", RangeError, () => new Socket(2.5)],
  ["family", "AF_INET", RangeError, () => new Socket(-1)],
  ["type", "SOCK_STREAM", TypeError, () => new Socket(AF_INET, "SOCK_STREAM" as Any)],
  ["protocol", "IPPROTO_TCP", TypeError, () => new Socket(AF_INET, 1, "tcp" as Any)],
  ["family", "AF_INET", TypeError, () => socketpair("AF_UNIX" as Any)],
] as const)("%s must be an integer", (name, example, kind, call) => {
  rejects(call, kind, `${name} must be an integer from 0 to 2147483647, such as ${example}; received `);
});

test("a rejected argument does not affect the socket", () => {
  using pair = new Pair(...socketpair());
  expect(() => pair.client.send(5 as Any)).toThrow();
  expect(() => pair.client.recv(-1)).toThrow();
  pair.client.send("fine");
  expect(pair.server.recv(10)).toHaveLength(4);
  expect(() => pair.client.setsockopt(IPPROTO_TCP, 1, NaN)).toThrow(RangeError);
});
