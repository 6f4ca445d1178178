// A wrong argument is a TypeError or RangeError whose sentence says what to give instead, before the kernel sees it.

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

// oxlint-disable-next-line typescript/no-explicit-any -- wrong types are what is tested
type Any = any;

/** Assert that a call throws exactly this kind of error, with a sentence that contains `words`. */
function refuses(call: () => unknown, kind: typeof TypeError | typeof RangeError, words: string): void {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect((error as Error | undefined)?.message).toContain(words);
  expect((error as Error).name).toBe(kind.name);
}

describe.each(["bind", "connect", "sendto", "sendmsg"] as const)("an address for %s", (method) => {
  const give = (family: number, address: unknown): void => {
    using socket = new Socket(family, 2);
    if (method === "sendto") socket.sendto("x", address as Any);
    else if (method === "sendmsg") socket.sendmsg(["x"], [], 0, address as Any);
    else socket[method](address as Any);
  };

  test.each([5, "127.0.0.1:80", null, true, ...(method === "sendmsg" ? [] : [undefined])])(
    "is an object, not %p",
    (address) => {
      refuses(() => give(AF_INET, address), TypeError, `an address is { address, port } or { path }, not ${address}`);
    },
  );

  test.each([undefined, "80", null, 80n, {}])("has a port that is a number, not %p", (port) => {
    refuses(() => give(AF_INET, { address: "127.0.0.1", port }), TypeError, "a port is a number from 0 to 65535");
  });

  test.each([-1, 65536, 1.5, NaN, Infinity])("has a port from 0 to 65535, not %p", (port) => {
    const words = `a port is a whole number from 0 to 65535, not ${port}`;
    refuses(() => give(AF_INET, { address: "127.0.0.1", port }), RangeError, words);
    refuses(() => give(AF_INET6, { address: "::1", port }), RangeError, words);
  });

  test.each([AF_INET, AF_INET6])("has text (family %d)", (family) => {
    for (const address of [5, true, {}, [127, 0, 0, 1]]) {
      refuses(() => give(family, { address, port: 1 }), TypeError, "an address is a string");
    }
  });

  test.each(["localhost", "", "::1", "127.0.0.1\0", "127.1", " 127.0.0.1", "1.2.3.4.5"])(
    "%j is not for AF_INET",
    (address) => {
      refuses(
        () => give(AF_INET, { address, port: 1 }),
        RangeError,
        `${JSON.stringify(address)} is not an IPv4 address`,
      );
    },
  );

  test.each(["localhost", "", "127.0.0.1", "::1\0", "[::1]", ":::", "1::2::3"])("%j is not for AF_INET6", (address) => {
    refuses(
      () => give(AF_INET6, { address, port: 1 }),
      RangeError,
      `${JSON.stringify(address)} is not an IPv6 address`,
    );
  });

  test("names an interface of this machine as its zone", () => {
    for (const zone of ["nosuch0", "", "constructor", "__proto__", "1%2", "-1", "4294967296", "99999999999"]) {
      const words = `there is no network interface ${JSON.stringify(zone)}`;
      refuses(() => give(AF_INET6, { address: `fe80::1%${zone}`, port: 1 }), RangeError, words);
    }
  });

  test("has a scope id of 32 bits", () => {
    for (const scopeId of [-1, 2 ** 32, 1.5, NaN]) {
      refuses(() => give(AF_INET6, { address: "::1", port: 1, scopeId }), RangeError, "a scope id is a whole number");
    }
    refuses(() => give(AF_INET6, { address: "::1", port: 1, scopeId: "lo" }), TypeError, "a scope id is a number");
  });

  test("is { path } for AF_UNIX, and for AF_UNIX only", () => {
    refuses(() => give(AF_UNIX, { address: "127.0.0.1", port: 1 }), TypeError, "a unix socket's address is { path }");
    refuses(() => give(AF_UNIX, {}), TypeError, "a unix socket's address is { path }");
    refuses(() => give(AF_INET, { path: "/x" }), TypeError, "here it is { address, port }");
    refuses(() => give(AF_INET6, { path: "/x" }), TypeError, "here it is { address, port }");
  });

  test.each([5, undefined, null, {}])("has a path that is a string, not %p", (path) => {
    refuses(() => give(AF_UNIX, { path }), TypeError, "a unix socket's path is a string");
  });

  test("has a path of at most 107 bytes, or 108 if it is abstract", () => {
    const words = (room: number, has: number): string =>
      `at most ${room} bytes, this one has ${has}: use a shorter one`;
    refuses(() => give(AF_UNIX, { path: "/".padEnd(108, "x") }), RangeError, words(107, 108));
    refuses(() => give(AF_UNIX, { path: "/".padEnd(109, "x") }), RangeError, words(107, 109));
    refuses(() => give(AF_UNIX, { path: "\0".padEnd(109, "x") }), RangeError, words(108, 109));
    refuses(() => give(AF_UNIX, { path: `/${"é".repeat(54)}` }), RangeError, words(107, 109)); // bytes, not letters
  });

  test("has a path without a NUL, unless it is abstract", () => {
    refuses(() => give(AF_UNIX, { path: "/tmp/a\0b" }), RangeError, "a unix socket's path cannot contain a NUL byte");
    refuses(() => give(AF_UNIX, { path: "x\0" }), RangeError, "a unix socket's path cannot contain a NUL byte");
  });
});

