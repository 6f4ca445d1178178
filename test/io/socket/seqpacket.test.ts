// SOCK_SEQPACKET: connections like those of a stream, with message boundaries like those of datagrams.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { AF_UNIX, EPOLLIN, MSG_EOR, MSG_TRUNC, SHUT_WR, SOCK_SEQPACKET } from "../../../src/kernel/constants.ts";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import { WOULD_BLOCK } from "../../../src/io/transfer.ts";
import { accepted, everySocketIsClosed, Pair, Place, readiness, text } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

describe.each(["AF_UNIX path", "AF_UNIX abstract"] as const)("SOCK_SEQPACKET of %s", (kind) => {
  test("is accepted with the client's address and type SOCK_SEQPACKET", () => {
    using place = new Place(kind);
    using listener = place.listening(undefined, SOCK_SEQPACKET);
    using client = place.bound(SOCK_SEQPACKET);
    expect(client.connect(listener.getsockname())).toBe(true);
    const { socket, address } = accepted(listener);
    using server = socket;
    expect(server.type).toBe(SOCK_SEQPACKET);
    expect(address).toEqual(client.getsockname());
    expect(client.getpeername()).toEqual(listener.getsockname());
  });

  test("preserves message boundaries", () => {
    using place = new Place(kind);
    using pair = place.connected(SOCK_SEQPACKET);
    pair.client.send("one");
    pair.client.sendmsg(["tw", "o"]);
    expect([text(pair.server.recv(100)), text(pair.server.recv(100)), pair.server.recv(100)]).toEqual([
      "one",
      "two",
      null,
    ]);
  });

  test("truncates a message that is longer than the buffer, and sets MSG_TRUNC", () => {
    using place = new Place(kind);
    using pair = place.connected(SOCK_SEQPACKET);
    pair.client.send("abcdef");
    const message = pair.server.recvmsg(2);
    expect(text(message?.data)).toBe("ab");
    expect((message?.flags ?? 0) & ~MSG_EOR).toBe(MSG_TRUNC);
    expect(pair.server.recv(10)).toBeNull();
  });

  test("ends like a stream when the peer shuts down writing", () => {
    using place = new Place(kind);
    using pair = place.connected(SOCK_SEQPACKET);
    pair.client.send("last");
    pair.client.shutdown(SHUT_WR);
    expect(text(pair.server.recv(10))).toBe("last");
    expect(pair.server.recv(10)).toHaveLength(0);
  });
});

test("a full SOCK_SEQPACKET socket sends a message completely or not at all", () => {
  using pair = new Pair(...socketpair(AF_UNIX, SOCK_SEQPACKET));
  const message = new Uint8Array(1000).fill(1);
  let sent = 0;
  for (;;) {
    const n = pair.client.send(message);
    if (n === WOULD_BLOCK) break;
    expect(n).toBe(message.length);
    sent++;
  }
  for (let i = 0; i < sent; i++) expect(pair.server.recv(2000)).toHaveLength(1000);
  expect(readiness(pair.server, EPOLLIN)).toBe(0);
});

test("AF_INET does not support SOCK_SEQPACKET", () => {
  expect(() => new Socket(2, SOCK_SEQPACKET)).toThrow("ESOCKTNOSUPPORT: socket type not supported, socket");
});
