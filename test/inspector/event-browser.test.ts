// The event list and the timeline's extent: collapsed rows, matches, zoom, pan, and totals of a range.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { TraceEvent } from "../../src/index.ts";
import { Sampler } from "../../src/tools/debugger/sampler.ts";
import { EventBrowser } from "../../src/tools/inspector/client/event-browser.ts";
import { EventHistory } from "../../src/tools/inspector/client/event-history.ts";
import { OverheadMeter } from "../../src/tools/inspector/client/overhead-meter.ts";
import { totalsOf } from "../../src/tools/inspector/client/range-totals.ts";
import { groupWarnings } from "../../src/tools/inspector/client/warning-groups.ts";
import { eventAt, iteration, recv, wait } from "../support/trace-events.ts";

setDefaultTimeout(60_000);

function historyOf(events: readonly TraceEvent[]): EventHistory {
  const history = new EventHistory();
  history.load(events);
  return history;
}

function browse(history: EventHistory, position: number = history.end - 1, isFollowing: boolean = true): EventBrowser {
  const browser = new EventBrowser(() => {});
  browser.update(history, position, isFollowing);
  return browser;
}

const numbered = (...events: object[]): TraceEvent[] => events.map((event, i) => eventAt(10 * i, event, i + 1));

describe("rows", () => {
  test("a run of empty waits is one row, which an event ends and an end of iteration does not", () => {
    const events = numbered(recv(7), wait(), iteration(1), wait(), iteration(1), wait(), recv(7), wait());
    const { rows } = browse(historyOf(events));
    expect(rows.slice(0, rows.end).map(({ seq, count }) => [seq, count])).toEqual([
      [1, 1],
      [2, 3],
      [7, 1],
      [8, 1],
    ]);
  });

  test("a run continues in the next sample, and is found by the position of each of its events", () => {
    const [sampler, history] = [new Sampler(), new EventHistory()];
    const browser = new EventBrowser(() => {});
    for (const event of numbered(recv(7), wait(), wait(), wait())) {
      sampler.observe(event);
      history.add(sampler.take());
      browser.update(history, history.end - 1, true);
    }
    expect(browser.rows.end).toBe(2);
    expect([1, 2, 3].map((position) => browser.rows.indexAt(position))).toEqual([1, 1, 1]);
    expect(browser.rows.at(1)).toMatchObject({ first: 1, last: 3, count: 3 });
  });

  test("the rows of dropped events are dropped, and the others keep their indexes", () => {
    const [sampler, history] = [new Sampler(), new EventHistory()];
    const browser = new EventBrowser(() => {});
    for (let i = 1; i <= 25_000; i++) {
      sampler.observe(eventAt(i, recv(7), i));
      if (i % 100 === 0) {
        history.add(sampler.take());
        browser.update(history, history.end - 1, true);
      }
    }
    const { rows } = browser;
    expect(rows.start).toBe(history.start);
    expect(rows.start).toBeGreaterThan(0);
    expect(rows.at(rows.start)?.seq).toBe(rows.start + 1);
    expect(rows.at(rows.start - 1)).toBeUndefined();
    expect(rows.end).toBe(25_000);
  });
});

test("goes to the next and the previous match of the filter", () => {
  const browser = browse(historyOf(numbered(recv(7), recv(9), recv(7), recv(9), recv(7))));
  browser.setQuery("fd:9");
  expect(browser.matchFrom(-1, 1)).toBe(1);
  expect(browser.matchFrom(1, 1)).toBe(3);
  expect(browser.matchFrom(3, 1)).toBeUndefined();
  expect(browser.matchFrom(4, -1)).toBe(3);
  expect(browser.matchFrom(3, -1)).toBe(1);
  expect(browser.matchFrom(1, -1)).toBeUndefined();
  expect([0, 1, 2, 3].map((position) => browser.isMatch(position))).toEqual([false, true, false, true]);
});

