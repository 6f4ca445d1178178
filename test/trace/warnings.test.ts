// Warnings: programs with one mistake each, on real sockets, and correct programs, which cause no warning.

import { afterEach, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { join } from "node:path";
import {
  AF_INET,
  EPOLLET,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EpollServer,
  Epoll,
  EventFd,
  F_DUPFD_CLOEXEC,
  type InternetAddress,
  type FdLike,
  SHUT_WR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  Socket,
  socketpair,
  TimerFd,
  type TraceEvent,
  type WarningCode,
} from "../../src/index.ts";
import { addressBuffer } from "../../src/kernel/address.ts";
import { EPOLL_CTL_DEL } from "../../src/kernel/constants.ts";
import { EBADF, EMFILE } from "../../src/kernel/errno.ts";
import { syscalls, type Syscalls } from "../../src/kernel/ffi.ts";
import { ThreadClock } from "../../src/trace/thread-times.ts";
import { Tracer } from "../../src/trace/tracer.ts";
import { Client } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { endPrograms, root, run } from "../support/programs.ts";
import { complete, GET, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

/** A traced Epoll and connection for a test program. */
interface TestBed {
  epoll: Epoll;
  sys: Syscalls;
  fd: number;
  peer: Socket;
  clock: TestClock;
  read(count: number): number;
}

/** A clock that advances only when the test sets `ms`. Otherwise, on a busy machine, calls that do not block may seem to take long. */
class TestClock implements Disposable {
  ms: number = 1;
  readonly #spy = spyOn(performance, "now").mockImplementation(() => this.ms);

  [Symbol.dispose](): void {
    this.#spy.mockRestore();
  }
}

type Warning = Extract<TraceEvent, { type: "warning" }>;

function warningsOf(program: (testBed: TestBed) => void, kernel: Syscalls = syscalls()): Warning[] {
  using clock = new TestClock();
  const events: TraceEvent[] = [];
  // The test's clock jumps, so no duration is real.
  const tracer = new Tracer({ listener: (event) => events.push(event), slowMs: 1e9 });
  const sys = tracer.wrapProgram(kernel);
  const epoll = new Epoll(undefined, sys);
  const [socket, peer] = socketpair();
  try {
    const buffer = new Uint8Array(1024);
    const read = (count: number): number => sys.recv(socket.fileno(), buffer, 0, count, 0);
    read(1); // EAGAIN: shows that transfers are traced
    program({ epoll, sys, fd: socket.fileno(), peer, read, clock });
    epoll.poll(0);
    tracer.finish();
  } finally {
    epoll.close();
    socket.close();
    peer.close();
  }
  return events.filter((event) => event.type === "warning");
}

const codesOf = (program: (testBed: TestBed) => void, kernel?: Syscalls): WarningCode[] =>
  warningsOf(program, kernel).flatMap(({ code, updates }) => (updates === undefined ? [code] : []));

/** A listening socket, a client, and the connection that was accepted with `sys`, which the caller closes. */
function acceptWith(sys: Syscalls): { listener: Socket; client: Socket; accepted: number } {
  const listener = new Socket(AF_INET, SOCK_STREAM, 0, undefined, sys);
  listener.bind({ address: "127.0.0.1", port: 0 });
  listener.listen(1);
  const client = new Socket(AF_INET, SOCK_STREAM);
  client.connect(listener.getsockname());
  using epoll = new Epoll();
  epoll.register(listener, EPOLLIN);
  epoll.poll();
  const accepted = sys.accept4(listener.fileno(), addressBuffer(), SOCK_CLOEXEC | SOCK_NONBLOCK);
  return { listener, client, accepted };
}

/** Uses the CPU of this thread for that long. Time in which the thread is not scheduled does not count. */
function useCpu(ms: number): void {
  const clock = new ThreadClock(syscalls());
  const usedUs = (): number => clock.read(false)?.cpuUs ?? 0;
  for (const end = usedUs() + 1000 * ms; usedUs() < end;);
}

test("busy-loop: warns once about a registration, and then how often, at powers of ten and at the end", () => {
  const warnings = warningsOf(({ epoll, fd, peer, read }) => {
    epoll.register(fd, EPOLLIN);
    peer.send("hello");
    for (let i = 0; i < 1500; i++) epoll.poll(1000);
    read(1);
    for (let i = 0; i < 200; i++) epoll.poll(1000);
  });
  expect(warnings.map(({ code }) => code)).toEqual(["busy-loop", "busy-loop", "busy-loop"]);
  const [first, second, last] = warnings as [Warning, Warning, Warning];
  expect(first).toMatchObject({ epfd: expect.any(Number), at: expect.stringMatching(/warnings\.test\.ts:\d+$/) });
  expect(first.updates).toBeUndefined();
  expect([second.updates, last.updates]).toEqual([first.seq, first.seq]);
  expect([first.count, second.count]).toEqual([102, 1020]);
  expect(last.count).toBe(1499 + 199);
});

test("busy-loop: a wait that takes long on a busy machine does not make it start over", () => {
  const codes = codesOf(({ epoll, fd, peer, clock }) => {
    epoll.register(fd, EPOLLIN);
    peer.send("hello");
    for (let i = 0; i < 110; i++) {
      epoll.poll(1000);
      clock.ms += 10;
    }
  });
  expect(codes).toEqual(["busy-loop"]);
});

test("busy-loop: warns about an ignored fd while others are handled", () => {
  const warnings = warningsOf(({ epoll, fd, peer, read }) => {
    using ignored = new EventFd(1);
    epoll.register(fd, EPOLLIN);
    epoll.register(ignored, EPOLLIN);
    for (let i = 0; i < 110; i++) {
      peer.send("x");
      epoll.poll(1000);
      read(1);
    }
  });
  expect(new Set(warnings.map(({ code, fd }) => `${code} ${typeof fd}`))).toEqual(new Set(["busy-loop number"]));
});

test("busy-loop: does not warn about a program that reads one byte at a time, or that polls with timeout 0", () => {
  const codes = codesOf(({ epoll, fd, peer, read }) => {
    epoll.register(fd, EPOLLIN);
    peer.send("x".repeat(300));
    for (let i = 0; i < 250; i++) {
      epoll.poll(1000);
      read(1);
    }
    for (let i = 0; i < 250; i++) epoll.poll(0);
  });
  expect(codes).toEqual([]);
});

test("busy-loop: does not warn if code that is not traced reads, such as an addon", () => {
  const codes = codesOf(({ epoll, sys }) => {
    const { listener, client, accepted } = acceptWith(sys);
    const buffer = new Uint8Array(10);
    epoll.register(accepted, EPOLLIN);
    for (let i = 0; i < 300; i++) {
      client.send("x");
      epoll.poll(1000);
      syscalls().recv(accepted, buffer, 0, 10, 0);
    }
    sys.close(accepted);
    for (const one of [listener, client]) one.close();
  });
  expect(codes).toEqual([]);
});

test("eof-ignored: warns when recv returns 0 again and again, and names that cause only", () => {
  const ignoreEnd = (isClosed: boolean) => (testBed: TestBed) => {
    const { epoll, sys, fd, peer, read } = testBed;
    epoll.register(fd, EPOLLIN);
    peer.shutdown(SHUT_WR);
    for (let i = 0; i < 150; i++) {
      epoll.poll(1000);
      read(10);
      if (isClosed) return void sys.epoll_ctl(epoll.fileno(), EPOLL_CTL_DEL, fd, 0, 0);
    }
  };
  const warnings = warningsOf(ignoreEnd(false));
  expect(warnings.map(({ code, count }) => [code, count])).toEqual([
    ["eof-ignored", 10],
    ["eof-ignored", 100],
    ["eof-ignored", 150],
  ]);
  expect(codesOf(ignoreEnd(true))).toEqual([]);
});

test("hangup-ignored: warns when EPOLLHUP is reported again and again, which no mask prevents", () => {
  const codes = codesOf(({ epoll, fd, peer }) => {
    epoll.register(fd, 0);
    peer.close();
    for (let i = 0; i < 150; i++) epoll.poll(1000);
  });
  expect(codes).toEqual(["hangup-ignored"]);
});

test("undrained: warns when an edge-triggered fd is not read until EAGAIN", () => {
  const readPartly = (mask: number, reads: number[]) => (testBed: TestBed) => {
    testBed.epoll.register(testBed.fd, mask);
    testBed.peer.send("hello");
    testBed.epoll.poll(1000);
    for (const count of reads) testBed.read(count);
    testBed.epoll.poll(1);
  };
  expect(codesOf(readPartly(EPOLLIN | EPOLLET, [2]))).toEqual(["undrained"]);
  expect(codesOf(readPartly(EPOLLIN | EPOLLET, []))).toEqual(["undrained"]);
  expect(warningsOf(readPartly(EPOLLIN | EPOLLET, [2, 3, 3]))).toEqual([]); // until EAGAIN
  expect(warningsOf(readPartly(EPOLLIN | EPOLLET, [100]))).toEqual([]); // fewer than requested: the queue is empty
  expect(warningsOf(readPartly(EPOLLIN, [2]))).toEqual([]); // level-triggered: reported again
  expect(warningsOf(readPartly(EPOLLIN | EPOLLONESHOT, [2]))).toEqual([]);
  expect(warningsOf(readPartly(EPOLLIN | EPOLLET, [5]))).toEqual([]); // exactly all: nothing is left
});

test("undrained: does not warn about a program that polls with timeout 0 and then reads the rest", () => {
  const codes = codesOf(({ epoll, fd, peer, read }) => {
    epoll.register(fd, EPOLLIN | EPOLLET);
    peer.send("hello");
    for (let i = 0; i < 6; i++) {
      epoll.poll(0);
      read(1);
    }
    epoll.poll(1);
  });
  expect(codes).toEqual([]);
});

test("undrained: warns about a listener from which one connection is accepted", () => {
  const warnings = warningsOf(({ epoll, sys }) => {
    const { listener, client, accepted } = acceptWith(sys);
    using more = new Socket();
    epoll.register(listener, EPOLLIN | EPOLLET);
    more.connect(listener.getsockname());
    epoll.poll(1000);
    epoll.poll(1);
    for (const one of [listener, client]) one.close();
    sys.close(accepted);
  });
  expect(warnings.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^fd \d+ is edge-triggered, but was not accepted from until EAGAIN: 1 connection is left/),
  ]);
});

