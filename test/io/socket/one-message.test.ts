// recvmsg and the MSG_ flags: truncation, peeking and urgent data.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  EPOLLIN,
  EPOLLPRI,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  SO_PASSCRED,
  SOCK_DGRAM,
  SOL_SOCKET,
} from "../../../src/kernel/constants.ts";
import { socketpair } from "../../../src/io/socket.ts";
import { eventually, everySocketIsClosed, kinds, Pair, Place, text, until } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

describe.each(kinds)("a datagram of %s", (kind) => {
  test("that is longer than the buffer is truncated, and MSG_TRUNC is set", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.send("abcdef");
    pair.client.send("next");
    until(pair.server, EPOLLIN);
    expect(pair.server.recvmsg(3)).toMatchObject({ data: new Uint8Array([97, 98, 99]), flags: MSG_TRUNC });
    expect(text(eventually(pair.server, () => pair.server.recvmsg(100))?.data)).toBe("next");
  });

  test("that fits exactly has no flags set", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.send("abc");
    expect(eventually(pair.server, () => pair.server.recvmsg(3)).flags).toBe(0);
  });

  test("that is truncated by recv or recvfrom leaves nothing to receive", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.send("abcdef");
    pair.client.send("ghijkl");
    expect(text(eventually(pair.server, () => pair.server.recv(2)))).toBe("ab");
    expect(text(eventually(pair.server, () => pair.server.recvfrom(2)).data)).toBe("gh");
    expect(pair.server.recv(100)).toBeNull();
  });

  test("is not removed by MSG_PEEK in any receive call", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.send("here");
    until(pair.server, EPOLLIN);
    const buffer = new Uint8Array(100);
    expect(text(pair.server.recv(100, MSG_PEEK))).toBe("here");
    expect(pair.server.recvInto(buffer, MSG_PEEK)).toBe(4);
    expect(text(pair.server.recvfrom(100, MSG_PEEK)?.data)).toBe("here");
    expect(text(pair.server.recvmsg(100, 0, MSG_PEEK)?.data)).toBe("here");
    expect(text(pair.server.recv(100))).toBe("here");
    expect(pair.server.recv(100, MSG_PEEK)).toBeNull();
  });

  test("never has a length greater than the buffer's returned by recvInto, even with MSG_TRUNC", () => {
    using place = new Place(kind);
    using pair = place.datagrams();
    pair.client.send("abcdef");
    until(pair.server, EPOLLIN);
    const buffer = new Uint8Array(4).fill(0xff);
    expect(pair.server.recvInto(buffer.subarray(0, 2), MSG_TRUNC)).toBe(2);
    expect([...buffer]).toEqual([97, 98, 0xff, 0xff]);
  });
});

describe.each(kinds)("a stream of %s", (kind) => {
  test("keeps its bytes after MSG_PEEK", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.send("abc");
    expect(text(eventually(pair.server, () => pair.server.recv(2, MSG_PEEK)))).toBe("ab");
    expect(text(pair.server.recv(10, MSG_DONTWAIT))).toBe("abc");
  });

  test("is never truncated: the rest is received next, without MSG_TRUNC", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.send("abc");
    expect(eventually(pair.server, () => pair.server.recvmsg(2))).toMatchObject({ flags: 0 });
    expect(text(pair.server.recvmsg(2)?.data)).toBe("c");
  });
});

describe.each(["AF_INET", "AF_INET6"] as const)("urgent data over %s", (kind) => {
  test("is reported as EPOLLPRI and received with MSG_OOB, separately from the stream", () => {
    using place = new Place(kind);
    using pair = place.connected();
    pair.client.send("calm");
    pair.client.send("!", MSG_OOB);
    expect(until(pair.server, EPOLLPRI) & EPOLLPRI).toBe(EPOLLPRI);
    expect(text(pair.server.recv(1, MSG_OOB))).toBe("!");
    expect(text(pair.server.recv(100))).toBe("calm");
  });
});

test("MSG_CTRUNC is set if ancillary data does not fit", () => {
  using pair = new Pair(...socketpair(1, SOCK_DGRAM));
  pair.server.setsockopt(SOL_SOCKET, SO_PASSCRED, true);
  pair.client.send("x");
  expect(pair.server.recvmsg(10)?.flags).toBe(MSG_CTRUNC);
});
