// The page's tape: at each position of it the loop is what it was then, from a live server's samples as from a saved trace.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Sampler } from "../../src/tools/debugger/sampler.ts";
import { FdTable } from "../../src/tools/debugger/fd-table.ts";
import { EpollServer, type InternetAddress, type TraceEvent } from "../../src/index.ts";
import { EventHistory } from "../../src/tools/inspector/client/event-history.ts";
import { Client } from "../support/client.ts";

setDefaultTimeout(60_000);

/** What a real server did. */
function recorded(clients: number): TraceEvent[] {
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

function checkEach(tape: EventHistory, events: readonly TraceEvent[]): void {
  const table = new FdTable();
  for (const [position, event] of events.entries()) {
    table.see(event);
    const view = tape.view(position);
    expect(view.event?.seq).toBe(event.seq);
    expect(view.isApproximate).toBe(false);
    expect([...view.entries]).toEqual(table.entries);
    expect([...view.ready]).toEqual([...table.ready]);
  }
}

test("of a saved trace", () => {
  const events = recorded(200); // more than one piece
  expect(events.length).toBeGreaterThan(1_000);
  const tape = new EventHistory();
  tape.load(events);
  checkEach(tape, events);
});

test("of samples without a gap", () => {
  const events = recorded(20);
  const [sampler, tape] = [new Sampler(), new EventHistory()];
  for (const [i, event] of events.entries()) {
    sampler.see(event);
    if (i % 37 === 0) tape.add(sampler.take());
  }
  tape.add(sampler.take());
  checkEach(tape, events);
});

test("behind a gap it says so, and its end is exact", () => {
  const events = recorded(150);
  const [sampler, tape, table] = [new Sampler(), new EventHistory(), new FdTable()];
  for (const event of events) {
    sampler.see(event);
    table.see(event);
  }
  const sample = sampler.take();
  expect(sample.omitted).toBeGreaterThan(0);
  tape.add(sample);
  expect([...tape.view(tape.end - 1).entries]).toEqual(table.entries);
  expect(tape.view(tape.end - 1).isApproximate).toBe(false);
  expect(tape.view(tape.start).isApproximate).toBe(true);
  expect(tape.upTo(tape.end - 1, 1_000)[0]?.omitted).toBe(sample.omitted);
});

test("it has a bound", () => {
  const [sampler, tape] = [new Sampler(), new EventHistory()];
  for (let seq = 1; seq <= 60_000; seq++) {
    sampler.see({ seq, us: seq, iteration: 1, type: "recv", fd: 5, wanted: 1, result: 1 });
    if (seq % 50 === 0) tape.add(sampler.take());
  }
  expect(tape.end).toBe(60_000);
  expect(tape.end - tape.start).toBeLessThanOrEqual(20_000);
  expect(tape.event(tape.start - 1)).toBeUndefined();
  expect(tape.event(tape.start)?.seq).toBe(tape.start + 1);
});

test("it is looked through forwards and backwards", () => {
  const events = recorded(3);
  const tape = new EventHistory();
  tape.load(events);
  const waits = events.flatMap(({ type }, i) => (type === "wait" ? [i] : []));
  const found: number[] = [];
  for (let at: number | undefined = -1; (at = tape.find(at, 1, ({ type }) => type === "wait")) !== undefined;)
    found.push(at);
  expect(found).toEqual(waits);
  expect(tape.find(waits[2] as number, -1, ({ type }) => type === "wait")).toBe(waits[1] as number);
  expect(tape.find(events.length - 1, 1, () => true)).toBeUndefined();
});
