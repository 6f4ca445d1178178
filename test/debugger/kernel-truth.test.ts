// What the debugger says about the kernel, compared with the kernel: /proc/self/fdinfo, /proc/net/tcp and the thread's CPU time.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  Epoll,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EventFd,
  type InternetAddress,
  Socket,
  socketpair,
} from "../../src/index.ts";
import { syscalls, type Syscalls } from "../../src/kernel/ffi.ts";
import { compareInstances, explainFd } from "../../src/tools/debugger/kernel-statements.ts";
import { Sampler } from "../../src/tools/debugger/sampler.ts";
import type { FdRow } from "../../src/tools/inspector/fd-row.ts";
import { KernelFigures } from "../../src/tools/inspector/kernel-figures.ts";
import { pollFds } from "../../src/trace/kernel-queries.ts";
import { ThreadClock } from "../../src/trace/thread-times.ts";
import { Tracer } from "../../src/trace/tracer.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

/** A traced program in this process, and the sampler that observes it. */
function traced(): { sampler: Sampler; sys: Syscalls; open: () => Epoll; socket: () => Socket } {
  const sampler = new Sampler();
  const sys = new Tracer((event) => sampler.observe(event)).wrapProgram(syscalls());
  return { sampler, sys, open: () => new Epoll(undefined, sys), socket: () => new Socket(2, 1, 0, undefined, sys) };
}

/** The interest list, as fdinfo has it. */
function interestOf(epoll: Epoll): Map<number, number> {
  const text = readFileSync(`/proc/self/fdinfo/${epoll.fileno()}`, "utf8");
  return new Map(
    [...text.matchAll(/^tfd:\s*(\d+) events:\s*([\da-f]+)/gm)].map(([, fd, mask]) => [
      Number(fd),
      Number.parseInt(mask as string, 16),
    ]),
  );
}

/** What the inspector's table shows of the kernel. */
function kernelRow(fd: number, kind: FdRow["kind"], epfd: number): FdRow {
  const row = { fd, kind, epfd } as FdRow;
  new KernelFigures().complete(row);
  return row;
}

/** The length of the accept queue of a listener, as /proc/net/tcp has it. */
function acceptQueueOf(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const line = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .find((one) => new RegExp(`^\\s*\\d+: [\\dA-F]{8}:${hex} 00000000:0000 0A `).test(one));
  return Number.parseInt(/ 0A [\dA-F]{8}:([\dA-F]{8}) /.exec(line ?? "")?.[1] ?? "", 16);
}

test("counts all registered fds, also those that a sample has no room for", () =>
  leavesNoFd(() => {
    const { sampler, open } = traced();
    using epoll = open();
    const events = Array.from({ length: 600 }, () => new EventFd());
    for (const event of events) epoll.register(event, EPOLLIN);
    const sample = sampler.take();
    expect(sample.registered).toBe(interestOf(epoll).size);
    expect(sample.registered).toBe(600);
    expect(sample.entries.length).toBeLessThan(600);
    expect(compareInstances(sampler.table.entries)).toEqual({ messages: [], registered: 600, instances: 1 });
    for (const event of events) event.close();
  }));

