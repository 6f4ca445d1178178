// Errors of new Socket, socketpair and fromfd.

import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_STREAM,
} from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { OpenFd } from "../../../src/io/owned-fd.ts";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import { openFds } from "../../support/fds.ts";
import { errnoError, everySocketIsClosed, failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

const NO_SUCH_FD = 0x3fffffff; // above any limit on open files

test.each([
  ["EAFNOSUPPORT", "a family that the kernel lacks", 99, SOCK_STREAM, 0],
  ["EINVAL", "a type that does not exist", AF_INET, 99, 0],
  ["ESOCKTNOSUPPORT", "a type that the family lacks", AF_INET, 4 /* SOCK_RDM */, 0],
  ["EPROTONOSUPPORT", "a protocol of another type", AF_INET, SOCK_STREAM, IPPROTO_UDP],
  ["EPROTONOSUPPORT", "a protocol of another type, in IPv6", AF_INET6, SOCK_DGRAM, IPPROTO_TCP],
  ["EPROTONOSUPPORT", "a protocol that AF_UNIX lacks", AF_UNIX, SOCK_STREAM, 99],
])("new Socket fails with %s for %s", (code, _what, family, type, protocol) => {
  expect(failure(() => new Socket(family, type, protocol))).toEqual([code, "socket"]);
});

test("new Socket accepts the protocol of its type", () => {
  using tcp = new Socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
  using udp = new Socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
  expect([tcp.getsockopt(1, 38 /* SO_PROTOCOL */), udp.getsockopt(1, 38)]).toEqual([IPPROTO_TCP, IPPROTO_UDP]);
});

test.each([
  ["EOPNOTSUPP", "AF_INET", AF_INET, SOCK_STREAM],
  ["EOPNOTSUPP", "AF_INET6 datagrams", AF_INET6, SOCK_DGRAM],
  ["EAFNOSUPPORT", "a family that the kernel lacks", 99, SOCK_STREAM],
  ["EINVAL", "a type that does not exist", AF_UNIX, 99],
])("socketpair fails with %s for %s", (code, _what, family, type) => {
  expect(failure(() => socketpair(family, type))).toEqual([code, "socketpair"]);
});

test("fromfd fails with EBADF and the fd if it is not open", () => {
  expect(errnoError(() => Socket.fromfd(NO_SUCH_FD))).toMatchObject({ code: "EBADF", errno: -9, fd: NO_SUCH_FD });
});

test("fromfd fails with ENOTSOCK for a file and leaves it open", () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    writeFileSync(join(directory, "file"), "");
    const fd = openSync(join(directory, "file"), "r");
    try {
      expect(errnoError(() => Socket.fromfd(fd))).toMatchObject({ code: "ENOTSOCK", errno: -88, fd });
      expect(openFds().get(fd)).toBe(join(directory, "file"));
    } finally {
      closeSync(fd);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("fromfd fails with ENOTSOCK for an epoll instance", () => {
  using epoll = new Epoll();
  expect(errnoError(() => Socket.fromfd(epoll.fileno())).code).toBe("ENOTSOCK");
});

test("every call fails with EBADF, its name and the fd if the fd is not open", () => {
  const socket = new Socket(AF_INET, SOCK_STREAM, 0, new OpenFd(NO_SUCH_FD));
  const to = { address: "127.0.0.1", port: 1 };
  const calls: [syscall: string, call: () => unknown][] = [
    ["bind", () => socket.bind(to)],
    ["listen", () => socket.listen()],
    ["accept4", () => socket.accept()],
    ["connect", () => socket.connect(to)],
    ["recv", () => socket.recv(1)],
    ["recv", () => socket.recvInto(new Uint8Array(1))],
    ["send", () => socket.send("x")],
    ["sendto", () => socket.sendto("x", to)],
    ["recvfrom", () => socket.recvfrom(1)],
    ["sendmsg", () => socket.sendmsg(["x"])],
    ["sendmsg", () => socket.sendmsg(["x"], [], 0, to)],
    ["recvmsg", () => socket.recvmsg(1)],
    ["shutdown", () => socket.shutdown(0)],
    ["setsockopt", () => socket.setsockopt(1, 2, 1)],
    ["getsockopt", () => socket.getsockopt(1, 2)],
    ["getsockname", () => socket.getsockname()],
    ["getpeername", () => socket.getpeername()],
    ["close", () => socket.close()],
  ];
  for (const [syscall, call] of calls) {
    expect(errnoError(call)).toMatchObject({ code: "EBADF", errno: -9, syscall, fd: NO_SUCH_FD });
  }
  expect(socket.closed).toBe(true);
});
