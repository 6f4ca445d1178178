// The properties and messages of ErrnoError and ClosedError, compared with errors of Node's modules.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, fstatSync, readSync } from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { AF_INET, AF_INET6, AF_UNIX } from "../../../src/kernel/constants.ts";
import { formatEndpoint } from "../../../src/kernel/address.ts";
import { check, ClosedError, ErrnoError } from "../../../src/kernel/errors.ts";
import { OpenFd } from "../../../src/io/owned-fd.ts";
import { Socket } from "../../../src/io/socket.ts";
import { errnoError, Place } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

type NodeError = Error & { code: string; errno: number; syscall: string; address?: string; port?: number };

/** Returns the error that a call of Node throws. */
function nodeError(call: () => unknown): NodeError {
  try {
    call();
  } catch (error) {
    return error as NodeError;
  }
  throw new Error("the call did not fail");
}

/** Returns the error that an event emitter of Node reports. */
function reported(emitter: ReturnType<typeof createServer> | ReturnType<typeof createConnection>): Promise<NodeError> {
  return new Promise((resolve) => (emitter as Server).once("error", (error) => resolve(error as NodeError)));
}

describe("without an address, the message equals that of node:fs:", () => {
  const noSuchFd = 0x3fffffff;

  test("close", () => {
    const theirs = nodeError(() => closeSync(noSuchFd));
    const ours = errnoError(() => new Socket(AF_INET, 1, 0, new OpenFd(noSuchFd)).close());
    expect(ours.message).toBe(theirs.message);
    expect([ours.code, ours.errno, ours.syscall]).toEqual([theirs.code, theirs.errno, theirs.syscall]);
    expect(ours.fd).toBe(noSuchFd);
  });

  test("another call, except for its name", () => {
    const theirs = nodeError(() => fstatSync(noSuchFd));
    const ours = errnoError(() => new Socket(AF_INET, 1, 0, new OpenFd(noSuchFd)).listen());
    expect(ours.message).toBe(theirs.message.replace("fstat", "listen"));
  });

  test("the message of an errno", () => {
    const theirs = nodeError(() => readSync(noSuchFd, new Uint8Array(1)));
    expect(errnoError(() => check(-9, "read")).message).toBe(theirs.message);
  });

  test("ends with the name of the call", () => {
    expect(new ErrnoError(17, "epoll_ctl").message).toBe("EEXIST: file already exists, epoll_ctl");
  });
});

describe("with an address, the message equals that of node:net's listen:", () => {
  test("a port in use", async () => {
    using place = new Place("AF_INET");
    using taken = place.listening();
    const address = taken.getsockname() as { address: string; port: number };
    const theirs = await reported(createServer().listen(address.port, address.address));
    using socket = new Socket(AF_INET);
    const ours = errnoError(() => socket.bind(address));
    expect(ours.message).toBe(theirs.message.replace("listen", "bind"));
    expect([ours.code, ours.address, ours.port]).toEqual([theirs.code, theirs.address, theirs.port]);
  });

  test("a non-local address with a port", async () => {
    const theirs = await reported(createServer().listen(8800, "203.0.113.7"));
    using socket = new Socket(AF_INET);
    const ours = errnoError(() => socket.bind({ address: "203.0.113.7", port: 8800 }));
    expect(ours.message).toBe(theirs.message.replace("listen", "bind"));
  });

  test("a non-local address with port 0, which is omitted", async () => {
    const theirs = await reported(createServer().listen(0, "203.0.113.7"));
    using socket = new Socket(AF_INET);
    const ours = errnoError(() => socket.bind({ address: "203.0.113.7", port: 0 }));
    expect(ours.message).toBe(theirs.message.replace("listen", "bind"));
  });

  test("an IPv6 address, without brackets", async () => {
    using place = new Place("AF_INET6");
    using taken = place.listening();
    const { port } = taken.getsockname() as { port: number };
    const theirs = await reported(createServer().listen(port, "::1"));
    using socket = new Socket(AF_INET6);
    const ours = errnoError(() => socket.bind({ address: "::1", port }));
    expect(ours.message).toBe(theirs.message.replace("listen", "bind"));
  });
});

describe("with an address, the properties equal those of node:net's connect:", () => {
  test("a path that does not exist, where the message also explains the errno", async () => {
    using place = new Place("AF_UNIX path");
    const path = place.path("missing");
    const theirs = await reported(createConnection(path));
    using socket = new Socket(AF_UNIX);
    const ours = errnoError(() => socket.connect({ path }));
    expect([ours.code, ours.errno, ours.syscall]).toEqual([theirs.code, theirs.errno, theirs.syscall]);
    expect([ours.address, ours.port]).toEqual([theirs.address, theirs.port]);
    expect(theirs.message).toBe(`connect ENOENT ${path}`);
    expect(ours.message).toBe(`connect ENOENT: no such file or directory ${path}`);
  });
});

describe("an ErrnoError", () => {
  test("is an Error with a name and a stack", () => {
    const error = new ErrnoError(11, "recv");
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe("ErrnoError");
    expect(String(error)).toBe("ErrnoError: EAGAIN: resource temporarily unavailable, recv");
    expect(error.stack).toContain("error-shape.test.ts");
  });

  test("has only the given properties", () => {
    expect(Object.entries(new ErrnoError(9, "close"))).toEqual([
      ["name", "ErrnoError"],
      ["code", "EBADF"],
      ["errno", -9],
      ["syscall", "close"],
    ]);
    const error = new ErrnoError(98, "bind", { fd: 5, address: "127.0.0.1", port: 80 });
    expect({ ...error }).toMatchObject({ fd: 5, address: "127.0.0.1", port: 80, errno: -98 });
  });

  test("has @ for the NUL of an abstract name in its message, but not in its property", () => {
    const error = new ErrnoError(98, "bind", { address: "\0name" });
    expect(error.message).toBe("bind EADDRINUSE: address already in use @name");
    expect(error.address).toBe("\0name");
  });
});

test("formatEndpoint formats addresses and paths", () => {
  expect(formatEndpoint("127.0.0.1", 80)).toBe("127.0.0.1:80");
  expect(formatEndpoint("::1", 80)).toBe("[::1]:80");
  expect(formatEndpoint("/run/socket")).toBe("/run/socket");
  expect(formatEndpoint("\0a\0b")).toBe("@a@b");
});

test("check returns a result that is not negative, and throws otherwise", () => {
  expect(check(0, "recv")).toBe(0);
  expect(check(7, "recv")).toBe(7);
  expect(errnoError(() => check(-104, "recv", 5))).toMatchObject({ code: "ECONNRESET", syscall: "recv", fd: 5 });
});

test("a ClosedError names the class and the method", () => {
  const error = new ClosedError("Socket.recv");
  expect(error).toBeInstanceOf(Error);
  expect([error.name, error.code, error.message]).toEqual([
    "ClosedError",
    "ERR_CLOSED",
    "Socket.recv: this Socket is closed",
  ]);
});

test("the error of bind without an address contains the wildcard address", () => {
  using place = new Place("AF_INET");
  using taken = new Socket(place.family);
  taken.bind({ port: 0 });
  const { port } = taken.getsockname() as { port: number };
  using socket = new Socket(place.family);
  expect(errnoError(() => socket.bind({ port }))).toMatchObject({ address: "0.0.0.0", port });
});
