// Invalid arguments of Socket: a TypeError or RangeError says what is expected, before any system call.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SOCK_RAW,
  SOL_SOCKET,
} from "../../../src/kernel/constants.ts";
import { CMSG_LEN, CMSG_SPACE } from "../../../src/kernel/control-messages.ts";
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
      const message = `address must be { address, port }; received ${JSON.stringify(address)}`;
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

  test.each([5, undefined, null, {}, [1]])("must have a path that is a string or bytes, not %p", (path) => {
    rejects(() => pass(AF_UNIX, { path }), TypeError, "path must be a string or a Uint8Array; received ");
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

test("bind rejects addresses of other families", () => {
  using socket = new Socket(AF_NETLINK, SOCK_RAW);
  const message = 'unknown key "port" in the address of an AF_NETLINK socket: The keys are pid, groups, family';
  rejects(() => socket.bind({ port: 1 }), TypeError, message);
  rejects(() => socket.bind({ path: "/x" }), TypeError, 'unknown key "path" in the address of an AF_NETLINK socket');
  rejects(() => socket.bind({ family: "vsock", cid: 1, port: 1 }), TypeError, 'unknown key "cid"');
  rejects(
    () => socket.bind({ family: "packet" }),
    TypeError,
    'address.family must be "netlink" for an AF_NETLINK socket',
  );
});

describe("an address with an unknown key is refused", () => {
  test.each([
    [
      AF_INET,
      { hostname: "127.0.0.1", port: 0 },
      'unknown key "hostname" in the address of an AF_INET socket: did you mean "address"? The keys are address, port, family, scopeId, flowInfo',
    ],
    [
      AF_INET,
      { host: "127.0.0.1", port: 0 },
      'unknown key "host" in the address of an AF_INET socket: did you mean "address"?',
    ],
    [
      AF_INET,
      { addres: "127.0.0.1", port: 0 },
      'unknown key "addres" in the address of an AF_INET socket: did you mean "address"?',
    ],
    [
      AF_INET6,
      { address: "fe80::1", port: 0, scopeid: 1 },
      'unknown key "scopeid" in the address of an AF_INET6 socket: did you mean "scopeId"?',
    ],
    [AF_UNIX, { path: "/x", mode: 0o600 }, 'unknown key "mode" in the address of an AF_UNIX socket: The keys are path'],
    [
      AF_INET,
      { family: AF_INET, port: 1 },
      'unknown key "port" in an address { family, bytes }: The keys are family, bytes',
    ],
  ])("%# %p", (family, address, message) => {
    using socket = new Socket(family, 2);
    for (const method of ["bind", "connect"] as const)
      rejects(() => socket[method](address as Any), TypeError, message);
    rejects(() => socket.sendto("x", address as Any), TypeError, message);
  });

  test("but not the size that Node's dgram adds to an address, or an undefined value", () => {
    using socket = new Socket(AF_INET, 2);
    socket.bind({ address: "127.0.0.1", port: 0, size: 5, host: undefined, family: "IPv4" } as Any);
    expect(socket.getsockname()).toMatchObject({ address: "127.0.0.1" });
  });
});

describe("ancillary data", () => {
  test.each([
    [
      "null",
      null,
      TypeError,
      "an item of ancillary data must be { fds }, { credentials: { pid, uid, gid } } or { level, type, data }; received null",
    ],
    ["5", 5, TypeError, "an item of ancillary data must be { fds }, "],
    [
      "fds without an array",
      { fds: 5 },
      TypeError,
      "fds must be an array of file descriptors, or objects with fileno(); received 5",
    ],
    [
      "fds with null",
      { fds: [null] },
      TypeError,
      "fd must be an integer or an object with a fileno() method; received null",
    ],
    ["no credentials", { credentials: null }, TypeError, "credentials must be { pid, uid, gid }; received null"],
    [
      "no uid",
      { credentials: { pid: process.pid, gid: 0 } },
      TypeError,
      "credentials.uid must be an integer from 0 to 4294967295; received undefined",
    ],
    ["no gid", { credentials: { pid: process.pid, uid: 0 } }, TypeError, "credentials.gid must be an integer"],
    [
      "a pid that is too large",
      { credentials: { pid: 2 ** 31, uid: 0, gid: 0 } },
      RangeError,
      "credentials.pid must be an integer from 0 to 2147483647",
    ],
    [
      "a negative uid",
      { credentials: { pid: 1, uid: -1, gid: 0 } },
      RangeError,
      "credentials.uid must be an integer from 0 to 4294967295; received -1",
    ],
    [
      "a level that is too large",
      { level: 2 ** 31, type: 1, data: new Uint8Array(4) },
      RangeError,
      "level must be an integer from -2147483648 to 2147483647",
    ],
    ["data that is not bytes", { level: 1, type: 1, data: [1] }, TypeError, "an item of ancillary data must be"],
    [
      "a hop limit over a unix socket",
      { hopLimit: 1 },
      RangeError,
      "ancillary contains hopLimit, which can be sent only over AF_INET and AF_INET6 sockets",
    ],
  ] as const)("must not be %s", (_, item, kind, message) => {
    using pair = new Pair(...socketpair());
    rejects(() => pair.client.sendmsg(["x"], [item] as Any), kind, message);
    rejects(() => pair.client.sendmsg(["x"], [{ fds: [0] }, item] as Any), kind, message);
    expect(pair.server.recv(1)).toBeNull();
  });

  test.each([
    [{ hopLimit: 256 }, RangeError, "hopLimit must be an integer from 0 to 255; received 256"],
    [{ trafficClass: "1" }, TypeError, "trafficClass must be an integer from 0 to 255"],
    [{ segmentSize: 0 }, RangeError, "segmentSize must be an integer from 1 to 65535"],
    [{ packetInfo: null }, TypeError, "packetInfo must be { ifindex, localAddress }; received null"],
    [{ packetInfo: { index: 1 } }, TypeError, 'unknown key "index" in packetInfo'],
    [{ packetInfo: { localAddress: "::1" } }, RangeError, '"::1" is not an IPv4 address'],
    [{ packetInfo: { ifname: "nosuch0" } }, RangeError, 'no network interface is named "nosuch0"'],
  ] as const)("must not be %p over UDP", (item, kind, message) => {
    using socket = new Socket(AF_INET, 2);
    rejects(() => socket.sendmsg(["x"], [item] as Any, 0, { address: "127.0.0.1", port: 1 }), kind, message);
  });

  test("has a size that fits 32 bits", () => {
    for (const length of [-1, 2 ** 31, 2 ** 31 - 23, 1.5, NaN, "4", undefined]) {
      for (const size of [CMSG_LEN, CMSG_SPACE]) {
        rejects(
          () => size(length as Any),
          errorFor(length),
          "length must be an integer from 0 to 2147483624; received ",
        );
      }
    }
    expect([CMSG_LEN(2 ** 31 - 24), CMSG_SPACE(2 ** 31 - 24)]).toEqual([2147483640, 2147483640]);
    expect([CMSG_LEN(4), CMSG_SPACE(4), CMSG_LEN(0), CMSG_SPACE(0)]).toEqual([20, 24, 16, 16]);
  });

  test.each([-1, 254, 1.5, NaN, "1", undefined, null])("recvFds rejects %p file descriptors", (maxFds) => {
    using pair = new Pair(...socketpair());
    rejects(
      () => pair.client.recvFds(10, maxFds as Any),
      errorFor(maxFds),
      "maxFds must be an integer from 0 to 253; received ",
    );
  });

  test.each(["recvmsg", "recvmsgInto"] as const)("%s rejects a size that is not an integer", (method) => {
    using pair = new Pair(...socketpair());
    for (const size of [-1, 1.5, NaN, 2 ** 31, "4", null]) {
      const call = (): unknown =>
        method === "recvmsg" ? pair.client.recvmsg(1, size as Any) : pair.client.recvmsgInto([], size as Any);
      rejects(call, errorFor(size), "ancillarySize must be an integer from 0 to 2147479552; received ");
    }
  });
});

describe("the buffers of a message", () => {
  test("are at most 1024", () => {
    using pair = new Pair(...socketpair());
    const message = "buffers has 1025 buffers; a message can have at most 1024 (IOV_MAX): join some of them";
    const many = Array.from({ length: 1025 }, () => new Uint8Array(1));
    rejects(() => pair.client.sendmsg(many), RangeError, message);
    rejects(() => pair.client.recvmsgInto(many), RangeError, message);
  });

  test.each([null, "x", {}, [[1]], new Uint16Array(1)])("recvmsgInto rejects %p", (buffer) => {
    using pair = new Pair(...socketpair());
    rejects(
      () => pair.client.recvmsgInto([buffer as Any]),
      TypeError,
      "buffer must be a Buffer or a Uint8Array; received ",
    );
    rejects(
      () => pair.client.recvfromInto(buffer as Any),
      TypeError,
      "buffer must be a Buffer or a Uint8Array; received ",
    );
  });

  test("recvmsgInto requires an array", () => {
    using pair = new Pair(...socketpair());
    rejects(() => pair.client.recvmsgInto(new Uint8Array(1) as Any), TypeError, "buffers must be an array of buffers");
  });
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
