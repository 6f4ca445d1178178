// Errors of getsockopt and setsockopt.

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  AF_INET,
  AF_UNIX,
  IPPROTO_TCP,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_TYPE,
  SOCK_DGRAM,
  SOL_SOCKET,
  TCP_KEEPIDLE,
  TCP_NODELAY,
} from "../../../src/kernel/constants.ts";
import { Socket } from "../../../src/io/socket.ts";
import { errnoError, everySocketIsClosed, failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

const SO_RCVTIMEO = 20;

test("fails with ENOPROTOOPT for an option that does not exist", () => {
  using socket = new Socket();
  expect(failure(() => socket.getsockopt(SOL_SOCKET, 9999))).toEqual(["ENOPROTOOPT", "getsockopt"]);
  expect(failure(() => socket.setsockopt(SOL_SOCKET, 9999, 1))).toEqual(["ENOPROTOOPT", "setsockopt"]);
  expect(failure(() => socket.getsockopt(IPPROTO_TCP, 9999, 16))).toEqual(["ENOPROTOOPT", "getsockopt"]);
});

test("fails with ENOPROTOOPT for setting a read-only option", () => {
  using socket = new Socket();
  expect(failure(() => socket.setsockopt(SOL_SOCKET, SO_TYPE, 1))).toEqual(["ENOPROTOOPT", "setsockopt"]);
  expect(failure(() => socket.setsockopt(SOL_SOCKET, SO_ERROR, 1))).toEqual(["ENOPROTOOPT", "setsockopt"]);
});

test("fails with EOPNOTSUPP for TCP's options on another kind of socket", () => {
  using unix = new Socket(AF_UNIX);
  expect(failure(() => unix.setsockopt(IPPROTO_TCP, TCP_NODELAY, true))).toEqual(["EOPNOTSUPP", "setsockopt"]);
  expect(failure(() => unix.getsockopt(IPPROTO_TCP, TCP_NODELAY))).toEqual(["EOPNOTSUPP", "getsockopt"]);
  using udp = new Socket(AF_INET, SOCK_DGRAM);
  expect(failure(() => udp.setsockopt(IPPROTO_TCP, TCP_NODELAY, true))[1]).toBe("setsockopt");
});

test("fails with EINVAL with the fd for a value out of range", () => {
  using socket = new Socket();
  expect(errnoError(() => socket.setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, 0))).toMatchObject({
    code: "EINVAL",
    errno: -22,
    syscall: "setsockopt",
    fd: socket.fileno(),
  });
});

test("fails with EINVAL for too few bytes", () => {
  using socket = new Socket();
  const short = new Uint8Array(3);
  expect(failure(() => socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, short))).toEqual(["EINVAL", "setsockopt"]);
  expect(failure(() => socket.setsockopt(SOL_SOCKET, SO_LINGER, short))).toEqual(["EINVAL", "setsockopt"]);
  expect(failure(() => socket.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array(0)))).toEqual(["EINVAL", "setsockopt"]);
});

test("fails with EDOM for a struct timeval of more than 1,000,000 microseconds", () => {
  using socket = new Socket();
  const time = new Uint8Array(new BigInt64Array([0n, 2_000_000n]).buffer);
  const error = errnoError(() => socket.setsockopt(SOL_SOCKET, SO_RCVTIMEO, time));
  expect([error.code, error.message]).toEqual(["EDOM", "EDOM: numerical argument out of domain, setsockopt"]);
});
