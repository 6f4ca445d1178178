// interestList, compareInterest, inspectFd and explainReadiness, on real sockets in all relevant states.

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  AF_INET,
  compareInterest,
  Epoll,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLRDHUP,
  EventFd,
  explainReadiness,
  F_DUPFD_CLOEXEC,
  interestList,
  type InternetAddress,
  inspectFd,
  SHUT_RDWR,
  SHUT_WR,
  Socket,
  SOCK_STREAM,
  socketpair,
} from "../../src/index.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { WAIT_TIMEOUT_MS } from "../support/eventually.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const ALWAYS = EPOLLERR | EPOLLHUP;

/** Returns both ends of a TCP connection. */
function tcpPair(): { local: Socket; peer: Socket } {
  using listener = new Socket(AF_INET, SOCK_STREAM);
  listener.bind({ address: "127.0.0.1", port: 0 });
  listener.listen(1);
  const { port } = listener.getsockname() as InternetAddress;
  const peer = new Socket(AF_INET, SOCK_STREAM);
  peer.connect({ address: "127.0.0.1", port });
  using epoll = new Epoll();
  epoll.register(listener, EPOLLIN);
  epoll.poll();
  const local = listener.accept()?.socket as Socket;
  return { local, peer };
}

/** Waits until the socket is ready for something. */
function waitFor(socket: Socket, mask: number): void {
  using epoll = new Epoll();
  epoll.register(socket, mask);
  epoll.poll();
}

test("interestList returns the kernel masks, to which the kernel adds EPOLLERR and EPOLLHUP", () =>
  leavesNoFd(() => {
    using epoll = new Epoll();
    expect(interestList(epoll)).toEqual([]);
    const [a, b] = socketpair();
    epoll.register(b, EPOLLIN | EPOLLET | EPOLLRDHUP);
    epoll.register(a, EPOLLOUT);
    expect(interestList(epoll)).toEqual(
      [
        { fd: a.fileno(), mask: EPOLLOUT | ALWAYS },
        { fd: b.fileno(), mask: 0x80002019 },
      ].sort((one, other) => one.fd - other.fd),
    );
    a.close();
    b.close();
    expect(() => interestList(0)).toThrow("epoll must be the fd of an epoll instance; received 0");
    const fd = epoll.fileno();
    epoll.close();
    expect(() => interestList(fd)).toThrow("EBADF");
  }));

test("compareInterest reports a different mask, a disarmed EPOLLONESHOT, a closed fd, and a registration kept by a duplicate", () =>
  leavesNoFd(() => {
    using epoll = new Epoll();
    const [a, b] = socketpair();
    const [fd, other] = [a.fileno(), b.fileno()];
    epoll.register(a, EPOLLIN);
    epoll.register(b, EPOLLOUT | EPOLLONESHOT);
    const registered = new Map([
      [fd, EPOLLIN],
      [other, EPOLLOUT | EPOLLONESHOT],
    ]);
    expect(compareInterest(registered, epoll)).toEqual([]);

    epoll.modify(a, EPOLLIN | EPOLLOUT);
    expect(compareInterest(registered, epoll)).toMatchObject([
      {
        fd,
        registeredMask: EPOLLIN,
        kernelMask: EPOLLIN | EPOLLOUT | ALWAYS,
        message: `${fd}: the registered mask is EPOLLIN, the kernel mask is EPOLLIN|EPOLLOUT|EPOLLERR|EPOLLHUP`,
      },
    ]);
    epoll.modify(a, EPOLLIN);

    expect(epoll.poll()).toEqual([[other, EPOLLOUT]]);
    expect(compareInterest(registered, epoll).map(({ message }) => message)).toEqual([
      `${other}: EPOLLONESHOT has reported its event: nothing more is reported until the fd is re-armed (EPOLL_CTL_MOD)`,
    ]);
    registered.delete(other);
    epoll.unregister(b);

    const duplicate = syscalls().fcntl(fd, F_DUPFD_CLOEXEC, 0);
    a.close();
    registered.delete(fd);
    expect(compareInterest(registered, epoll)).toMatchObject([
      { fd, registeredMask: undefined, message: expect.stringContaining("duplicate") },
    ]);
    syscalls().close(duplicate);
    b.close();

    registered.set(fd, EPOLLIN);
    expect(compareInterest(registered, epoll)).toMatchObject([
      { fd, kernelMask: undefined, message: expect.stringContaining("closed") },
    ]);
  }));

