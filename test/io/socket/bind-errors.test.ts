// What bind, listen and accept fail with.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { AF_INET, AF_UNIX, SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET } from "../../../src/kernel/constants.ts";
import { Socket } from "../../../src/io/socket.ts";
import { errnoError, everySocketIsClosed, failure, kinds, Place } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

describe.each(kinds)("over %s", (kind) => {
  test("an address that another socket has is EADDRINUSE, with that address", () => {
    using place = new Place(kind);
    using first = place.listening();
    using second = new Socket(place.family);
    const name = first.getsockname();
    expect(errnoError(() => second.bind(name))).toMatchObject({
      code: "EADDRINUSE",
      errno: -98,
      syscall: "bind",
      fd: second.fileno(),
      ...("path" in name ? { address: name.path } : { address: name.address, port: name.port }),
    });
  });

  test("binding twice is EINVAL", () => {
    using place = new Place(kind);
    using socket = place.bound();
    expect(failure(() => socket.bind(place.fresh()))).toEqual(["EINVAL", "bind"]);
  });

  test("listen on a datagram socket is EOPNOTSUPP", () => {
    using place = new Place(kind);
    using socket = place.bound(SOCK_DGRAM);
    expect(failure(() => socket.listen())).toEqual(["EOPNOTSUPP", "listen"]);
  });

  test("listen on a connected socket is EINVAL", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(failure(() => pair.client.listen())).toEqual(["EINVAL", "listen"]);
  });

  test("listen again changes the backlog", () => {
    using place = new Place(kind);
    using listener = place.listening(1);
    expect(() => listener.listen(5)).not.toThrow();
  });

  test("accept on a socket that does not listen is EINVAL", () => {
    using place = new Place(kind);
    using socket = place.bound();
    expect(failure(() => socket.accept())).toEqual(["EINVAL", "accept4"]);
  });

  test("accept on a datagram socket is EOPNOTSUPP", () => {
    using place = new Place(kind);
    using socket = place.bound(SOCK_DGRAM);
    expect(failure(() => socket.accept())).toEqual(["EOPNOTSUPP", "accept4"]);
  });
});

test("an address of another machine is EADDRNOTAVAIL", () => {
  using socket = new Socket(AF_INET);
  expect(errnoError(() => socket.bind({ address: "203.0.113.7", port: 0 }))).toMatchObject({
    code: "EADDRNOTAVAIL",
    errno: -99,
    syscall: "bind",
    address: "203.0.113.7",
    port: 0,
  });
});

test("listen on an address that another listener has is EADDRINUSE", () => {
  using place = new Place("AF_INET");
  using first = new Socket(AF_INET);
  using second = new Socket(AF_INET);
  for (const socket of [first, second]) socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, true);
  first.bind(place.fresh());
  second.bind(first.getsockname());
  first.listen();
  expect(failure(() => second.listen())).toEqual(["EADDRINUSE", "listen"]);
});

test("listen on an internet socket without an address picks a port", () => {
  using socket = new Socket(AF_INET);
  socket.listen();
  expect(socket.getsockname()).toMatchObject({ address: "0.0.0.0", port: expect.any(Number) });
  expect(socket.getsockname()).not.toMatchObject({ port: 0 });
});

test("listen on a unix socket without an address is EINVAL", () => {
  using socket = new Socket(AF_UNIX);
  expect(failure(() => socket.listen())).toEqual(["EINVAL", "listen"]);
});

describe("a path", () => {
  test("that is a file already is EADDRINUSE", () => {
    using place = new Place("AF_UNIX path");
    const path = place.path("file");
    writeFileSync(path, "");
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.bind({ path }))).toEqual(["EADDRINUSE", "bind"]);
  });

  test("that a closed socket left is EADDRINUSE", () => {
    using place = new Place("AF_UNIX path");
    const gone = place.bound();
    const name = gone.getsockname();
    gone.close();
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.bind(name))).toEqual(["EADDRINUSE", "bind"]);
  });

  test("in no directory is ENOENT, with the path and no port", () => {
    using place = new Place("AF_UNIX path");
    using socket = new Socket(AF_UNIX);
    const path = `${place.path("missing")}/socket`;
    const error = errnoError(() => socket.bind({ path }));
    expect(error).toMatchObject({ code: "ENOENT", errno: -2, syscall: "bind", address: path });
    expect(error).not.toHaveProperty("port");
  });

  test("through a file is ENOTDIR", () => {
    using place = new Place("AF_UNIX path");
    writeFileSync(place.path("file"), "");
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.bind({ path: `${place.path("file")}/socket` }))).toEqual(["ENOTDIR", "bind"]);
  });

  test("through a circle of links is ELOOP", () => {
    using place = new Place("AF_UNIX path");
    symlinkSync(place.path("b"), place.path("a"));
    symlinkSync(place.path("a"), place.path("b"));
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.bind({ path: `${place.path("a")}/socket` }))).toEqual(["ELOOP", "bind"]);
  });

  test("that is a directory is EADDRINUSE", () => {
    using place = new Place("AF_UNIX path");
    mkdirSync(place.path("directory"));
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.bind({ path: place.path("directory") }))).toEqual(["EADDRINUSE", "bind"]);
  });
});

test("a bind that failed leaves the socket usable", () => {
  using place = new Place("AF_INET");
  using taken = place.listening();
  using socket = new Socket(AF_INET);
  expect(() => socket.bind(taken.getsockname())).toThrow();
  socket.bind(place.fresh());
  socket.listen();
  expect(socket.accept()).toBeNull();
});
