// Errors of calls without a peer, or with a peer that has the wrong type or has closed its socket.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import {
  AF_INET,
  AF_UNIX,
  EPOLLERR,
  EPOLLIN,
  MSG_OOB,
  SO_BROADCAST,
  SO_ERROR,
  SO_LINGER,
  SO_SNDBUF,
  SOCK_DGRAM,
  SOL_SOCKET,
} from "../../../src/kernel/constants.ts";
import { Socket } from "../../../src/io/socket.ts";
import { errnoError, everySocketIsClosed, failure, kinds, type Pair, Place, until } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

const LINGER_ZERO = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

/** Closes a socket with linger time 0, which resets the connection. */
function reset(pair: Pair): void {
  pair.client.setsockopt(SOL_SOCKET, SO_LINGER, LINGER_ZERO);
  pair.client.close();
  until(pair.server, EPOLLIN);
}

describe.each(kinds)("an unconnected stream socket of %s", (kind) => {
  test("getpeername fails with ENOTCONN", () => {
    using place = new Place(kind);
    using socket = new Socket(place.family);
    expect(failure(() => socket.getpeername())).toEqual(["ENOTCONN", "getpeername"]);
  });

  test("cannot receive", () => {
    using place = new Place(kind);
    using socket = new Socket(place.family);
    const code = kind.startsWith("AF_UNIX") ? "EINVAL" : "ENOTCONN"; // unix_stream_read_generic()
    expect(failure(() => socket.recv(1))).toEqual([code, "recv"]);
    expect(failure(() => socket.recvInto(new Uint8Array(1)))).toEqual([code, "recv"]);
    expect(failure(() => socket.recvfrom(1))).toEqual([code, "recvfrom"]);
    expect(failure(() => socket.recvmsg(1))).toEqual([code, "recvmsg"]);
  });

  test("cannot send", () => {
    using place = new Place(kind);
    using socket = new Socket(place.family);
    const code = kind.startsWith("AF_UNIX") ? "ENOTCONN" : "EPIPE"; // tcp_sendmsg_locked()
    expect(failure(() => socket.send("x"))).toEqual([code, "send"]);
    expect(failure(() => socket.sendmsg(["x"]))).toEqual([code, "sendmsg"]);
  });
});

describe.each(kinds)("an unconnected datagram socket of %s", (kind) => {
  test("cannot send without an address", () => {
    using place = new Place(kind);
    using socket = place.bound(SOCK_DGRAM);
    const code = kind.startsWith("AF_UNIX") ? "ENOTCONN" : "EDESTADDRREQ"; // unix_dgram_sendmsg()
    expect(failure(() => socket.send("x"))).toEqual([code, "send"]);
    expect(failure(() => socket.sendmsg(["x"]))).toEqual([code, "sendmsg"]);
  });

  test("getpeername fails with ENOTCONN", () => {
    using place = new Place(kind);
    using socket = place.bound(SOCK_DGRAM);
    expect(failure(() => socket.getpeername())).toEqual(["ENOTCONN", "getpeername"]);
  });
});

