// shutdown: each half and both, in every family.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SOCK_DGRAM,
} from "../../../src/kernel/constants.ts";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import {
  eventually,
  everySocketIsClosed,
  failure,
  kinds,
  Pair,
  Place,
  readiness,
  text,
  until,
} from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

describe.each(kinds)("a stream of %s", (kind) => {
  test("SHUT_WR ends the peer's stream and leaves the other way open", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_WR);
    expect(eventually(pair.server, () => pair.server.recv(10))).toHaveLength(0);
    pair.server.send("still here");
    expect(text(eventually(pair.client, () => pair.client.recv(100)))).toBe("still here");
  });

  test("SHUT_WR is EPOLLIN|EPOLLRDHUP to the peer", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_WR);
    until(pair.server, EPOLLRDHUP);
    expect(readiness(pair.server, EPOLLIN | EPOLLRDHUP)).toBe(EPOLLIN | EPOLLRDHUP);
  });

  test("SHUT_WR makes sending an EPIPE", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_WR);
    expect(failure(() => pair.client.send("x"))).toEqual(["EPIPE", "send"]);
    expect(failure(() => pair.client.sendmsg(["x"]))).toEqual(["EPIPE", "sendmsg"]);
  });

  test("SHUT_RD gives the end of the stream where nothing waits, and leaves sending open", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_RD);
    expect(pair.client.recv(10)).toHaveLength(0);
    expect(pair.client.send("out")).toBe(3);
    expect(text(eventually(pair.server, () => pair.server.recv(10)))).toBe("out");
  });

  test("SHUT_RDWR ends both ways, and is EPOLLHUP", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_RDWR);
    expect(pair.client.recv(10)).toHaveLength(0);
    expect(failure(() => pair.client.send("x"))).toEqual(["EPIPE", "send"]);
    expect(eventually(pair.server, () => pair.server.recv(10))).toHaveLength(0);
    pair.server.shutdown(SHUT_WR);
    expect(until(pair.client, EPOLLHUP) & EPOLLHUP).toBe(EPOLLHUP);
  });

  test("what was received before SHUT_WR of the peer is still there to read", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.send("before");
    pair.client.shutdown(SHUT_WR);
    expect(text(eventually(pair.server, () => pair.server.recv(100)))).toBe("before");
  });

  test("a direction outside the three is EINVAL", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(failure(() => pair.client.shutdown(3))).toEqual(["EINVAL", "shutdown"]);
  });

  test("a socket that is not connected is ENOTCONN", () => {
    using place = new Place(kind);
    using socket = new Socket(place.family);
    // AF_UNIX shuts a socket that was never connected without a word: unix_shutdown() asks for no peer.
    if (kind.startsWith("AF_UNIX")) expect(() => socket.shutdown(SHUT_WR)).not.toThrow();
    else expect(failure(() => socket.shutdown(SHUT_WR))).toEqual(["ENOTCONN", "shutdown"]);
  });
});

describe.each(kinds)("a datagram of %s", (kind) => {
  test("SHUT_WR makes sending an EPIPE, and what comes in is still received", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.shutdown(SHUT_WR);
    expect(failure(() => pair.client.send("x"))).toEqual(["EPIPE", "send"]);
    pair.server.send("in");
    expect(text(eventually(pair.client, () => pair.client.recv(10)))).toBe("in");
  });

  test("SHUT_RD wakes a reader with no bytes", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.shutdown(SHUT_RD);
    expect(until(pair.client, EPOLLIN) & EPOLLIN).toBe(EPOLLIN);
    expect(pair.client.recv(10) ?? new Uint8Array(0)).toHaveLength(0);
  });
});

test("a listener that is shut does not accept any more", () => {
  using place = new Place("AF_INET");
  using listener = place.listening();
  listener.shutdown(SHUT_RDWR);
  expect(failure(() => listener.accept())).toEqual(["EINVAL", "accept4"]);
});

test("both halves of a pair can be shut from either end", () => {
  using pair = new Pair(...socketpair(1, SOCK_DGRAM));
  pair.client.shutdown(SHUT_WR);
  pair.server.shutdown(SHUT_WR);
  expect(failure(() => pair.client.send("x"))).toEqual(["EPIPE", "send"]);
  expect(failure(() => pair.server.send("x"))).toEqual(["EPIPE", "send"]);
  expect(readiness(pair.client, EPOLLOUT) & EPOLLOUT).toBe(EPOLLOUT);
});