test("keeps instances apart: two instances, and one fd in both", () =>
  leavesNoFd(() => {
    const { sampler, open } = traced();
    using first = open();
    using second = open();
    const [a, b] = socketpair();
    first.register(a, EPOLLIN);
    second.register(b, EPOLLIN);
    second.register(a, EPOLLOUT);
    const { table } = sampler;
    expect(table.epfds).toEqual([first.fileno(), second.fileno()].sort((one, other) => one - other));
    for (const epoll of [first, second]) {
      const masks = [...table.masksOf(epoll.fileno())].map(([fd, mask]) => [fd, mask | EPOLLERR | EPOLLHUP]);
      expect(new Map(masks as [number, number][])).toEqual(interestOf(epoll));
    }
    expect(compareInstances(table.entries)).toEqual({ messages: [], registered: 3, instances: 2 });
    const entry = table.entry(a.fileno());
    expect(entry?.registrations).toEqual([
      { epfd: first.fileno(), mask: EPOLLIN },
      { epfd: second.fileno(), mask: EPOLLOUT },
    ]);
    for (const epoll of [first, second]) {
      expect(kernelRow(a.fileno(), "connection", epoll.fileno()).kernelMask).toBe(interestOf(epoll).get(a.fileno()));
    }
    expect(explainFd(a.fileno(), entry?.registrations ?? [])).toEndWith(
      `It is registered with epoll fd ${first.fileno()} only for EPOLLIN, so epoll_wait(${first.fileno()}) does not report it. ` +
        `It is registered with epoll fd ${second.fileno()} for EPOLLOUT, so epoll_wait(${second.fileno()}) reports EPOLLOUT.`,
    );
    expect(first.poll(0)).toEqual([]);
    expect(second.poll(0)).toEqual([[a.fileno(), EPOLLOUT]]);

    syscalls().epoll_ctl(second.fileno(), 3 /* MOD */, b.fileno(), EPOLLOUT, 0); // not traced
    expect(compareInstances(table.entries).messages).toEqual([
      `epoll fd ${second.fileno()}, fd ${b.fileno()}: the registered mask is EPOLLIN, the kernel mask is EPOLLOUT|EPOLLERR|EPOLLHUP`,
    ]);
    a.close();
    b.close();
  }));

test("forgets the registrations of a closed instance, and of a closed fd whose number is reused", () =>
  leavesNoFd(() => {
    const { sampler, sys, open } = traced();
    using epoll = open();
    const number = new EventFd().detach();
    const closed = open();
    epoll.register(number, EPOLLIN);
    closed.register(number, EPOLLIN);
    closed.close();
    expect(sampler.table.entry(number)?.registrations).toEqual([{ epfd: epoll.fileno(), mask: EPOLLIN }]);
    sys.close(number);
    const reused = new EventFd();
    expect(reused.fileno()).toBe(number); // the lowest free number
    epoll.register(reused, EPOLLET | EPOLLIN);
    expect(sampler.table.entry(number)?.registrations).toEqual([
      { epfd: epoll.fileno(), mask: (EPOLLET | EPOLLIN) >>> 0 },
    ]);
    expect(compareInstances(sampler.table.entries).messages).toEqual([]);
    syscalls().close(reused.detach()); // not traced
    expect(compareInstances(sampler.table.entries).messages).toEqual([
      `epoll fd ${epoll.fileno()}, fd ${number}: registered by the program, but not watched by the kernel: the fd was closed`,
    ]);
    const other = new EventFd();
    expect(other.fileno()).toBe(number);
    expect(compareInstances(sampler.table.entries).messages).toEqual([
      expect.stringContaining("the file that was registered was closed, and another one has its number now"),
    ]);
    expect(explainFd(number, sampler.table.entry(number)?.registrations ?? [])).toContain(
      `but the kernel does not watch it there, so epoll_wait(${epoll.fileno()}) does not report it`,
    );
    expect(epoll.poll(0)).toEqual([]);
    other.close();
  }));

test("says that EPOLLONESHOT has disarmed a registration", () => {
  const { sampler, open } = traced();
  using epoll = open();
  using event = new EventFd(1);
  epoll.register(event, EPOLLIN | EPOLLONESHOT);
  const why = (): string => explainFd(event.fileno(), sampler.table.entry(event.fileno())?.registrations ?? []);
  expect(why()).toContain(`so epoll_wait(${epoll.fileno()}) reports EPOLLIN`);
  expect(epoll.poll(0)).toHaveLength(1);
  expect(why()).toContain("EPOLLONESHOT has reported its event");
  expect(epoll.poll(0)).toEqual([]);
});