describe("the extent", () => {
  const history = historyOf(Array.from({ length: 1_000 }, (_, i) => eventAt(1_000 * i, recv(7), i + 1)));

  test("follows the latest event until the user moves it", () => {
    const browser = browse(history);
    browser.setWidth(160);
    expect(browser.extent).toEqual({ from: 989.5, to: 999.5 });
    browser.pan(-100);
    expect(browser.extent).toEqual({ from: 889.5, to: 899.5 });
    browser.update(history, 999, true);
    expect(browser.extent).toEqual({ from: 889.5, to: 899.5 });
    browser.resetExtent();
    browser.update(history, 999, true);
    expect(browser.extent).toEqual({ from: 989.5, to: 999.5 });
  });

  test("keeps its place while the selected event is in it, and moves to it otherwise", () => {
    const browser = browse(history);
    browser.setWidth(160);
    browser.update(history, 995, false);
    expect(browser.extent).toEqual({ from: 989.5, to: 999.5 });
    browser.update(history, 500, false);
    expect(browser.extent.from).toBeLessThan(500);
    expect(browser.extent.to).toBeGreaterThan(500);
  });

  test("zooms around a value, within the bounds, and shows all", () => {
    const browser = browse(history);
    browser.setUnit("time");
    browser.update(history, 999, true);
    browser.showExtent(100_000, 200_000);
    browser.zoom(0.5, 150_000);
    expect(browser.extent).toEqual({ from: 125_000, to: 175_000 });
    browser.zoom(0.5, 125_000);
    expect(browser.extent).toEqual({ from: 125_000, to: 150_000 });
    browser.zoom(1e9);
    expect(browser.extent).toEqual({ from: 0, to: 999_000 });
    for (let i = 0; i < 60; i++) browser.zoom(0.5, 500_000);
    expect(browser.extent.to - browser.extent.from).toBeCloseTo(20);
    browser.showAll();
    expect(browser.extent).toEqual({ from: 0, to: 999_000 });
  });

  test("pans no further than the first and the last event", () => {
    const browser = browse(history);
    browser.setWidth(160);
    browser.pan(-1e9);
    expect(browser.extent).toEqual({ from: -0.5, to: 9.5 });
    browser.pan(1e9);
    expect(browser.extent).toEqual({ from: 989.5, to: 999.5 });
  });
});

test("a range extends from where it began, in both directions", () => {
  const browser = browse(historyOf(numbered(recv(7), recv(7), recv(7), recv(7), recv(7))), 2, false);
  browser.beginRange();
  browser.extendRange(3);
  expect(browser.range).toEqual({ from: 2, to: 3 });
  browser.extendRange(0);
  expect(browser.range).toEqual({ from: 0, to: 2 });
});

describe("totals of a range", () => {
  const events = [
    eventAt(0, recv(7)),
    eventAt(100, iteration(100, [[7, 100]])),
    eventAt(1_100, { ...wait(7), blockedUs: 1_000 }),
    eventAt(1_150, { ...recv(7), result: 400 }),
    eventAt(1_200, { type: "send", fd: 7, wanted: 90, result: 90 }),
    eventAt(1_250, { type: "recv", fd: 7, wanted: 10, result: -11 }),
    eventAt(1_260, { type: "send", fd: 9, wanted: 10, result: -32 }),
    eventAt(
      1_300,
      iteration(200, [
        [7, 160],
        [9, 40],
      ]),
    ),
    eventAt(1_302, { ...wait(), blockedUs: 2 }),
    eventAt(1_303, { type: "warning", code: "busy-loop", fd: 9, message: "" }),
    eventAt(1_400, { type: "accept", fd: 5, result: 11, peer: null }),
    eventAt(1_500, { type: "close", fd: 11, result: 0 }),
  ];

  test("counts events, bytes, failures and time; an expected error is no failure, and a wait that did not block is no idle time", () => {
    expect(totalsOf(historyOf(events), 1, events.length - 1)).toMatchObject({
      events: 9,
      omitted: 0,
      waits: 2,
      emptyWaits: 1,
      accepted: 1,
      closed: 1,
      failed: 1,
      warnings: 1,
      bytesIn: 400,
      bytesOut: 90,
      durationUs: 1_400,
      idleUs: 1_000,
      busyUs: 400,
      fds: [
        { key: 7, events: 3, bytesIn: 400, bytesOut: 90, busyUs: 260 },
        { key: 9, events: 2, busyUs: 40 },
        { key: 11, events: 2, busyUs: 0 },
      ],
    });
  });

  test("counts only the part of a wait that is in the range", () => {
    expect(totalsOf(historyOf(events), 2, 3)).toMatchObject({ durationUs: 50, idleUs: 0, busyUs: 50 });
  });
});

