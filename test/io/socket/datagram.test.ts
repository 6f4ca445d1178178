// Datagrams in every family: all pairs of send and receive calls, with and without a peer.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, EPOLLOUT, SOCK_DGRAM } from "../../../src/kernel/constants.ts";
import { Socket } from "../../../src/io/socket.ts";
import { WOULD_BLOCK } from "../../../src/io/transfer.ts";
import {
  eventually,
  everySocketIsClosed,
  kinds,
  orNull,
  Place,
  readiness,
  text,
  until,
} from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

describe.each(kinds)("a datagram socket of %s", (kind) => {
  test("recvfrom returns a datagram sent by sendto, with the sender's address", () => {
    using place = new Place(kind);
    using sender = place.bound(SOCK_DGRAM);
    using receiver = place.bound(SOCK_DGRAM);
    expect(sender.sendto("hello", receiver.getsockname())).toBe(5);
    expect(until(receiver, EPOLLIN)).toBe(EPOLLIN);
    const { data, address } = eventually(receiver, () => receiver.recvfrom(100));
    expect(text(data)).toBe("hello");
    expect(address).toEqual(sender.getsockname());
  });

  test("a datagram sent to the address from recvfrom arrives", () => {
    using place = new Place(kind);
    using first = place.bound(SOCK_DGRAM);
    using second = place.bound(SOCK_DGRAM);
    first.sendto("ping", second.getsockname());
    const { address } = eventually(second, () => second.recvfrom(10));
    second.sendto("pong", address);
    expect(text(eventually(first, () => first.recv(10)))).toBe("pong");
  });

  test("connect sets the peer immediately and returns true", () => {
    using place = new Place(kind);
    using socket = place.bound(SOCK_DGRAM);
    using peer = place.bound(SOCK_DGRAM);
    expect(socket.connect(peer.getsockname())).toBe(true);
    expect(socket.getpeername()).toEqual(peer.getsockname());
  });

  test("connecting again changes the peer", () => {
    using place = new Place(kind);
    using socket = place.bound(SOCK_DGRAM);
    using first = place.bound(SOCK_DGRAM);
    using second = place.bound(SOCK_DGRAM);
    socket.connect(first.getsockname());
    socket.connect(second.getsockname());
    socket.send("for the second");
    expect(text(eventually(second, () => second.recv(100)))).toBe("for the second");
    expect(first.recv(100)).toBeNull();
  });

  test("send and recv exchange datagrams between peers", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    expect(pair.client.send("ping")).toBe(4);
    expect(text(eventually(pair.server, () => pair.server.recv(100)))).toBe("ping");
    pair.server.send(Buffer.from("pong"));
    expect(text(eventually(pair.client, () => pair.client.recv(100)))).toBe("pong");
  });

  test("datagrams are received separately and in order", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.send("one");
    pair.client.send("two");
    expect(text(eventually(pair.server, () => pair.server.recv(100)))).toBe("one");
    expect(text(eventually(pair.server, () => pair.server.recv(100)))).toBe("two");
    expect(pair.server.recv(100)).toBeNull();
  });

  test("recvInto fills an existing buffer", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.send("abc");
    const buffer = new Uint8Array(4).fill(0xff);
    expect(eventually(pair.server, () => orNull(pair.server.recvInto(buffer)))).toBe(3);
    expect([...buffer]).toEqual([97, 98, 99, 0xff]);
  });

  test("recvmsg returns a datagram sent by sendmsg, with the sender's address", () => {
    using place = new Place(kind);
    using sender = place.bound(SOCK_DGRAM);
    using receiver = place.bound(SOCK_DGRAM);
    expect(sender.sendmsg(["a", "b", "c"], [], 0, receiver.getsockname())).toBe(3);
    expect(eventually(receiver, () => receiver.recvmsg(100))).toEqual({
      data: new Uint8Array([97, 98, 99]),
      address: sender.getsockname(),
      flags: 0,
      ancillary: [],
    });
  });

  test("several buffers of sendmsg arrive as one datagram", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    expect(pair.client.sendmsg([new Uint8Array([1, 2]), new Uint8Array(0), Buffer.from([3])])).toBe(3);
    expect(eventually(pair.server, () => pair.server.recv(100))).toEqual(new Uint8Array([1, 2, 3]));
    expect(pair.server.recv(100)).toBeNull();
  });

  test("receiving returns null or WOULD_BLOCK if no datagram has arrived", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    expect(pair.server.recv(10)).toBeNull();
    expect(pair.server.recvfrom(10)).toBeNull();
    expect(pair.server.recvmsg(10)).toBeNull();
    expect(pair.server.recvInto(new Uint8Array(10))).toBe(WOULD_BLOCK);
  });

  test("an empty datagram is received as an empty array, not null", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    expect(pair.client.send("")).toBe(0);
    expect(pair.client.sendmsg([])).toBe(0);
    expect(pair.client.send(new Uint8Array(0))).toBe(0);
    expect(eventually(pair.server, () => pair.server.recv(10))).toEqual(new Uint8Array(0));
    expect(eventually(pair.server, () => pair.server.recvfrom(10))).toEqual({
      data: new Uint8Array(0),
      address: pair.client.getsockname(),
    });
    expect(eventually(pair.server, () => orNull(pair.server.recvInto(new Uint8Array(10))))).toBe(0);
    expect(pair.server.recv(10)).toBeNull();
  });

  test("is writable while its send queue is empty", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    expect(readiness(pair.client, EPOLLIN | EPOLLOUT)).toBe(EPOLLOUT);
  });

  test("has its type as a property, and `using` closes it", () => {
    using place = new Place(kind);
    let socket: Socket;
    {
      using inner = place.bound(SOCK_DGRAM);
      socket = inner;
      expect(inner.type).toBe(SOCK_DGRAM);
    }
    expect(socket.closed).toBe(true);
  });
});

describe.each(["AF_UNIX path", "AF_UNIX abstract"] as const)("an unnamed sender of %s", (kind) => {
  test("has an empty path in recvfrom and recvmsg", () => {
    using place = new Place(kind);
    using sender = new Socket(place.family, SOCK_DGRAM);
    using receiver = place.bound(SOCK_DGRAM);
    sender.sendto("a", receiver.getsockname());
    sender.sendto("b", receiver.getsockname());
    expect(receiver.recvfrom(10)).toEqual({ data: new Uint8Array([97]), address: { path: "" } });
    expect(receiver.recvmsg(10)?.address).toEqual({ path: "" });
  });
});
