// Errors of bind, listen and accept.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { AF_INET, AF_UNIX, SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET } from "../../../src/kernel/constants.ts";
import { Socket } from "../../../src/io/socket.ts";
import { errnoError, everySocketIsClosed, failure, kinds, Place } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

describe.each(kinds)("over %s", (kind) => {
  test("bind to an address in use fails with EADDRINUSE and the address", () => {
    using place = new Place(kind);
    using first = place.listening();
    using second = new Socket(place.family);
    const name = first.getsockname();
    expect(errnoError(() => second.bind(name))).toMatchObject({
      code: "EADDRINUSE",
      errno: -98,
      syscall: "bind",
      fd: second.fileno(),
      ...("address" in name
        ? { address: name.address, port: name.port }
        : "path" in name
          ? { address: name.path }
          : {}),
    });
  });

  test("binding twice fails with EINVAL", () => {
    using place = new Place(kind);
    using socket = place.bound();
    expect(failure(() => socket.bind(place.fresh()))).toEqual(["EINVAL", "bind"]);
  });

  test("listen on a datagram socket fails with EOPNOTSUPP", () => {
    using place = new Place(kind);
    using socket = place.bound(SOCK_DGRAM);
    expect(failure(() => socket.listen())).toEqual(["EOPNOTSUPP", "listen"]);
  });

  test("listen on a connected socket fails with EINVAL", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(failure(() => pair.client.listen())).toEqual(["EINVAL", "listen"]);
  });

  test("listening again changes the backlog", () => {
    using place = new Place(kind);
    using listener = place.listening(1);
    expect(() => listener.listen(5)).not.toThrow();
  });

  test("accept on a socket that does not listen fails with EINVAL", () => {
    using place = new Place(kind);
    using socket = place.bound();
    expect(failure(() => socket.accept())).toEqual(["EINVAL", "accept4"]);
  });

  test("accept on a datagram socket fails with EOPNOTSUPP", () => {
    using place = new Place(kind);
    using socket = place.bound(SOCK_DGRAM);
    expect(failure(() => socket.accept())).toEqual(["EOPNOTSUPP", "accept4"]);
  });
});

test("bind to a non-local address fails with EADDRNOTAVAIL", () => {
  using socket = new Socket(AF_INET);
  expect(errnoError(() => socket.bind({ address: "203.0.113.7", port: 0 }))).toMatchObject({
    code: "EADDRNOTAVAIL",
    errno: -99,
    syscall: "bind",
    address: "203.0.113.7",
    port: 0,
  });
});

test("listen on an address on which another socket listens fails with EADDRINUSE", () => {
  using place = new Place("AF_INET");
  using first = new Socket(AF_INET);
  using second = new Socket(AF_INET);
  for (const socket of [first, second]) socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, true);
  first.bind(place.fresh());
  second.bind(first.getsockname());
  first.listen();
  expect(failure(() => second.listen())).toEqual(["EADDRINUSE", "listen"]);
});

test("listen on an unbound internet socket selects a port", () => {
  using socket = new Socket(AF_INET);
  socket.listen();
  expect(socket.getsockname()).toMatchObject({ address: "0.0.0.0", port: expect.any(Number) });
  expect(socket.getsockname()).not.toMatchObject({ port: 0 });
});

test("listen on an unbound unix socket fails with EINVAL", () => {
  using socket = new Socket(AF_UNIX);
  expect(failure(() => socket.listen())).toEqual(["EINVAL", "listen"]);
});

describe("bind to a path", () => {
  test("of an existing file fails with EADDRINUSE", () => {
    using place = new Place("AF_UNIX path");
    const path = place.path("file");
    writeFileSync(path, "");
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.bind({ path }))).toEqual(["EADDRINUSE", "bind"]);
  });

  test("of a closed socket fails with EADDRINUSE", () => {
    using place = new Place("AF_UNIX path");
    const gone = place.bound();
    const name = gone.getsockname();
    gone.close();
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.bind(name))).toEqual(["EADDRINUSE", "bind"]);
  });

  test("in a directory that does not exist fails with ENOENT, with the path and without a port", () => {
    using place = new Place("AF_UNIX path");
    using socket = new Socket(AF_UNIX);
    const path = `${place.path("missing")}/socket`;
    const error = errnoError(() => socket.bind({ path }));
    expect(error).toMatchObject({ code: "ENOENT", errno: -2, syscall: "bind", address: path });
    expect(error).not.toHaveProperty("port");
  });

  test("below a file fails with ENOTDIR", () => {
    using place = new Place("AF_UNIX path");
    writeFileSync(place.path("file"), "");
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.bind({ path: `${place.path("file")}/socket` }))).toEqual(["ENOTDIR", "bind"]);
  });

  test("through a cycle of symbolic links fails with ELOOP", () => {
    using place = new Place("AF_UNIX path");
    symlinkSync(place.path("b"), place.path("a"));
    symlinkSync(place.path("a"), place.path("b"));
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.bind({ path: `${place.path("a")}/socket` }))).toEqual(["ELOOP", "bind"]);
  });

  test("of a directory fails with EADDRINUSE", () => {
    using place = new Place("AF_UNIX path");
    mkdirSync(place.path("directory"));
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.bind({ path: place.path("directory") }))).toEqual(["EADDRINUSE", "bind"]);
  });
});

test("a failed bind leaves the socket usable", () => {
  using place = new Place("AF_INET");
  using taken = place.listening();
  using socket = new Socket(AF_INET);
  expect(() => socket.bind(taken.getsockname())).toThrow();
  socket.bind(place.fresh());
  socket.listen();
  expect(socket.accept()).toBeNull();
});
