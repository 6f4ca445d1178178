// Closed and detached sockets: every method throws a ClosedError, and a reused fd is not affected.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ClosedError } from "../../../src/kernel/errors.ts";
import { OpenFd } from "../../../src/io/owned-fd.ts";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import { openFds } from "../../support/fds.ts";
import { accepted, everySocketIsClosed, Pair } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

const address = { address: "127.0.0.1", port: 1 };
const calls: Record<string, (socket: Socket) => unknown> = {
  fileno: (socket) => socket.fileno(),
  bind: (socket) => socket.bind(address),
  listen: (socket) => socket.listen(),
  accept: (socket) => socket.accept(),
  connect: (socket) => socket.connect(address),
  recv: (socket) => socket.recv(1),
  recvInto: (socket) => socket.recvInto(new Uint8Array(1)),
  send: (socket) => socket.send("x"),
  sendto: (socket) => socket.sendto("x", address),
  recvfrom: (socket) => socket.recvfrom(1),
  sendmsg: (socket) => socket.sendmsg(["x"]),
  recvmsg: (socket) => socket.recvmsg(1),
  sendFds: (socket) => socket.sendFds("x", [0]),
  recvFds: (socket) => socket.recvFds(1, 1),
  tcpInfo: (socket) => socket.tcpInfo(),
  peerCredentials: (socket) => socket.peerCredentials(),
  setLinger: (socket) => socket.setLinger(null),
  shutdown: (socket) => socket.shutdown(0),
  setsockopt: (socket) => socket.setsockopt(1, 2, 1),
  getsockopt: (socket) => socket.getsockopt(1, 2),
  getsockname: (socket) => socket.getsockname(),
  getpeername: (socket) => socket.getpeername(),
  detach: (socket) => socket.detach(),
};

function thrownBy(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

test("the table of calls contains all methods", () => {
  const methods = Object.getOwnPropertyNames(Socket.prototype);
  const tried = new Set([...Object.keys(calls), "constructor", "closed", "close"]);
  expect(methods.filter((name) => !tried.has(name))).toEqual([]);
});

describe.each(Object.entries(calls))("%s", (name, call) => {
  test("throws a ClosedError after close", () => {
    const socket = new Socket();
    socket.close();
    const error = thrownBy(() => call(socket)) as ClosedError;
    expect(error).toBeInstanceOf(ClosedError);
    expect([error.message, error.code]).toEqual([`Socket.${name}: this Socket is closed`, "ERR_CLOSED"]);
  });

  test("throws a ClosedError after detach, and leaves the fd open", () => {
    const socket = new Socket();
    using owner = Socket.fromfd(socket.detach());
    const error = thrownBy(() => call(socket));
    expect(error).toBeInstanceOf(ClosedError);
    expect((error as Error).message).toBe(`Socket.${name}: this Socket is closed`);
    expect(openFds().get(owner.fileno())).toStartWith("socket:");
  });
});

test("close closes the fd", () => {
  const socket = new Socket();
  const fd = socket.fileno();
  const what = openFds().get(fd);
  expect(what).toStartWith("socket:");
  socket.close();
  expect(openFds().get(fd)).not.toBe(what);
  expect(socket.closed).toBe(true);
});

test("closing twice does not close a reused fd", () => {
  const first = new Socket();
  const fd = first.fileno();
  first.close();
  using second = new Socket();
  expect(second.fileno()).toBe(fd);
  first.close();
  first[Symbol.dispose]();
  expect(openFds().get(fd)).toStartWith("socket:");
  expect(second.getsockname()).toMatchObject({ port: 0 });
});

test("the socket is closed even if close throws", () => {
  const socket = new Socket(2, 1, 0, new OpenFd(0x3fffffff));
  expect(() => socket.close()).toThrow("EBADF: bad file descriptor, close");
  expect(socket.closed).toBe(true);
  expect(() => socket.close()).not.toThrow();
});

test("`using` closes the socket if the block throws", () => {
  let kept: Socket | undefined;
  expect(() => {
    using socket = new Socket();
    kept = socket;
    throw new Error("out");
  }).toThrow("out");
  expect(kept?.closed).toBe(true);
});

test("`using` after close or detach has no effect", () => {
  const fd = (() => {
    using closed = new Socket();
    using detached = new Socket();
    closed.close();
    return detached.detach();
  })();
  using owner = Socket.fromfd(fd);
  expect(owner.closed).toBe(false);
});

test("closing a listening socket leaves its connections open", () => {
  using listener = new Socket();
  listener.bind({ address: "127.0.0.1", port: 0 });
  listener.listen();
  using client = new Socket();
  client.connect(listener.getsockname());
  using server = accepted(listener).socket;
  listener.close();
  client.send("x");
  expect(server.closed).toBe(false);
  expect(server.getpeername()).toEqual(client.getsockname());
});

test("closing one end of a pair leaves the other open", () => {
  using pair = new Pair(...socketpair());
  pair.client.close();
  expect(pair.server.closed).toBe(false);
  expect(pair.server.recv(1)).toHaveLength(0);
});