test("a family that is none of the three has no address to write", () => {
  using socket = new Socket(16 /* AF_NETLINK */, 3);
  refuses(() => socket.bind({ port: 1 }), TypeError, "use AF_INET, AF_INET6 or AF_UNIX");
});

describe.each(["recv", "recvfrom", "recvmsg"] as const)("%s", (method) => {
  test.each([-1, 1.5, NaN, Infinity, 2 ** 31, undefined, null, "5", 5n])("takes a size in bytes, not %p", (size) => {
    using pair = new Pair(...socketpair());
    refuses(
      () => pair.client[method](size as Any),
      RangeError,
      `a size is a whole number of bytes from 0 to 2147479552`,
    );
  });
});

test.each([-1, 1.5, "4", null])("getsockopt takes a length in bytes, not %p", (length) => {
  using socket = new Socket();
  refuses(() => socket.getsockopt(SOL_SOCKET, 17, length as Any), RangeError, "a size is a whole number of bytes");
});

describe.each(["send", "sendto", "sendmsg"] as const)("data for %s", (method) => {
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
  ])("is bytes or a string, not %p", (data) => {
    using pair = new Pair(...socketpair());
    const call = {
      send: () => pair.client.send(data as Any),
      sendto: () => pair.client.sendto(data as Any, { path: "" }),
      sendmsg: () => pair.client.sendmsg(["x", data as Any]),
    }[method];
    refuses(call, TypeError, "data is a string, a Buffer or a Uint8Array");
    expect(pair.server.recv(10)).toBeNull();
  });
});

test.each(["text", undefined, null, 5, {}])("sendmsg takes an array of buffers, not %p", (buffers) => {
  using pair = new Pair(...socketpair());
  refuses(() => pair.client.sendmsg(buffers as Any), TypeError, "sendmsg takes an array of buffers");
});

test.each([null, undefined, 5, "text", [[1, 2]], {}, new ArrayBuffer(3), new Uint16Array(1)])(
  "recvInto takes a buffer to fill, not %p",
  (buffer) => {
    using pair = new Pair(...socketpair());
    pair.server.send("waiting");
    refuses(() => pair.client.recvInto(buffer as Any), TypeError, "a buffer is a Buffer or a Uint8Array");
  },
);

test.each([NaN, 1.5, Infinity, "5", null])("listen takes a whole number, not %p", (backlog) => {
  using socket = new Socket();
  refuses(() => socket.listen(backlog as Any), RangeError, `a backlog is a whole number, not ${backlog}`);
});

test.each([undefined, "SHUT_WR", null, NaN])("shutdown takes one of three numbers, not %p", (how) => {
  using pair = new Pair(...socketpair());
  refuses(() => pair.client.shutdown(how as Any), TypeError, "shutdown takes SHUT_RD, SHUT_WR or SHUT_RDWR");
  expect(pair.server.recv(1)).toBeNull();
});

describe("a value for setsockopt", () => {
  test.each([undefined, null, "1", {}, [[1]], new Int32Array(1), 1n])(
    "is a number, a boolean or bytes, not %p",
    (value) => {
      using socket = new Socket();
      const call = (): void => socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, value as Any);
      refuses(call, TypeError, "an option's value is a number, a boolean or a Uint8Array");
    },
  );

  test.each([2 ** 32, -(2 ** 31) - 1, 1.5, NaN, Infinity])("is an int, not %p", (value) => {
    using socket = new Socket();
    const before = socket.getsockopt(SOL_SOCKET, SO_RCVBUF);
    refuses(() => socket.setsockopt(SOL_SOCKET, SO_RCVBUF, value), RangeError, "a whole number of 32 bits");
    expect(socket.getsockopt(SOL_SOCKET, SO_RCVBUF)).toBe(before);
  });
});

describe("fromfd", () => {
  test.each(["3", null, undefined, {}, true])("takes a descriptor, not %p", (fd) => {
    refuses(() => Socket.fromfd(fd as Any), TypeError, "a file descriptor is a number or has a fileno() method");
  });

  test.each([-1, 1.5, NaN, 2 ** 31])("takes a descriptor from 0 to 2147483647, not %p", (fd) => {
    refuses(() => Socket.fromfd(fd), RangeError, "a file descriptor is a whole number from 0 to 2147483647");
  });
});

test.each([
  ["a family", () => new Socket("AF_INET" as Any)],
  ["a family that is whole", () => new Socket(2.5)],
  ["a type", () => new Socket(AF_INET, "SOCK_STREAM" as Any)],
  ["a protocol", () => new Socket(AF_INET, 1, "tcp" as Any)],
  ["a pair's family", () => socketpair("AF_UNIX" as Any)],
])("%s is a number", (_what, call) => {
  refuses(call, TypeError, "family, type and protocol are numbers: AF_INET, SOCK_STREAM, 0");
});

test("a wrong argument leaves the socket as it was", () => {
  using pair = new Pair(...socketpair());
  expect(() => pair.client.send(5 as Any)).toThrow();
  expect(() => pair.client.recv(-1)).toThrow();
  pair.client.send("fine");
  expect(pair.server.recv(10)).toHaveLength(4);
  expect(() => pair.client.setsockopt(IPPROTO_TCP, 1, NaN)).toThrow(RangeError);
});
