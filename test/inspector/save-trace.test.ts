// The trace that the page saves: a valid trace, also if the page lacks events.

import { expect, setDefaultTimeout, test } from "bun:test";
import { parseTrace, type TraceEvent } from "../../src/index.ts";
import { Sampler } from "../../src/tools/debugger/sampler.ts";
import { EventHistory } from "../../src/tools/inspector/client/event-history.ts";
import { traceText } from "../../src/tools/inspector/client/save-trace.ts";
import { eventAt, recv } from "../support/trace-events.ts";

setDefaultTimeout(60_000);

const ORIGIN = { pid: 7, startedMs: Date.UTC(2026, 0, 1) };
const BEGIN = { type: "begin", version: 2, pid: 1, date: "2026-01-01T00:00:00.000Z" };

const seqsAndTypes = (events: readonly TraceEvent[]): [number, string][] => events.map(({ seq, type }) => [seq, type]);

/** The history of a page that was opened after `first - 1` events, and lacks `omitted` events later. */
function historyFrom(first: number, omitted: number): EventHistory {
  const [sampler, history] = [new Sampler(), new EventHistory()];
  const add = (seq: number): void => {
    sampler.observe(eventAt(seq, seq === 1 ? BEGIN : recv(7), seq));
    history.add(sampler.take());
  };
  add(first);
  add(first + 1 + omitted);
  return history;
}

test("has all events of the page", () => {
  const text = traceText(historyFrom(1, 0), undefined, ORIGIN);
  expect(seqsAndTypes(parseTrace(text))).toEqual([
    [1, "begin"],
    [2, "recv"],
  ]);
  expect(parseTrace(text)[0]).toMatchObject(BEGIN);
});

test("events that the page lacks are reported as dropped", () => {
  const events = parseTrace(traceText(historyFrom(1, 30), undefined, ORIGIN));
  expect(seqsAndTypes(events)).toEqual([
    [1, "begin"],
    [31, "dropped"],
    [32, "recv"],
  ]);
  expect(events[1]).toMatchObject({ events: 30 });
});

test("a page that was opened later gives the trace a beginning", () => {
  const events = parseTrace(traceText(historyFrom(500, 0), undefined, ORIGIN));
  expect(seqsAndTypes(events)).toEqual([
    [1, "begin"],
    [499, "dropped"],
    [500, "recv"],
    [501, "recv"],
  ]);
  expect(events[0]).toMatchObject({ pid: 7, date: "2026-01-01T00:00:00.000Z" });
});

test("a range begins where it begins, and a saved trace can be saved again", () => {
  const history = new EventHistory();
  const events = [BEGIN, recv(7), recv(7), recv(7)].map((event, i) => eventAt(i, event, i + 1));
  history.load(events);
  const text = traceText(history, { from: 2, to: 3 }, ORIGIN);
  expect(seqsAndTypes(parseTrace(text))).toEqual([
    [1, "begin"],
    [2, "dropped"],
    [3, "recv"],
    [4, "recv"],
  ]);
  const again = new EventHistory();
  again.load(parseTrace(text));
  expect(traceText(again, undefined, ORIGIN)).toBe(text);
});
