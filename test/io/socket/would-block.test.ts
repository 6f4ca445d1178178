// A call that would have to wait returns null, WOULD_BLOCK or false, and never an Error.

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

test("WOULD_BLOCK is -1, which no count of bytes is", () => {
  expect(WOULD_BLOCK).toBe(-1);
});

describe.each(kinds)("an empty stream of %s", (kind) => {
  test("gives null from recv, recvfrom and recvmsg, WOULD_BLOCK from recvInto", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(pair.server.recv(10)).toBeNull();
    expect(pair.server.recvfrom(10)).toBeNull();
    expect(pair.server.recvmsg(10)).toBeNull();
    expect(pair.server.recvInto(new Uint8Array(10))).toBe(WOULD_BLOCK);
  });

  test("is not readable until the peer sends, and not again when it was read", () => {
    using place = new Place(kind);
    using pair = place.connected();
    expect(readiness(pair.server, EPOLLIN)).toBe(0);
    pair.client.send("x");
    expect(until(pair.server, EPOLLIN)).toBe(EPOLLIN);
    pair.server.recv(10);
    expect(readiness(pair.server, EPOLLIN)).toBe(0);
  });
});

/** Send until there is no room; how many bytes were taken, and whether one send took a part only. */
function fill(socket: Socket, chunk: Uint8Array): { taken: number; hadPart: boolean } {
  let taken = 0;
  let hadPart = false;
  for (;;) {
    const n = socket.send(chunk);
    if (n === WOULD_BLOCK) return { taken, hadPart };
    expect(n).toBeGreaterThan(0);
    hadPart ||= n < chunk.length;
    taken += n;
  }
}

describe.each(kinds)("a full stream of %s", (kind) => {
  test("takes a part, then gives WOULD_BLOCK from each way of sending", () => {
    using place = new Place(kind);
    using pair = place.connected();
    const { taken, hadPart } = fill(pair.client, new Uint8Array(1 << 22));
    expect(taken).toBeGreaterThan(0);
    expect(hadPart).toBe(true);
    const big = new Uint8Array(1 << 22);
    // What the peer's kernel takes meanwhile may make room again over TCP: fill and ask until all three agree.
    for (;;) {
      const answers = [pair.client.send(big), pair.client.sendmsg([big]), pair.client.sendmsg([big, "x"])];
      if (answers.every((answer) => answer === WOULD_BLOCK)) break;
      fill(pair.client, big);
    }
  });

  test("is not writable until the peer reads; then EPOLLOUT comes, and it takes more", () => {
    using place = new Place(kind);
    using pair = place.connected();
    let { taken } = fill(pair.client, new Uint8Array(1 << 20));
    while (readiness(pair.client, EPOLLOUT) !== 0) taken += fill(pair.client, new Uint8Array(1 << 20)).taken;
    expect(receiveAll(pair.server, taken)).toHaveLength(taken);
    expect(until(pair.client, EPOLLOUT)).toBe(EPOLLOUT);
    expect(pair.client.send("more")).toBe(4);
  });

  test("kept every byte that it said it took, in order", () => {
    using place = new Place(kind);
    using pair = place.connected();
    let taken = 0;
    for (;;) {
      const n = pair.client.send(pattern(100_000, taken));
      if (n === WOULD_BLOCK) break;
      taken += n;
    }
    expect(Buffer.compare(receiveAll(pair.server, taken), pattern(taken))).toBe(0);
    expect(pair.server.recv(1)).toBeNull();
  });
});

describe.each(["AF_UNIX path", "AF_UNIX abstract"] as const)("a receiver of %s with a full queue", (kind) => {
  test("gives WOULD_BLOCK from send, sendto and sendmsg", () => {
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
])("a full socketpair of %s gives WOULD_BLOCK, and EPOLLOUT when there is room", (_name, type) => {
  using pair = new Pair(...socketpair(AF_UNIX, type));
  const { taken } = fill(pair.client, new Uint8Array(1000));
  expect(readiness(pair.client, EPOLLOUT)).toBe(0);
  for (let received = 0; received < taken;) {
    received += eventually(pair.server, () => pair.server.recv(1000)).length;
  }
  expect(until(pair.client, EPOLLOUT)).toBe(EPOLLOUT);
});

test("accept gives null again after the queue was drained", () => {
  using place = new Place("AF_INET");
  using listener = place.listening();
  using client = new Socket(place.family);
  client.connect(listener.getsockname());
  until(listener, EPOLLIN);
  listener.accept()?.socket.close();
  expect(listener.accept()).toBeNull();
});

test("a unix listener with a full backlog is EAGAIN for connect, which is not under way", () => {
  using place = new Place("AF_UNIX path");
  using listener = place.listening(0);
  using waiting = new Socket(AF_UNIX);
  using turnedAway = new Socket(AF_UNIX);
  expect(waiting.connect(listener.getsockname())).toBe(true);
  expect(failure(() => turnedAway.connect(listener.getsockname()))).toEqual(["EAGAIN", "connect"]);
  listener.accept()?.socket.close();
  expect(turnedAway.connect(listener.getsockname())).toBe(true);
});
