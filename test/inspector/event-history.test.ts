// The page's event history: after each event, the state of the loop is what it was at that time.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type InternetAddress, type TraceEvent } from "../../src/index.ts";
import { FdTable } from "../../src/tools/debugger/fd-table.ts";
import { Sampler } from "../../src/tools/debugger/sampler.ts";
import { EventHistory } from "../../src/tools/inspector/client/event-history.ts";
import { Client } from "../support/client.ts";

setDefaultTimeout(60_000);

/** Traces a real server that serves some clients one after the other. */
function traceServer(clients: number): TraceEvent[] {
  const events: TraceEvent[] = [];
  const server = new EpollServer({
    hostname: "127.0.0.1",
    keepAlive: false,
    eager: false,
    deferAccept: false,
    trace: (event) => void events.push(event),
  });
  for (let i = 0; i < clients; i++) {
    using client = new Client(server.address as InternetAddress, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (let iteration = 0; iteration < 5; iteration++) server.tick(i % 2 === 0 ? 1 : 0);
    client.socket.recv(1_000);
  }
  void server.stop({ graceMs: 0 });
  while (!server.closed) server.tick(10);
  return events;
}

/** Checks the view after each event against a replay from the beginning. */
function expectExactViews(history: EventHistory, events: readonly TraceEvent[]): void {
  const table = new FdTable();
  const wrong: number[] = [];
  for (const [position, event] of events.entries()) {
    table.apply(event);
    const view = history.view(position);
    const expected = { seq: event.seq, isApproximate: false, entries: table.entries, ready: table.ready };
    const { isApproximate, entries, ready } = view;
    if (!Bun.deepEquals({ seq: view.event?.seq, isApproximate, entries, ready }, expected)) wrong.push(position);
  }
  expect(wrong).toEqual([]);
}

test("restores the state after every event of a saved trace", () => {
  const events = traceServer(60);
  expect(events.length).toBeGreaterThan(1_000); // more than two chunks
  const history = new EventHistory();
  history.load(events);
  expectExactViews(history, events);
});

test("restores the state after every event of consecutive samples", () => {
  const events = traceServer(20);
  const [sampler, history] = [new Sampler(), new EventHistory()];
  for (const [i, event] of events.entries()) {
    sampler.observe(event);
    if (i % 37 === 0) history.add(sampler.take());
  }
  history.add(sampler.take());
  expectExactViews(history, events);
});

test("is approximate after skipped events, and exact again at the end of the sample", () => {
  const events = traceServer(150);
  const [sampler, history, table] = [new Sampler(), new EventHistory(), new FdTable()];
  for (const event of events) {
    sampler.observe(event);
    table.apply(event);
  }
  const sample = sampler.take();
  expect(sample.omitted).toBeGreaterThan(0);
  history.add(sample);
  expect([...history.view(history.end - 1).entries]).toEqual(table.entries);
  expect(history.view(history.end - 1).isApproximate).toBe(false);
  expect(history.view(history.start).isApproximate).toBe(true);
  expect(history.eventsUpTo(history.end - 1, 1_000)[0]?.omitted).toBe(sample.omitted);
});

test("keeps at most 20,000 events of a running server", () => {
  const [sampler, history] = [new Sampler(), new EventHistory()];
  for (let seq = 1; seq <= 60_000; seq++) {
    sampler.observe({ seq, us: seq, iteration: 1, type: "recv", fd: 5, wanted: 1, result: 1 });
    if (seq % 50 === 0) history.add(sampler.take());
  }
  expect(history.end).toBe(60_000);
  expect(history.end - history.start).toBeLessThanOrEqual(20_000);
  expect(history.event(history.start - 1)).toBeUndefined();
  expect(history.event(history.start)?.seq).toBe(history.start + 1);
});

test("finds events in both directions", () => {
  const events = traceServer(3);
  const history = new EventHistory();
  history.load(events);
  const waits = events.flatMap(({ type }, i) => (type === "wait" ? [i] : []));
  const found: number[] = [];
  for (let at: number | undefined = -1; (at = history.find(at, 1, ({ type }) => type === "wait")) !== undefined;) {
    found.push(at);
  }
  expect(found).toEqual(waits);
  expect(history.find(waits[2] as number, -1, ({ type }) => type === "wait")).toBe(waits[1] as number);
  expect(history.find(events.length - 1, 1, () => true)).toBeUndefined();
});
