// Streams in every family: bind, listen, connect, accept, and all pairs of send and receive calls.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { EPOLLIN, SHUT_WR, SOCK_STREAM } from "../../../src/kernel/constants.ts";
import { Socket } from "../../../src/io/socket.ts";
import { accepted, eventually, everySocketIsClosed, kinds, orNull, Place, text, until } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

describe.each(kinds)("a stream socket of %s", (kind) => {
  test("getsockname returns the address passed to bind", () => {
    using place = new Place(kind);
    using socket = new Socket(place.family, SOCK_STREAM);
    const address = place.fresh();
    socket.bind(address);
    const name: object = socket.getsockname();
    if ("path" in address) {
      expect(name).toEqual(address);
    } else {
      expect(name).toEqual({ ...address, port: expect.any(Number), family: kind === "AF_INET" ? "IPv4" : "IPv6" });
      expect((name as { port: number }).port).toBeGreaterThan(0);
    }
  });

  test("has its family and type as properties", () => {
    using place = new Place(kind);
    using socket = new Socket(place.family, SOCK_STREAM);
    expect([socket.family, socket.type, socket.closed]).toEqual([place.family, SOCK_STREAM, false]);
  });

  test("accept returns null if no connection is waiting", () => {
    using place = new Place(kind);
    using listener = place.listening();
    expect(listener.accept()).toBeNull();
  });

  test("a connection makes the listening socket readable, and is accepted", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using client = new Socket(place.family, SOCK_STREAM);
    client.connect(listener.getsockname());
    expect(until(listener, EPOLLIN)).toBe(EPOLLIN);
    using server = listener.accept()?.socket;
    expect(server).toBeInstanceOf(Socket);
    expect(listener.accept()).toBeNull();
  });

  test("accept returns a socket of the same family and type", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect([pair.server.family, pair.server.type]).toEqual([place.family, SOCK_STREAM]);
  });

  test("accept returns the client's address", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using client = place.bound();
    client.connect(listener.getsockname());
    const { socket, address } = accepted(listener);
    using _server = socket;
    expect(address).toEqual(client.getsockname());
  });

  test("getpeername of each end is getsockname of the other", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using client = place.bound();
    client.connect(listener.getsockname());
    using server = accepted(listener).socket;
    expect(client.getpeername()).toEqual(server.getsockname());
    expect(server.getpeername()).toEqual(client.getsockname());
  });

  test("accepts connections in order", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using stack = new DisposableStack();
    const names = Array.from({ length: 10 }, () => {
      const client = stack.use(place.bound());
      client.connect(listener.getsockname());
      const { socket, address } = accepted(listener);
      stack.use(socket);
      return [client.getsockname(), address];
    });
    for (const [own, seen] of names) expect(seen).toEqual(own);
  });

  test("send and recv transfer bytes in both directions", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(pair.client.send(Buffer.from("to the server"))).toBe(13);
    expect(text(eventually(pair.server, () => pair.server.recv(100)))).toBe("to the server");
    expect(pair.server.send("to the client")).toBe(13);
    expect(text(eventually(pair.client, () => pair.client.recv(100)))).toBe("to the client");
  });

  test("recv returns at most `size` bytes", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.send("abcdef");
    expect(text(eventually(pair.server, () => pair.server.recv(4)))).toBe("abcd");
    expect(text(pair.server.recv(4))).toBe("ef");
    expect(pair.server.recv(4)).toBeNull();
  });

  test("recvInto fills an existing buffer and returns the number of bytes", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.send("abc");
    const buffer = new Uint8Array(5).fill(0xff);
    expect(eventually(pair.server, () => orNull(pair.server.recvInto(buffer)))).toBe(3);
    expect([...buffer]).toEqual([97, 98, 99, 0xff, 0xff]);
  });

  test("sendmsg sends several buffers, which recvmsg receives as one", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(pair.client.sendmsg(["one ", Buffer.from("two "), new Uint8Array([51])])).toBe(9);
    const message = eventually(pair.server, () => pair.server.recvmsg(100));
    expect(text(message.data)).toBe("one two 3");
    expect(message.flags).toBe(0);
  });

  test("recvfrom and recvmsg return the empty path for an unnamed client", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.send("ab");
    expect(eventually(pair.server, () => pair.server.recvfrom(1))).toEqual({
      data: new Uint8Array([97]),
      address: { path: "" },
    });
    expect(pair.server.recvmsg(1)).toEqual({
      data: new Uint8Array([98]),
      address: { path: "" },
      flags: 0,
      ancillary: [],
    });
  });

  test("recv returns an empty array at the end of the stream, repeatedly", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_WR);
    expect(eventually(pair.server, () => pair.server.recv(10))).toEqual(new Uint8Array(0));
    expect(pair.server.recv(10)).toEqual(new Uint8Array(0));
    expect(pair.server.recvInto(new Uint8Array(10))).toBe(0);
    expect(pair.server.recvfrom(10)?.data).toEqual(new Uint8Array(0));
    expect(pair.server.recvmsg(10)?.data).toEqual(new Uint8Array(0));
  });

  test("after the peer has closed, recv returns its data, then end of stream", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.send("last words");
    pair.client.close();
    expect(text(eventually(pair.server, () => pair.server.recv(100)))).toBe("last words");
    expect(eventually(pair.server, () => pair.server.recv(100))).toHaveLength(0);
  });

  test("`using` closes the socket at the end of the block", () => {
    using place = new Place(kind);
    let socket: Socket;
    {
      using inner = place.listening();
      socket = inner;
    }
    expect(socket.closed).toBe(true);
  });
});

test("close does not remove the socket file", () => {
  using place = new Place("AF_UNIX path");
  const path = place.path("left");
  using socket = new Socket(place.family);
  socket.bind({ path });
  socket.close();
  expect(existsSync(path)).toBe(true);
});

test("an abstract name can be reused after close", () => {
  using place = new Place("AF_UNIX abstract");
  using first = place.bound();
  const name = first.getsockname();
  first.close();
  using second = new Socket(place.family);
  second.bind(name);
  expect(second.getsockname()).toEqual(name);
});

test("bind to an empty path binds to an abstract name chosen by the kernel", () => {
  using place = new Place("AF_UNIX abstract");
  using socket = new Socket(place.family);
  socket.bind({ path: "" });
  expect(socket.getsockname()).toEqual({ path: expect.stringMatching(/^\0[0-9a-f]{5}$/) });
});

test("bind without an address binds to the wildcard address", () => {
  using four = new Socket(new Place("AF_INET").family);
  using six = new Socket(new Place("AF_INET6").family);
  four.bind({ port: 0 });
  six.bind({ port: 0 });
  expect(four.getsockname()).toMatchObject({ address: "0.0.0.0", family: "IPv4" });
  expect(six.getsockname()).toMatchObject({ address: "::", family: "IPv6" });
});

test("getsockname of an unbound socket returns the wildcard address and port 0, or an empty path", () => {
  const names = kinds.map((kind) => {
    using socket = new Socket(new Place(kind).family);
    return socket.getsockname();
  });
  expect(names).toEqual([
    { address: "0.0.0.0", port: 0, family: "IPv4" },
    { address: "::", port: 0, family: "IPv6" },
    { path: "" },
    { path: "" },
  ]);
});

test("`new Socket()` creates an IPv4 stream socket", () => {
  using socket = new Socket();
  expect([socket.family, socket.type]).toEqual([2, 1]);
});
