// The inspector's queries: all open fds, one connection, the kernel's lists and timings, checked against what really happened.

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Epoll,
  EPOLLET,
  EPOLLIN,
  type EpollServerOptions,
  EPOLLOUT,
  EventFd,
  interestList,
  type InternetAddress,
  type TraceEvent,
} from "../../src/index.ts";
import { EventRing } from "../../src/tools/debugger/event-ring.ts";
import type { FdRecord } from "../../src/tools/debugger/fd-ledger.ts";
import type { FdEntry } from "../../src/tools/debugger/fd-table.ts";
import { explainFd } from "../../src/tools/debugger/kernel-statements.ts";
import { HISTOGRAM_BYTES, LogHistogram } from "../../src/tools/debugger/log-histogram.ts";
import { Target } from "../../src/tools/debugger/target.ts";
import { parseFdFilter } from "../../src/tools/inspector/fd-filter.ts";
import { type FdRow, isStuck, rowKey } from "../../src/tools/inspector/fd-row.ts";
import { queryFds } from "../../src/tools/inspector/fd-rows.ts";
import { KernelFigures } from "../../src/tools/inspector/kernel-figures.ts";
import { LiveView } from "../../src/tools/inspector/live-view.ts";
import type {
  ConnectionResponse,
  FdsResponse,
  KernelResponse,
  TimingsResponse,
} from "../../src/tools/inspector/messages.ts";
import { fdInfoResponse, kernelResponse } from "../../src/tools/inspector/queries.ts";
import { Client } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { type Inspected, inspected, messages } from "../support/inspected.ts";

setDefaultTimeout(60_000);

interface Watched extends Inspected {
  address: InternetAddress;
  fds(parameters: Record<string, string | number>): Promise<FdsResponse>;
}

/** A server with an open page: the fds are sent only while one is open. */
async function watched(options: EpollServerOptions = {}): Promise<Watched> {
  const it = await inspected(options);
  const abort = new AbortController();
  const stream = messages(it.page.viewUrl, abort.signal); // one that is garbage collected ends its connection
  await stream.next();
  const fds: Watched["fds"] = async (parameters) => {
    const text = new URLSearchParams(parameters as Record<string, string>);
    return (await (await it.get(`fds?${text}`)).json()) as FdsResponse;
  };
  const address = it.view.target.location.addresses[0] as InternetAddress;
  return {
    ...it,
    address,
    fds,
    async [Symbol.asyncDispose]() {
      abort.abort();
      await stream.return(undefined).catch(() => {});
      await it[Symbol.asyncDispose]();
    },
  };
}

function recordOf(entry: Pick<FdEntry, "fd" | "kind" | "registrations">): FdRecord {
  const rest = { state: undefined, address: undefined, bytesIn: 0, bytesOut: 0, sinceIteration: 1, sinceUs: 1 };
  return {
    entry: { mask: entry.registrations[0]?.mask, ...rest, ...entry },
    stateUs: 1,
    lastUs: 1,
    lastError: undefined,
    line: undefined,
    events: 1,
  };
}