describe.each(["AF_INET", "AF_INET6"] as const)("over %s", (kind) => {
  test("after a reset, recv fails with ECONNRESET once, then returns end of stream; send fails with EPIPE", () => {
    using place = new Place(kind);
    using pair = place.connected();
    reset(pair);
    expect(failure(() => pair.server.recv(1))).toEqual(["ECONNRESET", "recv"]);
    expect(pair.server.recv(1)).toHaveLength(0);
    expect(failure(() => pair.server.send("x"))).toEqual(["EPIPE", "send"]);
  });

  test("after a reset, send fails with ECONNRESET", () => {
    using place = new Place(kind);
    using pair = place.connected();
    reset(pair);
    expect(failure(() => pair.server.send("x"))).toEqual(["ECONNRESET", "send"]);
  });

  test("after a reset, SO_ERROR is ECONNRESET", () => {
    using place = new Place(kind);
    using pair = place.connected();
    reset(pair);
    expect(pair.server.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(104);
  });

  test("after a reset, getpeername and shutdown fail with ENOTCONN", () => {
    using place = new Place(kind);
    using pair = place.connected();
    reset(pair);
    expect(failure(() => pair.server.getpeername())).toEqual(["ENOTCONN", "getpeername"]);
    expect(failure(() => pair.server.shutdown(2))).toEqual(["ENOTCONN", "shutdown"]);
  });

  test("a peer that closes with data in its receive queue resets the connection", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.server.send("never read");
    until(pair.client, EPOLLIN);
    pair.client.close();
    until(pair.server, EPOLLIN);
    expect(failure(() => pair.server.recv(1))).toEqual(["ECONNRESET", "recv"]);
  });

  test("a datagram to a closed port results in ECONNREFUSED on a connected socket", () => {
    using place = new Place(kind);
    using receiver = place.bound(SOCK_DGRAM);
    using socket = place.bound(SOCK_DGRAM);
    socket.connect(receiver.getsockname());
    receiver.close();
    expect(socket.send("anyone?")).toBe(7);
    expect(until(socket, EPOLLIN) & EPOLLERR).toBe(EPOLLERR);
    expect(failure(() => socket.recv(1))).toEqual(["ECONNREFUSED", "recv"]);
    expect(socket.recv(1)).toBeNull();
  });

  test("a datagram that is too long for UDP fails with EMSGSIZE, with the address if one was given", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    using other = place.bound(SOCK_DGRAM);
    const long = new Uint8Array(65536);
    const to = pair.server.getsockname() as { address: string; port: number };
    expect(failure(() => pair.client.send(long))).toEqual(["EMSGSIZE", "send"]);
    const details = { code: "EMSGSIZE", errno: -90, fd: other.fileno(), address: to.address, port: to.port };
    expect(errnoError(() => other.sendto(long, to))).toMatchObject({ ...details, syscall: "sendto" });
    expect(errnoError(() => other.sendmsg([long], [], 0, to))).toMatchObject({ ...details, syscall: "sendmsg" });
  });

  test("a datagram to port 0 fails with EINVAL", () => {
    using place = new Place(kind);
    using socket = place.bound(SOCK_DGRAM);
    expect(failure(() => socket.sendto("x", place.fresh()))).toEqual(["EINVAL", "sendto"]);
  });
});