test("idle-epollout: warns when EPOLLOUT is registered without anything to send", () => {
  const codes = codesOf(({ epoll, fd }) => {
    epoll.register(fd, EPOLLIN | EPOLLOUT);
    for (let i = 0; i < 80; i++) epoll.poll(1000);
  });
  expect(codes).toEqual(["idle-epollout"]);
  const correct = codesOf(({ epoll, sys, fd, peer }) => {
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
  const leak = (isClosed: boolean, hasMore: boolean): WarningCode[] =>
    codesOf(({ epoll, sys, fd, peer, read, clock }) => {
      const { listener, client, accepted } = acceptWith(sys);
      epoll.register(accepted, EPOLLIN);
      epoll.unregister(accepted);
      if (hasMore) client.send("more");
      if (isClosed) sys.close(accepted);
      epoll.register(fd, EPOLLIN);
      for (let i = 0; i < 250; i++) {
        peer.send("x");
        epoll.poll(1000);
        read(1);
        clock.ms += 10;
      }
      if (!isClosed) syscalls().close(accepted);
      for (const one of [listener, client]) one.close();
    });
  expect(leak(false, false)).toEqual(["fd-leak"]);
  expect(leak(true, false)).toEqual([]);
  expect(leak(false, true)).toEqual([]); // it may have been unregistered to stop reading for a while
});

test("never-registered: warns when nothing is done with an accepted connection, even while the program waits", () => {
  const run = (use: (sys: Syscalls, accepted: number) => void): WarningCode[] =>
    codesOf(({ epoll, sys, clock }) => {
      const { listener, client, accepted } = acceptWith(sys);
      use(sys, accepted);
      clock.ms += 3_000;
      epoll.poll(1);
      syscalls().close(accepted);
      for (const one of [listener, client]) one.close();
    });
  expect(run(() => {})).toEqual(["never-registered"]);
  expect(run((sys, accepted) => sys.send(accepted, new Uint8Array(1), 0, 1, 0))).toEqual([]);
  expect(run((sys, accepted) => sys.disown(accepted))).toEqual([]); // detached: another owner uses it
  expect(run((_, accepted) => syscalls().send(accepted, new Uint8Array(1), 0, 1, 0))).toEqual([]); // by an addon
});

test("accept-failed: warns at the third failure in a row, unless the listener is paused in between", () => {
  const noFds = { ...syscalls(), accept4: () => -EMFILE };
  const run = (pauses: boolean): WarningCode[] =>
    codesOf(({ epoll, sys }) => {
      using listener = new Socket(AF_INET, SOCK_STREAM, 0, undefined, sys);
      listener.bind({ address: "127.0.0.1", port: 0 });
      listener.listen(1);
      using client = new Socket();
      client.connect(listener.getsockname());
      epoll.register(listener, EPOLLIN);
      for (let i = 0; i < 150; i++) {
        epoll.poll(1000);
        sys.accept4(listener.fileno(), addressBuffer(), SOCK_CLOEXEC);
        if (pauses) epoll.modify(listener, 0);
        if (pauses) epoll.modify(listener, EPOLLIN);
      }
      epoll.unregister(listener);
    }, noFds);
  expect(run(false)).toEqual(["accept-failed"]);
  expect(run(true)).toEqual([]);
});

test("listener-unwatched: warns when a connection was closed and the listener is still not watched", () => {
  const run = (resumes: boolean, closes: boolean): WarningCode[] =>
    codesOf(({ epoll, sys, clock }) => {
      const { listener, client, accepted } = acceptWith(sys);
      epoll.register(listener, EPOLLIN);
      epoll.register(accepted, EPOLLIN);
      epoll.modify(listener, 0);
      using waiting = new Socket();
      waiting.connect(listener.getsockname());
      epoll.poll(1);
      if (closes) {
        epoll.unregister(accepted);
        sys.close(accepted);
      }
      if (resumes) epoll.modify(listener, EPOLLIN);
      clock.ms += 3_000;
      epoll.poll(1);
      if (!closes) syscalls().close(accepted);
      for (const one of [listener, client]) one.close();
    });
  expect(run(false, true)).toEqual(["listener-unwatched"]);
  expect(run(true, true)).toEqual([]);
  expect(run(false, false)).toEqual([]); // a program at its limit of connections
});

test("closed-while-registered: warns when a duplicate keeps the registration, and when the program unregisters afterwards", () => {
  const withDuplicate = warningsOf(({ epoll, sys, fd }) => {
    const copy = sys.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    const other = sys.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    epoll.register(copy, EPOLLIN);
    sys.close(copy);
    sys.close(other);
  });
  expect(withDuplicate.map(({ code, message }) => [code, message])).toEqual([
    ["closed-while-registered", expect.stringContaining("a duplicate keeps its file open")],
  ]);
  const afterwards = codesOf(({ epoll, sys }) => {
    const number = new EventFd(0).detach();
    epoll.register(number, EPOLLIN);
    sys.close(number);
    expect(sys.epoll_ctl(epoll.fileno(), EPOLL_CTL_DEL, number, 0, 0)).toBe(-EBADF);
  });
  expect(afterwards).toEqual(["closed-while-registered"]);
  const closedOnly = codesOf(({ epoll, sys }) => {
    const number = new EventFd(0).detach();
    epoll.register(number, EPOLLIN);
    sys.close(number);
    epoll.poll(1);
  });
  expect(closedOnly).toEqual([]); // closing the last fd of a file removes its registration
});

test("no-reply: warns ten seconds after a complete request if nothing was sent, and only a client could cause a reply", () => {
  const run = (request: string, replies: boolean, timeoutMs = -1, others: FdLike[] = []): WarningCode[] =>
    codesOf(({ epoll, sys, fd, peer, read, clock }) => {
      for (const one of [fd, ...others]) epoll.register(one, EPOLLIN);
      peer.send(request);
      epoll.poll(1000);
      read(1000);
      if (replies) sys.send(fd, new Uint8Array(1), 0, 1, 0);
      clock.ms += 11_000;
      peer.send("x"); // so that a wait without a timeout returns
      epoll.poll(timeoutMs);
    });
  expect(run(GET, false)).toEqual(["no-reply"]);
  expect(run(GET, true)).toEqual([]);
  expect(run("GET / HTTP/1.1\r\nHost:", false)).toEqual([]); // the rest of the head has not arrived
  expect(run("hello\r\n\r\n", false)).toEqual([]); // another protocol, which may need no reply
  // Long polling: something else than a client may cause the reply.
  using timer = new TimerFd();
  using counter = new EventFd(0);
  expect(run(GET, false, 60_000)).toEqual([]);
  expect(run(GET, false, -1, [timer])).toEqual([]);
  expect(run(GET, false, -1, [counter])).toEqual([]);
});

test("no-reply: warns about a handler whose promise can no longer settle, and not about one that may", async () => {
  using clock = new TestClock();
  const events: TraceEvent[] = [];
  const waiters: (() => void)[] = []; // long polling
  await using server = new EpollServer({
    hostname: "127.0.0.1",
    handlerTimeoutMs: Infinity,
    idleTimeoutMs: Infinity,
    headerTimeoutMs: Infinity,
    trace: (event) => events.push(event),
    fetch: async (request) => {
      await new Promise<void>((resolve) => request.url.endsWith("/poll") && waiters.push(resolve));
      return new Response("late");
    },
  });
  await server.start();
  const requestsOf = (path: string): number =>
    events.filter((event) => event.type === "recv" && event.line?.includes(path)).length;
  const warnings = (): Warning[] => events.filter((event) => event.type === "warning");
  using never = new Client(server.address as InternetAddress, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
  const polling = fetch(`${server.url}/poll`);
  await eventually(
    () => requestsOf("/never") + requestsOf("/poll"),
    (count) => count === 2,
  );
  await eventually(
    () => {
      Bun.gc(true);
      clock.ms += 11_000;
      new Client(server.address as InternetAddress)[Symbol.dispose](); // lets the server check
      return warnings();
    },
    (all) => all.length > 0,
  );
  expect(warnings().map(({ code }) => code)).toEqual(["no-reply"]);
  expect(warnings()[0]?.message).toMatch(
    /\(GET \/never HTTP\/1\.1\).* its handler waits for a promise that can no longer settle/,
  );
  for (const resolve of waiters) resolve();
  expect(await (await polling).text()).toBe("late");
  expect(never.socket.closed).toBe(false);
  await server.stop({ graceMs: 0 }); // the clock that would limit a graceful stop does not advance
});

test("keeps two instances apart: an fd in both, and fds with different instances", () => {
  const codes = codesOf(({ epoll, fd, peer, read, sys }) => {
    using second = new Epoll(undefined, sys);
    epoll.register(fd, EPOLLIN);
    second.register(fd, EPOLLOUT | EPOLLET);
    peer.send("x".repeat(200));
    for (let i = 0; i < 120; i++) {
      epoll.poll(1000);
      second.poll(0);
      read(1);
    }
  });
  expect(codes).toEqual([]);
});

test("slow-handler: warns when one fd delays all others, by CPU time or by blocking", () => {
  const slow = (work: () => void): WarningCode[] => {
    const events: TraceEvent[] = [];
    using harness = new ServerHarness({
      fetch: () => {
        work();
        return new Response("Hello from Epoll server!");
      },
      trace: { listener: (event) => events.push(event), slowMs: 200 },
    });
    for (let i = 0; i < 3; i++) harness.receive(harness.client(GET), complete);
    harness.settle();
    return [...new Set(events.flatMap((event) => (event.type === "warning" ? [event.code] : [])))];
  };
  expect(slow(() => useCpu(300))).toEqual(["slow-handler"]);
  expect(slow(() => {})).toEqual([]);
});

test("slow-handler: does not count set-up time before the first wait, but the time before the first call after it", () => {
  const events: TraceEvent[] = [];
  using epoll = new Epoll({ trace: { listener: (event) => events.push(event), slowMs: 20 } });
  const [socket, peer] = socketpair();
  epoll.register(socket, EPOLLIN);
  useCpu(40);
  peer.send("x");
  epoll.poll();
  const setUp = events.find((event) => event.type === "iteration");
  expect(setUp).toMatchObject({ iteration: 0, dispatches: [] });
  expect(setUp?.workedUs).toBeGreaterThanOrEqual(40_000);
  expect(events.filter(({ type }) => type === "warning")).toEqual([]);
  useCpu(40); // before the first call
  epoll.modify(socket, EPOLLOUT);
  epoll.poll(0);
  expect(events.find(({ type }) => type === "warning")).toMatchObject({
    code: "slow-handler",
    fd: socket.fileno(),
    message: expect.stringMatching(/^handling fd \d+ took \d+ ms of CPU time, and delayed all other fds$/),
  });
  const dispatches = events.flatMap((event) => (event.type === "iteration" ? event.dispatches : []));
  expect(dispatches[0]?.[0]).toBe(socket.fileno());
  expect(dispatches[0]?.[1]).toBeGreaterThanOrEqual(40_000);
  socket.close();
  peer.close();
});

test.skipIf(Bun.which("taskset") === null)(
  "slow-handler: does not blame an fd for time in which the thread was not scheduled",
  async () => {
    const program = `
      import { Epoll, EPOLLIN, socketpair } from ${JSON.stringify(join(root, "src", "index.ts"))};
      import { syscalls } from ${JSON.stringify(join(root, "src", "kernel", "ffi.ts"))};
      import { ThreadClock } from ${JSON.stringify(join(root, "src", "trace", "thread-times.ts"))};
      const warnings = [];
      const clock = new ThreadClock(syscalls());
      const epoll = new Epoll({ trace: { slowMs: 20, listener: (event) => event.type === "warning" && warnings.push(event.message) } });
      const [one, other] = socketpair();
      epoll.register(one, EPOLLIN);
      other.send("x");
      const usedMs = [];
      for (let i = 0, before = clock.read(false).cpuUs; i < 20; i++) {
        epoll.poll();
        for (const end = performance.now() + 25; performance.now() < end;);
        epoll.modify(one, EPOLLIN);
        const now = clock.read(false).cpuUs; // of the whole iteration, as the engine may compile something
        usedMs.push((now - before) / 1000);
        before = now;
      }
      epoll.poll();
      console.log(JSON.stringify({ warnings, usedMs }));
    `;
    // Four programs on one CPU: each spins for 25 ms again and again, but is scheduled for a part of that only.
    const runs = await Promise.all(
      Array.from({ length: 4 }, () => run(["taskset", "-c", "0", process.execPath, "-e", program])),
    );
    const results = runs.map(({ stdout }) => JSON.parse(stdout) as { warnings: string[]; usedMs: number[] });
    expect(results.some(({ usedMs }) => usedMs.some((ms) => ms < 10))).toBe(true);
    for (const { warnings, usedMs } of results) {
      const used = usedMs.filter((ms) => ms >= 12);
      expect(warnings.length <= used.length ? [] : warnings).toEqual([]);
    }
  },
);

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
