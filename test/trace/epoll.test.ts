// The option `trace` of Epoll and watch: their own system calls, as the same events as a server's.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Epoll, EPOLLIN, EPOLLOUT, EventFd, formatEvent, socketpair, type TraceEvent, watch } from "../../src/index.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { ThreadClock } from "../../src/trace/thread-times.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const linesOf = (events: TraceEvent[], names: Record<number, string>): string[] =>
  events
    .flatMap((event) => formatEvent(event) ?? [])
    .map((line) =>
      line
        .trim()
        .replace(/ +\+\d+\.\d{3}s$/, "")
        .replace(/\b\d+\b/g, (number) => names[Number(number)] ?? number),
    );

test("reports every system call of an Epoll, including those that fail", () =>
  leavesNoFd(() => {
    const events: TraceEvent[] = [];
    const [a, b] = socketpair();
    const epoll = new Epoll({ trace: (event) => events.push(event) });
    const names = { [epoll.fileno()]: "EP", [a.fileno()]: "A", [b.fileno()]: "B" };
    epoll.register(a, EPOLLIN);
    expect(() => epoll.register(a, EPOLLIN)).toThrow("EEXIST");
    expect(epoll.poll(0)).toEqual([]);
    b.send("x");
    expect(epoll.poll(1000)).toEqual([[a.fileno(), EPOLLIN]]);
    epoll.modify(a, EPOLLOUT);
    epoll.unregister(a);
    epoll.close();
    a.close();
    b.close();
    expect(linesOf(events, names)).toEqual([
      "epoll_create1(EPOLL_CLOEXEC) = EP",
      "epoll_ctl(EP, ADD, A, EPOLLIN)",
      "epoll_ctl(EP, ADD, A, EPOLLIN) = -1 EEXIST",
      "#1 epoll_wait(EP, 0) = []",
      "#2 epoll_wait(EP, 1000) = [(A, EPOLLIN)]",
      "epoll_ctl(EP, MOD, A, EPOLLOUT)",
      "epoll_ctl(EP, DEL, A)",
      "close(EP)",
    ]);
  }));

test("does not warn about missing progress in the trace of an Epoll, which has no transfers", () => {
  const events: TraceEvent[] = [];
  using epoll = new Epoll({ trace: { listener: (event) => events.push(event), slowMs: 10_000 } });
  using event = new EventFd();
  epoll.register(event, EPOLLIN | EPOLLOUT);
  for (let i = 0; i < 300; i++) epoll.poll(1000);
  epoll.poll(0);
  expect(events.filter(({ type }) => type === "warning")).toEqual([]);
});

test("reports the registration of a watch, and every event with the duration of its callback", async () => {
  const events: TraceEvent[] = [];
  using event = new EventFd();
  const called = Promise.withResolvers<void>();
  const watcher = watch(
    event,
    EPOLLIN,
    () => {
      event.read();
      const clock = new ThreadClock(syscalls());
      const usedUs = (): number => clock.read(false)?.cpuUs ?? 0;
      for (const end = usedUs() + 30_000; usedUs() < end;);
      called.resolve();
    },
    { trace: { listener: (one) => events.push(one), slowMs: 15 } },
  );
  event.write(1);
  await called.promise;
  watcher.modify(EPOLLOUT | EPOLLIN);
  watcher.close();
  const wait = events.find((one) => one.type === "wait");
  const lines = linesOf(events, { [event.fileno()]: "E", [wait?.epfd ?? -1]: "EP" });
  expect(lines.slice(0, 2)).toEqual(["epoll_ctl(EP, ADD, E, EPOLLIN)", "#1 epoll_wait(EP, 0) = [(E, EPOLLIN)]"]);
  expect(lines).toContain("epoll_ctl(EP, MOD, E, EPOLLIN|EPOLLOUT)");
  expect(lines.at(-1)).toBe("epoll_ctl(EP, DEL, E)");
  const iteration = events.find((one) => one.type === "iteration");
  expect(iteration?.dispatches[0]?.[0]).toBe(event.fileno());
  expect(events.flatMap((one) => (one.type === "warning" ? [one.code] : []))).toEqual(["slow-handler"]);
});

test("reports the error of a watch that cannot be registered", () => {
  const events: TraceEvent[] = [];
  using event = new EventFd();
  using first = watch(event, EPOLLIN, () => {});
  expect(() => watch(event, EPOLLIN, () => {}, { trace: (one) => events.push(one) })).toThrow("EEXIST");
  expect(events.at(-1)).toMatchObject({ type: "ctl", op: "ADD", result: -17 });
  expect(first.closed).toBe(false);
});
