// What the kernel says of descriptors, beside what a program believes: on real sockets in the states that matter.

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
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const ALWAYS = EPOLLERR | EPOLLHUP;

/** Two ends of a TCP connection, the listener closed. */
function tcpPair(): { ours: Socket; peer: Socket; port: number } {
  using listener = new Socket(AF_INET, SOCK_STREAM);
  listener.bind({ address: "127.0.0.1", port: 0 });
  listener.listen(1);
  const { port } = listener.getsockname() as InternetAddress;
  const peer = new Socket(AF_INET, SOCK_STREAM);
  peer.connect({ address: "127.0.0.1", port });
  using epoll = new Epoll();
  epoll.register(listener, EPOLLIN);
  epoll.poll();
  const ours = listener.accept()?.socket as Socket;
  return { ours, peer, port };
}

/** Wait until the descriptor is ready for something. */
function until(socket: Socket, mask: number): void {
  using epoll = new Epoll();
  epoll.register(socket, mask);
  epoll.poll();
}

test("the kernel's interest list has each mask with EPOLLERR and EPOLLHUP, which it adds", () =>
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
    expect(() => interestList(0)).toThrow("descriptor 0 is no epoll instance");
    const { fd } = { fd: epoll.fileno() };
    epoll.close();
    expect(() => interestList(fd)).toThrow("EBADF");
  }));

test("differences: none, another mask, a spent EPOLLONESHOT, one that was closed, one that a duplicate keeps", () =>
  leavesNoFd(() => {
    using epoll = new Epoll();
    const [a, b] = socketpair();
    const [fd, other] = [a.fileno(), b.fileno()];
    epoll.register(a, EPOLLIN);
    epoll.register(b, EPOLLOUT | EPOLLONESHOT);
    const ours = new Map([
      [fd, EPOLLIN],
      [other, EPOLLOUT | EPOLLONESHOT],
    ]);
    expect(compareInterest(ours, epoll)).toEqual([]);

    epoll.modify(a, EPOLLIN | EPOLLOUT);
    expect(compareInterest(ours, epoll)).toMatchObject([
      {
        fd,
        ours: EPOLLIN,
        kernels: EPOLLIN | EPOLLOUT | ALWAYS,
        message: expect.stringContaining("believes in EPOLLIN,"),
      },
    ]);
    epoll.modify(a, EPOLLIN);

    expect(epoll.poll()).toEqual([[other, EPOLLOUT]]);
    expect(compareInterest(ours, epoll).map(({ message }) => message)).toEqual([
      `${other}: EPOLLONESHOT has had its one event: nothing is reported until it is armed again`,
    ]);
    ours.delete(other);
    epoll.unregister(b);

    const duplicate = syscalls().fcntl(fd, F_DUPFD_CLOEXEC, 0);
    a.close();
    ours.delete(fd);
    expect(compareInterest(ours, epoll)).toMatchObject([
      { fd, ours: undefined, message: expect.stringContaining("duplicate") },
    ]);
    syscalls().close(duplicate);
    b.close();

    ours.set(fd, EPOLLIN);
    expect(compareInterest(ours, epoll)).toMatchObject([
      { fd, kernels: undefined, message: expect.stringContaining("closed") },
    ]);
  }));

test("a listener: how many wait to be accepted", () =>
  leavesNoFd(() => {
    using listener = new Socket(AF_INET, SOCK_STREAM);
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen(5);
    const { port } = listener.getsockname() as InternetAddress;
    const fd = listener.fileno();
    expect(explainReadiness(inspectFd(listener), EPOLLIN)).toBe(
      `${fd} listens at 127.0.0.1:${port}. No connection waits to be accepted. EPOLLIN is asked for: epoll_wait is silent about it.`,
    );
    const clients = [1, 2].map(() => {
      const client = new Socket(AF_INET, SOCK_STREAM);
      client.connect({ address: "127.0.0.1", port });
      return client;
    });
    expect(explainReadiness(inspectFd(listener), EPOLLIN)).toBe(
      `${fd} listens at 127.0.0.1:${port}. 2 connections wait to be accepted, so it is readable (EPOLLIN). EPOLLIN is asked for: epoll_wait reports EPOLLIN.`,
    );
    for (const client of clients) client.close();
  }));

test("a connection: what waits to be read, what the peer has not taken, and both ends", () =>
  leavesNoFd(() => {
    const { ours, peer } = tcpPair();
    const fd = ours.fileno();
    const { address, port } = peer.getsockname() as InternetAddress;
    const who = `${fd} is a TCP connection with ${address}:${port}, `;
    const why = (mask: number | undefined): string => explainReadiness(inspectFd(ours), mask);
    expect(why(EPOLLIN)).toBe(
      `${who}ESTABLISHED. Nothing waits to be read. The kernel would take more to send (EPOLLOUT). EPOLLIN is asked for: epoll_wait is silent about it.`,
    );
    peer.send("hello");
    until(ours, EPOLLIN);
    expect(inspectFd(ours)).toMatchObject({ kind: "connection", unread: 5, unsent: 0, ready: EPOLLIN | EPOLLOUT });
    expect(why(EPOLLIN | EPOLLET)).toEndWith(
      "5 bytes wait to be read, so it is readable (EPOLLIN). The kernel would take more to send (EPOLLOUT). EPOLLIN is asked for: epoll_wait reports EPOLLIN, once for each time that something new comes (EPOLLET).",
    );
    expect(why(0)).toEndWith("Nothing is asked for: epoll_wait is silent about it.");
    expect(why(undefined)).toEndWith("Epoll does not watch it.");
    ours.recv(5);

    const lots = new Uint8Array(65_536);
    while (ours.send(lots) > 0);
    expect(inspectFd(ours).unsent).toBeGreaterThan(0);
    expect(why(EPOLLOUT)).toMatch(
      /\d+ bytes wait for the peer to take: the kernel takes no more to send\. EPOLLOUT is asked for: epoll_wait is silent/,
    );
    while ((peer.recv(1_000_000)?.length ?? 0) > 0);

    peer.shutdown(SHUT_WR);
    until(ours, EPOLLRDHUP);
    expect(why(EPOLLIN)).toContain(
      "CLOSE_WAIT. Nothing is left to be read, and the peer sends no more: recv will say so with 0, so it is readable (EPOLLIN).",
    );
    ours.shutdown(SHUT_RDWR);
    expect(why(0)).toEndWith(
      "Both directions are at their end (EPOLLHUP), which is reported whether asked for or not. Nothing is asked for: epoll_wait reports EPOLLHUP.",
    );
    ours.close();
    peer.close();
    expect(() => inspectFd(fd)).toThrow("EBADF");
  }));

test("what is no connection: an eventfd, a file, which epoll cannot watch", () =>
  leavesNoFd(() => {
    using event = new EventFd();
    const fd = event.fileno();
    expect(explainReadiness(inspectFd(event), EPOLLIN)).toBe(
      `${fd} is anon_inode:[eventfd]. Nothing waits to be read. It is writable (EPOLLOUT). EPOLLIN is asked for: epoll_wait is silent about it.`,
    );
    event.write(1);
    expect(explainReadiness(inspectFd(event), EPOLLIN)).toContain("It is readable (EPOLLIN).");
  }));
