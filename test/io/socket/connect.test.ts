// connect: immediate, or in progress until EPOLLOUT, after which SO_ERROR has the result.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { AF_UNIX, EPOLLERR, EPOLLHUP, EPOLLOUT, SO_ERROR, SOL_SOCKET } from "../../../src/kernel/constants.ts";
import { Socket } from "../../../src/io/socket.ts";
import { errnoError, everySocketIsClosed, failure, Place, refusing, until } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

const ECONNREFUSED = 111;

describe.each(["AF_INET", "AF_INET6"] as const)("connect over %s", (kind) => {
  test("returns false, then EPOLLOUT is reported and SO_ERROR is 0", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using client = new Socket(place.family);
    expect(client.connect(listener.getsockname())).toBe(false);
    expect(until(client, EPOLLOUT)).toBe(EPOLLOUT);
    expect(client.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(0);
    expect(client.getpeername()).toEqual(listener.getsockname());
  });

  test("returns false for a port without a listener, then SO_ERROR is ECONNREFUSED once", () => {
    using place = new Place(kind);
    using bound = refusing(place);
    using client = new Socket(place.family);
    expect(client.connect(bound.getsockname())).toBe(false);
    const events = until(client, EPOLLOUT);
    expect(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)).toBe(EPOLLOUT | EPOLLERR | EPOLLHUP);
    expect(client.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(ECONNREFUSED);
    expect(client.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(0);
  });

  test("throws ECONNREFUSED with the address if called again after the connection was refused", () => {
    using place = new Place(kind);
    using bound = refusing(place);
    using client = new Socket(place.family);
    const address = bound.getsockname() as { address: string; port: number };
    client.connect(address);
    until(client, EPOLLOUT);
    expect(errnoError(() => client.connect(address))).toMatchObject({
      code: "ECONNREFUSED",
      errno: -ECONNREFUSED,
      syscall: "connect",
      fd: client.fileno(),
      address: address.address,
      port: address.port,
    });
  });

  test("called again after EPOLLOUT returns true, then throws EISCONN", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using client = new Socket(place.family);
    client.connect(listener.getsockname());
    until(client, EPOLLOUT);
    expect(client.connect(listener.getsockname())).toBe(true);
    expect(failure(() => client.connect(listener.getsockname()))).toEqual(["EISCONN", "connect"]);
  });

  test("called again while in progress throws EALREADY", () => {
    using place = new Place(kind);
    using listener = place.listening(0);
    using stack = new DisposableStack();
    const codes: string[] = [];
    // The first connections fill the backlog. Later ones receive no SYN-ACK and stay in progress.
    for (let i = 0; i < 20 && codes.length === 0; i++) {
      const client = stack.use(new Socket(place.family));
      expect(client.connect(listener.getsockname())).toBe(false);
      try {
        client.connect(listener.getsockname());
      } catch (error) {
        codes.push((error as { code: string }).code);
      }
    }
    expect(codes).toEqual(["EALREADY"]);
  });

  test("throws EADDRNOTAVAIL if the same pair of addresses is already connected", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using first = new Socket(place.family);
    using second = new Socket(place.family);
    for (const socket of [first, second]) socket.setsockopt(SOL_SOCKET, 2 /* SO_REUSEADDR */, true);
    first.bind(place.fresh());
    second.bind(first.getsockname());
    first.connect(listener.getsockname());
    expect(failure(() => second.connect(listener.getsockname()))).toEqual(["EADDRNOTAVAIL", "connect"]);
  });

  test("connects to this machine through the wildcard address", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using client = new Socket(place.family);
    client.connect({ port: (listener.getsockname() as { port: number }).port });
    until(client, EPOLLOUT);
    expect(client.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(0);
  });
});

describe.each(["AF_UNIX path", "AF_UNIX abstract"] as const)("connect over %s", (kind) => {
  test("returns true immediately", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using client = new Socket(AF_UNIX);
    expect(client.connect(listener.getsockname())).toBe(true);
    expect(client.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(0);
  });

  test("called again throws EISCONN", () => {
    using place = new Place(kind);
    using listener = place.listening();
    using client = new Socket(AF_UNIX);
    client.connect(listener.getsockname());
    expect(failure(() => client.connect(listener.getsockname()))).toEqual(["EISCONN", "connect"]);
  });

  test("throws ECONNREFUSED for a socket that is bound but does not listen", () => {
    using place = new Place(kind);
    using bound = refusing(place);
    using client = new Socket(AF_UNIX);
    expect(failure(() => client.connect(bound.getsockname()))).toEqual(["ECONNREFUSED", "connect"]);
  });
});

test("both ends of a connection to a wildcard listener report each other's address", () => {
  using place = new Place("AF_INET");
  using listener = new Socket(place.family);
  listener.bind({ port: 0 });
  listener.listen();
  using client = new Socket(place.family);
  client.connect({ address: "127.0.0.1", port: (listener.getsockname() as { port: number }).port });
  until(listener, 1 /* EPOLLIN */);
  using server = listener.accept()?.socket;
  expect(server?.getpeername()).toEqual(client.getsockname());
  expect(server?.getsockname()).toMatchObject({ address: "127.0.0.1" });
});
