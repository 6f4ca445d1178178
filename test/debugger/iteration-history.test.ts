// class IterationHistory: earlier iterations with their fds, within a bounded size.

import { expect, setDefaultTimeout, test } from "bun:test";
import { IterationHistory } from "../../src/tools/debugger/iteration-history.ts";
import type { TraceEvent } from "../../src/trace/events.ts";

setDefaultTimeout(60_000);

let seq = 0;

function accepted(fd: number, iteration: number): TraceEvent {
  return { seq: ++seq, us: seq, iteration, type: "accept", fd: 4, result: fd, peer: null };
}

/** The events of one request: a wait, then 35 bytes that are received and 145 that are sent. */
function request(fd: number, iteration: number): TraceEvent[] {
  const moment = (): { seq: number; us: number; iteration: number } => ({ seq: ++seq, us: seq, iteration });
  const ready: [number, number][] = [[fd, 1]];
  return [
    { ...moment(), type: "wait", epfd: 5, timeoutMs: -1, maxEvents: 50, result: 1, events: ready, blockedUs: 1 },
    { ...moment(), type: "recv", fd, wanted: 65_536, result: 35 },
    { ...moment(), type: "send", fd, wanted: 145, result: 145 },
    { ...moment(), type: "iteration", workedUs: 1, dispatches: [[fd, 1]] },
  ];
}

test("stores 9,000 requests of 500 connections in a few megabytes", () => {
  const history = new IterationHistory();
  for (let fd = 10; fd < 510; fd++) history.add([accepted(fd, 0)]);
  for (let iteration = 1; iteration <= 9_000; iteration++) history.add(request(10 + (iteration % 500), iteration));
  expect(history.iterations).toHaveLength(9_001);
  expect(history.storedEntries).toBeLessThan(2 * 36_500);
  expect(history.bytes).toBeLessThan(32 * 1024 * 1024);
  expect(history.isTruncated).toBe(false);
});

test("returns the fds as they were at the end of each iteration", () => {
  const history = new IterationHistory();
  history.add([accepted(10, 0), accepted(11, 0)]);
  for (let iteration = 1; iteration <= 2_000; iteration++) history.add(request(10, iteration));
  for (const iteration of [1, 124, 125, 126, 1_000, 2_000]) {
    const { entries, events, ready, epfd } = history.at(iteration) ?? { entries: [] };
    expect(entries.find(({ fd }) => fd === 10)).toMatchObject({ bytesIn: 35 * iteration, bytesOut: 145 * iteration });
    expect(entries.find(({ fd }) => fd === 11)).toMatchObject({ bytesIn: 0 });
    expect(events).toHaveLength(4);
    expect(ready).toEqual([[10, 1]]);
    expect(epfd).toBe(history.table.epfd);
  }
  expect(history.at(2_001)).toBeUndefined();
  expect(history.last).toMatchObject({ iteration: 2_000 });
});

test("drops the oldest events when its size reaches the limit", () => {
  const history = new IterationHistory(1_000_000);
  for (let fd = 10; fd < 1_010; fd++) history.add([accepted(fd, 0)]);
  for (let iteration = 1; iteration <= 20_000; iteration++) {
    history.add(request(10 + (iteration % 1_000), iteration));
    expect(history.bytes).toBeLessThan(1_500_000);
  }
  expect(history.isTruncated).toBe(true);
  const oldest = history.iterations[1] as number;
  expect(oldest).toBeGreaterThan(1_000);
  expect(history.at(oldest)?.entries.filter(({ kind }) => kind === "connection")).toHaveLength(1_000);
});

test("counts received and sent data, which may be large", () => {
  const history = new IterationHistory(10_000_000);
  for (let iteration = 1; iteration <= 2_000; iteration++) {
    const [wait, recv] = request(10, iteration) as [TraceEvent, TraceEvent];
    history.add([wait, { ...recv, bytes: "x".repeat(65_536) } as TraceEvent]);
  }
  expect(history.isTruncated).toBe(true);
  expect(history.bytes).toBeLessThan(50_000_000);
});