test("the totals follow the cursor into the past", () => {
  const [sampler, history] = [new Sampler(), new EventHistory()];
  const events = numbered(
    recv(7),
    wait(7),
    recv(7),
    { type: "send", fd: 7, wanted: 5, result: 5 },
    iteration(30),
    wait(),
  );
  for (const event of events) sampler.observe(event);
  history.add(sampler.take());
  expect(history.countsAt(1)).toMatchObject({ iterations: 1, bytesIn: 10, bytesOut: 0, workedUs: 0 });
  expect(history.countsAt(5)).toMatchObject({ iterations: 2, bytesIn: 20, bytesOut: 5, workedUs: 30 });
  const saved = historyOf(events);
  for (const position of [0, 1, 3, 5]) {
    expect(saved.countsAt(position)).toEqual({ ...history.countsAt(position), overheadUs: 0 } as never);
  }
});

test("finds an event by its sequence number and by its time", () => {
  const history = historyOf([2, 3, 7, 9].map((seq) => eventAt(seq * 100, recv(7), seq)));
  expect([1, 2, 7, 8, 9, 10].map((seq) => history.positionOf(seq))).toEqual([undefined, 0, 2, undefined, 3, undefined]);
  expect([0, 200, 201, 900, 901].map((us) => history.positionAt(us))).toEqual([0, 0, 1, 3, 4]);
});

test("the overhead is a median, and unknown until there are enough events", () => {
  const meter = new OverheadMeter();
  const counts = (events: number, overheadUs: number): Parameters<OverheadMeter["add"]>[0] => ({
    iterations: 1,
    events: { recv: events },
    accepted: 0,
    bytesIn: 0,
    bytesOut: 0,
    blockedUs: 0,
    awayUs: 0,
    workedUs: 0,
    overheadUs,
  });
  let overheadUs = 400_000; // the first call is slow
  meter.add(counts(10, overheadUs));
  for (let events = 20; events <= 600; events += 10) {
    if (events === 500) expect(meter.perEventUs).toBeUndefined();
    meter.add(counts(events, (overheadUs += 20)));
  }
  expect(meter.perEventUs).toBe(2);
  meter.add(counts(2_600, (overheadUs += 10_000))); // most of the events took 5 µs each
  expect(meter.perEventUs).toBe(5);
});

test("warnings about the same cause are one, with a count", () => {
  const warning = (seq: number, fd: number, extra: object = {}): TraceEvent =>
    eventAt(seq, { type: "warning", code: "busy-loop", fd, message: "", ...extra }, seq);
  const groups = groupWarnings([
    warning(1, 7),
    warning(2, 9),
    warning(3, 7),
    warning(4, 11, { count: 1, at: "app.ts:3" }),
    warning(5, 11, { count: 40, at: "app.ts:3", updates: 4 }),
    warning(6, 9),
  ] as Parameters<typeof groupWarnings>[0]);
  expect(groups.map(({ warning: { fd, seq }, count, at }) => [fd, seq, count, at])).toEqual([
    [9, 6, 2, undefined],
    [11, 5, 40, "app.ts:3"],
    [7, 3, 2, undefined],
  ]);
});
