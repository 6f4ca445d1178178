// Calls that would block return null, WOULD_BLOCK or false, and never throw.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { AF_UNIX, EPOLLIN, EPOLLOUT, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM } from "../../../src/kernel/constants.ts";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import { WOULD_BLOCK } from "../../../src/io/transfer.ts";
import {
  eventually,
  everySocketIsClosed,
  failure,
  kinds,
  Pair,
  pattern,
  Place,
  readiness,
  receiveAll,
  until,
} from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

test("WOULD_BLOCK is -1, which is never a number of bytes", () => {
  expect(WOULD_BLOCK).toBe(-1);
});

describe.each(kinds)("a stream socket of %s with an empty receive queue", (kind) => {
  test("returns null from recv, recvfrom and recvmsg, and WOULD_BLOCK from recvInto", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(pair.server.recv(10)).toBeNull();
    expect(pair.server.recvfrom(10)).toBeNull();
    expect(pair.server.recvmsg(10)).toBeNull();
    expect(pair.server.recvInto(new Uint8Array(10))).toBe(WOULD_BLOCK);
  });

  test("becomes readable when the peer sends, until the data is read", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(readiness(pair.server, EPOLLIN)).toBe(0);
    pair.client.send("x");
    expect(until(pair.server, EPOLLIN)).toBe(EPOLLIN);
    pair.server.recv(10);
    expect(readiness(pair.server, EPOLLIN)).toBe(0);
  });
});

/** Sends until the send buffer is full. Returns the number of bytes, and whether a send was partial. */
function fill(socket: Socket, chunk: Uint8Array): { sent: number; wasPartial: boolean } {
  let sent = 0;
  let wasPartial = false;
  for (;;) {
    const n = socket.send(chunk);
    if (n === WOULD_BLOCK) return { sent, wasPartial };
    expect(n).toBeGreaterThan(0);
    wasPartial ||= n < chunk.length;
    sent += n;
  }
}

describe.each(kinds)("a stream socket of %s with a full send buffer", (kind) => {
  test("sends partially, then returns WOULD_BLOCK from all send methods", () => {
    using place = new Place(kind);
    using pair = place.connected();
    const { sent, wasPartial } = fill(pair.client, new Uint8Array(1 << 22));
    expect(sent).toBeGreaterThan(0);
    expect(wasPartial).toBe(true);
    const big = new Uint8Array(1 << 22);
    // Over TCP, space can become available in the meantime: fill it and retry until all three return WOULD_BLOCK.
    for (;;) {
      const results = [pair.client.send(big), pair.client.sendmsg([big]), pair.client.sendmsg([big, "x"])];
      if (results.every((result) => result === WOULD_BLOCK)) break;
      fill(pair.client, big);
    }
  });

  test("becomes writable when the peer reads, and then sends more", () => {
    using place = new Place(kind);
    using pair = place.connected();
    let { sent } = fill(pair.client, new Uint8Array(1 << 20));
    while (readiness(pair.client, EPOLLOUT) !== 0) sent += fill(pair.client, new Uint8Array(1 << 20)).sent;
    expect(receiveAll(pair.server, sent)).toHaveLength(sent);
    expect(until(pair.client, EPOLLOUT)).toBe(EPOLLOUT);
    expect(pair.client.send("more")).toBe(4);
  });

  test("delivers all bytes that were sent, in order", () => {
    using place = new Place(kind);
    using pair = place.connected();
    let sent = 0;
    for (;;) {
      const n = pair.client.send(pattern(100_000, sent));
      if (n === WOULD_BLOCK) break;
      sent += n;
    }
    expect(Buffer.compare(receiveAll(pair.server, sent), pattern(sent))).toBe(0);
    expect(pair.server.recv(1)).toBeNull();
  });
});

describe.each(["AF_UNIX path", "AF_UNIX abstract"] as const)("a receiver of %s with a full receive queue", (kind) => {
  test("makes send, sendto and sendmsg return WOULD_BLOCK", () => {
    using place = new Place(kind);
    using receiver = place.bound(SOCK_DGRAM);
    using connected = new Socket(AF_UNIX, SOCK_DGRAM);
    using other = new Socket(AF_UNIX, SOCK_DGRAM);
    connected.connect(receiver.getsockname());
    fill(connected, new Uint8Array(10));
    expect(connected.sendmsg(["x"])).toBe(WOULD_BLOCK);
    expect(other.sendto("x", receiver.getsockname())).toBe(WOULD_BLOCK);
    expect(other.sendmsg(["x"], [], 0, receiver.getsockname())).toBe(WOULD_BLOCK);
  });

  test("makes its peer writable again when it reads", () => {
    using place = new Place(kind);
    using receiver = place.bound(SOCK_DGRAM);
    using sender = new Socket(AF_UNIX, SOCK_DGRAM);
    sender.connect(receiver.getsockname());
    fill(sender, new Uint8Array(10));
    expect(readiness(sender, EPOLLOUT)).toBe(0);
    while (receiver.recv(10) !== null);
    expect(until(sender, EPOLLOUT)).toBe(EPOLLOUT);
    expect(sender.send("x")).toBe(1);
  });
});

test.each([
  ["SOCK_STREAM", SOCK_STREAM],
  ["SOCK_DGRAM", SOCK_DGRAM],
  ["SOCK_SEQPACKET", SOCK_SEQPACKET],
])("a full socketpair of %s returns WOULD_BLOCK until EPOLLOUT is reported", (_name, type) => {
  using pair = new Pair(...socketpair(AF_UNIX, type));
  const { sent } = fill(pair.client, new Uint8Array(1000));
  expect(readiness(pair.client, EPOLLOUT)).toBe(0);
  for (let received = 0; received < sent;) {
    received += eventually(pair.server, () => pair.server.recv(1000)).length;
  }
  expect(until(pair.client, EPOLLOUT)).toBe(EPOLLOUT);
});

test("accept returns null after the backlog has been drained", () => {
  using place = new Place("AF_INET");
  using listener = place.listening();
  using client = new Socket(place.family);
  client.connect(listener.getsockname());
  until(listener, EPOLLIN);
  listener.accept()?.socket.close();
  expect(listener.accept()).toBeNull();
});

test("connect to a unix socket with a full backlog fails with EAGAIN", () => {
  using place = new Place("AF_UNIX path");
  using listener = place.listening(0);
  using first = new Socket(AF_UNIX);
  using second = new Socket(AF_UNIX);
  expect(first.connect(listener.getsockname())).toBe(true);
  expect(failure(() => second.connect(listener.getsockname()))).toEqual(["EAGAIN", "connect"]);
  listener.accept()?.socket.close();
  expect(second.connect(listener.getsockname())).toBe(true);
});