test("explains a listening socket by its accept queue", () =>
  leavesNoFd(() => {
    using listener = new Socket(AF_INET, SOCK_STREAM);
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen(5);
    const { port } = listener.getsockname() as InternetAddress;
    const fd = listener.fileno();
    expect(explainReadiness(inspectFd(listener), EPOLLIN)).toBe(
      `fd ${fd} listens on 127.0.0.1:${port}. No connection is waiting to be accepted, so it is not readable. It is registered only for EPOLLIN, so epoll_wait does not report it.`,
    );
    const clients = [1, 2].map(() => {
      const client = new Socket(AF_INET, SOCK_STREAM);
      client.connect({ address: "127.0.0.1", port });
      return client;
    });
    expect(explainReadiness(inspectFd(listener), EPOLLIN)).toBe(
      `fd ${fd} listens on 127.0.0.1:${port}. 2 connections are waiting to be accepted, so it is readable (EPOLLIN). It is registered for EPOLLIN, so epoll_wait reports EPOLLIN.`,
    );
    for (const client of clients) client.close();
  }));

test("explains a connection by its queues, its errors and the ends of both directions", () =>
  leavesNoFd(() => {
    const { local, peer } = tcpPair();
    const fd = local.fileno();
    const { address, port } = peer.getsockname() as InternetAddress;
    const subject = `fd ${fd} is a TCP connection with ${address}:${port}, `;
    const why = (mask: number | undefined): string => explainReadiness(inspectFd(local), mask);
    expect(why(EPOLLIN)).toBe(
      `${subject}ESTABLISHED. There is nothing to read. The send queue has room, so it is writable (EPOLLOUT). It is registered only for EPOLLIN, so epoll_wait does not report it.`,
    );
    peer.send("hello");
    waitFor(local, EPOLLIN);
    expect(inspectFd(local)).toMatchObject({
      kind: "connection",
      receiveQueueBytes: 5,
      sendQueueBytes: 0,
      ready: EPOLLIN | EPOLLOUT,
    });
    expect(why(EPOLLIN | EPOLLET)).toEndWith(
      "The receive queue holds 5 bytes, so it is readable (EPOLLIN). The send queue has room, so it is writable (EPOLLOUT). It is registered for EPOLLIN, so epoll_wait reports EPOLLIN once, and again when something new arrives (EPOLLET).",
    );
    expect(why(0)).toEndWith("It is registered for nothing, so epoll_wait does not report it.");
    expect(why(undefined)).toEndWith("It is not registered with epoll.");
    local.recv(5);

    const lots = new Uint8Array(65_536);
    while (local.send(lots) > 0);
    expect(inspectFd(local).sendQueueBytes).toBeGreaterThan(0);
    expect(why(EPOLLOUT)).toMatch(
      /The send queue holds \d+ bytes and is full, so it is not writable\. It is registered only for EPOLLOUT, so epoll_wait does not report it\.$/,
    );
    while ((peer.recv(1_000_000)?.length ?? 0) > 0);

    peer.shutdown(SHUT_WR);
    waitFor(local, EPOLLRDHUP);
    expect(why(EPOLLIN)).toContain(
      "CLOSE_WAIT. The receive queue is empty and the peer has closed its side: recv returns 0 (end of stream), so it is readable (EPOLLIN).",
    );
    local.shutdown(SHUT_RDWR);
    for (const end = Date.now() + WAIT_TIMEOUT_MS; inspectFd(local).tcp?.state !== "CLOSE";) {
      if (Date.now() > end) throw new Error("the peer does not acknowledge the end");
    }
    expect(why(0)).toEndWith(
      "It is not connected (EPOLLHUP), which is always reported. It is registered for nothing, so epoll_wait reports EPOLLHUP.",
    );
    local.close();
    peer.close();
    expect(() => inspectFd(fd)).toThrow("EBADF");
  }));

test("explains a connection between unnamed unix sockets", () =>
  leavesNoFd(() => {
    const [a, b] = socketpair();
    b.send("hello");
    expect(explainReadiness(inspectFd(a), EPOLLIN)).toBe(
      `fd ${a.fileno()} is a unix socket, connected to an unnamed socket. The receive queue holds 5 bytes, so it is readable (EPOLLIN). The send queue has room, so it is writable (EPOLLOUT). It is registered for EPOLLIN, so epoll_wait reports EPOLLIN.`,
    );
    a.close();
    b.close();
  }));

test("explains fds that are not sockets by the kernel's name for them", () =>
  leavesNoFd(() => {
    using event = new EventFd();
    const fd = event.fileno();
    expect(explainReadiness(inspectFd(event), EPOLLIN)).toBe(
      `fd ${fd} is anon_inode:[eventfd]. There is nothing to read. It is writable (EPOLLOUT). It is registered only for EPOLLIN, so epoll_wait does not report it.`,
    );
    event.write(1);
    expect(explainReadiness(inspectFd(event), EPOLLIN)).toContain("It is readable (EPOLLIN).");
  }));