test("totals are exact with 600 connections, and one with a partial request is first when sorted by bytes received", async () => {
  await using it = await watched();
  const clients = Array.from(
    { length: 600 },
    (_, i) => new Client(it.address, i === 444 ? "GET / HTTP/1.1\r\nHost: " : ""),
  );
  try {
    const isAccepted = ({ matching }: FdsResponse): boolean => matching === 600;
    await eventually(() => it.fds({ filter: "type:connection" }), isAccepted);
    await eventually(
      () => it.fds({ filter: "received>0" }),
      ({ matching }) => matching === 1,
    );
    const port = (clients[444] as Client).socket.getsockname() as InternetAddress;
    const { rows, matching, total } = await it.fds({ column: "received", order: "descending", limit: 10 });
    expect({ matching, total }).toEqual({ matching: 602, total: 602 }); // with the listener and the epoll instance
    expect(rows).toHaveLength(10);
    expect(rows[0]).toMatchObject({
      kind: "connection",
      state: "head",
      bytesIn: 22,
      address: `127.0.0.1:${port.port}`,
    });
    // A filter finds it, too, and windows cover all rows without overlap.
    expect((await it.fds({ filter: `state:head peer:${port.port}` })).rows).toHaveLength(1);
    const seen = new Set<number>();
    for (let offset = 0; offset < 602; offset += 100) {
      for (const { fd } of (await it.fds({ offset, limit: 100 })).rows) seen.add(fd);
    }
    expect(seen.size).toBe(602);
    // The kernel's interest list has the listener and all connections.
    await eventually(
      async () => (await (await it.get("kernel")).json()) as KernelResponse,
      ({ instances }) => instances.length === 1 && instances[0]?.interest === 601 && instances[0].ready === 0,
    );
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
  await eventually(
    () => it.fds({}),
    ({ total }) => total === 2,
  );
});

test("the filter is:stuck finds the connection that has sent half a request", async () => {
  await using it = await watched({ headerTimeoutMs: Infinity });
  using idle = new Client(it.address);
  using stuck = new Client(it.address, "GET / HT");
  const { rows } = await eventually(
    () => it.fds({ filter: "is:stuck" }),
    ({ matching }) => matching === 1,
  );
  const { port } = stuck.socket.getsockname() as InternetAddress;
  expect(rows[0]?.address).toBe(`127.0.0.1:${port}`);
  expect(idle.socket.closed).toBe(false);
});

test("rejects an invalid query with a sentence", async () => {
  await using it = await watched();
  for (const [query, sentence] of [
    ["fds?filter=nosuch:1", '"nosuch:" is unknown: use peer:'],
    ["fds?filter=received>x", '"x" is not a number'],
    ["fds?filter=is:nosuch", '"is:nosuch" is unknown: use is:stuck'],
    ["fds?column=toString", "There is no column"],
    ["fds?offset=-1", "must be integers"],
    ["connection?fd=1.5", "must be integers"],
    ["connection", "must be integers"],
  ] as const) {
    const response = await it.get(query);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(sentence);
  }
});

test("follows one connection, also after its fd number has been reused", async () => {
  await using it = await watched();
  const request = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";
  const client = new Client(it.address, request);
  const { rows } = await eventually(
    () => it.fds({ filter: "sent>0" }),
    ({ matching }) => matching === 1,
  );
  const { fd, openedUs } = rows[0] as FdRow;
  const follow = async (opened: number, after = 0): Promise<ConnectionResponse> =>
    (await (await it.get(`connection?fd=${fd}&opened=${opened}&after=${after}`)).json()) as ConnectionResponse;
  const first = await follow(openedUs);
  const types = first.events.map(({ event }) => event.type);
  expect(types[0]).toBe("accept");
  expect(types).toEqual(expect.arrayContaining(["recv", "send", "ctl"]));
  expect(first).toMatchObject({ isTruncated: false, isClosed: false });
  // Only what is new.
  const lastSeq = first.events.at(-1)?.event.seq ?? 0;
  expect((await follow(openedUs, lastSeq)).events).toEqual([]);

  client.send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
  const again = await eventually(
    () => follow(openedUs, lastSeq),
    ({ events }) => events.some(({ event }) => event.type === "send"),
  );
  expect(again.events[0]).toMatchObject({ event: { type: "wait", events: [[fd, 1]] }, otherFds: 0 });
  client[Symbol.dispose]();
  const closed = await eventually(
    () => follow(openedUs),
    ({ isClosed }) => isClosed,
  );
  using second = new Client(it.address, "GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
  const { rows: reused } = await eventually(
    () => it.fds({ filter: "text:/second" }),
    ({ matching }) => matching === 1,
  );
  expect(reused[0]?.fd).toBe(fd);
  const lines = (events: ConnectionResponse): (string | undefined)[] =>
    events.events.flatMap(({ event }) => (event.type === "recv" && event.line !== undefined ? [event.line] : []));
  expect(lines(await follow(openedUs))).toEqual(["GET /first HTTP/1.1", "GET /again HTTP/1.1"]);
  expect(lines(await follow(reused[0]?.openedUs ?? 0))).toEqual(["GET /second HTTP/1.1"]);
  expect(closed.events.map(({ event }) => event.type)).toContain("close");
  expect(second.socket.closed).toBe(false);
});

test("a full accept queue appears in the listener's row and in the ready list, and the ready list is a subset", async () => {
  await using it = await watched({ backlog: 2 });
  await it.send({ kind: "pause" });
  await it.waitFor("paused");
  const clients = Array.from({ length: 3 }, () => new Client(it.address));
  try {
    const { rows } = await eventually(
      () => it.fds({ filter: "type:listener" }),
      ({ rows: [listener] }) => listener?.receiveQueue === 3,
    );
    expect(rows[0]).toMatchObject({ kind: "listener", receiveQueue: 3, sendQueue: 2 });
    const { instances } = await eventually(
      async () => (await (await it.get("kernel")).json()) as KernelResponse,
      ({ instances: [instance] }) => instance?.ready === 1,
    );
    expect(instances).toMatchObject([{ interest: 1, ready: 1, entries: [{ fd: rows[0]?.fd, ready: 1 }] }]);
    // The trace does not know that yet.
    expect(it.view.latestSample?.ready).toEqual([]);
  } finally {
    for (const client of clients) client[Symbol.dispose]();
    await it.send({ kind: "resume", mode: { kind: "continue" } });
  }
});

test("after each step, the interest list and the kernel masks are those of the kernel, not those that were read before", async () => {
  await using it = await watched();
  await it.send({ kind: "pause" });
  await it.waitFor("paused");
  using client = new Client(it.address);
  const instances = async (): Promise<KernelResponse["instances"]> =>
    ((await (await it.get("kernel")).json()) as KernelResponse).instances;
  const epfd = (await instances())[0]?.epfd ?? -1;
  for (let interest = 1, steps = 0; interest < 2; steps++) {
    expect(steps).toBeLessThan(30);
    const { seq } = it.view.state;
    await it.send({ kind: "resume", mode: { kind: "step" } });
    await eventually(
      () => it.view.state,
      (state) => state.run === "paused" && state.seq !== seq,
    );
    const expected = new Map(interestList(epfd).map(({ fd, mask }) => [fd, mask]));
    interest = expected.size;
    const [instance] = await instances();
    expect(instance?.interest).toBe(interest);
    expect(new Map(instance?.entries.map(({ fd, mask }) => [fd, mask]))).toEqual(expected);
    const { rows } = await it.fds({});
    const registered = rows.filter((row) => row.epfd !== undefined);
    expect(new Map(registered.map(({ fd, kernelMask }) => [fd, kernelMask ?? -1]))).toEqual(expected);
  }
  expect(client.socket.closed).toBe(false);
});

test("an fd in two instances has a row for each, with its own masks; one that a running loop has unregistered is not accused", async () => {
  using first = new Epoll();
  using second = new Epoll();
  using counter = new EventFd(1);
  first.register(counter, EPOLLIN);
  second.register(counter, EPOLLOUT | EPOLLET);
  const fd = counter.fileno();
  const registrations = [
    { epfd: first.fileno(), mask: EPOLLIN },
    { epfd: second.fileno(), mask: (EPOLLOUT | EPOLLET) >>> 0 },
  ];
  const records = [recordOf({ fd, kind: "other", registrations })];
  const query = { filter: "", column: "epoll", isDescending: false, offset: 0, limit: 10 } as const;
  const { rows, total } = queryFds(records, { nowUs: 0, warnings: new Map() }, query, new KernelFigures());
  expect(total).toBe(2);
  expect(rows.map(({ epfd, mask, kernelMask }) => ({ epfd, mask, kernelMask }))).toEqual(
    registrations.map(({ epfd, mask }) => ({
      epfd,
      mask,
      kernelMask: interestList(epfd).find((one) => one.fd === fd)?.mask,
    })),
  );
  expect(new Set(rows.map(rowKey)).size).toBe(2);
  // Each row can be found by its instance, and by what it is registered for.
  const matching = (filter: string): (number | undefined)[] =>
    queryFds(records, { nowUs: 0, warnings: new Map() }, { ...query, filter }, new KernelFigures()).rows.map(
      ({ epfd }) => epfd,
    );
  expect(matching(`epoll:${second.fileno()}`)).toEqual([second.fileno()]);
  // The record is older than the kernel's list.
  first.unregister(counter);
  expect(explainFd(fd, registrations)).toContain(
    `the kernel does not watch it there, so epoll_wait(${first.fileno()})`,
  );
  const whileRunning = explainFd(fd, registrations, true);
  expect(whileRunning).not.toContain("does not watch it");
  expect(whileRunning).toEndWith(
    `so epoll_wait(${second.fileno()}) reports EPOLLOUT once, and again when something new arrives (EPOLLET).`,
  );
});

test("a program that has ended has no kernel masks: its fd numbers may belong to others", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const program = join(folder, "program.ts");
  writeFileSync(
    program,
    `import { Epoll, EventFd } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).pathname)};
    const epoll = new Epoll();
    epoll.register(new EventFd(1));
    epoll.poll();
    process.exit();`,
  );
  const view = await LiveView.open((listeners) =>
    Target.start({ program: [program], ...listeners, onEvents: undefined }),
  );
  try {
    view.subscribe(() => {});
    await view.target.ended;
    const { rows } = view.queryFds({ filter: "", column: "fd", isDescending: false, offset: 0, limit: 10 });
    for (const { kernelMask, receiveQueue } of rows) expect([kernelMask, receiveQueue]).toEqual([undefined, undefined]);
    for (const { fd } of rows)
      expect(await fdInfoResponse(view, new URLSearchParams({ fd: `${fd}` })).json()).toBeNull();
    expect(await kernelResponse(view).json()).toEqual({ instances: [] });
    expect(rows.length).toBeGreaterThan(0);
  } finally {
    view[Symbol.dispose]();
    await view.target.end();
    rmSync(folder, { recursive: true });
  }
});

test("counts every request, handler and iteration", async () => {
  await using it = await watched();
  for (let i = 0; i < 25; i++) await (await fetch(it.url)).text();
  const timings = await eventually(
    async () => (await (await it.get("timings")).json()) as TimingsResponse,
    ({ request, handler }) => request.count >= 25 && handler.count >= 25,
  );
  expect(timings.request.count).toBe(25);
  expect(timings.request.bars.reduce((sum, { count }) => sum + count, 0)).toBe(25);
  const { p50Us, p90Us, p99Us, maxUs } = timings.request;
  expect([p50Us, p90Us, p99Us, maxUs].toSorted((a, b) => a - b)).toEqual([p50Us, p90Us, p99Us, maxUs]);
});

test("percentiles of a histogram are exact to 1/16, and its maximum is exact", () => {
  const histogram = new LogHistogram(new SharedArrayBuffer(HISTOGRAM_BYTES));
  const values = Array.from({ length: 20_000 }, (_, i) => Math.round(10 * 1.0008 ** i) / 10);
  for (const value of values) histogram.record(value);
  const { count, p50Us, p90Us, p99Us, maxUs, bars } = histogram.summary;
  expect(count).toBe(20_000);
  for (const [share, us] of [
    [0.5, p50Us],
    [0.9, p90Us],
    [0.99, p99Us],
  ] as const) {
    const exact = values[Math.ceil(share * values.length) - 1] as number;
    expect(us).toBeGreaterThanOrEqual(exact);
    expect(us).toBeLessThanOrEqual(exact * (1 + 1 / 16));
  }
  expect(maxUs).toBe(values.at(-1) as number);
  for (const { fromUs, toUs, count: inBar } of bars) {
    expect(values.filter((value) => value >= fromUs && value < toUs)).toHaveLength(inBar);
  }
});

test("a histogram that is empty, or has values beyond its range, has a summary", () => {
  const histogram = new LogHistogram(new SharedArrayBuffer(HISTOGRAM_BYTES));
  expect(histogram.summary).toEqual({ count: 0, meanUs: 0, p50Us: 0, p90Us: 0, p99Us: 0, maxUs: 0, bars: [] });
  histogram.record(0);
  histogram.record(1e12);
  expect(histogram.summary).toMatchObject({ count: 2, p50Us: 0, maxUs: 1e12 });
});

test("a ring that has dropped the beginning of a connection says so", () => {
  const ring = new EventRing(10);
  const event = (seq: number, detail: object): TraceEvent => ({ seq, us: seq, iteration: 1, ...detail }) as TraceEvent;
  ring.push(event(1, { type: "accept", fd: 4, result: 5, peer: null }));
  for (let seq = 2; seq <= 8; seq++) ring.push(event(seq, { type: "recv", fd: 5, wanted: 1, result: 1 }));
  expect(ring.eventsOf({ fd: 5, openedUs: 1, afterSeq: 0 })).toMatchObject({ isTruncated: false, isClosed: false });
  expect(ring.eventsOf({ fd: 5, openedUs: 1, afterSeq: 0 }).events).toHaveLength(8);
  for (let seq = 9; seq <= 12; seq++) ring.push(event(seq, { type: "recv", fd: 6, wanted: 1, result: 1 }));
  const { events, isTruncated } = ring.eventsOf({ fd: 5, openedUs: 1, afterSeq: 0 });
  expect(isTruncated).toBe(true);
  expect(events.map((one) => one.event.seq)).toEqual([3, 4, 5, 6, 7, 8]);
});

const ROW: FdRow = {
  fd: 33,
  openedUs: 0,
  kind: "connection",
  state: "head",
  bytesIn: 1_500,
  bytesOut: 0,
  ageUs: 9e6,
  stateUs: 8e6,
  idleUs: 7e6,
  lastError: "send EPIPE",
  line: "GET /a/b HTTP/1.1",
  address: "127.0.0.1:5033",
};

test.each([
  ["", true],
  ["33", true],
  ["5033", true],
  ["34", false],
  ["fd:33 type:connection", true],
  ["fd:33 type:listener", false],
  ["-type:listener", true],
  ["peer:127.0.0.1:50", true],
  ["errno:epipe", true],
  ["errno:ECONNRESET", false],
  ["text:/a/b", true],
  ['text:"/a/b http"', true],
  ['"GET /a"', true],
  ["received>1k", true],
  ["received>2k", false],
  ["idle>5s idle<8000ms", true],
  ["recvq>0", false],
  ["is:stuck is:failed", true],
  ["-is:failed", false],
  ["state:none", false],
  ["is:unregistered", true],
])("the filter %j matches: %p", (filter, isMatch) => {
  expect(parseFdFilter(filter).matches(ROW)).toBe(isMatch);
});

test.each([
  [{}, true],
  [{ idleUs: 999_999 }, false],
  [{ state: "idle" }, false],
  [{ state: "idle", sendQueue: 1 }, true],
  [{ state: "new", bytesIn: 0 }, false],
  [{ state: undefined }, true],
  [{ state: undefined, bytesOut: 1 }, false],
  [{ kind: "listener", state: undefined, receiveQueue: 1 }, true],
  [{ kind: "other" }, false],
] as const)("%j is stuck: %p", (changes, expected) => {
  expect(isStuck({ ...ROW, ...changes })).toBe(expected);
});
