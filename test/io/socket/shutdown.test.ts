// shutdown of one or both directions, in every family.

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

describe.each(kinds)("a stream socket of %s", (kind) => {
  test("SHUT_WR ends the peer's stream and leaves the other direction open", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_WR);
    expect(eventually(pair.server, () => pair.server.recv(10))).toHaveLength(0);
    pair.server.send("still here");
    expect(text(eventually(pair.client, () => pair.client.recv(100)))).toBe("still here");
  });

  test("SHUT_WR is reported to the peer as EPOLLIN|EPOLLRDHUP", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_WR);
    until(pair.server, EPOLLRDHUP);
    expect(readiness(pair.server, EPOLLIN | EPOLLRDHUP)).toBe(EPOLLIN | EPOLLRDHUP);
  });

  test("send fails with EPIPE after SHUT_WR", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_WR);
    expect(failure(() => pair.client.send("x"))).toEqual(["EPIPE", "send"]);
    expect(failure(() => pair.client.sendmsg(["x"]))).toEqual(["EPIPE", "sendmsg"]);
  });

  test("recv returns end of stream after SHUT_RD, and sending is still possible", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_RD);
    expect(pair.client.recv(10)).toHaveLength(0);
    expect(pair.client.send("out")).toBe(3);
    expect(text(eventually(pair.server, () => pair.server.recv(10)))).toBe("out");
  });

  test("SHUT_RDWR ends both directions and is reported as EPOLLHUP", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.shutdown(SHUT_RDWR);
    expect(pair.client.recv(10)).toHaveLength(0);
    expect(failure(() => pair.client.send("x"))).toEqual(["EPIPE", "send"]);
    expect(eventually(pair.server, () => pair.server.recv(10))).toHaveLength(0);
    pair.server.shutdown(SHUT_WR);
    expect(until(pair.client, EPOLLHUP) & EPOLLHUP).toBe(EPOLLHUP);
  });

  test("data received before SHUT_WR of the peer can still be read", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.send("before");
    pair.client.shutdown(SHUT_WR);
    expect(text(eventually(pair.server, () => pair.server.recv(100)))).toBe("before");
  });

  test("an invalid direction is rejected", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(() => pair.client.shutdown(3)).toThrow("how must be an integer from 0 to 2: SHUT_RD, SHUT_WR or SHUT_RDWR");
  });

  test("shutdown of an unconnected socket fails with ENOTCONN", () => {
    using place = new Place(kind);
    using socket = new Socket(place.family);
    // AF_UNIX allows it: unix_shutdown() does not check for a peer.
    if (kind.startsWith("AF_UNIX")) expect(() => socket.shutdown(SHUT_WR)).not.toThrow();
    else expect(failure(() => socket.shutdown(SHUT_WR))).toEqual(["ENOTCONN", "shutdown"]);
  });
});

describe.each(kinds)("a datagram socket of %s", (kind) => {
  test("send fails with EPIPE after SHUT_WR, and receiving is still possible", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.shutdown(SHUT_WR);
    expect(failure(() => pair.client.send("x"))).toEqual(["EPIPE", "send"]);
    pair.server.send("in");
    expect(text(eventually(pair.client, () => pair.client.recv(10)))).toBe("in");
  });

  test("SHUT_RD wakes a reader, which receives no bytes", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.shutdown(SHUT_RD);
    expect(until(pair.client, EPOLLIN) & EPOLLIN).toBe(EPOLLIN);
    expect(pair.client.recv(10) ?? new Uint8Array(0)).toHaveLength(0);
  });
});

test("a listening socket accepts no connections after shutdown", () => {
  using place = new Place("AF_INET");
  using listener = place.listening();
  listener.shutdown(SHUT_RDWR);
  expect(failure(() => listener.accept())).toEqual(["EINVAL", "accept4"]);
});

test("each end of a pair can shut down both directions", () => {
  using pair = new Pair(...socketpair(1, SOCK_DGRAM));
  pair.client.shutdown(SHUT_WR);
  pair.server.shutdown(SHUT_WR);
  expect(failure(() => pair.client.send("x"))).toEqual(["EPIPE", "send"]);
  expect(failure(() => pair.server.send("x"))).toEqual(["EPIPE", "send"]);
  expect(readiness(pair.client, EPOLLOUT) & EPOLLOUT).toBe(EPOLLOUT);
});
