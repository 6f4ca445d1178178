// TCP options and their effects, and tcpInfo.

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  EPOLLIN,
  Epoll,
  type InternetAddress,
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SO_REUSEPORT,
  Socket,
  socketpair,
  SOL_SOCKET,
  TCP_CONGESTION,
  TCP_DEFER_ACCEPT,
  TCP_FASTOPEN,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_USER_TIMEOUT,
} from "../../../src/index.ts";
import { decodeTcpInfo, TCP_INFO_BYTES } from "../../../src/kernel/tcp-info.ts";
import { leavesNoFd } from "../../support/fds.ts";
import { accepted, eventually, failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

function listening(prepare: (socket: Socket) => void = () => {}, port = 0): Socket {
  const socket = new Socket();
  prepare(socket);
  socket.bind({ address: "127.0.0.1", port });
  socket.listen();
  return socket;
}

function connected(listener: Socket): Socket {
  const client = new Socket();
  client.connect(listener.getsockname() as InternetAddress);
  return client;
}

test("tcpInfo returns state, bytes, round-trip time and windows", () =>
  leavesNoFd(() => {
    using listener = listening();
    expect(listener.tcpInfo().state).toBe("LISTEN");
    using client = connected(listener);
    using server = accepted(listener).socket;
    client.send("x".repeat(1000));
    eventually(server, () => server.recv(2000));
    server.send("y");
    eventually(client, () => client.recv(10));
    const info = server.tcpInfo();
    expect(info).toMatchObject({ state: "ESTABLISHED", bytesReceived: 1000, bytesSent: 1, totalRetransmitted: 0 });
    expect(info.rttUs).toBeGreaterThan(0);
    expect(info.rttUs).toBeLessThan(10_000_000);
    expect(info.sendMss).toBeGreaterThan(500);
    expect(info.congestionWindow).toBeGreaterThan(0);
    client.close();
    eventually(server, () => (server.recv(10)?.length === 0 ? true : null));
    expect(server.tcpInfo().state).toBe("CLOSE_WAIT");
    const [a, b] = socketpair();
    expect(failure(() => a.tcpInfo())[0]).toMatch(/EOPNOTSUPP|ENOPROTOOPT/);
    a.close();
    b.close();
  }));

test("TCP_DEFER_ACCEPT delays a connection until it has sent data", () =>
  leavesNoFd(() => {
    using listener = listening((socket) => socket.setsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT, 5));
    using epoll = new Epoll();
    epoll.register(listener, EPOLLIN);
    using client = connected(listener);
    expect(epoll.poll(20)).toEqual([]);
    client.send("now");
    expect(epoll.poll(5000)).toHaveLength(1);
    accepted(listener).socket.close();
  }));

test("SO_REUSEPORT allows two listening sockets on one port", () =>
  leavesNoFd(() => {
    const share = (socket: Socket): void => socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, true);
    using one = listening(share);
    const { port } = one.getsockname() as InternetAddress;
    using two = listening(share, port);
    expect((two.getsockname() as InternetAddress).port).toBe(port);
    using alone = new Socket();
    expect(() => alone.bind({ address: "127.0.0.1", port })).toThrow("EADDRINUSE");
  }));

test("times and counts keep their values", () =>
  leavesNoFd(() => {
    using socket = new Socket();
    socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, true);
    for (const [option, value] of [
      [TCP_KEEPIDLE, 100],
      [TCP_KEEPINTVL, 20],
      [TCP_KEEPCNT, 3],
      [TCP_USER_TIMEOUT, 12_345],
    ] as const) {
      socket.setsockopt(IPPROTO_TCP, option, value);
      expect(socket.getsockopt(IPPROTO_TCP, option)).toBe(value);
    }
    using listener = listening((each) => each.setsockopt(IPPROTO_TCP, TCP_FASTOPEN, 16));
    expect(listener.getsockopt(IPPROTO_TCP, TCP_FASTOPEN)).toBe(16);
    const name = Buffer.from(socket.getsockopt(IPPROTO_TCP, TCP_CONGESTION, 16)).toString();
    expect(name).toMatch(/^[a-z0-9_]+\0/);
  }));

test("close resets the connection after setLinger(0), but not after setLinger(null)", () =>
  leavesNoFd(() => {
    using listener = listening();
    for (const [seconds, end] of [
      [0, "ECONNRESET"],
      [null, ""],
    ] as const) {
      const client = connected(listener);
      using server = accepted(listener).socket;
      client.setLinger(5);
      client.setLinger(seconds);
      client.close();
      using epoll = new Epoll();
      epoll.register(server, EPOLLIN);
      epoll.poll(5000);
      if (end === "") expect(server.recv(1)).toEqual(new Uint8Array(0));
      else expect(() => server.recv(1)).toThrow(end);
    }
  }));

test("tcpInfo has the fields that the kernel's struct has, whatever its length is", () => {
  for (let length = 8; length <= TCP_INFO_BYTES; length++) {
    const info = decodeTcpInfo(new Uint8Array(length));
    expect(info.pacingRate).toBe(length < 112 ? undefined : 0);
    expect(info.receiveWindow).toBe(length < 236 ? undefined : 0);
  }
});
