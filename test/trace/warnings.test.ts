// Warnings: programs with one mistake each, on real sockets, and correct programs, which cause no warning.

import { expect, setDefaultTimeout, spyOn, test } from "bun:test";
import {
  AF_INET,
  EPOLLET,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  Epoll,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  Socket,
  socketpair,
  type TraceEvent,
  type WarningCode,
} from "../../src/index.ts";
import { addressBuffer } from "../../src/kernel/address.ts";
import { syscalls, type Syscalls } from "../../src/kernel/ffi.ts";
import { Tracer } from "../../src/trace/tracer.ts";
import { complete, GET, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

/** A traced Epoll and connection for a test program. */
interface TestBed {
  epoll: Epoll;
  sys: Syscalls;
  fd: number;
  peer: Socket;
  read(count: number): number;
}

/** Stops the clock: otherwise, on a busy machine, calls that do not block and handlers may seem to take long. */
const stopClock = (): Disposable => spyOn(performance, "now").mockReturnValue(0);

function warningsOf(program: (testBed: TestBed) => void): { code: WarningCode; fd: number | null }[] {
  using _ = stopClock();
  const events: TraceEvent[] = [];
  const tracer = new Tracer((event) => events.push(event));
  const sys = tracer.wrap(syscalls());
  const epoll = new Epoll(undefined, sys);
  const [socket, peer] = socketpair();
  try {
    const buffer = new Uint8Array(1024);
    const read = (count: number): number => sys.recv(socket.fileno(), buffer, 0, count, 0);
    read(1); // EAGAIN: shows that transfers are traced
    program({ epoll, sys, fd: socket.fileno(), peer, read });
    epoll.poll(0);
  } finally {
    epoll.close();
    socket.close();
    peer.close();
  }
  return events.flatMap((event) => (event.type === "warning" ? [{ code: event.code, fd: event.fd }] : []));
}

test("busy-loop: warns once when ready fds are ignored, and again after progress", () => {
  const warnings = warningsOf(({ epoll, fd, peer, read }) => {
    epoll.register(fd, EPOLLIN);
    peer.send("hello");
    for (let i = 0; i < 300; i++) epoll.poll(1000);
    read(1); // progress
    for (let i = 0; i < 200; i++) epoll.poll(1000);
  });
  expect(warnings.map(({ code }) => code)).toEqual(["busy-loop", "busy-loop"]);
});

test("busy-loop: does not warn about a program that reads one byte at a time, or that polls with timeout 0", () => {
  const warnings = warningsOf(({ epoll, fd, peer, read }) => {
    epoll.register(fd, EPOLLIN);
    peer.send("x".repeat(300));
    for (let i = 0; i < 250; i++) {
      epoll.poll(1000);
      read(1);
    }
    for (let i = 0; i < 250; i++) epoll.poll(0);
  });
  expect(warnings).toEqual([]);
});

test("undrained: warns when an edge-triggered fd is not read until EAGAIN", () => {
  const readPartly = (mask: number, reads: number[]) => (testBed: TestBed) => {
    testBed.epoll.register(testBed.fd, mask);
    testBed.peer.send("hello");
    testBed.epoll.poll(1000);
    for (const count of reads) testBed.read(count);
  };
  expect(warningsOf(readPartly(EPOLLIN | EPOLLET, [2])).map(({ code }) => code)).toEqual(["undrained"]);
  expect(warningsOf(readPartly(EPOLLIN | EPOLLET, [])).map(({ code }) => code)).toEqual(["undrained"]);
  expect(warningsOf(readPartly(EPOLLIN | EPOLLET, [2, 3, 3]))).toEqual([]); // until EAGAIN
  expect(warningsOf(readPartly(EPOLLIN | EPOLLET, [100]))).toEqual([]); // fewer than requested: the queue is empty
  expect(warningsOf(readPartly(EPOLLIN, [2]))).toEqual([]); // level-triggered: reported again
  expect(warningsOf(readPartly(EPOLLIN | EPOLLONESHOT, [2]))).toEqual([]);
});

test("idle-epollout: warns when EPOLLOUT is registered without anything to send", () => {
  const warnings = warningsOf(({ epoll, fd }) => {
    epoll.register(fd, EPOLLIN | EPOLLOUT);
    for (let i = 0; i < 80; i++) epoll.poll(1000);
  });
  expect(warnings.map(({ code }) => code)).toEqual(["idle-epollout"]);
  const correct = warningsOf(({ epoll, sys, fd, peer }) => {
    epoll.register(fd, EPOLLOUT);
    for (let i = 0; i < 80; i++) {
      epoll.poll(1000);
      sys.send(fd, new Uint8Array(1), 0, 1, 0);
      peer.recv(1);
    }
  });
  expect(correct).toEqual([]);
});

test("fd-leak: warns when an accepted connection is unregistered but not closed", () => {
  const leak = (isClosed: boolean): (WarningCode | undefined)[] =>
    warningsOf(({ epoll, sys, fd, peer, read }) => {
      using listener = new Socket(AF_INET, SOCK_STREAM);
      listener.bind({ address: "127.0.0.1", port: 0 });
      listener.listen(1);
      using client = new Socket(AF_INET, SOCK_STREAM);
      client.connect(listener.getsockname());
      epoll.register(listener, EPOLLIN);
      epoll.poll();
      const accepted = sys.accept4(listener.fileno(), addressBuffer(), SOCK_CLOEXEC);
      epoll.register(accepted, EPOLLIN);
      epoll.unregister(accepted);
      if (isClosed) sys.close(accepted);
      epoll.unregister(listener);
      epoll.register(fd, EPOLLIN);
      for (let i = 0; i < 250; i++) {
        peer.send("x");
        epoll.poll(1000);
        read(1);
      }
      if (!isClosed) syscalls().close(accepted);
    }).map(({ code }) => code);
  expect(leak(false)).toEqual(["fd-leak"]);
  expect(leak(true)).toEqual([]);
});

test("slow-handler: warns when one fd delays all others", () => {
  const slow = (ms: number): (WarningCode | undefined)[] => {
    const events: TraceEvent[] = [];
    using harness = new ServerHarness({
      fetch: () => {
        const until = performance.now() + ms;
        while (performance.now() < until);
        return new Response("Hello from Epoll server!");
      },
      trace: { listener: (event) => events.push(event), slowMs: 200 },
    });
    harness.receive(harness.client(GET), complete);
    harness.settle();
    return events.flatMap((event) => (event.type === "warning" ? [event.code] : []));
  };
  expect(slow(250)).toEqual(["slow-handler"]);
  expect(slow(0)).toEqual([]);
});

test("slow-handler: does not count set-up time before the first wait", () => {
  const events: TraceEvent[] = [];
  using epoll = new Epoll({ trace: { listener: (event) => events.push(event), slowMs: 20 } });
  const [socket, peer] = socketpair();
  const spin = (): void => {
    for (const end = performance.now() + 40; performance.now() < end;);
  };
  epoll.register(socket, EPOLLIN);
  spin();
  epoll.poll(0);
  const setUp = events.find((event) => event.type === "iteration");
  expect(setUp).toMatchObject({ iteration: 0, dispatches: [] });
  expect(setUp?.workedUs).toBeGreaterThanOrEqual(40_000);
  expect(events.filter(({ type }) => type === "warning")).toEqual([]);
  epoll.modify(socket, EPOLLOUT); // after the first wait, the same is a dispatch
  spin();
  epoll.poll(0);
  expect(events.find(({ type }) => type === "warning")).toMatchObject({
    code: "slow-handler",
    fd: socket.fileno(),
    message: expect.stringMatching(/^handling fd \d+ took \d+ ms and delayed all other fds$/),
  });
  socket.close();
  peer.close();
});

test("describes each mistake with the fd", () => {
  const messages: string[] = [];
  const listener = (event: TraceEvent): void => {
    if (event.type === "warning") messages.push(event.message);
  };
  using _ = stopClock();
  const sys = new Tracer(listener).wrap(syscalls());
  using epoll = new Epoll(undefined, sys);
  const [socket, peer] = socketpair();
  const [other, otherPeer] = socketpair();
  const [fd, otherFd] = [socket.fileno(), other.fileno()];
  sys.recv(fd, new Uint8Array(1), 0, 1, 0);
  epoll.register(socket, EPOLLIN | EPOLLET);
  epoll.register(other, EPOLLOUT);
  peer.send("x");
  for (let i = 0; i < 110; i++) epoll.poll(1000);
  for (const one of [socket, peer, other, otherPeer]) one.close();
  expect(messages).toEqual([
    `fd ${fd} is edge-triggered, but was not read until EAGAIN: the remaining data is not reported again`,
    `fd ${otherFd} was writable (EPOLLOUT) in 50 consecutive iterations, but nothing was sent: register EPOLLOUT only while output is pending`,
    `busy loop: fd ${otherFd} was ready in 100 consecutive iterations, but nothing was read, written, closed or unregistered`,
  ]);
});

test("does not warn about EpollServer itself: keep-alive, classic, a slow reader, resets", () => {
  for (const options of [{}, { keepAlive: false, eager: false }]) {
    const events: TraceEvent[] = [];
    {
      using harness = new ServerHarness({
        ...options,
        response: "x".repeat(3_000_000),
        trace: { listener: (event) => events.push(event), slowMs: 60_000 },
      });
      const slow = harness.client(GET);
      for (let i = 0; i < 300; i++) {
        harness.server.tick(1);
        slow.recv(1000);
      }
      harness.client(GET).close();
      for (let i = 0; i < 20; i++) harness.receive(harness.client("GET / HTTP/1.0\r\n\r\n"), /x{100000}/);
      harness.settle();
    }
    expect(events.filter(({ type }) => type === "warning")).toEqual([]);
  }
});