test("shows a full accept queue: its length and limit, as ss does, and that connections are dropped", () => {
  const { sampler, open, socket } = traced();
  using epoll = open();
  using listener = socket();
  listener.bind({ address: "127.0.0.1", port: 0 });
  listener.listen(2);
  epoll.register(listener, EPOLLIN);
  const address = listener.getsockname() as InternetAddress;
  const clients = Array.from({ length: 12 }, () => new Socket());
  for (const client of clients) client.connect(address);
  epoll.poll();
  const { receiveQueue, sendQueue } = kernelRow(listener.fileno(), "listener", epoll.fileno());
  expect(receiveQueue).toBe(acceptQueueOf(address.port));
  expect([receiveQueue, sendQueue]).toEqual([3, 2]);
  const why = explainFd(listener.fileno(), sampler.table.entry(listener.fileno())?.registrations ?? []);
  expect(why).toContain(
    "3 connections are waiting to be accepted, so it is readable (EPOLLIN). The accept queue is full (backlog 2): the kernel drops new connections.",
  );
  for (const client of clients) client.close();
});

test("explains a socket that is not connected, or shut down, by what epoll_wait reports", () => {
  using epoll = new Epoll();
  using fresh = new Socket();
  epoll.register(fresh, EPOLLOUT);
  expect(epoll.poll(0)).toEqual([[fresh.fileno(), EPOLLOUT | EPOLLHUP]]);
  expect(explainFd(fresh.fileno(), [{ epfd: epoll.fileno(), mask: EPOLLOUT }])).toBe(
    `fd ${fresh.fileno()} is a TCP socket without a peer, CLOSE. There is nothing to read. It is writable (EPOLLOUT), because send fails immediately. ` +
      `It is not connected (EPOLLHUP), which is always reported. It is registered with epoll fd ${epoll.fileno()} for EPOLLOUT, so epoll_wait(${epoll.fileno()}) reports EPOLLOUT|EPOLLHUP.`,
  );
});

test("counts a loop that spins as work, and a wait that blocks as blocked, as the thread's CPU time has it", () => {
  const { sampler, open } = traced();
  using epoll = open();
  using event = new EventFd(1);
  epoll.register(event, EPOLLIN);
  const clock = new ThreadClock(syscalls());
  const run = (wait: () => void): { blocked: number; cpu: number; idle: number } => {
    const before = { ...sampler.counts };
    const [cpu, start] = [clock.read(true), performance.now()];
    wait();
    const now = clock.read(true);
    const wallUs = (performance.now() - start) * 1000;
    const cpuUs = (now?.cpuUs ?? 0) - (cpu?.cpuUs ?? 0);
    const queuedUs = (now?.queuedUs ?? 0) - (cpu?.queuedUs ?? 0);
    return {
      blocked: (sampler.counts.blockedUs - before.blockedUs) / wallUs,
      cpu: cpuUs / wallUs,
      idle: Math.max(0, wallUs - cpuUs - queuedUs) / wallUs,
    };
  };
  for (let i = 0; i < 2000; i++) epoll.poll(100); // the engine compiles the loop
  const spinning = run(() => {
    for (let i = 0; i < 20_000; i++) epoll.poll(100);
  });
  // On a busy machine, a wait in which the thread was not scheduled seems to have blocked.
  expect(spinning.blocked).toBeLessThanOrEqual(1 - spinning.cpu + 0.2);
  epoll.unregister(event);
  const blocking = run(() => {
    for (let i = 0; i < 5; i++) epoll.poll(40);
  });
  expect(blocking.blocked).toBeGreaterThan(blocking.idle - 0.05);
  expect(blocking.idle).toBeGreaterThan(0.5);
});

test("pollFds returns what epoll_wait would, and takes nothing from the ready list", () => {
  using epoll = new Epoll();
  const events = Array.from({ length: 600 }, (_, i) => new EventFd(i % 2));
  for (const event of events) epoll.register(event, EPOLLIN | EPOLLET);
  const ready = pollFds(
    syscalls(),
    events.map((event) => [event.fileno(), EPOLLIN]),
  );
  expect(ready).toEqual(events.map((_, i) => (i % 2 === 1 ? EPOLLIN : 0)));
  expect(epoll.poll(0)).toHaveLength(300); // once, because they are edge-triggered
  expect(epoll.poll(0)).toHaveLength(0);
  for (const event of events) event.close();
  expect(pollFds(syscalls(), [[99_999, EPOLLIN]])).toEqual([0]);
});
