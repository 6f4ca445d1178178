// The trace of a server: every system call of its loop, in order and with its result.

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EpollServer,
  type EpollServerOptions,
  formatEvent,
  type TraceEvent,
  type TraceOptions,
} from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { scaled } from "../support/scale.ts";
import { complete, GET, ServerHarness, sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

/** Serves one client after another; returns all events. */
function traced(
  options: EpollServerOptions,
  traceOptions: Partial<TraceOptions> = {},
  requests: string[] = [GET],
): TraceEvent[] {
  const events: TraceEvent[] = [];
  {
    using harness = new ServerHarness({
      ...options,
      trace: { listener: (event) => events.push(event), ...traceOptions },
    });
    for (const request of requests) {
      const client = harness.client(request);
      harness.receive(client, complete);
      client.close();
      harness.settle();
    }
  }
  return events;
}

const withoutEmpty = (events: TraceEvent[]): TraceEvent[] =>
  events.filter((event) => event.type !== "wait" || event.events.length > 0);

test("reports the classic loop: one event list and one call per event", () =>
  leavesNoFd(() => {
    const events = traced({ keepAlive: false, eager: false });
    const listener = events.find((event) => event.type === "listen")?.fd;
    const fd = events.find((event) => event.type === "accept")?.result;
    const lists = withoutEmpty(events).flatMap((event) => (event.type === "wait" ? [event.events] : []));
    expect(lists).toEqual([[[listener, EPOLLIN]], [[fd, EPOLLIN]], [[fd, EPOLLOUT]], [[fd, EPOLLHUP]]] as never);
    const lines = withoutEmpty(events).flatMap((event) => formatEvent(event) ?? []);
    const text = lines
      .join("\n")
      .replaceAll(new RegExp(`\\b${fd}\\b`, "g"), "FD")
      .replaceAll(new RegExp(`\\b${listener}\\b`, "g"), "LISTENER")
      .replace(/127.0.0.1:\d+/g, "ADDRESS")
      .replace(/#\d+ epoll_wait\(\d+, \d\)/g, "epoll_wait")
      .replace(/epoll_ctl\(\d+/g, "epoll_ctl(EP")
      .replace(/epoll_create1\(EPOLL_CLOEXEC\) = \d+/, "epoll_create1")
      .replace(/close\(\d+\)$/, "close(EP)")
      .replace(/ +\+\d+\.\d{3}s/g, "")
      .replace(/^ *warning: .*\(slow-handler\)\n/gm, "") // the machine is busy
      .replace(/ {2,}(?=\S)/g, " ");
    expect(text.split("\n").map((line) => line.trim())).toEqual([
      "listen(LISTENER) ADDRESS",
      "epoll_create1",
      "epoll_ctl(EP, ADD, LISTENER, EPOLLIN)",
      "epoll_wait = [(LISTENER, EPOLLIN)]",
      "accept4(LISTENER) = FD ADDRESS",
      "FD: none -> new",
      "epoll_ctl(EP, ADD, FD, EPOLLIN)",
      "epoll_wait = [(FD, EPOLLIN)]",
      "recv(FD) = 27 GET / HTTP/1.1",
      "FD: new -> sending",
      "epoll_ctl(EP, MOD, FD, EPOLLOUT)",
      "epoll_wait = [(FD, EPOLLOUT)]",
      "send(FD) = 145 HTTP/1.1 200 OK",
      "FD: sending -> closing",
      "epoll_ctl(EP, MOD, FD, 0)",
      "shutdown(FD, SHUT_RDWR)",
      "epoll_wait = [(FD, EPOLLHUP)]",
      "epoll_ctl(EP, DEL, FD)",
      "FD: closing -> none",
      "close(FD)",
      "epoll_ctl(EP, DEL, LISTENER)",
      "close(LISTENER)",
      "close(EP)",
    ]);
  }));

test("numbers events without gaps, in order of time, and with the iteration that they belong to", () => {
  const events = traced(
    {},
    {},
    Array.from({ length: 20 }, () => GET),
  );
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  let [us, iteration] = [0, 0];
  for (const event of events) {
    expect(event.us).toBeGreaterThanOrEqual(us);
    us = event.us;
    expect(event.iteration).toBe(event.type === "wait" ? ++iteration : iteration);
  }
  expect(events[0]).toMatchObject({ type: "begin", version: 2, pid: process.pid });
});

test("reports the old and the new mask of a registration", () => {
  const events = traced({ keepAlive: false, eager: false });
  const fd = events.find((event) => event.type === "accept")?.result;
  const masks = events.flatMap((event) =>
    event.type === "ctl" && event.fd === fd ? [[event.op, event.oldMask, event.mask]] : [],
  );
  expect(masks).toEqual([
    ["ADD", null, EPOLLIN],
    ["MOD", EPOLLIN, EPOLLOUT],
    ["MOD", EPOLLOUT, 0],
    ["DEL", 0, null],
  ]);
});

test("reports a failed call with its errno, and formats it by name", () => {
  const events: TraceEvent[] = [];
  using harness = new ServerHarness(
    { trace: (event) => events.push(event), writeTimeoutMs: 1000 },
    sysWith(({ send }) => ({ send: (...args) => (events.length < 14 ? -104 : send(...args)) })),
  );
  const client = harness.client(GET);
  harness.settle();
  const failed = events.find((event) => event.type === "send");
  expect(failed).toMatchObject({ result: -104 });
  expect(formatEvent(failed as TraceEvent)?.trim()).toMatch(/^send\(\d+\) = -1 ECONNRESET$/);
  expect(harness.server.stats.errors).toBe(1);
  client.close();
});

test("includes the data only with the option bytes, but always the start line", () => {
  const requests = ["POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsecret"];
  for (const hasBytes of [false, true]) {
    const events = traced({}, { bytes: hasBytes }, requests);
    const received = events.find((event) => event.type === "recv") as TraceEvent;
    expect(received).toMatchObject({ line: "POST /a HTTP/1.1" });
    expect(JSON.stringify(events).includes("secret")).toBe(hasBytes);
    expect(formatEvent(received)?.includes('\\r\\nHost: a\\r\\nContent-Length: 6\\r\\n\\r\\nsecret"')).toBe(hasBytes);
  }
});

test("escapes control characters in data, so that a client cannot write to the terminal", () => {
  const events: TraceEvent[] = [];
  using harness = new ServerHarness({ trace: { listener: (event) => events.push(event), bytes: true } });
  const client = harness.client("G\x1b[2J \x9b31m /\xff HTTP/1.1\r\n\r\n");
  harness.settle();
  client.close();
  const lines = events.flatMap((event) => formatEvent(event) ?? []);
  expect(lines.some((line) => line.includes("\\u001b[2J \\u00c2\\u009b31m /\\u00c3\\u00bf"))).toBe(true);
  for (const line of lines) expect(line).toMatch(/^[ -~]*$/);
});

test("includes the source line of every call with the option lines", () => {
  const calls = traced({}, { lines: true }).filter((event) => "result" in event);
  const places = new Set(calls.map(({ at }) => at?.replace(/:\d+$/, "")));
  expect(places).toContain("src/server/run-loop.ts");
  for (const place of places)
    expect(place).toMatch(/^src\/server\/(?:run-loop|connection-table|accept-throttle|listeners|server)\.ts$/);
  expect(traced({}).some(({ at }) => at !== undefined)).toBe(false);
});

test("reports at the end of each iteration how long it took in total and for each fd", () => {
  const events = traced({});
  const iterations = events.filter((event) => event.type === "iteration");
  expect(iterations.length).toBe(events.filter((event) => event.type === "wait").length); // one before the first wait, none after the last
  for (const { workedUs, dispatches } of iterations) {
    expect(dispatches.reduce((sum, [, us]) => sum + us, 0)).toBeLessThanOrEqual(workedUs + 1);
  }
});

test("rethrows an error of the listener after the iteration, without losing a connection", () =>
  leavesNoFd(() => {
    const trace = (event: TraceEvent): void => {
      if (event.type === "accept") throw new Error("enough");
    };
    using harness = new ServerHarness({ trace });
    const client = harness.client(GET);
    expect(() => harness.settle()).toThrow("enough");
    expect(harness.receive(client, complete)).toStartWith("HTTP/1.1 200");
    expect(harness.server.stats).toMatchObject({ accepted: 1, requests: 1, open: 1 });
  }));

test("rejects a trace option without a function, and a slowMs that is not above 0", () => {
  const rejected: [unknown, string][] = [
    [1, "trace must be a function, or an object with a function `listener`; received 1"],
    [null, "trace must be a function, or an object with a function `listener`; received null"],
    [{}, "trace must be a function"],
    [{ listener: 1 }, "trace must be a function"],
    [{ listener: () => {}, slowMs: 0 }, "trace.slowMs must be a number of milliseconds above 0; received 0"],
    [{ listener: () => {}, slowMs: NaN }, "trace.slowMs must be a number of milliseconds above 0; received NaN"],
    [{ listener: () => {}, slowMs: "1" }, 'trace.slowMs must be a number of milliseconds above 0; received "1"'],
  ];
  for (const [trace, message] of rejected) {
    expect(() => new EpollServer({ trace: trace as never })).toThrow(message);
  }
});

test("accounts for every event of a long run", () => {
  const count = scaled(10_000, 100_000);
  const counts: Record<string, number> = {};
  let [seq, inBytes, outBytes, expectedSeq] = [0, 0, 0, 0];
  const listener = (event: TraceEvent): void => {
    expectedSeq++;
    seq = event.seq;
    counts[event.type] = (counts[event.type] ?? 0) + 1;
    if (event.type === "recv" && event.result > 0) inBytes += event.result;
    if (event.type === "send" && event.result > 0) outBytes += event.result;
  };
  const harness = new ServerHarness({ trace: listener });
  const clients = Array.from({ length: 20 }, () => harness.client());
  const response = /Hello from Epoll server!$/;
  for (let i = 0; i < count / clients.length; i++) {
    for (const client of clients) client.send(GET);
    for (const client of clients) harness.receive(client, response);
  }
  const { stats } = harness.server;
  harness[Symbol.dispose]();
  expect(stats.requests).toBe(count);
  expect(seq).toBe(expectedSeq);
  expect([inBytes, outBytes]).toEqual([stats.bytesIn, stats.bytesOut]);
  expect(counts).toMatchObject({ begin: 1, listen: 1, create: 1, send: count, close: clients.length + 2 });
  expect(counts["wait"]).toBe(counts["iteration"] as number);
});
