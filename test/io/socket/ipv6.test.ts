// IPv6: dual-stack sockets, and zones of link-local addresses.

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
import type { InternetAddress } from "../../../src/kernel/address.ts";
import { Socket } from "../../../src/io/socket.ts";
import { accepted, eventually, everySocketIsClosed, failure, freePort, Place, until } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

/** Creates a listening socket on ::, dual-stack or for IPv6 only. Returns it with its port. */
function listenOnAll(v6Only: boolean, at = 0): { listener: Socket; port: number } {
  const listener = new Socket(AF_INET6);
  listener.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, v6Only);
  listener.bind({ address: "::", port: at });
  listener.listen();
  return { listener, port: (listener.getsockname() as { port: number }).port };
}

test("both ends of a connection to ::1 have that address", () => {
  using place = new Place("AF_INET6");
  using pair = place.connected();
  expect(pair.client.getpeername()).toMatchObject({ address: "::1", family: "IPv6" });
  expect(pair.server.getpeername()).toMatchObject({ address: "::1", family: "IPv6" });
});

test("with IPV6_V6ONLY off, :: accepts an IPv4 client as ::ffff:127.0.0.1", () => {
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

test("with IPV6_V6ONLY off, :: accepts an IPv6 client", () => {
  const { listener, port } = listenOnAll(false);
  using _listener = listener;
  using client = new Socket(AF_INET6);
  client.connect({ address: "::1", port });
  const { socket, address } = accepted(listener);
  using _server = socket;
  expect(address).toMatchObject({ address: "::1" });
});

test("with IPV6_V6ONLY on, :: does not accept an IPv4 client", () => {
  // A socket that is bound but does not listen keeps other programs from listening at this port.
  using reserved = new Socket(AF_INET);
  const { listener, port } = listenOnAll(true, freePort("127.0.0.1", "::1"));
  using _listener = listener;
  reserved.bind({ address: "127.0.0.1", port });
  using client = new Socket(AF_INET);
  client.connect({ address: "127.0.0.1", port });
  expect(until(client, EPOLLOUT) & EPOLLERR).toBe(EPOLLERR);
  expect(client.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(111);
});

test("with IPV6_V6ONLY on, the port stays free for IPv4", () => {
  const { listener, port } = listenOnAll(true, freePort("127.0.0.1", "::1"));
  using _listener = listener;
  using four = new Socket(AF_INET);
  four.bind({ address: "127.0.0.1", port });
  four.listen();
  expect(four.getsockname()).toMatchObject({ port });
});

test("with IPV6_V6ONLY off, the port is also in use for IPv4", () => {
  const { listener, port } = listenOnAll(false);
  using _listener = listener;
  using four = new Socket(AF_INET);
  expect(failure(() => four.bind({ address: "127.0.0.1", port }))).toEqual(["EADDRINUSE", "bind"]);
});

test("an IPv6 socket sends a datagram to a mapped IPv4 address", () => {
  using receiver = new Socket(AF_INET6, SOCK_DGRAM);
  receiver.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, false);
  receiver.bind({ port: 0 });
  using sender = new Socket(AF_INET, SOCK_DGRAM);
  sender.bind({ address: "127.0.0.1", port: 0 });
  sender.sendto("x", { address: "127.0.0.1", port: (receiver.getsockname() as { port: number }).port });
  const { address } = eventually(receiver, () => receiver.recvfrom(10));
  expect(address).toEqual({
    ...(sender.getsockname() as InternetAddress),
    address: "::ffff:127.0.0.1",
    family: "IPv6",
  });
});

describe("a zone", () => {
  test("is dropped by the kernel for an address that is not link-local", () => {
    for (const address of ["::1%lo", "::1%1"]) {
      using socket = new Socket(AF_INET6);
      socket.bind({ address, port: 0 });
      expect(socket.getsockname()).toEqual({ address: "::1", port: expect.any(Number), family: "IPv6" });
    }
  });

  test("that is a number without an interface fails with ENODEV", () => {
    using socket = new Socket(AF_INET6);
    const result = failure(() => socket.bind({ address: "fe80::1%2147483000", port: 0 }));
    expect(result).toEqual(["ENODEV", "bind"]);
  });

  test("is required for a link-local address: EINVAL", () => {
    using socket = new Socket(AF_INET6);
    expect(failure(() => socket.bind({ address: "fe80::1", port: 0 }))).toEqual(["EINVAL", "bind"]);
  });

  test("of lo fails with EADDRNOTAVAIL, as lo has no link-local address", () => {
    using socket = new Socket(AF_INET6);
    expect(failure(() => socket.bind({ address: "fe80::1%1", port: 0 }))).toEqual(["EADDRNOTAVAIL", "bind"]);
    expect(failure(() => socket.bind({ address: "fe80::1", port: 0, scopeId: 1 }))).toEqual(["EADDRNOTAVAIL", "bind"]);
  });
});

/** A link-local address of this machine, if there is one. */
const linkLocal = Object.entries(networkInterfaces())
  .flatMap(([name, addresses]) => (addresses ?? []).map((address) => ({ name, ...address })))
  .find((address) => address.family === "IPv6" && address.address.startsWith("fe80:") && address.scopeid);

describe.skipIf(linkLocal === undefined)("a link-local address of this machine", () => {
  const {
    name = "",
    address = "",
    scopeid = 0,
  } = (linkLocal ?? {}) as { name?: string; address?: string; scopeid?: number };

  test("is bound with the interface name as its zone", () => {
    using socket = new Socket(AF_INET6);
    socket.bind({ address: `${address}%${name}`, port: 0 });
    expect(socket.getsockname()).toMatchObject({ address, scopeId: scopeid, family: "IPv6" });
  });

  test("is bound with the interface index as its zone", () => {
    using socket = new Socket(AF_INET6);
    socket.bind({ address: `${address}%${scopeid}`, port: 0 });
    expect(socket.getsockname()).toMatchObject({ address, scopeId: scopeid });
  });

  test("is bound with scopeId, which takes precedence over a zone", () => {
    using socket = new Socket(AF_INET6);
    socket.bind({ address: `${address}%1`, port: 0, scopeId: scopeid });
    expect(socket.getsockname()).toMatchObject({ address, scopeId: scopeid });
  });

  test("connects to itself, and the peer's address has the scope ID", () => {
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
