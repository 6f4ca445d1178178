// What is recognized as wrong, by programs that do it on real sockets; and what is right and stays unsaid.

import { expect, setDefaultTimeout, test } from "bun:test";
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
import { complete, GET, Stage } from "../support/server.ts";

setDefaultTimeout(60_000);

/** A program of its own: it has an Epoll and a connection, whose system calls are traced. */
interface Bench {
  epoll: Epoll;
  sys: Syscalls;
  fd: number;
  peer: Socket;
  read(count: number): number;
}

function warningsOf(program: (bench: Bench) => void, slowMs = 50): { code: WarningCode; fd: number | null }[] {
  const events: TraceEvent[] = [];
  const tracer = new Tracer({ listener: (event) => events.push(event), slowMs });
  const sys = tracer.traced(syscalls());
  const epoll = new Epoll(undefined, sys);
  const [ours, peer] = socketpair();
  try {
    const buffer = new Uint8Array(1024);
    const read = (count: number): number => sys.recv(ours.fileno(), buffer, 0, count, 0);
    read(1); // EAGAIN: transfers are traced, too
    program({ epoll, sys, fd: ours.fileno(), peer, read });
    epoll.poll(0);
  } finally {
    epoll.close();
    ours.close();
    peer.close();
  }
  return events.flatMap((event) => (event.type === "warning" ? [{ code: event.code, fd: event.fd }] : []));
}

test("busy-loop: ready all the time, and nobody does anything about it; said once, until something is done", () => {
  const warnings = warningsOf(({ epoll, fd, peer, read }) => {
    epoll.register(fd, EPOLLIN);
    peer.send("hello");
    for (let i = 0; i < 300; i++) epoll.poll(1000);
    read(1); // that was progress
    for (let i = 0; i < 200; i++) epoll.poll(1000);
  });
  expect(warnings.map(({ code }) => code)).toEqual(["busy-loop", "busy-loop"]);
});

test("no busy loop: who reads a byte each time makes progress, and who only looks (timeout 0) does not wait", () => {
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

test("undrained: edge-triggered, and left with something to read", () => {
  const leave = (mask: number, reads: number[]) => (bench: Bench) => {
    bench.epoll.register(bench.fd, mask);
    bench.peer.send("hello");
    bench.epoll.poll(1000);
    for (const count of reads) bench.read(count);
  };
  expect(warningsOf(leave(EPOLLIN | EPOLLET, [2])).map(({ code }) => code)).toEqual(["undrained"]);
  expect(warningsOf(leave(EPOLLIN | EPOLLET, [])).map(({ code }) => code)).toEqual(["undrained"]);
  expect(warningsOf(leave(EPOLLIN | EPOLLET, [2, 3, 3]))).toEqual([]); // until EAGAIN
  expect(warningsOf(leave(EPOLLIN | EPOLLET, [100]))).toEqual([]); // fewer than asked for: that was all
  expect(warningsOf(leave(EPOLLIN, [2]))).toEqual([]); // level-triggered: it comes again
  expect(warningsOf(leave(EPOLLIN | EPOLLONESHOT, [2]))).toEqual([]);
});

test("idle-epollout: writable all the time, and nothing to send", () => {
  const warnings = warningsOf(({ epoll, fd }) => {
    epoll.register(fd, EPOLLIN | EPOLLOUT);
    for (let i = 0; i < 80; i++) epoll.poll(1000);
  });
  expect(warnings.map(({ code }) => code)).toEqual(["idle-epollout"]);
  const silent = warningsOf(({ epoll, sys, fd, peer }) => {
    epoll.register(fd, EPOLLOUT);
    for (let i = 0; i < 80; i++) {
      epoll.poll(1000);
      sys.send(fd, new Uint8Array(1), 0, 1, 0);
      peer.recv(1);
    }
  });
  expect(silent).toEqual([]);
});

test("fd-leak: accepted, unregistered, and never closed", () => {
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

test("slow-handler: one turn holds up all others; whose, and only if it is slow", () => {
  const slow = (ms: number): (WarningCode | undefined)[] => {
    const events: TraceEvent[] = [];
    using stage = new Stage({
      fetch: () => {
        const until = performance.now() + ms;
        while (performance.now() < until);
        return new Response("Hello from Epoll server!");
      },
      trace: { listener: (event) => events.push(event), slowMs: 200 },
    });
    stage.receive(stage.client(GET), complete);
    stage.settle();
    return events.flatMap((event) => (event.type === "warning" ? [event.code] : []));
  };
  expect(slow(250)).toEqual(["slow-handler"]);
  expect(slow(0)).toEqual([]);
});

test("EpollServer itself gives no reason for a warning: hello, classic, a slow reader, resets", () => {
  for (const options of [{}, { keepAlive: false, eager: false }]) {
    const events: TraceEvent[] = [];
    {
      using stage = new Stage({
        ...options,
        response: "x".repeat(3_000_000),
        trace: { listener: (event) => events.push(event), slowMs: 10_000 },
      });
      const slow = stage.client(GET);
      for (let i = 0; i < 300; i++) {
        stage.server.tick(1);
        slow.recv(1000);
      }
      stage.client(GET).close();
      for (let i = 0; i < 20; i++) stage.receive(stage.client("GET / HTTP/1.0\r\n\r\n"), /x{100000}/);
      stage.settle();
    }
    expect(events.filter(({ type }) => type === "warning")).toEqual([]);
  }
});
