// getsockopt and setsockopt with numbers, booleans and structures.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV6_V6ONLY,
  SO_ACCEPTCONN,
  SO_DOMAIN,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_PASSCRED,
  SO_PEERCRED,
  SO_PROTOCOL,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_TYPE,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_DEFER_ACCEPT,
  TCP_INFO,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from "../../../src/kernel/constants.ts";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import { accepted, everySocketIsClosed, Pair, Place } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

describe("an option that is an int", () => {
  test.each([
    ["SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR],
    ["SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT],
    ["SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE],
    ["TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY],
  ])("%s is off by default, and accepts true, false, 1 and 0", (_name, level, option) => {
    using socket = new Socket();
    const seen = [socket.getsockopt(level, option)];
    for (const value of [true, false, 1, 0]) {
      socket.setsockopt(level, option, value);
      seen.push(socket.getsockopt(level, option));
    }
    expect(seen).toEqual([0, 1, 0, 1, 0]);
  });

  test.each([
    ["TCP_KEEPIDLE", TCP_KEEPIDLE, 77],
    ["TCP_KEEPINTVL", TCP_KEEPINTVL, 33],
    ["TCP_KEEPCNT", TCP_KEEPCNT, 7],
    ["TCP_USER_TIMEOUT", TCP_USER_TIMEOUT, 70_000],
  ])("%s keeps its value", (_name, option, value) => {
    using socket = new Socket();
    socket.setsockopt(IPPROTO_TCP, option, value);
    expect(socket.getsockopt(IPPROTO_TCP, option)).toBe(value);
  });

  test("can be set by its four bytes", () => {
    using socket = new Socket();
    socket.setsockopt(IPPROTO_TCP, TCP_KEEPCNT, new Uint8Array([9, 0, 0, 0]));
    expect(socket.getsockopt(IPPROTO_TCP, TCP_KEEPCNT)).toBe(9);
  });

  test("can be read as its four bytes", () => {
    using socket = new Socket();
    socket.setsockopt(IPPROTO_TCP, TCP_KEEPCNT, 9);
    expect(socket.getsockopt(IPPROTO_TCP, TCP_KEEPCNT, 4)).toEqual(new Uint8Array([9, 0, 0, 0]));
  });

  test("can be negative or unsigned", () => {
    using socket = new Socket(AF_INET, SOCK_DGRAM);
    const IP_MULTICAST_TTL = 33;
    socket.setsockopt(0, IP_MULTICAST_TTL, 5);
    socket.setsockopt(0, IP_MULTICAST_TTL, -1); // the default, which is 1
    expect(socket.getsockopt(0, IP_MULTICAST_TTL)).toBe(1);
    socket.setsockopt(0, IP_MULTICAST_TTL, 5);
    socket.setsockopt(0, IP_MULTICAST_TTL, 0xffffffff);
    expect(socket.getsockopt(0, IP_MULTICAST_TTL)).toBe(1);
  });

  test("is set for one socket only", () => {
    using one = new Socket();
    using other = new Socket();
    one.setsockopt(SOL_SOCKET, SO_KEEPALIVE, true);
    expect(other.getsockopt(SOL_SOCKET, SO_KEEPALIVE)).toBe(0);
  });

  test("is inherited by accepted connections", () => {
    using place = new Place("AF_INET");
    using listener = place.listening();
    listener.setsockopt(SOL_SOCKET, SO_KEEPALIVE, true);
    using client = new Socket();
    client.connect(listener.getsockname());
    using server = accepted(listener).socket;
    expect(server.getsockopt(SOL_SOCKET, SO_KEEPALIVE)).toBe(1);
    expect(client.getsockopt(SOL_SOCKET, SO_KEEPALIVE)).toBe(0);
  });
});

test.each([SO_SNDBUF, SO_RCVBUF])("a buffer size (%d) is doubled by the kernel for its own overhead", (option) => {
  using socket = new Socket();
  socket.setsockopt(SOL_SOCKET, option, 50_000);
  expect(socket.getsockopt(SOL_SOCKET, option)).toBe(100_000);
});

test("IPV6_V6ONLY can be set before bind", () => {
  using socket = new Socket(AF_INET6);
  for (const on of [true, false]) {
    socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, on);
    expect(socket.getsockopt(IPPROTO_IPV6, IPV6_V6ONLY)).toBe(Number(on));
  }
});

describe("an option that is a structure", () => {
  test("SO_LINGER is set and read as eight bytes", () => {
    using socket = new Socket();
    const linger = new Uint8Array([1, 0, 0, 0, 7, 0, 0, 0]);
    socket.setsockopt(SOL_SOCKET, SO_LINGER, linger);
    expect(socket.getsockopt(SOL_SOCKET, SO_LINGER, 8)).toEqual(linger);
  });

  test("can be a view into a larger buffer", () => {
    using socket = new Socket();
    const around = new Uint8Array([9, 9, 1, 0, 0, 0, 5, 0, 0, 0, 9]);
    socket.setsockopt(SOL_SOCKET, SO_LINGER, around.subarray(2, 10));
    expect(socket.getsockopt(SOL_SOCKET, SO_LINGER, 8)).toEqual(around.subarray(2, 10));
  });

  test("SO_PEERCRED of a pair has the PID, UID and GID of this process in twelve bytes", () => {
    using pair = new Pair(...socketpair());
    const bytes = pair.client.getsockopt(SOL_SOCKET, SO_PEERCRED, 12);
    expect(bytes).toHaveLength(12);
    expect([...new Int32Array(bytes.slice().buffer)]).toEqual([
      process.pid,
      process.geteuid?.() ?? 0,
      process.getegid?.() ?? 0,
    ]);
  });

  test("has the length that the kernel wrote, not the length of the buffer", () => {
    using pair = new Pair(...socketpair());
    expect(pair.client.getsockopt(SOL_SOCKET, SO_PEERCRED, 100)).toHaveLength(12);
  });

  test("is truncated to a smaller buffer", () => {
    using pair = new Pair(...socketpair());
    const all = pair.client.getsockopt(SOL_SOCKET, SO_PEERCRED, 12);
    expect(pair.client.getsockopt(SOL_SOCKET, SO_PEERCRED, 4)).toEqual(all.subarray(0, 4));
  });

  test("TCP_INFO starts with the state of the connection", () => {
    using place = new Place("AF_INET");
    using pair = place.connected();
    using fresh = new Socket();
    using listener = place.listening();
    const [ESTABLISHED, CLOSE, LISTEN] = [1, 7, 10];
    const info = pair.server.getsockopt(IPPROTO_TCP, TCP_INFO, 256);
    expect(info.length).toBeGreaterThan(100);
    expect(info[0]).toBe(ESTABLISHED);
    expect(fresh.getsockopt(IPPROTO_TCP, TCP_INFO, 256)[0]).toBe(CLOSE);
    expect(listener.getsockopt(IPPROTO_TCP, TCP_INFO, 256)[0]).toBe(LISTEN);
  });
});

describe("read-only options", () => {
  test.each([
    [AF_INET, SOCK_STREAM, IPPROTO_TCP],
    [AF_INET, SOCK_DGRAM, IPPROTO_UDP],
    [AF_INET6, SOCK_STREAM, IPPROTO_TCP],
    [AF_INET6, SOCK_DGRAM, IPPROTO_UDP],
    [AF_UNIX, SOCK_STREAM, 0],
    [AF_UNIX, SOCK_DGRAM, 0],
    [AF_UNIX, SOCK_SEQPACKET, 0],
  ])("family %d, type %d: SO_DOMAIN, SO_TYPE, and SO_PROTOCOL %d", (family, type, protocol) => {
    using socket = new Socket(family, type);
    const values = [SO_DOMAIN, SO_TYPE, SO_PROTOCOL].map((option) => socket.getsockopt(SOL_SOCKET, option));
    expect(values).toEqual([family, type, protocol]);
  });

  test("SO_ACCEPTCONN is 1 only for a listening socket", () => {
    using place = new Place("AF_INET");
    using listener = place.listening();
    using bound = place.bound();
    expect([listener, bound].map((socket) => socket.getsockopt(SOL_SOCKET, SO_ACCEPTCONN))).toEqual([1, 0]);
  });

  test("SO_ERROR is 0 if there is no error", () => {
    using socket = new Socket();
    expect(socket.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(0);
  });
});

test("SO_REUSEPORT lets two listeners share a port", () => {
  using one = new Socket();
  using other = new Socket();
  for (const socket of [one, other]) socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, true);
  one.bind({ address: "127.0.0.1", port: 0 });
  other.bind(one.getsockname());
  one.listen();
  other.listen();
  expect(other.getsockname()).toEqual(one.getsockname());
});

test("TCP_DEFER_ACCEPT is rounded by the kernel", () => {
  using listener = new Socket();
  listener.setsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
  expect(listener.getsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT)).toBeGreaterThan(0);
});

test("SO_PASSCRED can be set on a unix socket", () => {
  using unix = new Socket(AF_UNIX);
  unix.setsockopt(SOL_SOCKET, SO_PASSCRED, true);
  expect(unix.getsockopt(SOL_SOCKET, SO_PASSCRED)).toBe(1);
});
