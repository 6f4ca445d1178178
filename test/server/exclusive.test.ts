// The option `exclusive`: several servers on one listening socket, which serve every connection.

import { expect, setDefaultTimeout, test } from "bun:test";
import { syscalls } from "../../src/kernel/ffi.ts";
import { EPOLLEXCLUSIVE, EPOLLIN, EpollServer, EventFd, F_DUPFD_CLOEXEC, Socket } from "../../src/index.ts";
import { GET, SENTENCE, ServerHarness, StillClock, sysWith } from "../support/server.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

function listening(): Socket {
  const socket = new Socket();
  socket.bind({ address: "127.0.0.1", port: 0 });
  socket.listen();
  return socket;
}

const duplicate = (socket: Socket): number => syscalls().fcntl(socket.fileno(), F_DUPFD_CLOEXEC, 0);

test("registers the listener with EPOLLEXCLUSIVE, accepts one connection per event, and leaves the rest to other processes", () =>
  leavesNoFd(() => {
    const masks: number[] = [];
    const sys = sysWith((host) => ({
      epoll_ctl(epfd, op, fd, mask, token) {
        if (token === 0 && op !== 2) masks.push(mask);
        return host.epoll_ctl(epfd, op, fd, mask, token);
      },
    }));
    const listener = listening();
    using harness = new ServerHarness({ fd: duplicate(listener), exclusive: true }, sys);
    listener.close();
    const clients = [harness.client(GET), harness.client(GET), harness.client(GET)];
    for (let i = 1; i <= 3; i++) {
      harness.server.tick(1000);
      expect(harness.server.stats.accepted).toBe(i);
    }
    for (const client of clients) expect(harness.receive(client, /server!$/)).toEndWith(SENTENCE);
    expect(new Set(masks)).toEqual(new Set([(EPOLLIN | EPOLLEXCLUSIVE) >>> 0]));
    expect(masks.length).toBe(4); // after each connection it moves to the end of the wait queue
  }));

test("at maxConnections it pauses accepting without affecting the other servers, and resumes", () =>
  leavesNoFd(() => {
    const listener = listening();
    using full = new ServerHarness({ fd: duplicate(listener), exclusive: true, maxConnections: 1 });
    using other = new ServerHarness({ fd: duplicate(listener), exclusive: true });
    listener.close();
    const first = full.client(GET);
    full.receive(first, /server!$/);
    const second = full.client(GET);
    full.settle();
    expect(full.server.stats.accepted).toBe(1);
    other.receive(second, /server!$/);
    first.close();
    const third = full.client(GET);
    full.receive(third, /server!$/);
    expect([full.server.stats.accepted, other.server.stats.accepted]).toEqual([2, 1]);
  }));

test("accepts a connection within a second if the process that was woken for it does not", () =>
  leavesNoFd(() => {
    const listener = listening();
    let hidesEvents = true;
    const sys = sysWith((host) => ({
      epoll_wait: (epfd, out, max, timeoutMs) => (hidesEvents ? 0 : host.epoll_wait(epfd, out, max, timeoutMs)),
    }));
    const clock = new StillClock();
    const server = new EpollServer({ fd: duplicate(listener), exclusive: true }, sys, clock);
    listener.close();
    const registered: number[] = [];
    const { epoll_ctl } = sys;
    sys.epoll_ctl = (epfd, op, fd, mask, token) => (registered.push(op), epoll_ctl(epfd, op, fd, mask, token));
    server.tick(0);
    expect(registered).toEqual([]);
    clock.ms += 1000;
    server.tick(0);
    expect(registered).toEqual([2, 1]); // EPOLL_CTL_DEL, EPOLL_CTL_ADD: that reports pending connections
    hidesEvents = false;
    void server.stop({ graceMs: 0 });
    while (!server.closed) server.tick(0);
  }));

test("stop({ idleMs }): an idle connection may send one more request, answered with Connection: close; a silent one is closed", () =>
  leavesNoFd(() => {
    using harness = new ServerHarness({ deferAccept: false });
    const [active, silent, fresh] = [harness.client(GET), harness.client(GET), harness.client()];
    for (const client of [active, silent]) harness.receive(client, /server!$/);
    harness.settle();
    void harness.server.stop({ idleMs: 500 });
    harness.settle();
    expect(harness.server.stats.open).toBe(3);
    for (const client of [active, fresh]) {
      client.send(GET);
      expect(harness.receive(client, /server!$/)).toContain("\r\nConnection: close\r\n");
    }
    expect(harness.fate(silent)).toBe("open");
    harness.clock.ms += 500;
    harness.settle();
    expect(harness.fate(silent)).toBe("end");
    for (const client of [active, fresh]) client.close();
    harness.settle();
    expect(harness.server.closed).toBe(true);
    expect(() => harness.server.stop({ idleMs: -1 })).toThrow("idleMs");
  }));

test("onReadable calls back for another fd during run(), until the watch ends", () =>
  leavesNoFd(() => {
    const server = new EpollServer({ hostname: "127.0.0.1" });
    using event = new EventFd();
    let calls = 0;
    const end = server.onReadable(event, () => {
      event.read();
      if (++calls < 3) return void event.write(1);
      end();
      event.write(1);
      void server.stop();
    });
    event.write(1);
    server.run();
    expect([calls, server.closed]).toEqual([3, true]);
    expect(() => server.onReadable(event, () => {})).toThrow("closed");
  }));
