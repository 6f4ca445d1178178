// Ownership of file descriptors: detach, fromfd, and O_NONBLOCK and FD_CLOEXEC of new sockets.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  F_GETFL,
  F_SETFL,
  O_NONBLOCK,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../../../src/kernel/constants.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import { fdFlags, leavesNoFd, openFds } from "../../support/fds.ts";
import { accepted, everySocketIsClosed, kinds, Pair, Place, text } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

const sys = syscalls();
const CLOEXEC = 0o2000000;

describe.each(kinds)("over %s every socket is non-blocking and close-on-exec:", (kind) => {
  test("a new socket", () => {
    using place = new Place(kind);
    for (const type of [SOCK_STREAM, SOCK_DGRAM]) {
      using socket = new Socket(place.family, type);
      expect(fdFlags(socket.fileno()) & (O_NONBLOCK | CLOEXEC)).toBe(O_NONBLOCK | CLOEXEC);
    }
  });

  test("an accepted socket", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(fdFlags(pair.server.fileno()) & (O_NONBLOCK | CLOEXEC)).toBe(O_NONBLOCK | CLOEXEC);
  });
});

test.each([SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET])(
  "both sockets of a socketpair (type %d) are non-blocking, close-on-exec, connected and unnamed",
  (type) => {
    using pair = new Pair(...socketpair(AF_UNIX, type));
    for (const socket of [pair.client, pair.server]) {
      expect(fdFlags(socket.fileno()) & (O_NONBLOCK | CLOEXEC)).toBe(O_NONBLOCK | CLOEXEC);
      expect([socket.family, socket.type]).toEqual([AF_UNIX, type]);
      expect([socket.getsockname(), socket.getpeername()]).toEqual([{ path: "" }, { path: "" }]);
    }
    pair.client.send("through");
    expect(text(pair.server.recv(10))).toBe("through");
  },
);

test("socketpair() creates unix stream sockets", () => {
  using pair = new Pair(...socketpair());
  expect([pair.client.family, pair.client.type, pair.server.type]).toEqual([AF_UNIX, SOCK_STREAM, SOCK_STREAM]);
});

test("SOCK_NONBLOCK and SOCK_CLOEXEC are not part of the type property", () => {
  using socket = new Socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
  using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK));
  expect([socket.type, pair.client.type]).toEqual([SOCK_STREAM, SOCK_DGRAM]);
});

describe("detach", () => {
  test("returns the fd and leaves it open", () => {
    const socket = new Socket();
    const fd = socket.fileno();
    const what = openFds().get(fd);
    expect(socket.detach()).toBe(fd);
    expect(socket.closed).toBe(true);
    expect(openFds().get(fd)).toBe(what as string);
    socket.close();
    expect(openFds().get(fd)).toBe(what as string);
    sys.close(fd);
  });

  test("keeps the connection, which fromfd continues", () => {
    const [client, other] = socketpair();
    using server = other;
    client.send("before ");
    using again = Socket.fromfd(client.detach());
    again.send("after");
    expect(text(server.recv(100))).toBe("before after");
  });
});

describe("fromfd", () => {
  test.each([
    [AF_INET, SOCK_STREAM],
    [AF_INET6, SOCK_DGRAM],
    [AF_UNIX, SOCK_STREAM],
    [AF_UNIX, SOCK_SEQPACKET],
  ])("detects family %d and type %d", (family, type) => {
    using socket = Socket.fromfd(new Socket(family, type).detach());
    expect([socket.family, socket.type]).toEqual([family, type]);
  });

  test("makes a socket non-blocking and keeps its other flags", () => {
    const O_ASYNC = 0o20000;
    const fd = new Socket(AF_UNIX, SOCK_STREAM).detach();
    sys.fcntl(fd, F_SETFL, (sys.fcntl(fd, F_GETFL, 0) & ~O_NONBLOCK) | O_ASYNC);
    expect(fdFlags(fd) & O_NONBLOCK).toBe(0);
    using socket = Socket.fromfd(fd);
    expect(fdFlags(fd) & (O_NONBLOCK | O_ASYNC)).toBe(O_NONBLOCK | O_ASYNC);
    expect(socket.fileno()).toBe(fd);
  });

  test("takes ownership: close closes the fd", () => {
    const fd = new Socket().detach();
    const what = openFds().get(fd);
    Socket.fromfd(fd).close();
    expect(openFds().get(fd)).not.toBe(what as string);
  });

  test("takes ownership of a listening socket, which continues to listen", () => {
    using place = new Place("AF_INET");
    const listener = place.listening();
    using again = Socket.fromfd(listener.detach());
    using client = new Socket();
    client.connect(again.getsockname());
    using server = accepted(again).socket;
    expect(server.getpeername()).toEqual(client.getsockname());
  });
});

test("no operation leaks an fd", async () => {
  await leavesNoFd(() => {
    for (const kind of kinds) {
      using place = new Place(kind);
      using _pair = place.connected();
      using _datagrams = place.datagrams();
      using socket = Socket.fromfd(place.listening().detach());
      expect(() => socket.bind(place.fresh())).toThrow();
      expect(() => Socket.fromfd(0x3fffffff)).toThrow();
    }
  });
});

test("garbage collection does not close the fd of an unreferenced socket", () => {
  const forgotten = (() => {
    const sockets = Array.from({ length: 50 }, () => new Socket());
    return sockets.map((socket) => socket.fileno());
  })();
  for (let i = 0; i < 10; i++) Bun.gc(true);
  const open = openFds();
  expect(forgotten.filter((fd) => !open.get(fd)?.startsWith("socket:"))).toEqual([]);
  for (const fd of forgotten) sys.close(fd);
});
