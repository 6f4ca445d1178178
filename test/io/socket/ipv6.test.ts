// IPv6: both stacks on one socket or not, and the zones of link-local addresses.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { networkInterfaces } from "node:os";
import {
  AF_INET,
  AF_INET6,
  EPOLLERR,
  EPOLLOUT,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_ERROR,
  SOCK_DGRAM,
  SOL_SOCKET,
} from "../../../src/kernel/constants.ts";
import { Socket } from "../../../src/io/socket.ts";
import { accepted, eventually, everySocketIsClosed, failure, freePort, Place, until } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

/** A listener on the wildcard, for both stacks or for IPv6 alone, and its port. */
function listenOnAll(v6Only: boolean, at = 0): { listener: Socket; port: number } {
  const listener = new Socket(AF_INET6);
  listener.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, v6Only);
  listener.bind({ address: "::", port: at });
  listener.listen();
  return { listener, port: (listener.getsockname() as { port: number }).port };
}

test("a socket on ::1 is named so, on both ends", () => {
  using place = new Place("AF_INET6");
  using pair = place.connected();
  expect(pair.client.getpeername()).toMatchObject({ address: "::1", family: "IPv6" });
  expect(pair.server.getpeername()).toMatchObject({ address: "::1", family: "IPv6" });
});

test("with IPV6_V6ONLY off, :: takes an IPv4 client, whose address reads ::ffff:127.0.0.1", () => {
  const { listener, port } = listenOnAll(false);
  using _listener = listener;
  using client = new Socket(AF_INET);
  client.connect({ address: "127.0.0.1", port });
  const { socket, address } = accepted(listener);
  using server = socket;
  const clientPort = (client.getsockname() as { port: number }).port;
  expect(address).toEqual({ address: "::ffff:127.0.0.1", port: clientPort, family: "IPv6" });
  expect(server.getpeername()).toEqual(address);
  expect(server.getsockname()).toMatchObject({ address: "::ffff:127.0.0.1" });
});

test("with IPV6_V6ONLY off, :: takes an IPv6 client too", () => {
  const { listener, port } = listenOnAll(false);
  using _listener = listener;
  using client = new Socket(AF_INET6);
  client.connect({ address: "::1", port });
  const { socket, address } = accepted(listener);
  using _server = socket;
  expect(address).toMatchObject({ address: "::1" });
});

test("with IPV6_V6ONLY on, :: refuses an IPv4 client", () => {
  const { listener, port } = listenOnAll(true);
  using _listener = listener;
  using client = new Socket(AF_INET);
  client.connect({ address: "127.0.0.1", port });
  expect(until(client, EPOLLOUT) & EPOLLERR).toBe(EPOLLERR);
  expect(client.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(111);
});

test("with IPV6_V6ONLY on, the port is free for IPv4", () => {
  const { listener, port } = listenOnAll(true, freePort("127.0.0.1", "::1"));
  using _listener = listener;
  using four = new Socket(AF_INET);
  four.bind({ address: "127.0.0.1", port });
  four.listen();
  expect(four.getsockname()).toMatchObject({ port });
});

test("with IPV6_V6ONLY off, the port is taken for IPv4 too", () => {
  const { listener, port } = listenOnAll(false);
  using _listener = listener;
  using four = new Socket(AF_INET);
  expect(failure(() => four.bind({ address: "127.0.0.1", port }))).toEqual(["EADDRINUSE", "bind"]);
});

test("a datagram to an IPv4 address through IPv6 arrives, and the sender reads ::ffff:127.0.0.1", () => {
  using receiver = new Socket(AF_INET6, SOCK_DGRAM);
  receiver.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, false);
  receiver.bind({ port: 0 });
  using sender = new Socket(AF_INET, SOCK_DGRAM);
  sender.bind({ address: "127.0.0.1", port: 0 });
  sender.sendto("x", { address: "127.0.0.1", port: (receiver.getsockname() as { port: number }).port });
  const { address } = eventually(receiver, () => receiver.recvfrom(10));
  expect(address).toEqual({ ...sender.getsockname(), address: "::ffff:127.0.0.1", family: "IPv6" });
});

describe("a zone", () => {
  test("is kept for an address that is not link-local only as the kernel keeps it: not at all", () => {
    for (const address of ["::1%lo", "::1%1"]) {
      using socket = new Socket(AF_INET6);
      socket.bind({ address, port: 0 });
      expect(socket.getsockname()).toEqual({ address: "::1", port: expect.any(Number), family: "IPv6" });
    }
  });

  test("that no interface has is ENODEV when it is a number", () => {
    using socket = new Socket(AF_INET6);
    const result = failure(() => socket.bind({ address: "fe80::1%2147483000", port: 0 }));
    expect(result).toEqual(["ENODEV", "bind"]);
  });

  test("is missing for a link-local address: EINVAL", () => {
    using socket = new Socket(AF_INET6);
    expect(failure(() => socket.bind({ address: "fe80::1", port: 0 }))).toEqual(["EINVAL", "bind"]);
  });

  test("of lo has no such address: EADDRNOTAVAIL", () => {
    using socket = new Socket(AF_INET6);
    expect(failure(() => socket.bind({ address: "fe80::1%1", port: 0 }))).toEqual(["EADDRNOTAVAIL", "bind"]);
    expect(failure(() => socket.bind({ address: "fe80::1", port: 0, scopeId: 1 }))).toEqual(["EADDRNOTAVAIL", "bind"]);
  });
});

/** A link-local address of this machine, if it has one. */
const linkLocal = Object.entries(networkInterfaces())
  .flatMap(([name, addresses]) => (addresses ?? []).map((address) => ({ name, ...address })))
  .find((address) => address.family === "IPv6" && address.address.startsWith("fe80:") && address.scopeid);

describe.skipIf(linkLocal === undefined)("a link-local address of this machine", () => {
  const {
    name = "",
    address = "",
    scopeid = 0,
  } = (linkLocal ?? {}) as { name?: string; address?: string; scopeid?: number };

  test("is bound with its zone as a name, whatever else the interface has", () => {
    using socket = new Socket(AF_INET6);
    socket.bind({ address: `${address}%${name}`, port: 0 });
    expect(socket.getsockname()).toMatchObject({ address, scopeId: scopeid, family: "IPv6" });
  });

  test("is bound with its zone as a number", () => {
    using socket = new Socket(AF_INET6);
    socket.bind({ address: `${address}%${scopeid}`, port: 0 });
    expect(socket.getsockname()).toMatchObject({ address, scopeId: scopeid });
  });

  test("is bound with scopeId, which goes before a zone", () => {
    using socket = new Socket(AF_INET6);
    socket.bind({ address: `${address}%1`, port: 0, scopeId: scopeid });
    expect(socket.getsockname()).toMatchObject({ address, scopeId: scopeid });
  });

  test("connects to itself, and the peer's address carries the scope id", () => {
    using listener = new Socket(AF_INET6);
    listener.bind({ address, scopeId: scopeid, port: 0 });
    listener.listen();
    using client = new Socket(AF_INET6);
    client.connect(listener.getsockname());
    const { socket, address: peer } = accepted(listener);
    using _server = socket;
    expect(peer).toEqual(client.getsockname());
    expect(peer).toMatchObject({ address, scopeId: scopeid });
  });
});