describe.each(["AF_UNIX path", "AF_UNIX abstract"] as const)("over %s", (kind) => {
  test("connecting a stream socket to a datagram socket fails, and vice versa", () => {
    using place = new Place(kind);
    const code = kind === "AF_UNIX path" ? "EPROTOTYPE" : "ECONNREFUSED"; // abstract names are per type
    using listener = place.listening();
    using receiver = place.bound(SOCK_DGRAM);
    using stream = new Socket(AF_UNIX);
    using datagrams = new Socket(AF_UNIX, SOCK_DGRAM);
    expect(failure(() => stream.connect(receiver.getsockname()))).toEqual([code, "connect"]);
    expect(failure(() => datagrams.connect(listener.getsockname()))).toEqual([code, "connect"]);
    expect(failure(() => datagrams.sendto("x", listener.getsockname()))).toEqual([code, "sendto"]);
  });

  test("after the peer has closed, send fails with EPIPE and recv returns end of stream", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.close();
    expect(failure(() => pair.server.send("x"))).toEqual(["EPIPE", "send"]);
    expect(pair.server.recv(1)).toHaveLength(0);
  });

  test("recv fails with ECONNRESET if the peer closed with data in its receive queue", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.server.send("never read");
    pair.client.close();
    expect(failure(() => pair.server.recv(1))).toEqual(["ECONNRESET", "recv"]);
  });

  test("sending to a closed datagram peer fails with ECONNREFUSED", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.server.close();
    expect(failure(() => pair.client.send("x"))).toEqual(["ECONNREFUSED", "send"]);
  });

  test("sendto on a connected stream fails with EISCONN", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using client = new Socket(AF_UNIX);
    client.connect(listener.getsockname());
    expect(failure(() => client.sendto("x", listener.getsockname()))).toEqual(["EISCONN", "sendto"]);
    expect(failure(() => client.sendmsg(["x"], [], 0, listener.getsockname()))).toEqual(["EISCONN", "sendmsg"]);
  });

  test("sendto on an unconnected stream fails with EOPNOTSUPP", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using socket = new Socket(AF_UNIX);
    expect(failure(() => socket.sendto("x", listener.getsockname()))).toEqual(["EOPNOTSUPP", "sendto"]);
  });

  test("sending to a socket that is connected to another peer fails with EPERM", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    using stranger = place.bound(SOCK_DGRAM);
    expect(failure(() => stranger.sendto("x", pair.server.getsockname()))).toEqual(["EPERM", "sendto"]);
    expect(failure(() => stranger.connect(pair.server.getsockname()))).toEqual(["EPERM", "connect"]);
  });

  test("a datagram that is longer than the send buffer fails with EMSGSIZE", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    const size = pair.client.getsockopt(SOL_SOCKET, SO_SNDBUF);
    expect(failure(() => pair.client.send(new Uint8Array(size)))).toEqual(["EMSGSIZE", "send"]);
  });

  test("urgent data over datagrams fails with EOPNOTSUPP", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    expect(failure(() => pair.client.send("!", MSG_OOB))).toEqual(["EOPNOTSUPP", "send"]);
  });

  test("connecting to an unused address fails with ENOENT for a path, ECONNREFUSED for an abstract name", () => {
    using place = new Place(kind);
    const to = place.fresh() as { path: string };
    const code = kind === "AF_UNIX path" ? "ENOENT" : "ECONNREFUSED";
    using stream = new Socket(AF_UNIX);
    using datagrams = new Socket(AF_UNIX, SOCK_DGRAM);
    expect(errnoError(() => stream.connect(to))).toMatchObject({ code, syscall: "connect", address: to.path });
    expect(errnoError(() => datagrams.sendto("x", to))).toMatchObject({ code, syscall: "sendto", address: to.path });
  });
});

test("connecting below a file fails with ENOTDIR, to a regular file with ECONNREFUSED", () => {
  using place = new Place("AF_UNIX path");
  writeFileSync(place.path("file"), "");
  using socket = new Socket(AF_UNIX);
  expect(failure(() => socket.connect({ path: `${place.path("file")}/socket` }))).toEqual(["ENOTDIR", "connect"]);
  expect(failure(() => socket.connect({ path: place.path("file") }))).toEqual(["ECONNREFUSED", "connect"]);
});

test("connecting to an empty path fails with EINVAL", () => {
  using socket = new Socket(AF_UNIX);
  expect(failure(() => socket.connect({ path: "" }))).toEqual(["EINVAL", "connect"]);
});

test("connecting to a broadcast address fails with ENETUNREACH", () => {
  using socket = new Socket(AF_INET);
  expect(failure(() => socket.connect({ address: "127.255.255.255", port: 1 }))).toEqual(["ENETUNREACH", "connect"]);
});

test("a datagram to a broadcast address fails with EACCES without SO_BROADCAST", () => {
  using place = new Place("AF_INET");
  using receiver = place.bound(SOCK_DGRAM);
  using socket = new Socket(AF_INET, SOCK_DGRAM);
  const to = { ...receiver.getsockname(), address: "127.255.255.255" } as { address: string; port: number };
  expect(failure(() => socket.sendto("x", to))).toEqual(["EACCES", "sendto"]);
  socket.setsockopt(SOL_SOCKET, SO_BROADCAST, true);
  expect(socket.sendto("x", to)).toBe(1);
});

test("a listening socket can neither send nor receive", () => {
  using place = new Place("AF_INET");
  using listener = place.listening();
  expect(failure(() => listener.recv(1))).toEqual(["ENOTCONN", "recv"]);
  expect(failure(() => listener.send("x"))).toEqual(["EPIPE", "send"]);
  expect(failure(() => listener.connect(listener.getsockname()))).toEqual(["EISCONN", "connect"]);
});
